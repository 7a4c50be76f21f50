//! Products as a team keeps them. A product is one with its variants: a change of either is a new version of the product.

use bastide_tenancy::{Kind, Query, TenantId, TenantPool, TenantTx};
use serde_json::json;

use super::{Page, page, variants};
use crate::{
    Changed, Error, Slug, Version,
    drafts::{ProductChange, ProductDraft},
    rows::{ProductDetail, ProductPosition, ProductStatus, ProductSummary},
};

/// The constraint that a slug another product has runs into.
pub const SLUG_KEY: &str = "products_slug_key";
/// The one of a category that is not there.
pub const CATEGORY_KEY: &str = "products_category_id_fkey_tenant";

/// What a list of products is narrowed to.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    pub status: Option<ProductStatus>,
    pub category_id: Option<i64>,
    /// In the name or a SKU, whatever the case.
    pub text: Option<String>,
}

pub(super) const LIST: Query = Query::new(
    "SELECT p.id, p.name, p.slug, p.status, p.category_id, p.from_cents, p.from_currency, p.created_at, p.updated_at \
     FROM public.products p \
     WHERE ($2 IS NULL OR p.id < $2) AND ($3 IS NULL OR p.status = $3) AND ($4 IS NULL OR p.category_id = $4) \
       AND ($5 IS NULL OR pg_catalog.strpos(pg_catalog.lower(p.name), pg_catalog.lower($5)) > 0 \
            OR EXISTS (SELECT FROM public.variants v WHERE v.product_id = p.id \
                AND pg_catalog.strpos(pg_catalog.lower(v.sku), pg_catalog.lower($5)) > 0)) \
     ORDER BY p.id DESC LIMIT $1",
    &[Kind::Int8, Kind::Int8, Kind::Text, Kind::Int8, Kind::Text],
);

/// Newest first.
///
/// # Errors
/// When the database gives no answer.
pub async fn list(
    pool: &TenantPool,
    tenant: &TenantId,
    filter: &Filter,
    after: Option<ProductPosition>,
    limit: u16,
) -> Result<Page<ProductSummary>, Error> {
    let (wanted, after) = (i64::from(limit) + 1, after.map(|after| after.id));
    let status = filter.status.map(ProductStatus::name);
    page(
        &pool.read(tenant, &LIST, &[&wanted, &after, &status, &filter.category_id, &filter.text]).await?,
        limit,
    )
}

pub(super) const GET: Query = Query::new(
    "SELECT p.id, p.name, p.slug, p.status, p.category_id, p.from_cents, p.from_currency, p.created_at, p.updated_at, \
            p.description, p.options, p.version, \
            (SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object('id', m.id, 'file', m.hash || '.' || m.extension, \
                'width', m.width, 'height', m.height, 'alt', m.alt, 'position', m.position) ORDER BY m.position, m.id), '[]') \
             FROM public.product_media m WHERE m.product_id = p.id) AS media, \
            (SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object('id', v.id, 'sku', v.sku, 'title', v.title, \
                'price', pg_catalog.jsonb_build_object('amount', v.price_cents, 'currency', v.currency), \
                'position', v.position, 'options', v.options, 'status', v.status) ORDER BY v.position, v.id), '[]') \
             FROM public.variants v WHERE v.product_id = p.id) AS variants \
     FROM public.products p WHERE p.id = $1",
    &[Kind::Int8],
);

/// # Errors
/// When the database gives no answer.
pub async fn get(pool: &TenantPool, tenant: &TenantId, id: i64) -> Result<Option<ProductDetail>, Error> {
    pool.read(tenant, &GET, &[&id]).await?.first().map(ProductDetail::try_from).transpose()
}

/// # Errors
/// When the database gives no answer.
pub async fn get_in(tx: &mut TenantTx, id: i64) -> Result<Option<ProductDetail>, Error> {
    tx.query(&GET, &[&id]).await?.first().map(ProductDetail::try_from).transpose()
}

