//! The addresses, one resource per file.

mod auth;
mod migration;
mod operations;
mod orders;
mod products;
mod system;

use axum::{Router, routing::get};

use crate::{app::App, pages, problem::Problem};

pub(crate) use auth::sign_in;
pub(crate) use orders::LIST as ORDERS;
pub(crate) use products::LIST as PRODUCTS;

pub(crate) fn all() -> Router<App> {
    Router::new()
        .route("/api/v1/storefront/{merchant}/products", get(products::list))
        .route("/api/v1/admin/{merchant}/orders", get(orders::list))
        .route("/api/v1/auth/merchant/login", axum::routing::post(auth::login))
        .route("/api/v1/system/migration-status", get(migration::status))
        .route("/api/v1/system/migration-status/events", get(migration::events))
        .route("/api/v1/system/isolation", get(operations::isolation))
        .route("/metrics", get(operations::metrics))
        .route("/healthz", get(system::healthz))
        .route("/readyz", get(system::readyz))
        .merge(pages::routes())
        .fallback(async || Problem::not_found())
}
