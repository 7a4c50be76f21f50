//! Keys that programs come with. A key is named by its SHA-256.

use bastide_tenancy::{Kind, Lookup, Query, TenantId, TenantPool, TenantTx};
use serde_json::json;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{
    Error,
    rows::{ApiKey, KeyAccess},
};

pub(super) const BY_HASH: Lookup =
    Lookup::new("SELECT id, merchant_id, kind, scopes FROM bastide.api_key($1)", &[Kind::Text]);

/// One that was not revoked and has not expired.
///
/// # Errors
/// When the database gives no answer.
pub async fn by_hash(pool: &TenantPool, hash: &str) -> Result<Option<KeyAccess>, Error> {
    pool.lookup(&BY_HASH, &[&hash]).await?.first().map(KeyAccess::try_from).transpose()
}

pub(super) const ALL: Query = Query::new(
    "SELECT id, name, kind, prefix, scopes, created_by, created_at, expires_at, revoked_at FROM public.api_keys \
     ORDER BY revoked_at IS NOT NULL, created_at DESC, id LIMIT 200",
    &[],
);

/// The newest first, revoked ones after them; 200 at most.
///
/// # Errors
/// When the database gives no answer.
pub async fn all(pool: &TenantPool, tenant: &TenantId) -> Result<Vec<ApiKey>, Error> {
    pool.read(tenant, &ALL, &[]).await?.iter().map(ApiKey::try_from).collect()
}

#[derive(Clone, Debug)]
pub struct NewKey<'a> {
    pub id: Uuid,
    pub name: &'a str,
    pub kind: &'a str,
    pub prefix: &'a str,
    pub hash: &'a str,
    pub scopes: &'a [String],
    pub created_by: Uuid,
    pub expires_at: Option<OffsetDateTime>,
}

pub(super) const MAKE: Query = Query::new(
    "INSERT INTO public.api_keys (tenant_id, id, name, kind, prefix, hash, scopes, created_by, expires_at) \
     VALUES (bastide.current_tenant()::uuid, $1, $2, $3, $4, $5, $6, $7, $8) \
     RETURNING id, name, kind, prefix, scopes, created_by, created_at, expires_at, revoked_at",
    &[Kind::Uuid, Kind::Text, Kind::Text, Kind::Text, Kind::Text, Kind::Jsonb, Kind::Uuid, Kind::Timestamptz],
);

/// # Errors
/// When the database gives no answer.
pub async fn make(tx: &mut TenantTx, new: &NewKey<'_>) -> Result<ApiKey, Error> {
    let scopes = json!(new.scopes);
    let rows = tx
        .query(
            &MAKE,
            &[
                &new.id,
                &new.name,
                &new.kind,
                &new.prefix,
                &new.hash,
                &scopes,
                &new.created_by,
                &new.expires_at,
            ],
        )
        .await?;
    rows.first().ok_or(Error::Column { entity: "API key", column: "id" }).and_then(ApiKey::try_from)
}

pub(super) const REVOKE_OF: Query = Query::new(
    "UPDATE public.api_keys SET revoked_at = pg_catalog.now() WHERE created_by = $1 AND revoked_at IS NULL",
    &[Kind::Uuid],
);

/// All that somebody made: they have seen them.
///
/// # Errors
/// When the database gives no answer.
pub async fn revoke_of(tx: &mut TenantTx, user: Uuid) -> Result<u64, Error> {
    Ok(tx.execute(&REVOKE_OF, &[&user]).await?)
}

pub(super) const REVOKE: Query = Query::new(
    "UPDATE public.api_keys SET revoked_at = pg_catalog.now() WHERE id = $1 AND revoked_at IS NULL",
    &[Kind::Uuid],
);

/// Whether there was one to revoke.
///
/// # Errors
/// When the database gives no answer.
pub async fn revoke(tx: &mut TenantTx, id: Uuid) -> Result<bool, Error> {
    Ok(tx.execute(&REVOKE, &[&id]).await? > 0)
}