pub(super) const FREE_SLUG: Query = Query::new(
    "SELECT CASE n WHEN 1 THEN $1 ELSE $1 || '-' || n END AS slug FROM pg_catalog.generate_series(1, 1000) AS n \
     WHERE NOT EXISTS (SELECT FROM public.products p WHERE p.slug = CASE n WHEN 1 THEN $1 ELSE $1 || '-' || n END) \
       AND NOT EXISTS (SELECT FROM public.product_slugs s WHERE s.slug = CASE n WHEN 1 THEN $1 ELSE $1 || '-' || n END) \
     ORDER BY n LIMIT 1",
    &[Kind::Text],
);

pub(super) const INSERT: Query = Query::new(
    "WITH taken_over AS (DELETE FROM public.product_slugs WHERE slug = $1) \
     INSERT INTO public.products (merchant_id, slug, name, description, status, category_id, options) \
     VALUES (bastide.current_tenant()::uuid, $1, $2, $3, $4, $5, $6) RETURNING id",
    &[Kind::Text, Kind::Text, Kind::Text, Kind::Text, Kind::Int8, Kind::Jsonb],
);

/// With its variants and their stock. A slug that was not chosen is the first that the name suggests and no product has or had.
///
/// # Errors
/// When the database gives no answer, or refuses a row: see [`SLUG_KEY`], [`CATEGORY_KEY`] and [`variants::SKU_KEY`].
pub async fn create(tx: &mut TenantTx, draft: &ProductDraft) -> Result<ProductDetail, Error> {
    let slug = match &draft.slug {
        Some(slug) => slug.clone(),
        None => {
            let suggested = Slug::suggested_by(&draft.name, "product");
            let rows = tx.query(&FREE_SLUG, &[&suggested.as_str()]).await?;
            // After a thousand of one name, the constraint says no.
            rows.first().and_then(|row| row.try_get("slug").ok()).unwrap_or_else(|| suggested.to_string())
        }
    };
    let (status, options) = (draft.status.name(), json!(draft.options));
    let rows = tx
        .query(&INSERT, &[&slug, &draft.name, &draft.description, &status, &draft.category_id, &options])
        .await?;
    let missing = Error::Column { entity: "product", column: "id" };
    let id: i64 = rows.first().and_then(|row| row.try_get("id").ok()).ok_or(missing)?;
    variants::insert(tx, id, &draft.variants).await?;
    get_in(tx, id).await?.ok_or(Error::Column { entity: "product", column: "id" })
}

pub(super) const UPDATE: Query = Query::new(
    "WITH before AS (SELECT p.id, p.slug FROM public.products p WHERE p.id = $1 AND ($2 IS NULL OR p.version = $2) FOR UPDATE), \
     changed AS ( \
         UPDATE public.products p SET name = coalesce($3, p.name), slug = coalesce($4, p.slug), \
             description = coalesce($5, p.description), status = coalesce($6, p.status), \
             category_id = CASE WHEN $7 THEN $8 ELSE p.category_id END, options = coalesce($9, p.options), \
             slug_before = CASE WHEN coalesce($4, p.slug) = p.slug THEN p.slug_before END, version = p.version + 1 \
         FROM before b WHERE p.id = b.id AND ($2 IS NULL OR p.version = $2) \
         RETURNING p.id, b.slug AS old, p.slug AS new), \
     taken_over AS (DELETE FROM public.product_slugs s USING changed c WHERE s.slug = c.new AND c.new <> c.old), \
     kept AS ( \
         INSERT INTO public.product_slugs (tenant_id, slug, product_id) \
         SELECT bastide.current_tenant()::uuid, c.old, c.id FROM changed c WHERE c.new <> c.old AND c.old <> '' \
         ON CONFLICT ON CONSTRAINT product_slugs_pkey DO UPDATE SET product_id = EXCLUDED.product_id) \
     SELECT c.id FROM changed c",
    &[
        Kind::Int8,
        Kind::Int8,
        Kind::Text,
        Kind::Text,
        Kind::Text,
        Kind::Text,
        Kind::Bool,
        Kind::Int8,
        Kind::Jsonb,
    ],
);

