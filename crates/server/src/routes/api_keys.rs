//! `/api/v1/admin/{merchant}/api-keys`

use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use bastide_commerce::{
    Example,
    queries::{
        api_keys::{self, NewKey},
        audit,
    },
    rows::ApiKey,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::{
    app::App,
    asked::Asked,
    body::{Body, Faults, Validate},
    code::FieldCode,
    contract::{Routes, delete, get, post},
    merchant::{KEY_KINDS, Team},
    path::At,
    permission::{self, ReadKeys, WriteKeys},
    problem::{FieldError, Place, Problem},
    secret::Secret,
};

const MAX_SCOPES: usize = 50;
/// What is shown of a key: its kind and six characters of 43.
const PREFIX_CHARS: usize = 9;

pub(super) fn routes() -> Routes {
    Routes::of("api-keys", "Keys for programs.")
        .with(get(
            "/api/v1/admin/{merchant}/api-keys",
            "list_api_keys",
            "Keys, newest first, revoked ones too",
            list,
        ))
        .with(
            post("/api/v1/admin/{merchant}/api-keys", "create_api_key", "Make a key", create)
                .answers::<MadeKey>(StatusCode::CREATED, "Keep the key: it is shown this once."),
        )
        .with(
            delete("/api/v1/admin/{merchant}/api-keys/{key}", "revoke_api_key", "Revoke a key", revoke)
                .answers_empty(StatusCode::NO_CONTENT, "It opens nothing any more, from now on."),
        )
}

#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum KeyKind {
    Publishable,
    Secret,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct MakeKey {
    name: String,
    kind: KeyKind,
    /// Of a secret key: names of permissions, as `x-permission` has them. None above what you may do yourself.
    #[serde(default)]
    scopes: Vec<String>,
    /// Days; without it the key does not expire.
    #[schema(minimum = 1, maximum = 3650)]
    expires_in_days: Option<i64>,
}

impl Validate for MakeKey {
    fn validate(&self, faults: &mut Faults) {
        faults.text("/name", &self.name, 1..=100);
        faults.check("/scopes", self.scopes.len() <= MAX_SCOPES, FieldCode::TooLong, "has too many entries");
        match self.kind {
            KeyKind::Publishable => {
                let none = self.scopes.is_empty();
                faults.check(
                    "/scopes",
                    none,
                    FieldCode::OutOfRange,
                    "a publishable key opens storefronts and has no scopes",
                );
            }
            KeyKind::Secret => {
                let some = !self.scopes.is_empty();
                faults.check(
                    "/scopes",
                    some,
                    FieldCode::TooShort,
                    "a secret key without scopes opens nothing",
                );
            }
        }
        let days = self.expires_in_days.is_none_or(|days| (1..=3650).contains(&days));
        faults.check("/expires_in_days", days, FieldCode::OutOfRange, "must be from 1 to 3650");
    }
}

impl Example for MakeKey {
    fn example() -> Value {
        json!({ "name": "Bookkeeping", "kind": "secret", "scopes": ["orders:read"], "expires_in_days": 365 })
    }
}

fn key() -> Value {
    json!({
        "id": "0193a1b2-7c3d-7e4f-8a9b-0c1d2e3f4a5b",
        "name": "Bookkeeping",
        "kind": "secret",
        "prefix": "sk_c2lnbm",
        "scopes": ["orders:read"],
        "created_by": "11111111-0000-4000-8000-000000000001",
        "created_at": "2025-01-01T00:00:00Z",
        "expires_at": "2026-01-01T00:00:00Z",
        "revoked_at": null
    })
}

#[derive(Serialize, ToSchema)]
struct MadeKey {
    api_key: ApiKey,
    /// Sent as a bearer token.
    key: String,
}

impl Example for MadeKey {
    fn example() -> Value {
        json!({ "api_key": key(), "key": "sk_c2lnbmVkIHdpdGggbm90aGluZywga25vd24gYnkgaGFzaA" })
    }
}

#[derive(Serialize, ToSchema)]
struct Keys {
    /// 200 at most.
    data: Vec<ApiKey>,
}

impl Example for Keys {
    fn example() -> Value {
        json!({ "data": [key()] })
    }
}

async fn list(State(app): State<App>, team: Team<ReadKeys>) -> Result<Json<Keys>, Problem> {
    Ok(Json(Keys { data: api_keys::all(app.pool(), &team.tenant).await? }))
}

async fn create(
    State(app): State<App>,
    team: Team<WriteKeys>,
    asked: Asked,
    Body(sent): Body<MakeKey>,
) -> Result<Response, Problem> {
    let role = team.role()?;
    let faults: Vec<FieldError> = sent
        .scopes
        .iter()
        .enumerate()
        .filter(|(_, scope)| !permission::may_be_scope(scope, role))
        .map(|(at, _)| {
            let message = "is no scope that a key of yours can have";
            FieldError::new(Place::Body, format!("/scopes/{at}"), FieldCode::UnknownValue, message)
        })
        .collect();
    if !faults.is_empty() {
        return Err(Problem::fields(faults));
    }
    let (kind, [publishable, secret]) = (sent.kind, KEY_KINDS);
    let (kind, key) = match kind {
        KeyKind::Publishable => ("publishable", Secret::new(publishable)),
        KeyKind::Secret => ("secret", Secret::new(secret)),
    };
    let (id, hash) = (Uuid::now_v7(), key.hash());
    let key = key.into_text();
    let new = NewKey {
        id,
        name: &sent.name,
        kind,
        prefix: &key[..PREFIX_CHARS],
        hash: &hash,
        scopes: &sent.scopes,
        created_by: team.user,
        expires_at: sent.expires_in_days.map(|days| OffsetDateTime::now_utc() + Duration::days(days)),
    };
    let mut tx = app.pool().begin(&team.tenant).await?;
    if let Err(problem) = team.still(&mut tx).await {
        tx.rollback().await?;
        return Err(problem);
    }
    let api_key = api_keys::make(&mut tx, &new).await?;
    audit::record(
        &mut tx,
        &team.did(&asked, "api_key.create", id, &["name", "kind", "scopes", "expires_at"]),
    )
    .await?;
    tx.commit().await?;
    Ok((StatusCode::CREATED, Json(MadeKey { api_key, key })).into_response())
}

#[derive(Deserialize, IntoParams)]
struct KeyPath {
    /// The key's id.
    key: Uuid,
}

async fn revoke(
    State(app): State<App>,
    team: Team<WriteKeys>,
    asked: Asked,
    At(at): At<KeyPath>,
) -> Result<Response, Problem> {
    let mut tx = app.pool().begin(&team.tenant).await?;
    if !api_keys::revoke(&mut tx, at.key).await? {
        tx.rollback().await?;
        return Err(Problem::not_found());
    }
    audit::record(&mut tx, &team.did(&asked, "api_key.revoke", at.key, &[])).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
