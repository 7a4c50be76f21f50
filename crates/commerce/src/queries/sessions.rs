//! Sessions and their refresh tokens, which the application's login reaches through functions only. A token is named by its SHA-256.

use std::time::Duration;

use bastide_tenancy::{Kind, Lookup, Row, TenantPool};
use uuid::Uuid;

use crate::{
    Error,
    rows::{OpenSession, Rotation},
};

/// A session that begins.
#[derive(Clone, Debug)]
pub struct NewSession<'a> {
    pub id: Uuid,
    pub user: Uuid,
    pub merchant: Option<Uuid>,
    /// Of its first refresh token, in hexadecimal.
    pub token_hash: &'a str,
    pub lifetime: Duration,
    pub address: &'a str,
    pub agent: &'a str,
}

pub(super) const ISSUE: Lookup = Lookup::new(
    "SELECT issued FROM bastide.issue_session($1, $2, $3, $4, $5, $6, $7) AS issued",
    &[Kind::Uuid, Kind::Uuid, Kind::Uuid, Kind::Text, Kind::Int4, Kind::Text, Kind::Text],
);

/// # Errors
/// When the database gives no answer.
pub async fn issue(pool: &TenantPool, new: &NewSession<'_>) -> Result<(), Error> {
    let lifetime = seconds(new.lifetime);
    let parameters: &[&(dyn bastide_tenancy::ToSql + Sync)] =
        &[&new.id, &new.user, &new.merchant, &new.token_hash, &lifetime, &new.address, &new.agent];
    pool.lookup(&ISSUE, parameters).await?;
    Ok(())
}

pub(super) const ROTATE: Lookup = Lookup::new(
    "SELECT outcome, session_id, user_id, merchant_id FROM bastide.rotate_session($1, $2, $3)",
    &[Kind::Text, Kind::Text, Kind::Int4],
);

/// Changes one token for the next. For `grace` after its use a token is taken once more, as long as what it was changed for was not used.
///
/// # Errors
/// When the database gives no answer.
pub async fn rotate(pool: &TenantPool, given: &str, next: &str, grace: Duration) -> Result<Rotation, Error> {
    let rows = pool.lookup(&ROTATE, &[&given, &next, &seconds(grace)]).await?;
    rows.first().map_or(Ok(Rotation::Over), Rotation::try_from)
}

pub(super) const REVOKE: Lookup = Lookup::new(
    "SELECT ended FROM bastide.revoke_session($1, $2, $3) AS ended",
    &[Kind::Uuid, Kind::Uuid, Kind::Text],
);

/// Whether the user had such a session open.
///
/// # Errors
/// When the database gives no answer.
pub async fn revoke(pool: &TenantPool, session: Uuid, user: Uuid, why: &str) -> Result<bool, Error> {
    let rows = pool.lookup(&REVOKE, &[&session, &user, &why]).await?;
    value(&rows, "ended")
}

pub(super) const REVOKE_BY_TOKEN: Lookup =
    Lookup::new("SELECT who FROM bastide.revoke_by_token($1) AS who", &[Kind::Text]);

/// Whose session it was.
///
/// # Errors
/// When the database gives no answer.
pub async fn revoke_by_token(pool: &TenantPool, token_hash: &str) -> Result<Option<Uuid>, Error> {
    let rows = pool.lookup(&REVOKE_BY_TOKEN, &[&token_hash]).await?;
    value(&rows, "who")
}

pub(super) const OF_USER: Lookup = Lookup::new(
    "SELECT id, merchant_id, address, agent, created_at, used_at, expires_at FROM bastide.sessions_of($1)",
    &[Kind::Uuid],
);

/// Open ones, the last used first; a hundred at most.
///
/// # Errors
/// When the database gives no answer.
pub async fn of_user(pool: &TenantPool, user: Uuid) -> Result<Vec<OpenSession>, Error> {
    pool.lookup(&OF_USER, &[&user]).await?.iter().map(OpenSession::try_from).collect()
}

fn value<'a, T: bastide_tenancy::FromSql<'a>>(rows: &'a [Row], column: &'static str) -> Result<T, Error> {
    let value = rows.first().and_then(|row| row.try_get(column).ok());
    value.ok_or(Error::Column { entity: "session", column })
}

fn seconds(duration: Duration) -> i32 {
    i32::try_from(duration.as_secs()).unwrap_or(i32::MAX)
}
