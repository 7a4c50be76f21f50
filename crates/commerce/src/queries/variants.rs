//! Variants of a product.

use bastide_tenancy::{Kind, Query, TenantId, TenantPool, TenantTx};
use serde_json::{Value, json};

use crate::{
    Changed, Error, Version,
    drafts::{VariantChange, VariantDraft},
    rows::{VariantStatus, VersionedVariant},
};

/// The constraint that an SKU another variant has runs into.
pub const SKU_KEY: &str = "variants_sku_key";

/// Variants of one product at most.
pub const MOST: usize = 100;

macro_rules! variant {
    ($rest:literal) => {
        concat!(
            "SELECT v.product_id, v.version, pg_catalog.jsonb_build_object('id', v.id, 'sku', v.sku, 'title', v.title, \
                'price', pg_catalog.jsonb_build_object('amount', v.price_cents, 'currency', v.currency), \
                'position', v.position, 'options', v.options, 'status', v.status) AS variant \
             FROM public.variants v ",
            $rest
        )
    };
}

pub(super) const GET: Query =
    Query::new(variant!("WHERE v.id = $1 AND v.product_id = $2"), &[Kind::Int8, Kind::Int8]);

/// # Errors
/// When the database gives no answer.
pub async fn get(
    pool: &TenantPool,
    tenant: &TenantId,
    product: i64,
    id: i64,
) -> Result<Option<VersionedVariant>, Error> {
    pool.read(tenant, &GET, &[&id, &product]).await?.first().map(VersionedVariant::try_from).transpose()
}

/// # Errors
/// When the database gives no answer.
pub async fn get_in(tx: &mut TenantTx, product: i64, id: i64) -> Result<Option<VersionedVariant>, Error> {
    tx.query(&GET, &[&id, &product]).await?.first().map(VersionedVariant::try_from).transpose()
}

pub(super) const INSERT: Query = Query::new(
    "WITH drafts AS ( \
         SELECT d.value ->> 'sku' AS sku, d.value ->> 'title' AS title, (d.value ->> 'amount')::bigint AS amount, \
                d.value ->> 'currency' AS currency, d.value -> 'options' AS options, (d.value ->> 'on_hand')::bigint AS on_hand, \
                d.nth FROM pg_catalog.jsonb_array_elements($2) WITH ORDINALITY AS d (value, nth)), \
     made AS ( \
         INSERT INTO public.variants (tenant_id, product_id, sku, title, price_cents, currency, options, position) \
         SELECT bastide.current_tenant()::uuid, $1, d.sku, d.title, d.amount, d.currency, d.options, \
                d.nth - 1 + (SELECT coalesce(max(v.position) + 1, 0) FROM public.variants v WHERE v.product_id = $1) \
         FROM drafts d ORDER BY d.nth RETURNING id, sku), \
     stocked AS ( \
         INSERT INTO public.inventory_levels (tenant_id, variant_id, on_hand) \
         SELECT bastide.current_tenant()::uuid, m.id, d.on_hand FROM made m JOIN drafts d USING (sku)), \
     told AS ( \
         INSERT INTO public.stock_adjustments (tenant_id, variant_id, delta, on_hand, reason) \
         SELECT bastide.current_tenant()::uuid, m.id, d.on_hand, d.on_hand, 'received' \
         FROM made m JOIN drafts d USING (sku) WHERE d.on_hand > 0) \
     SELECT m.id FROM made m ORDER BY m.id",
    &[Kind::Int8, Kind::Jsonb],
);

/// After those there are, with their stock. Their ids, in order.
///
/// # Errors
/// When the database gives no answer, or refuses a row: see [`SKU_KEY`].
pub async fn insert(tx: &mut TenantTx, product: i64, drafts: &[VariantDraft]) -> Result<Vec<i64>, Error> {
    let drafts: Vec<Value> = drafts
        .iter()
        .map(|draft| {
            json!({
                "sku": draft.sku,
                "title": draft.title,
                "amount": draft.price.amount,
                "currency": draft.price.currency,
                "options": draft.options,
                "on_hand": draft.on_hand
            })
        })
        .collect();
    let rows = tx.query(&INSERT, &[&product, &Value::Array(drafts)]).await?;
    rows.iter()
        .map(|row| row.try_get("id").map_err(|_| Error::Column { entity: "variant", column: "id" }))
        .collect()
}

pub(super) const UPDATE: Query = Query::new(
    "UPDATE public.variants v SET sku = coalesce($4, v.sku), title = coalesce($5, v.title), \
         price_cents = coalesce($6, v.price_cents), currency = coalesce($7, v.currency), options = coalesce($8, v.options), \
         position = coalesce($9, v.position), status = coalesce($10, v.status), version = v.version + 1 \
     WHERE v.id = $1 AND v.product_id = $2 AND ($3 IS NULL OR v.version = $3)",
    &[
        Kind::Int8,
        Kind::Int8,
        Kind::Int8,
        Kind::Text,
        Kind::Text,
        Kind::Int8,
        Kind::Text,
        Kind::Jsonb,
        Kind::Int4,
        Kind::Text,
    ],
);

/// # Errors
/// When the database gives no answer, or refuses the row: see [`SKU_KEY`].
pub async fn update(
    tx: &mut TenantTx,
    product: i64,
    id: i64,
    version: Version,
    change: &VariantChange,
) -> Result<Changed<VersionedVariant>, Error> {
    let (amount, currency) =
        change.price.as_ref().map(|price| (price.amount, price.currency.clone())).unzip();
    let (options, status) =
        (change.options.as_ref().map(|options| json!(options)), change.status.map(VariantStatus::name));
    let written = tx
        .execute(
            &UPDATE,
            &[
                &id,
                &product,
                &version.parameter(),
                &change.sku,
                &change.title,
                &amount,
                &currency,
                &options,
                &change.position,
                &status,
            ],
        )
        .await?;
    let there = get_in(tx, product, id).await?;
    let current = there.as_ref().map(|variant| variant.version);
    Ok(Changed::of(there.filter(|_| written == 1), current))
}

pub(super) const DELETE: Query = Query::new(
    "DELETE FROM public.variants v WHERE v.id = $1 AND v.product_id = $2 AND ($3 IS NULL OR v.version = $3)",
    &[Kind::Int8, Kind::Int8, Kind::Int8],
);

/// With its stock.
///
/// # Errors
/// When the database gives no answer, or a row of an order refers to it.
pub async fn delete(
    tx: &mut TenantTx,
    product: i64,
    id: i64,
    version: Version,
) -> Result<Changed<()>, Error> {
    let deleted = tx.execute(&DELETE, &[&id, &product, &version.parameter()]).await?;
    let current = get_in(tx, product, id).await?.map(|variant| variant.version);
    Ok(Changed::of((deleted == 1).then_some(()), current))
}
