//! Categories: a tree for each merchant. Whoever changes its shape is alone with it, so that two moves cannot close a circle together.

use bastide_tenancy::{Kind, Query, Row, TenantId, TenantPool, TenantTx};

use crate::{
    Changed, Error, Version,
    drafts::{CategoryChange, CategoryDraft},
    rows::Category,
};

/// From the top to a leaf.
pub const DEEPEST: i64 = 8;
/// Of one merchant.
pub const MOST: i64 = 2000;

pub(super) const ALL: Query = Query::new(
    "SELECT c.id, c.parent_id, c.name, c.position, c.version FROM public.categories c ORDER BY c.position, c.id LIMIT 5000",
    &[],
);

/// All of them, siblings in their order.
///
/// # Errors
/// When the database gives no answer.
pub async fn all(pool: &TenantPool, tenant: &TenantId) -> Result<Vec<Category>, Error> {
    pool.read(tenant, &ALL, &[]).await?.iter().map(Category::try_from).collect()
}

pub(super) const GET: Query = Query::new(
    "SELECT c.id, c.parent_id, c.name, c.position, c.version FROM public.categories c WHERE c.id = $1",
    &[Kind::Int8],
);

/// # Errors
/// When the database gives no answer.
pub async fn get(pool: &TenantPool, tenant: &TenantId, id: i64) -> Result<Option<Category>, Error> {
    pool.read(tenant, &GET, &[&id]).await?.first().map(Category::try_from).transpose()
}

async fn get_in(tx: &mut TenantTx, id: i64) -> Result<Option<Category>, Error> {
    tx.query(&GET, &[&id]).await?.first().map(Category::try_from).transpose()
}

/// What came of a change of the tree.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Planted<T> {
    Done(T),
    /// There is no such parent.
    NoParent,
    /// It would be below itself.
    Circle,
    TooDeep,
    TooMany,
    /// It has children or products.
    NotEmpty,
}

pub(super) const LOCK: Query = Query::new(
    "SELECT pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended('categories ' || bastide.current_tenant(), 0)) IS NULL AS done",
    &[],
);

/// How many there are, how deep the new parent is, whether it is below `$1`, and how high `$1` with all below it is. Walks end at 100
/// levels: rows of before may go round in circles.
pub(super) const SURVEY: Query = Query::new(
    "WITH RECURSIVE up AS ( \
         SELECT c.id, c.parent_id, 1 AS level FROM public.categories c WHERE c.id = $2 \
         UNION ALL SELECT c.id, c.parent_id, u.level + 1 FROM up u JOIN public.categories c ON c.id = u.parent_id WHERE u.level < 100), \
     down AS ( \
         SELECT c.id, 1 AS level FROM public.categories c WHERE c.id = $1 \
         UNION ALL SELECT c.id, d.level + 1 FROM down d JOIN public.categories c ON c.parent_id = d.id WHERE d.level < 100) \
     SELECT (SELECT count(*) FROM public.categories) AS total, (SELECT coalesce(max(level), 0) FROM up)::bigint AS parents, \
            (SELECT coalesce(bool_or(u.id = $1), false) FROM up u) AS circle, (SELECT coalesce(max(level), 1) FROM down)::bigint AS height",
    &[Kind::Int8, Kind::Int8],
);

/// Why `category` (none: a new one) cannot hang below `parent`.
async fn survey(
    tx: &mut TenantTx,
    category: Option<i64>,
    parent: Option<i64>,
) -> Result<Option<Planted<Category>>, Error> {
    tx.query(&LOCK, &[]).await?;
    let rows = tx.query(&SURVEY, &[&category, &parent]).await?;
    let row = rows.first().ok_or(Error::Column { entity: "category", column: "total" })?;
    let (total, parents, height): (i64, i64, i64) =
        (get_column(row, "total")?, get_column(row, "parents")?, get_column(row, "height")?);
    Ok(if parent.is_some() && parents == 0 {
        Some(Planted::NoParent)
    } else if get_column(row, "circle")? {
        Some(Planted::Circle)
    } else if parents + height > DEEPEST {
        Some(Planted::TooDeep)
    } else if category.is_none() && total >= MOST {
        Some(Planted::TooMany)
    } else {
        None
    })
}

fn get_column<'a, T: bastide_tenancy::FromSql<'a>>(row: &'a Row, column: &'static str) -> Result<T, Error> {
    row.try_get(column).map_err(|_| Error::Column { entity: "category", column })
}

pub(super) const INSERT: Query = Query::new(
    "INSERT INTO public.categories AS c (merchant_id, parent_id, name, position) VALUES (bastide.current_tenant()::uuid, $1, $2, $3) \
     RETURNING c.id, c.parent_id, c.name, c.position, c.version",
    &[Kind::Int8, Kind::Text, Kind::Int4],
);

