//! `/api/v1/admin/{merchant}/orders`

use axum::{Json, extract::State};
use bastide_commerce::{queries::orders, rows::Order};

use crate::{
    app::App,
    contract::{Routes, get},
    merchant::Team,
    page::{Listing, PageRequest},
    permission::ReadOrders,
    problem::Problem,
};

pub(crate) const LIST: &str = "orders";

pub(super) fn routes() -> Routes {
    Routes::of("orders", "What was bought, and by whom.").with(get(
        "/api/v1/admin/{merchant}/orders",
        "list_orders",
        "Orders, newest first",
        list,
    ))
}

async fn list(
    State(app): State<App>,
    team: Team<ReadOrders>,
    request: PageRequest,
) -> Result<Json<Listing<Order>>, Problem> {
    let after = request.after(&app, LIST, &team.tenant)?;
    let page = orders::newest(app.pool(), &team.tenant, after, request.limit).await?;
    Ok(Json(Listing::new(&app, LIST, &team.tenant, page, Order::position)?))
}
