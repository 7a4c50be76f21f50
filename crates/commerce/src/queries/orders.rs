//! Orders of one merchant.

use bastide_tenancy::{Kind, Query, TenantId, TenantPool};

use super::{Page, page};
use crate::{
    Error,
    rows::{Order, OrderPosition},
};

pub(super) const FIRST_PAGE: Query = Query::new(
    "SELECT o.id, o.number, o.status::text AS status, o.total_cents, o.currency, o.placed_at, \
            c.id AS customer_id, c.name AS customer_name, c.email AS customer_email \
     FROM public.orders o LEFT JOIN public.customers c ON c.id = o.customer_id \
     ORDER BY o.placed_at DESC, o.id DESC LIMIT $1",
    &[Kind::Int8],
);

pub(super) const NEXT_PAGE: Query = Query::new(
    "SELECT o.id, o.number, o.status::text AS status, o.total_cents, o.currency, o.placed_at, \
            c.id AS customer_id, c.name AS customer_name, c.email AS customer_email \
     FROM public.orders o LEFT JOIN public.customers c ON c.id = o.customer_id \
     WHERE (o.placed_at, o.id) < ($2, $3) ORDER BY o.placed_at DESC, o.id DESC LIMIT $1",
    &[Kind::Int8, Kind::Timestamptz, Kind::Int8],
);

/// Newest first, after `after`.
///
/// # Errors
/// When the database gives no answer.
pub async fn newest(
    pool: &TenantPool,
    tenant: &TenantId,
    after: Option<OrderPosition>,
    limit: u16,
) -> Result<Page<Order>, Error> {
    let wanted = i64::from(limit) + 1;
    let rows = match after {
        None => pool.read(tenant, &FIRST_PAGE, &[&wanted]).await?,
        Some(after) => pool.read(tenant, &NEXT_PAGE, &[&wanted, &after.placed_at, &after.id]).await?,
    };
    page(&rows, limit)
}
