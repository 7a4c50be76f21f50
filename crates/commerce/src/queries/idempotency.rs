//! Answers under an idempotency key: claimed, found and stored in the transaction of the work itself.

use bastide_tenancy::{Kind, Query, TenantTx};
use serde_json::Value;

use crate::{Error, rows::StoredAnswer};

/// One act of one caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Act {
    pub caller: String,
    /// Method and template: the same key may be used elsewhere.
    pub route: String,
    pub key: String,
    /// Of method, path and body.
    pub fingerprint: String,
}

/// What is known of an act.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Claim {
    /// It is the caller's: nobody else can claim it before this transaction ends.
    New,
    /// It was done before.
    Answered(StoredAnswer),
    /// Its key was used for something else.
    Reused,
    /// Another transaction has it.
    InFlight,
}

/// Nobody waits for a lock. It is named after the tenant, too: keys of two merchants never meet.
pub(super) const LOCK: Query = Query::new(
    "SELECT pg_catalog.pg_try_advisory_xact_lock(pg_catalog.hashtextextended($1, 0)) AS mine",
    &[Kind::Text],
);

pub(super) const FIND: Query = Query::new(
    "SELECT fingerprint, status, headers, body FROM public.idempotency_keys \
     WHERE caller = $1 AND route = $2 AND key = $3 AND expires_at > pg_catalog.now()",
    &[Kind::Text, Kind::Text, Kind::Text],
);

/// # Errors
/// When the database gives no answer.
pub async fn claim(tx: &mut TenantTx, act: &Act) -> Result<Claim, Error> {
    // The caller comes last but for the key, which is bounded and holds no space: no two acts have one name.
    let name = format!("idempotency {} {} {} {}", tx.tenant(), act.route, act.caller, act.key);
    let rows = tx.query(&LOCK, &[&name]).await?;
    let mine = rows.first().and_then(|row| row.try_get("mine").ok());
    let mine: bool = mine.ok_or(Error::Column { entity: "idempotency lock", column: "mine" })?;
    if !mine {
        return Ok(Claim::InFlight);
    }
    // A statement of its own: its snapshot must be younger than the lock.
    let rows = tx.query(&FIND, &[&act.caller, &act.route, &act.key]).await?;
    let Some(row) = rows.first() else { return Ok(Claim::New) };
    let before: String = row
        .try_get("fingerprint")
        .map_err(|_| Error::Column { entity: "stored answer", column: "fingerprint" })?;
    if before != act.fingerprint {
        return Ok(Claim::Reused);
    }
    StoredAnswer::try_from(row).map(Claim::Answered)
}

/// Kept for a day. Takes a few expired ones of the tenant with it, so that the table stays as large as a day's work.
pub(super) const STORE: Query = Query::new(
    "WITH expired AS ( \
         DELETE FROM public.idempotency_keys WHERE (caller, route, key) IN ( \
             SELECT caller, route, key FROM public.idempotency_keys \
             WHERE expires_at < pg_catalog.now() AND (caller, route, key) <> ($1, $2, $3) \
             ORDER BY expires_at LIMIT 10 FOR UPDATE SKIP LOCKED)) \
     INSERT INTO public.idempotency_keys (tenant_id, caller, route, key, fingerprint, status, headers, body, expires_at) \
     VALUES (bastide.current_tenant()::uuid, $1, $2, $3, $4, $5, $6, $7, pg_catalog.now() + interval '24 hours') \
     ON CONFLICT ON CONSTRAINT idempotency_keys_pkey DO UPDATE SET \
         fingerprint = EXCLUDED.fingerprint, status = EXCLUDED.status, headers = EXCLUDED.headers, body = EXCLUDED.body, \
         expires_at = EXCLUDED.expires_at",
    &[Kind::Text, Kind::Text, Kind::Text, Kind::Text, Kind::Int4, Kind::Jsonb, Kind::Text],
);

/// Of an act that was claimed in this very transaction.
///
/// # Errors
/// When the database gives no answer.
pub async fn store(tx: &mut TenantTx, act: &Act, answer: &StoredAnswer) -> Result<(), Error> {
    let headers = Value::from_iter(answer.headers.clone());
    tx.execute(
        &STORE,
        &[&act.caller, &act.route, &act.key, &act.fingerprint, &answer.status, &headers, &answer.body],
    )
    .await?;
    Ok(())
}
