//! Carts. Whoever changes one, or buys it, locks its row first ([`LOCK`]): lines do not change under a checkout.

use bastide_tenancy::{Kind, Query, TenantId, TenantPool, TenantTx};
use uuid::Uuid;

use crate::{
    Error,
    rows::{Cart, PlacedOrder},
};

/// Lines of one cart at most.
pub const MOST: usize = 100;

/// A cart and the proof that it is one's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CartKey {
    pub id: Uuid,
    /// Of its token, SHA-256 in hexadecimal.
    pub token_hash: String,
}

pub(super) const MAKE: Query = Query::new(
    "INSERT INTO public.carts (tenant_id, id, token_hash) VALUES (bastide.current_tenant()::uuid, $1, $2)",
    &[Kind::Uuid, Kind::Text],
);

/// # Errors
/// When the database gives no answer.
pub async fn make(tx: &mut TenantTx, key: &CartKey) -> Result<(), Error> {
    tx.execute(&MAKE, &[&key.id, &key.token_hash]).await?;
    Ok(())
}

/// A row for each line, or one with none.
pub(super) const GET: Query = Query::new(
    "SELECT c.id, EXISTS (SELECT FROM public.orders o WHERE o.cart_id = c.id) AS ordered, \
            l.variant_id, l.quantity, v.product_id, v.sku, v.price_cents, v.currency, \
            CASE v.title WHEN '' THEN p.name ELSE p.name || ', ' || v.title END AS name, \
            v.status = 'active' AND p.status = 'active' AS on_sale \
     FROM public.carts c LEFT JOIN (public.cart_lines l \
         JOIN public.variants v ON v.id = l.variant_id JOIN public.products p ON p.id = v.product_id) ON l.cart_id = c.id \
     WHERE c.id = $1 AND c.token_hash = $2 ORDER BY l.variant_id",
    &[Kind::Uuid, Kind::Text],
);

/// # Errors
/// When the database gives no answer.
pub async fn get(
    pool: &TenantPool,
    tenant: &TenantId,
    key: &CartKey,
    currency: &str,
) -> Result<Option<Cart>, Error> {
    Cart::read(&pool.read(tenant, &GET, &[&key.id, &key.token_hash]).await?, currency)
}

/// # Errors
/// When the database gives no answer.
pub async fn get_in(tx: &mut TenantTx, key: &CartKey, currency: &str) -> Result<Option<Cart>, Error> {
    Cart::read(&tx.query(&GET, &[&key.id, &key.token_hash]).await?, currency)
}

pub(super) const LOCK: Query = Query::new(
    "UPDATE public.carts SET changed_at = pg_catalog.now() WHERE id = $1 AND token_hash = $2",
    &[Kind::Uuid, Kind::Text],
);

/// Whether there is one. It is the caller's until the transaction ends; what is read of it afterwards stays so.
///
/// # Errors
/// When the database gives no answer.
pub async fn lock(tx: &mut TenantTx, key: &CartKey) -> Result<bool, Error> {
    Ok(tx.execute(&LOCK, &[&key.id, &key.token_hash]).await? > 0)
}

pub(super) const SET_LINE: Query = Query::new(
    "INSERT INTO public.cart_lines (tenant_id, cart_id, variant_id, quantity) \
     SELECT bastide.current_tenant()::uuid, $1, v.id, $3 FROM public.variants v JOIN public.products p ON p.id = v.product_id \
     WHERE v.id = $2 AND v.status = 'active' AND p.status = 'active' \
     ON CONFLICT ON CONSTRAINT cart_lines_pkey DO UPDATE SET quantity = EXCLUDED.quantity",
    &[Kind::Uuid, Kind::Int8, Kind::Int4],
);

/// So many of it, whatever there were; of a cart that is locked. False: it is not on sale.
///
/// # Errors
/// When the database gives no answer.
pub async fn set_line(tx: &mut TenantTx, cart: Uuid, variant: i64, quantity: i32) -> Result<bool, Error> {
    Ok(tx.execute(&SET_LINE, &[&cart, &variant, &quantity]).await? > 0)
}

pub(super) const REMOVE_LINE: Query = Query::new(
    "DELETE FROM public.cart_lines WHERE cart_id = $1 AND variant_id = $2",
    &[Kind::Uuid, Kind::Int8],
);

/// Of a cart that is locked. False: it was not there.
///
/// # Errors
/// When the database gives no answer.
pub async fn remove_line(tx: &mut TenantTx, cart: Uuid, variant: i64) -> Result<bool, Error> {
    Ok(tx.execute(&REMOVE_LINE, &[&cart, &variant]).await? > 0)
}

pub(super) const ORDER: Query = Query::new(
    "SELECT o.number, o.status::text AS status, o.email, o.currency, o.subtotal_cents, o.shipping_cents, o.tax_cents, o.total_cents, \
            o.paid_cents, o.refunded_cents, o.placed_at, \
            (SELECT pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object('title', l.title, 'sku', l.sku, 'quantity', l.quantity, \
                'unit_price', pg_catalog.jsonb_build_object('amount', l.price_cents, 'currency', o.currency), \
                'total', pg_catalog.jsonb_build_object('amount', l.total_cents, 'currency', o.currency)) ORDER BY l.line_no) \
             FROM public.order_lines l WHERE l.order_id = o.id) AS lines \
     FROM public.carts c JOIN public.orders o ON o.cart_id = c.id WHERE c.id = $1 AND c.token_hash = $2",
    &[Kind::Uuid, Kind::Text],
);

/// What it became.
///
/// # Errors
/// When the database gives no answer.
pub async fn order(
    pool: &TenantPool,
    tenant: &TenantId,
    key: &CartKey,
) -> Result<Option<PlacedOrder>, Error> {
    pool.read(tenant, &ORDER, &[&key.id, &key.token_hash])
        .await?
        .first()
        .map(PlacedOrder::try_from)
        .transpose()
}

/// # Errors
/// When the database gives no answer.
pub async fn order_in(tx: &mut TenantTx, key: &CartKey) -> Result<Option<PlacedOrder>, Error> {
    tx.query(&ORDER, &[&key.id, &key.token_hash]).await?.first().map(PlacedOrder::try_from).transpose()
}
