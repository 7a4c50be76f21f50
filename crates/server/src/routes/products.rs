//! `GET /api/v1/storefront/{merchant}/products`

use axum::{Json, extract::State};
use bastide_commerce::{queries::products, rows::Product};

use crate::{
    app::App,
    merchant::Shop,
    page::{Listing, PageRequest},
    problem::Problem,
};

pub(crate) const LIST: &str = "products";

pub(crate) async fn list(
    State(app): State<App>,
    shop: Shop,
    request: PageRequest,
) -> Result<Json<Listing<Product>>, Problem> {
    let after = request.after(&app, LIST, &shop.tenant)?;
    let page = products::on_sale(app.pool(), &shop.tenant, after, request.limit).await?;
    Ok(Json(Listing::new(&app, LIST, &shop.tenant, page, Product::position)?))
}