/// # Errors
/// When the database gives no answer.
pub async fn create(tx: &mut TenantTx, draft: &CategoryDraft) -> Result<Planted<Category>, Error> {
    if let Some(refused) = survey(tx, None, draft.parent_id).await? {
        return Ok(refused);
    }
    let rows = tx.query(&INSERT, &[&draft.parent_id, &draft.name, &draft.position]).await?;
    let row = rows.first().ok_or(Error::Column { entity: "category", column: "id" })?;
    Category::try_from(row).map(Planted::Done)
}

pub(super) const UPDATE: Query = Query::new(
    "UPDATE public.categories c SET name = coalesce($3, c.name), position = coalesce($4, c.position), \
         parent_id = CASE WHEN $5 THEN $6 ELSE c.parent_id END, version = c.version + 1 \
     WHERE c.id = $1 AND ($2 IS NULL OR c.version = $2) \
     RETURNING c.id, c.parent_id, c.name, c.position, c.version",
    &[Kind::Int8, Kind::Int8, Kind::Text, Kind::Int4, Kind::Bool, Kind::Int8],
);

/// # Errors
/// When the database gives no answer.
pub async fn update(
    tx: &mut TenantTx,
    id: i64,
    version: Version,
    change: &CategoryChange,
) -> Result<Planted<Changed<Category>>, Error> {
    if let Some(parent) = change.parent_id {
        match survey(tx, Some(id), parent).await? {
            None | Some(Planted::Done(_)) => {}
            Some(Planted::NoParent) => return Ok(Planted::NoParent),
            Some(Planted::Circle) => return Ok(Planted::Circle),
            Some(Planted::TooDeep) => return Ok(Planted::TooDeep),
            Some(Planted::TooMany) => return Ok(Planted::TooMany),
            Some(Planted::NotEmpty) => return Ok(Planted::NotEmpty),
        }
    }
    let (moves, parent) = (change.parent_id.is_some(), change.parent_id.flatten());
    let rows = tx
        .query(&UPDATE, &[&id, &version.parameter(), &change.name, &change.position, &moves, &parent])
        .await?;
    let written = rows.first().map(Category::try_from).transpose()?;
    let current = match &written {
        Some(_) => None,
        None => get_in(tx, id).await?.map(|category| category.version),
    };
    Ok(Planted::Done(Changed::of(written, current)))
}

pub(super) const OCCUPIED: Query = Query::new(
    "SELECT EXISTS (SELECT FROM public.categories c WHERE c.parent_id = $1) \
         OR EXISTS (SELECT FROM public.products p WHERE p.category_id = $1) AS occupied",
    &[Kind::Int8],
);

pub(super) const LIFT: Query = Query::new(
    "WITH above AS (SELECT c.parent_id FROM public.categories c WHERE c.id = $1), \
     lifted AS ( \
         UPDATE public.categories c SET parent_id = a.parent_id, version = c.version + 1 FROM above a \
         WHERE c.parent_id = $1 AND c.id <> $1) \
     UPDATE public.products p SET category_id = a.parent_id, version = p.version + 1 FROM above a WHERE p.category_id = $1",
    &[Kind::Int8],
);

pub(super) const DELETE: Query = Query::new(
    "DELETE FROM public.categories c WHERE c.id = $1 AND ($2 IS NULL OR c.version = $2)",
    &[Kind::Int8, Kind::Int8],
);

/// One that is not empty only when what it holds is to move up to its parent.
///
/// # Errors
/// When the database gives no answer.
pub async fn delete(
    tx: &mut TenantTx,
    id: i64,
    version: Version,
    move_up: bool,
) -> Result<Planted<Changed<()>>, Error> {
    tx.query(&LOCK, &[]).await?;
    let Some(there) = get_in(tx, id).await? else { return Ok(Planted::Done(Changed::Gone)) };
    let current = there.version;
    if version.parameter().is_some_and(|wanted| wanted != current) {
        return Ok(Planted::Done(Changed::Stale { current }));
    }
    if move_up {
        tx.execute(&LIFT, &[&id]).await?;
    } else {
        let rows = tx.query(&OCCUPIED, &[&id]).await?;
        let row = rows.first().ok_or(Error::Column { entity: "category", column: "occupied" })?;
        if get_column(row, "occupied")? {
            return Ok(Planted::NotEmpty);
        }
    }
    let deleted = tx.execute(&DELETE, &[&id, &version.parameter()]).await?;
    Ok(Planted::Done(Changed::of((deleted == 1).then_some(()), Some(current))))
}
