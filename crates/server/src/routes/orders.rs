//! `GET /api/v1/admin/{merchant}/orders`

use axum::{Json, extract::State};
use bastide_commerce::{queries::orders, rows::Order};

use crate::{
    app::App,
    merchant::Team,
    page::{Listing, PageRequest},
    problem::Problem,
};

pub(crate) const LIST: &str = "orders";

pub(crate) async fn list(
    State(app): State<App>,
    team: Team,
    request: PageRequest,
) -> Result<Json<Listing<Order>>, Problem> {
    team.may_see_orders()?;
    let after = request.after(&app, LIST, &team.tenant)?;
    let page = orders::newest(app.pool(), &team.tenant, after, request.limit).await?;
    Ok(Json(Listing::new(&app, LIST, &team.tenant, page, Order::position)?))
}
