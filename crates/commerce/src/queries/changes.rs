//! Reading the record of what a team changed; [`audit`](super::audit) writes it.

use bastide_tenancy::{Kind, Query, TenantId, TenantPool};
use uuid::Uuid;

use super::{Page, page};
use crate::{
    Error,
    rows::{Change, ChangePosition},
};

/// What of the record is asked for; what is not said is all of it.
#[derive(Clone, Debug, Default)]
pub struct Which {
    pub actor: Option<Uuid>,
    pub entity: Option<String>,
    pub entity_id: Option<String>,
}

pub(super) const PAGE: Query = Query::new(
    "SELECT id, at, actor, actor_kind, action, entity, entity_id, summary, request_id FROM public.audit_log \
     WHERE ($2 IS NULL OR id < $2) AND ($3 IS NULL OR actor = $3) AND ($4 IS NULL OR entity = $4) AND ($5 IS NULL OR entity_id = $5) \
     ORDER BY id DESC LIMIT $1",
    &[Kind::Int8, Kind::Int8, Kind::Uuid, Kind::Text, Kind::Text],
);

/// The newest first.
///
/// # Errors
/// When the database gives no answer.
pub async fn newest(
    pool: &TenantPool,
    tenant: &TenantId,
    which: &Which,
    after: Option<ChangePosition>,
    limit: u16,
) -> Result<Page<Change>, Error> {
    let (wanted, after) = (i64::from(limit) + 1, after.map(|after| after.id));
    let rows =
        pool.read(tenant, &PAGE, &[&wanted, &after, &which.actor, &which.entity, &which.entity_id]).await?;
    page(&rows, limit)
}
