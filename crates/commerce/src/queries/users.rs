//! People, before the tenant is known.

use bastide_tenancy::{Kind, Lookup, TenantPool};
use uuid::Uuid;

use crate::{Error, rows::Login};

pub(super) const LOGIN_BY_EMAIL: Lookup =
    Lookup::new("SELECT user_id, password_hash, active FROM bastide.login_by_email($1)", &[Kind::Text]);

/// By the address exactly as stored.
///
/// # Errors
/// When the database gives no answer.
pub async fn login_by_email(pool: &TenantPool, email: &str) -> Result<Option<Login>, Error> {
    pool.lookup(&LOGIN_BY_EMAIL, &[&email]).await?.first().map(Login::try_from).transpose()
}

pub(super) const MEMBERSHIP: Lookup =
    Lookup::new("SELECT role FROM bastide.membership($1, $2) AS role", &[Kind::Uuid, Kind::Uuid]);

/// The role of an active user in a merchant's team.
///
/// # Errors
/// When the database gives no answer.
pub async fn membership(pool: &TenantPool, user: Uuid, merchant: Uuid) -> Result<Option<String>, Error> {
    let rows = pool.lookup(&MEMBERSHIP, &[&user, &merchant]).await?;
    match rows.first() {
        Some(row) => row.try_get("role").map_err(|_| Error::Column { entity: "membership", column: "role" }),
        None => Ok(None),
    }
}

pub(super) const BY_ID: Lookup = Lookup::new("SELECT email, name FROM bastide.user_by_id($1)", &[Kind::Uuid]);

/// The address of an active user.
///
/// # Errors
/// When the database gives no answer.
pub async fn email(pool: &TenantPool, user: Uuid) -> Result<Option<String>, Error> {
    let rows = pool.lookup(&BY_ID, &[&user]).await?;
    let wrong = |_| Error::Column { entity: "user", column: "email" };
    rows.first().map(|row| row.try_get("email").map_err(wrong)).transpose()
}
