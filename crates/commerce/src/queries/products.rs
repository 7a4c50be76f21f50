//! Products on sale.

use bastide_tenancy::{Kind, Query, TenantId, TenantPool};

use super::{Page, page};
use crate::{
    Error,
    rows::{Product, ProductPosition, ShopProduct},
};

pub(super) const FIRST_PAGE: Query = Query::new(
    "SELECT id, name, slug, description, from_cents, from_currency, created_at FROM public.products \
     WHERE status = 'active' AND from_cents IS NOT NULL ORDER BY id DESC LIMIT $1",
    &[Kind::Int8],
);

pub(super) const NEXT_PAGE: Query = Query::new(
    "SELECT id, name, slug, description, from_cents, from_currency, created_at FROM public.products \
     WHERE status = 'active' AND from_cents IS NOT NULL AND id < $2 ORDER BY id DESC LIMIT $1",
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

/// A variant can be bought when it is not counted, or when there are more of it than carts hold.
pub(super) const BY_SLUG: Query = Query::new(
    "SELECT p.id, p.name, p.slug, p.description, p.category_id, p.options, \
            (SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object('id', m.id, 'file', m.hash || '.' || m.extension, \
                'width', m.width, 'height', m.height, 'alt', m.alt, 'position', m.position) ORDER BY m.position, m.id), '[]') \
             FROM public.product_media m WHERE m.product_id = p.id) AS media, \
            (SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object('id', v.id, 'sku', v.sku, 'title', v.title, \
                'price', pg_catalog.jsonb_build_object('amount', v.price_cents, 'currency', v.currency), 'options', v.options, \
                'available', coalesce(NOT l.tracked OR l.on_hand > (SELECT coalesce(pg_catalog.sum(r.quantity), 0) \
                    FROM public.reservations r WHERE r.variant_id = v.id AND r.expires_at > pg_catalog.statement_timestamp()), false)) \
                ORDER BY v.position, v.id), '[]') \
             FROM public.variants v LEFT JOIN public.inventory_levels l ON l.variant_id = v.id \
             WHERE v.product_id = p.id AND v.status = 'active') AS variants \
     FROM public.products p WHERE p.slug = $1 AND p.status = 'active'",
    &[Kind::Text],
);

/// On sale.
///
/// # Errors
/// When the database gives no answer.
pub async fn by_slug(pool: &TenantPool, tenant: &TenantId, slug: &str) -> Result<Option<ShopProduct>, Error> {
    pool.read(tenant, &BY_SLUG, &[&slug]).await?.first().map(ShopProduct::try_from).transpose()
}
