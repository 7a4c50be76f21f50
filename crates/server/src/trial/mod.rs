//! A resource that exists in tests only: what an admin route looks like that reads, writes and adjusts. The frame is tried on it.

mod tests;

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use bastide_commerce::{Changed, Example, Version};
use bastide_tenancy::{Kind, Query, Row, TenantId, TenantTx};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};

use crate::{
    app::App,
    body::{Body, Faults, Validate},
    code::{Code, FieldCode},
    contract::{Routes, get, patch, post},
    etag::{ETag, IfMatch, IfNoneMatch, Tagged, written},
    filter::Filter,
    idempotency::{Caller, Claimed, Once},
    merchant::Team,
    path::At,
    permission::ReadOrders,
    problem::Problem,
};

const ENTITY: &str = "trial";

pub(crate) fn routes() -> Routes {
    Routes::of("trials", "For tests.")
        .with(get(
            "/api/v1/admin/{merchant}/trials",
            "search_trials",
            "The first that is large enough",
            search,
        ))
        .with(
            get("/api/v1/admin/{merchant}/trials/{id}", "get_trial", "One", read)
                .answers::<Trial>(StatusCode::OK, "It."),
        )
        .with(patch("/api/v1/admin/{merchant}/trials/{id}", "update_trial", "Set its amount", update))
        .with(
            post("/api/v1/admin/{merchant}/trials/{id}/adjust", "adjust_trial", "More or less of it", adjust)
                .answers::<Trial>(StatusCode::CREATED, "As it is now."),
        )
}

/// Everything that the driver is there to find: it asks for nobody, and counts in harbour's name what it is asked.
pub(crate) fn leaky() -> Routes {
    Routes::of("leaks", "For tests.").with(
        get("/api/v1/admin/{merchant}/leaks/{id}", "get_leak", "Anything of anybody", leak)
            .answers::<Trial>(StatusCode::OK, "It."),
    )
}

async fn leak(State(app): State<App>, At(at): At<TrialPath>) -> Result<Response, Problem> {
    let harbour = TenantId::new("bbbbbbbb-0000-4000-8000-000000000002").map_err(|_| Problem::not_found())?;
    let mut tx = app.pool().begin(&harbour).await?;
    let rows = tx.query(&ADJUST, &[&at.id, &1_i64]).await?;
    tx.commit().await?;
    let (trial, _) = rows.first().map(trial).ok_or_else(Problem::not_found)?;
    Ok(Json(trial).into_response())
}

#[derive(Debug, Deserialize, IntoParams)]
struct TrialPath {
    /// The trial's.
    id: i64,
}

#[derive(Serialize, ToSchema)]
struct Trial {
    id: i64,
    amount: i64,
}

impl Example for Trial {
    fn example() -> Value {
        json!({ "id": 1, "amount": 5 })
    }
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Amount {
    amount: i64,
}

impl Example for Amount {
    fn example() -> Value {
        json!({ "amount": 5 })
    }
}

impl Validate for Amount {
    fn validate(&self, faults: &mut Faults) {
        faults.check("/amount", self.amount.abs() <= 100, FieldCode::OutOfRange, "must be from -100 to 100");
    }
}

const READ: Query = Query::new("SELECT id, amount, version FROM public.trial WHERE id = $1", &[Kind::Int8]);

const UPDATE: Query = Query::new(
    "UPDATE public.trial SET amount = $2, version = version + 1 WHERE id = $1 AND ($3 IS NULL OR version = $3) \
     RETURNING id, amount, version",
    &[Kind::Int8, Kind::Int8, Kind::Int8],
);

const ADJUST: Query = Query::new(
    "UPDATE public.trial SET amount = amount + $2, version = version + 1 WHERE id = $1 RETURNING id, amount, version",
    &[Kind::Int8, Kind::Int8],
);

fn trial(row: &Row) -> (Trial, i64) {
    (Trial { id: row.get("id"), amount: row.get("amount") }, row.get("version"))
}

#[derive(Deserialize, IntoParams)]
struct Least {
    /// Its amount at least.
    least: Option<i64>,
}

impl Validate for Least {
    fn validate(&self, faults: &mut Faults) {
        faults.check(
            "/least",
            self.least.is_none_or(|least| least >= 0),
            FieldCode::OutOfRange,
            "must not be negative",
        );
    }
}

const SEARCH: Query = Query::new(
    "SELECT id, amount, version FROM public.trial WHERE $1 IS NULL OR amount >= $1 ORDER BY id LIMIT 1",
    &[Kind::Int8],
);

async fn search(
    State(app): State<App>,
    team: Team<ReadOrders>,
    Filter(wanted): Filter<Least>,
) -> Result<Json<Trial>, Problem> {
    let rows = app.pool().read(&team.tenant, &SEARCH, &[&wanted.least]).await?;
    rows.first().map(|row| Json(trial(row).0)).ok_or_else(Problem::not_found)
}

async fn read(
    State(app): State<App>,
    team: Team<ReadOrders>,
    At(at): At<TrialPath>,
    known: IfNoneMatch,
) -> Result<Response, Problem> {
    let rows = app.pool().read(&team.tenant, &READ, &[&at.id]).await?;
    let (trial, version) = rows.first().map(trial).ok_or_else(Problem::not_found)?;
    Ok(Tagged::new(ETag::new(ENTITY, at.id, version), trial).unless_known(&known))
}

async fn update(
    State(app): State<App>,
    team: Team<ReadOrders>,
    At(at): At<TrialPath>,
    if_match: IfMatch,
    Body(sent): Body<Amount>,
) -> Result<Tagged<Trial>, Problem> {
    let version = if_match.version(ENTITY, at.id)?;
    let mut tx = app.pool().begin(&team.tenant).await?;
    let changed = set_amount(&mut tx, at.id, version, sent.amount).await?;
    tx.commit().await?;
    let (trial, version) = written(changed, ENTITY, at.id)?;
    Ok(Tagged::new(ETag::new(ENTITY, at.id, version), trial))
}

async fn set_amount(
    tx: &mut TenantTx,
    id: i64,
    version: Version,
    amount: i64,
) -> Result<Changed<(Trial, i64)>, Problem> {
    let rows = tx.query(&UPDATE, &[&id, &amount, &version.parameter()]).await?;
    let there = if rows.is_empty() { tx.query(&READ, &[&id]).await? } else { Vec::new() };
    Ok(Changed::of(rows.first().map(trial), there.first().map(|row| row.get("version"))))
}

/// By 13 is declined, which is remembered; by 99 it fails, which is not.
async fn adjust(
    State(app): State<App>,
    team: Team<ReadOrders>,
    At(at): At<TrialPath>,
    once: Once<Amount>,
) -> Result<Response, Problem> {
    let (mut act, sent) = match once.claim(&app, &team.tenant, &Caller::new("user", team.user)).await? {
        Claimed::First(act, sent) => (act, sent),
        Claimed::Again(answer) => return Ok(answer),
    };
    if sent.amount == 13 {
        return act.refused(&Problem::new(Code::Forbidden, "Declined.")).await;
    }
    let rows = act.tx().query(&ADJUST, &[&at.id, &sent.amount]).await?;
    let (trial, _) = rows.first().map(trial).ok_or_else(Problem::not_found)?;
    if sent.amount == 99 {
        return Err(Problem::of(Code::Busy));
    }
    act.done(StatusCode::CREATED, HeaderMap::new(), &trial).await
}
