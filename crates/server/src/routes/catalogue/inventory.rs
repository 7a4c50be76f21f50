//! `/api/v1/admin/{merchant}/inventory`

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::Response,
};
use bastide_commerce::{
    drafts::{Adjustment, Count},
    queries::{
        audit,
        inventory::{self, Adjusted},
    },
    rows::{StockAdjustment, StockLevel},
};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{filter::Below, refusals};
use crate::{
    app::App,
    asked::Asked,
    body::Body,
    code::FieldCode,
    contract::{Routes, get, post, put},
    etag::{ETag, IfMatch, Tagged, written},
    idempotency::{Caller, Claimed, Once},
    merchant::Team,
    page::{Listing, PageRequest},
    path::At,
    permission::{ReadStock, WriteStock},
    problem::Problem,
};

const ENTITY: &str = "level";
const ALL: &str = "/api/v1/admin/{merchant}/inventory";
const ONE: &str = "/api/v1/admin/{merchant}/inventory/{variant}";

pub(super) fn routes() -> Routes {
    Routes::of("inventory", "How much there is of each variant, and why.")
        .with(get(ALL, "list_stock_levels", "Stock of each variant", list))
        .with(get(ONE, "get_stock_level", "Stock of a variant", read))
        .with(put(ONE, "set_stock_level", "Stock as it was counted", set))
        .with(
            post(
                "/api/v1/admin/{merchant}/inventory/{variant}/adjust",
                "adjust_stock_level",
                "More or less of it",
                adjust,
            )
            .answers::<StockLevel>(StatusCode::OK, "As it is now."),
        )
        .with(get(
            "/api/v1/admin/{merchant}/inventory/{variant}/history",
            "list_stock_adjustments",
            "Why it is as much, newest first",
            history,
        ))
}

#[derive(Debug, Deserialize, IntoParams)]
struct LevelPath {
    /// The variant's id.
    variant: i64,
}

/// Reservations come and go without a new version: nobody writes over them.
fn tagged(level: StockLevel) -> Tagged<StockLevel> {
    Tagged::new(ETag::new(ENTITY, level.variant_id, level.version), level)
}

async fn list(
    State(app): State<App>,
    team: Team<ReadStock>,
    request: PageRequest,
    Below(below): Below,
) -> Result<Json<Listing<StockLevel>>, Problem> {
    let name = format!("stock below {below:?}");
    let after = request.after(&app, &name, &team.tenant)?;
    let page = inventory::levels(app.pool(), &team.tenant, below, after, request.limit).await?;
    Ok(Json(Listing::new(&app, &name, &team.tenant, page, StockLevel::position)?))
}

async fn read(
    State(app): State<App>,
    team: Team<ReadStock>,
    At(at): At<LevelPath>,
) -> Result<Tagged<StockLevel>, Problem> {
    let level = inventory::level(app.pool(), &team.tenant, at.variant).await?;
    Ok(tagged(level.ok_or_else(Problem::not_found)?))
}

async fn set(
    State(app): State<App>,
    team: Team<WriteStock>,
    At(at): At<LevelPath>,
    asked: Asked,
    if_match: IfMatch,
    Body(sent): Body<Count>,
) -> Result<Tagged<StockLevel>, Problem> {
    let version = if_match.version(ENTITY, at.variant)?;
    let mut tx = app.pool().begin(&team.tenant).await?;
    let changed = inventory::set(&mut tx, at.variant, version, &sent, team.user).await?;
    let level = written(changed, ENTITY, at.variant)?;
    audit::record(&mut tx, &team.did(&asked, "level.set", at.variant, &["on_hand", "tracked"])).await?;
    tx.commit().await?;
    Ok(tagged(level))
}

async fn adjust(
    State(app): State<App>,
    team: Team<WriteStock>,
    At(at): At<LevelPath>,
    asked: Asked,
    once: Once<Adjustment>,
) -> Result<Response, Problem> {
    let (mut act, sent) = match once.claim(&app, &team.tenant, &Caller::new("user", team.user)).await? {
        Claimed::First(act, sent) => (act, sent),
        Claimed::Again(answer) => return Ok(answer),
    };
    let level = match inventory::adjust(act.tx(), at.variant, &sent, team.user).await? {
        Adjusted::Now(level) => level,
        Adjusted::Gone => return Err(Problem::not_found()),
        Adjusted::Impossible { on_hand } => {
            let message = format!("there would be less than 0 or more than 1000000000: there are {on_hand}");
            return Err(refusals::field("/delta", FieldCode::OutOfRange, message));
        }
    };
    audit::record(act.tx(), &team.did(&asked, "level.adjust", at.variant, &["on_hand"])).await?;
    act.done(StatusCode::OK, HeaderMap::new(), &level).await
}

async fn history(
    State(app): State<App>,
    team: Team<ReadStock>,
    At(at): At<LevelPath>,
    request: PageRequest,
) -> Result<Json<Listing<StockAdjustment>>, Problem> {
    let name = format!("history of stock {}", at.variant);
    let after = request.after(&app, &name, &team.tenant)?;
    let page = inventory::history(app.pool(), &team.tenant, at.variant, after, request.limit).await?;
    if page.rows.is_empty() {
        // Of nothing that is there, or of another merchant's.
        let level = inventory::level(app.pool(), &team.tenant, at.variant).await?;
        level.ok_or_else(Problem::not_found)?;
    }
    Ok(Json(Listing::new(&app, &name, &team.tenant, page, StockAdjustment::position)?))
}
