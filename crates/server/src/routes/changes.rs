//! `/api/v1/admin/{merchant}/audit`

use axum::{
    Json,
    extract::{FromRequestParts, Query, State},
    http::request::Parts,
};
use bastide_commerce::{
    queries::changes::{self, Which},
    rows::Change,
};
use serde::Deserialize;
use serde_json::json;

use crate::{
    app::App,
    code::{Code, FieldCode},
    contract::{Draft, Input, Routes, get},
    merchant::Team,
    page::{Listing, PageRequest},
    permission::ReadAudit,
    problem::{FieldError, Place, Problem},
};

const LIST: &str = "changes";

pub(super) fn routes() -> Routes {
    Routes::of("audit", "What a team changed: who, when, what.").with(get(
        "/api/v1/admin/{merchant}/audit",
        "list_changes",
        "Changes, newest first",
        list,
    ))
}

struct Filter(Which);

#[derive(Deserialize)]
struct Raw {
    actor: Option<String>,
    entity: Option<String>,
    entity_id: Option<String>,
}

impl FromRequestParts<App> for Filter {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Problem> {
        let Query(raw) = Query::<Raw>::try_from_uri(&parts.uri).map_err(|_| Problem::of(Code::BadRequest))?;
        let malformed = |name: &str, message: &'static str| {
            Problem::fields(vec![FieldError::new(Place::Query, name, FieldCode::Malformed, message)])
        };
        let actor = raw.actor.map(|actor| actor.parse()).transpose();
        let actor = actor.map_err(|_| malformed("/actor", "must be a uuid"))?;
        for (name, text) in [("/entity", &raw.entity), ("/entity_id", &raw.entity_id)] {
            // NUL cannot be stored, so it cannot be asked for either.
            if text.as_ref().is_some_and(|text| text.chars().any(char::is_control)) {
                return Err(malformed(name, "must not hold control characters"));
            }
        }
        Ok(Self(Which { actor, entity: raw.entity, entity_id: raw.entity_id }))
    }
}

impl Input for Filter {
    fn describe(draft: &mut Draft) {
        let text = json!({ "type": "string" });
        let uuid = json!({ "type": "string", "format": "uuid" });
        draft.parameter("query", "actor", false, "Of this user or key alone.", &uuid);
        draft.parameter("query", "entity", false, "Of such things alone: `team`, `product`.", &text);
        draft.parameter("query", "entity_id", false, "Of the thing with this id.", &text);
    }
}

async fn list(
    State(app): State<App>,
    team: Team<ReadAudit>,
    Filter(which): Filter,
    request: PageRequest,
) -> Result<Json<Listing<Change>>, Problem> {
    let after = request.after(&app, LIST, &team.tenant)?;
    let page = changes::newest(app.pool(), &team.tenant, &which, after, request.limit).await?;
    Ok(Json(Listing::new(&app, LIST, &team.tenant, page, Change::position)?))
}