/// # Errors
/// When the database gives no answer, or refuses the row: see [`SLUG_KEY`] and [`CATEGORY_KEY`].
pub async fn update(
    tx: &mut TenantTx,
    id: i64,
    version: Version,
    change: &ProductChange,
) -> Result<Changed<ProductDetail>, Error> {
    let (status, options) =
        (change.status.map(ProductStatus::name), change.options.as_ref().map(|o| json!(o)));
    let (moves, category) = (change.category_id.is_some(), change.category_id.flatten());
    let written = tx
        .query(
            &UPDATE,
            &[
                &id,
                &version.parameter(),
                &change.name,
                &change.slug,
                &change.description,
                &status,
                &moves,
                &category,
                &options,
            ],
        )
        .await?;
    let there = get_in(tx, id).await?;
    let current = there.as_ref().map(|product| product.version);
    Ok(Changed::of(there.filter(|_| !written.is_empty()), current))
}

pub(super) const WAS_ORDERED: Query = Query::new(
    "SELECT EXISTS (SELECT FROM public.order_lines l WHERE l.product_id = $1) AS ordered",
    &[Kind::Int8],
);

pub(super) const DELETE: Query = Query::new(
    "DELETE FROM public.products p WHERE p.id = $1 AND ($2 IS NULL OR p.version = $2)",
    &[Kind::Int8, Kind::Int8],
);

/// What came of a deletion.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Deleted {
    Changed(Changed<()>),
    /// Somebody ordered it: its orders tell of it. Archive it instead.
    Ordered,
}

pub(super) const LOCK: Query =
    Query::new("SELECT p.version FROM public.products p WHERE p.id = $1 FOR UPDATE", &[Kind::Int8]);

/// The product, which nobody else changes before this transaction ends.
///
/// # Errors
/// When the database gives no answer.
pub async fn lock(tx: &mut TenantTx, id: i64) -> Result<Option<ProductDetail>, Error> {
    tx.query(&LOCK, &[&id]).await?;
    get_in(tx, id).await
}

/// Whether orders tell of it.
///
/// # Errors
/// When the database gives no answer.
pub async fn was_ordered(tx: &mut TenantTx, id: i64) -> Result<bool, Error> {
    let rows = tx.query(&WAS_ORDERED, &[&id]).await?;
    let missing = Error::Column { entity: "product", column: "ordered" };
    rows.first().and_then(|row| row.try_get("ordered").ok()).ok_or(missing)
}

/// With its variants, their stock and its old slugs.
///
/// # Errors
/// When the database gives no answer.
pub async fn delete(tx: &mut TenantTx, id: i64, version: Version) -> Result<Deleted, Error> {
    // An order that is being placed holds a key of this row, and is waited for.
    let rows = tx.query(&LOCK, &[&id]).await?;
    let current: Option<i64> = rows.first().and_then(|row| row.try_get("version").ok());
    if current.is_some() && was_ordered(tx, id).await? {
        return Ok(Deleted::Ordered);
    }
    let deleted = tx.execute(&DELETE, &[&id, &version.parameter()]).await?;
    Ok(Deleted::Changed(Changed::of((deleted == 1).then_some(()), current)))
}

pub(super) const BY_OLD_SLUG: Query = Query::new(
    "SELECT p.slug FROM public.product_slugs s JOIN public.products p ON p.id = s.product_id \
     WHERE s.slug = $1 AND p.status = 'active'",
    &[Kind::Text],
);

/// The slug that a product with this old one has now, when it is on sale.
///
/// # Errors
/// When the database gives no answer.
pub async fn slug_after(pool: &TenantPool, tenant: &TenantId, old: &str) -> Result<Option<String>, Error> {
    let rows = pool.read(tenant, &BY_OLD_SLUG, &[&old]).await?;
    Ok(rows.first().and_then(|row| row.try_get("slug").ok()))
}
