//! Pictures of products. Whoever changes them has locked the product, whose version they are part of.

use bastide_tenancy::{Kind, Query, TenantId, TenantPool, TenantTx};

use crate::{Error, drafts::PictureChange, rows::Picture};

/// Of one product.
pub const MOST: usize = 20;

macro_rules! picture {
    ($before:literal, $after:literal) => {
        concat!(
            $before,
            " pg_catalog.jsonb_build_object('id', m.id, 'file', m.hash || '.' || m.extension, 'width', m.width, 'height', m.height, \
                'alt', m.alt, 'position', m.position) AS picture ",
            $after
        )
    };
}

/// A file as it was kept.
#[derive(Clone, Debug)]
pub struct Kept<'a> {
    pub hash: &'a str,
    pub extension: &'static str,
    pub bytes: i64,
    pub width: i32,
    pub height: i32,
}

pub(super) const ADD: Query = Query::new(
    "INSERT INTO public.product_media (tenant_id, product_id, hash, extension, bytes, width, height, position) \
     SELECT bastide.current_tenant()::uuid, $1, $2, $3, $4, $5, $6, coalesce(max(m.position) + 1, 0) \
     FROM public.product_media m WHERE m.product_id = $1 \
     ON CONFLICT ON CONSTRAINT product_media_hash_key DO NOTHING",
    &[Kind::Int8, Kind::Text, Kind::Text, Kind::Int8, Kind::Int4, Kind::Int4],
);

pub(super) const BY_HASH: Query = Query::new(
    picture!("SELECT", "FROM public.product_media m WHERE m.product_id = $1 AND m.hash = $2"),
    &[Kind::Int8, Kind::Text],
);

pub(super) const TOUCH: Query =
    Query::new("UPDATE public.products p SET version = p.version + 1 WHERE p.id = $1", &[Kind::Int8]);

/// After those there are. The same picture again is the one that is there.
///
/// # Errors
/// When the database gives no answer.
pub async fn add(tx: &mut TenantTx, product: i64, kept: &Kept<'_>) -> Result<Picture, Error> {
    let parameters: [&(dyn bastide_tenancy::ToSql + Sync); 6] =
        [&product, &kept.hash, &kept.extension, &kept.bytes, &kept.width, &kept.height];
    if tx.execute(&ADD, &parameters).await? == 1 {
        tx.execute(&TOUCH, &[&product]).await?;
    }
    let rows = tx.query(&BY_HASH, &[&product, &kept.hash]).await?;
    let row = rows.first().ok_or(Error::Column { entity: "picture", column: "id" })?;
    Picture::try_from(row)
}

pub(super) const UPDATE: Query = Query::new(
    picture!(
        "UPDATE public.product_media m SET alt = coalesce($3, m.alt), position = coalesce($4, m.position) \
         WHERE m.product_id = $1 AND m.id = $2 RETURNING",
        ""
    ),
    &[Kind::Int8, Kind::Int8, Kind::Text, Kind::Int4],
);

/// # Errors
/// When the database gives no answer.
pub async fn update(
    tx: &mut TenantTx,
    product: i64,
    id: i64,
    change: &PictureChange,
) -> Result<Option<Picture>, Error> {
    let rows = tx.query(&UPDATE, &[&product, &id, &change.alt, &change.position]).await?;
    tx.execute(&TOUCH, &[&product]).await?;
    rows.first().map(Picture::try_from).transpose()
}

pub(super) const REMOVE: Query = Query::new(
    "DELETE FROM public.product_media m WHERE m.product_id = $1 AND m.id = $2",
    &[Kind::Int8, Kind::Int8],
);

/// The row. Its file stays: another product may show it, and a reader may be at it.
///
/// # Errors
/// When the database gives no answer.
pub async fn remove(tx: &mut TenantTx, product: i64, id: i64) -> Result<bool, Error> {
    let removed = tx.execute(&REMOVE, &[&product, &id]).await?;
    tx.execute(&TOUCH, &[&product]).await?;
    Ok(removed == 1)
}

pub(super) const IS_SHOWN: Query = Query::new(
    "SELECT EXISTS (SELECT FROM public.product_media m WHERE m.hash = $1 AND m.extension = $2) AS shown",
    &[Kind::Text, Kind::Text],
);

/// Whether a product of the tenant shows this file.
///
/// # Errors
/// When the database gives no answer.
pub async fn is_shown(
    pool: &TenantPool,
    tenant: &TenantId,
    hash: &str,
    extension: &str,
) -> Result<bool, Error> {
    let rows = pool.read(tenant, &IS_SHOWN, &[&hash, &extension]).await?;
    let missing = Error::Column { entity: "picture", column: "shown" };
    rows.first().and_then(|row| row.try_get("shown").ok()).ok_or(missing)
}

pub(super) const REFERENCED: Query =
    Query::new("SELECT DISTINCT m.hash FROM public.product_media m ORDER BY m.hash", &[]);

/// The hashes that rows of the tenant tell of.
///
/// # Errors
/// When the database gives no answer.
pub async fn referenced(pool: &TenantPool, tenant: &TenantId) -> Result<Vec<String>, Error> {
    let rows = pool.read(tenant, &REFERENCED, &[]).await?;
    let missing = |_| Error::Column { entity: "picture", column: "hash" };
    rows.iter().map(|row| row.try_get("hash").map_err(missing)).collect()
}
