//! `/api/v1/storefront/{merchant}/products`

use axum::{Json, extract::State};
use bastide_commerce::{queries::products, rows::Product};

use crate::{
    app::App,
    contract::{Routes, get},
    merchant::Shop,
    page::{Listing, PageRequest},
    problem::Problem,
};

pub(crate) const LIST: &str = "products";

pub(super) fn routes() -> Routes {
    Routes::of("storefront", "What visitors of a shop see.").with(get(
        "/api/v1/storefront/{merchant}/products",
        "list_products_on_sale",
        "Products on sale, newest first",
        list,
    ))
}

async fn list(
    State(app): State<App>,
    shop: Shop,
    request: PageRequest,
) -> Result<Json<Listing<Product>>, Problem> {
    let after = request.after(&app, LIST, &shop.tenant)?;
    let page = products::on_sale(app.pool(), &shop.tenant, after, request.limit).await?;
    Ok(Json(Listing::new(&app, LIST, &shop.tenant, page, Product::position)?))
}
