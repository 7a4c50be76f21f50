//! Products on sale.

use bastide_tenancy::{Kind, Query, TenantId, TenantPool};

use super::{Page, page};
use crate::{
    Error,
    rows::{Product, ProductPosition},
};

pub(super) const FIRST_PAGE: Query = Query::new(
    "SELECT id, name, slug, description, price_cents, currency, created_at FROM public.products \
     WHERE status = 'active' ORDER BY id DESC LIMIT $1",
    &[Kind::Int8],
);

pub(super) const NEXT_PAGE: Query = Query::new(
    "SELECT id, name, slug, description, price_cents, currency, created_at FROM public.products \
     WHERE status = 'active' AND id < $2 ORDER BY id DESC LIMIT $1",
    &[Kind::Int8, Kind::Int8],
);

/// Newest first, after `after`.
///
/// # Errors
/// When the database gives no answer.
pub async fn on_sale(
    pool: &TenantPool,
    tenant: &TenantId,
    after: Option<ProductPosition>,
    limit: u16,
) -> Result<Page<Product>, Error> {
    let wanted = i64::from(limit) + 1;
    let rows = match after {
        None => pool.read(tenant, &FIRST_PAGE, &[&wanted]).await?,
        Some(after) => pool.read(tenant, &NEXT_PAGE, &[&wanted, &after.id]).await?,
    };
    page(&rows, limit)
}
