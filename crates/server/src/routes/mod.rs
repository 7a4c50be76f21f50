//! The addresses, one resource per file.

mod auth;
mod catalogue;
mod migration;
mod operations;
mod orders;
mod reference;
mod system;

use axum::Router;

use crate::{app::App, contract::Routes, pages, problem::Problem};

pub(crate) use auth::sign_in;
pub(crate) use catalogue::PRODUCTS;
pub(crate) use orders::LIST as ORDERS;
pub(crate) use reference::document;

/// Everything that is served: what is described, and the pages.
pub(crate) fn all() -> Router<App> {
    described().into_router().merge(pages::routes()).fallback(async || Problem::not_found())
}

/// What the document has.
pub(crate) fn described() -> Routes {
    Routes::default()
        .merge(catalogue::routes())
        .merge(orders::routes())
        .merge(auth::routes())
        .merge(migration::routes())
        .merge(operations::routes())
        .merge(system::routes())
        .merge(reference::routes())
}
