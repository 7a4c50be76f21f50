//! The record of what a team changed, written in the transaction of the change.

use bastide_tenancy::{Kind, Query, TenantTx};
use serde_json::json;
use uuid::Uuid;

use crate::Error;

/// One change. Of the values, only the names of the fields are kept: the record may be read by people who may not read those.
#[derive(Clone, Debug)]
pub struct Entry<'a> {
    pub actor: Uuid,
    /// `user`, and what other slices name theirs.
    pub actor_kind: &'static str,
    /// `product.update`
    pub action: &'static str,
    pub entity: &'static str,
    pub entity_id: String,
    pub fields: &'a [&'static str],
    pub request_id: &'a str,
}

pub(super) const RECORD: Query = Query::new(
    "INSERT INTO public.audit_log (tenant_id, actor, actor_kind, action, entity, entity_id, summary, request_id) \
     VALUES (bastide.current_tenant()::uuid, $1, $2, $3, $4, $5, $6, $7)",
    &[Kind::Uuid, Kind::Text, Kind::Text, Kind::Text, Kind::Text, Kind::Jsonb, Kind::Text],
);

/// # Errors
/// When the database gives no answer.
pub async fn record(tx: &mut TenantTx, entry: &Entry<'_>) -> Result<(), Error> {
    let summary = json!({ "fields": entry.fields });
    tx.execute(
        &RECORD,
        &[
            &entry.actor,
            &entry.actor_kind,
            &entry.action,
            &entry.entity,
            &entry.entity_id,
            &summary,
            &entry.request_id,
        ],
    )
    .await?;
    Ok(())
}
