//! The addresses, one resource per file.

mod api_keys;
mod auth;
mod buying;
mod catalogue;
mod changes;
mod invitations;
mod migration;
mod operations;
mod orders;
mod reference;
mod system;
mod team;
mod tenants;

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
        .merge(buying::routes())
        .merge(orders::routes())
        .merge(auth::routes())
        .merge(tenants::routes())
        .merge(team::routes())
        .merge(invitations::routes())
        .merge(api_keys::routes())
        .merge(changes::routes())
        .merge(migration::routes())
        .merge(operations::routes())
        .merge(system::routes())
        .merge(reference::routes())
}
