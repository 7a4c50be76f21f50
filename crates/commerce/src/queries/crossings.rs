//! The record of refused crossings, which the application's login can add to and cannot read.

use bastide_tenancy::{Kind, Lookup, TenantPool};
use serde_json::json;

use crate::{Error, rows::Crossing};

pub(super) const RECORD: Lookup =
    Lookup::new("SELECT recorded FROM bastide.audit_crossings($1) AS recorded", &[Kind::Jsonb]);

/// In one round trip. How many were recorded.
///
/// # Errors
/// When the database gives no answer, or `migrations/0003_watch` is not applied.
pub async fn record(pool: &TenantPool, crossings: &[Crossing]) -> Result<u64, Error> {
    let rows = pool.lookup(&RECORD, &[&json!(crossings)]).await?;
    let wrong = Error::Column { entity: "record of crossings", column: "recorded" };
    let recorded: i32 = rows.first().and_then(|row| row.try_get("recorded").ok()).ok_or(wrong)?;
    Ok(u64::try_from(recorded).unwrap_or(0))
}
