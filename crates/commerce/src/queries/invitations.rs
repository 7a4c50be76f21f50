//! Invitations to a team. Their token is named by its SHA-256.

use std::time::Duration;

use bastide_tenancy::{Kind, Lookup, Query, TenantId, TenantPool, TenantTx};
use uuid::Uuid;

use crate::{Error, rows::Invitation};

pub(super) const MERCHANT: Lookup =
    Lookup::new("SELECT merchant FROM bastide.merchant_of_invitation($1) AS merchant", &[Kind::Text]);

/// Whose team a token invites to, whether or not it still does.
///
/// # Errors
/// When the database gives no answer.
pub async fn merchant(pool: &TenantPool, token_hash: &str) -> Result<Option<Uuid>, Error> {
    let rows = pool.lookup(&MERCHANT, &[&token_hash]).await?;
    let wrong = |_| Error::Column { entity: "invitation", column: "merchant" };
    rows.first().map_or(Ok(None), |row| row.try_get("merchant").map_err(wrong))
}

pub(super) const OPEN: Query = Query::new(
    "SELECT id, email, role, invited_by, created_at, expires_at FROM public.invitations \
     WHERE accepted_at IS NULL AND expires_at > pg_catalog.now() ORDER BY created_at DESC, id LIMIT 100",
    &[],
);

/// The newest first; a hundred at most.
///
/// # Errors
/// When the database gives no answer.
pub async fn open(pool: &TenantPool, tenant: &TenantId) -> Result<Vec<Invitation>, Error> {
    pool.read(tenant, &OPEN, &[]).await?.iter().map(Invitation::try_from).collect()
}

pub(super) const MAKE: Query = Query::new(
    "INSERT INTO public.invitations (tenant_id, id, email, role, token_hash, invited_by, expires_at) \
     VALUES (bastide.current_tenant()::uuid, $1, $2, $3, $4, $5, pg_catalog.now() + $6 * interval '1 second') \
     RETURNING id, email, role, invited_by, created_at, expires_at",
    &[Kind::Uuid, Kind::Text, Kind::Text, Kind::Text, Kind::Uuid, Kind::Int8],
);

#[derive(Clone, Debug)]
pub struct NewInvitation<'a> {
    pub id: Uuid,
    pub email: &'a str,
    pub role: &'a str,
    pub token_hash: &'a str,
    pub invited_by: Uuid,
    pub lifetime: Duration,
}

/// # Errors
/// When the database gives no answer.
pub async fn make(tx: &mut TenantTx, new: &NewInvitation<'_>) -> Result<Invitation, Error> {
    let lifetime = i64::try_from(new.lifetime.as_secs()).unwrap_or(i64::MAX);
    let rows = tx
        .query(&MAKE, &[&new.id, &new.email, &new.role, &new.token_hash, &new.invited_by, &lifetime])
        .await?;
    rows.first().ok_or(Error::Column { entity: "invitation", column: "id" }).and_then(Invitation::try_from)
}

pub(super) const TAKE: Query = Query::new(
    "UPDATE public.invitations SET accepted_at = pg_catalog.now(), accepted_by = $2 \
     WHERE token_hash = $1 AND accepted_at IS NULL AND expires_at > pg_catalog.now() \
     RETURNING id, email, role, invited_by, created_at, expires_at",
    &[Kind::Text, Kind::Uuid],
);

/// Uses it up, when it is still open: of two who come with one, one gets it.
///
/// # Errors
/// When the database gives no answer.
pub async fn take(tx: &mut TenantTx, token_hash: &str, user: Uuid) -> Result<Option<Invitation>, Error> {
    tx.query(&TAKE, &[&token_hash, &user]).await?.first().map(Invitation::try_from).transpose()
}

pub(super) const WITHDRAW_OF: Query =
    Query::new("DELETE FROM public.invitations WHERE invited_by = $1 AND accepted_at IS NULL", &[Kind::Uuid]);

/// All of somebody's that nobody has accepted yet.
///
/// # Errors
/// When the database gives no answer.
pub async fn withdraw_of(tx: &mut TenantTx, user: Uuid) -> Result<u64, Error> {
    Ok(tx.execute(&WITHDRAW_OF, &[&user]).await?)
}

pub(super) const WITHDRAW: Query =
    Query::new("DELETE FROM public.invitations WHERE id = $1 AND accepted_at IS NULL", &[Kind::Uuid]);

/// Whether there was one to take back.
///
/// # Errors
/// When the database gives no answer.
pub async fn withdraw(tx: &mut TenantTx, id: Uuid) -> Result<bool, Error> {
    Ok(tx.execute(&WITHDRAW, &[&id]).await? > 0)
}
