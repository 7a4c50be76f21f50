//! Operators' work on merchants, as a login that row security does not bind: list, suspend, rename, export, delete.
//!
//! Which tables hold a merchant's rows is read from the database (`bastide.scoped_tables`), never from a list here. Each change is
//! recorded in `bastide.operator_act`.

use bastide_connect::Target;
use bastide_sql::{Ident, QualifiedName, sql};
use serde::Serialize;
use serde_json::Value;
use tokio_postgres::{Client, Transaction, error::SqlState};
use uuid::Uuid;

use crate::SchemaError;

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Tenant {
    pub id: Uuid,
    pub slug: String,
    pub name: String,
    pub status: String,
}

/// Rows of one table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Rows {
    pub table: QualifiedName,
    pub rows: u64,
}

/// What a deletion took, and where it looked afterwards for what might be left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Deleted {
    pub tenant: Tenant,
    pub tables: Vec<Rows>,
    /// Columns that could hold the merchant's id, in tables and materialised views; none does.
    pub columns_looked_at: usize,
}

/// A table and its tenant column.
type Scoped = (QualifiedName, Ident);

const LIST: &str = "SELECT m.id, m.slug::text, m.name::text, m.status::text FROM public.merchants m \
     WHERE NOT EXISTS (SELECT FROM bastide.canary c WHERE c.tenant = m.id::text) ORDER BY m.slug";

/// Partitions come with their parents: the application has no rights on them.
const SCOPED: &str = "SELECT s.schema, s.\"table\", s.tenant_column FROM bastide.scoped_tables s \
     JOIN pg_catalog.pg_namespace n ON n.nspname = s.schema \
     JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = s.\"table\" AND NOT c.relispartition ORDER BY 1, 2";

/// Every column that can hold a merchant's id: of its type anywhere, and of text in what Bastide keeps. Partitions are looked at with their
/// parents.
const COLUMNS: &str = "SELECT n.nspname::text, c.relname::text, a.attname::text, c.relkind = 'm', a.atttypid = 'pg_catalog.uuid'::pg_catalog.regtype \
     FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
     JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped \
     WHERE c.relkind IN ('r', 'p', 'm') AND NOT c.relispartition AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' \
         AND (a.atttypid = 'pg_catalog.uuid'::pg_catalog.regtype OR (n.nspname = 'bastide' AND a.atttypid = 'pg_catalog.text'::pg_catalog.regtype)) \
     ORDER BY 1, 2, 3";

const FORGET: [&str; 3] = [
    "DELETE FROM bastide.session WHERE merchant_id = $1",
    "DELETE FROM bastide.slug_before WHERE merchant = $1",
    // Who was refused stays on record, and no longer where.
    "UPDATE bastide.crossing SET merchant = NULL WHERE merchant = $1",
];

const RECORD: &str = "INSERT INTO bastide.operator_act (act, slug, details) VALUES ($1, $2, $3)";

/// By slug, but for the canaries of the watch.
///
/// # Errors
/// When the database cannot be reached or has no merchants of the platform.
pub async fn tenants(target: &Target) -> Result<Vec<Tenant>, SchemaError> {
    let client = target.connect("bastide").await?;
    let rows = client.query(LIST, &[]).await.map_err(said)?;
    let tenant = |row: &tokio_postgres::Row| Tenant {
        id: row.get(0),
        slug: row.get(1),
        name: row.get(2),
        status: row.get(3),
    };
    Ok(rows.iter().map(tenant).collect())
}

/// Suspended, its storefront is closed and its team still sees what is its own.
///
/// # Errors
/// When there is no such merchant, or the database refuses.
pub async fn set_suspended(target: &Target, slug: &str, suspended: bool) -> Result<Tenant, SchemaError> {
    let mut tenant = named(target, slug).await?;
    let mut client = target.connect("bastide").await?;
    let tx = begin(&mut client).await?;
    let status = if suspended { "suspended" } else { "active" };
    let change = "UPDATE public.merchants SET status = $2 WHERE id = $1";
    tx.execute(change, &[&tenant.id, &status]).await.map_err(said)?;
    record(&tx, if suspended { "suspend" } else { "resume" }, slug, Value::Null).await?;
    tx.commit().await.map_err(said)?;
    status.clone_into(&mut tenant.status);
    Ok(tenant)
}

/// The slug before leads to the new one.
///
/// # Errors
/// When there is no such merchant, somebody has or had the new slug, or the database refuses.
pub async fn rename(target: &Target, slug: &str, new: &str) -> Result<Tenant, SchemaError> {
    let mut tenant = named(target, slug).await?;
    let mut client = target.connect("bastide").await?;
    let tx = begin(&mut client).await?;
    let changed =
        tx.execute("UPDATE public.merchants SET slug = $2 WHERE id = $1", &[&tenant.id, &new]).await;
    changed.map_err(|error| match error.code() {
        Some(&SqlState::UNIQUE_VIOLATION) => SchemaError::SlugTaken { slug: new.to_owned() },
        _ => said(error),
    })?;
    record(&tx, "rename", slug, serde_json::json!({ "to": new })).await?;
    tx.commit().await.map_err(said)?;
    new.clone_into(&mut tenant.slug);
    Ok(tenant)
}

/// Every row of one merchant, table by table, each as a JSON object. They are read in the merchant's own context by the role that owns the
/// tables bound by row security, so that another's row cannot be among them; and counted without it, so that none is missing.
///
/// # Errors
/// When there is no such merchant, the database refuses, or `write` fails.
pub async fn export(
    target: &Target,
    slug: &str,
    app_role: &Ident,
    write: &mut (dyn FnMut(&QualifiedName, &str) -> std::io::Result<()> + Send),
) -> Result<Vec<Rows>, SchemaError> {
    let tenant = named(target, slug).await?;
    let mut client = target.connect("bastide").await?;
    let tx = begin(&mut client).await?;
    tx.batch_execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ").await.map_err(said)?;
    let scoped = scoped(&tx).await?;
    let mut counted = Vec::new();
    for (table, column) in &scoped {
        counted.push(count(&tx, table, column, tenant.id).await?);
    }
    // From here on as the application, whom policies bind.
    let role = sql!("SET LOCAL ROLE {}; SET LOCAL row_security = on", app_role);
    tx.batch_execute(role.as_str()).await.map_err(said)?;
    tx.query("SELECT bastide.set_tenant($1)", &[&tenant.id.to_string()]).await.map_err(said)?;
    let mut exported = Vec::new();
    for ((table, _), counted) in scoped.iter().zip(counted) {
        let read = sql!("SELECT pg_catalog.to_jsonb(t)::text FROM {} t", table);
        let rows = tx.query(read.as_str(), &[]).await.map_err(said)?;
        if u64::try_from(rows.len()).ok() != u64::try_from(counted).ok() {
            return Err(SchemaError::NotAllExported { table: table.clone(), counted, read: rows.len() });
        }
        for row in &rows {
            write(table, row.get(0)).map_err(|error| SchemaError::NotWritten { why: error.to_string() })?;
        }
        exported.push(Rows { table: table.clone(), rows: u64::try_from(rows.len()).unwrap_or(u64::MAX) });
    }
    tx.batch_execute("RESET ROLE").await.map_err(said)?;
    let rows: u64 = exported.iter().map(|table| table.rows).sum();
    record(&tx, "export", slug, serde_json::json!({ "rows": rows })).await?;
    tx.commit().await.map_err(said)?;
    Ok(exported)
}

/// Every row of one merchant, from every table, and the proof that none is left: all of it in one transaction, or nothing.
///
/// # Errors
/// When there is no such merchant, another merchant's row refers to one of its rows, something of it is left where nobody looked for it, or the
/// database refuses. Nothing is deleted then.
pub async fn delete(target: &Target, slug: &str) -> Result<Deleted, SchemaError> {
    let tenant = named(target, slug).await?;
    let mut client = target.connect("bastide").await?;
    let mut tx = begin(&mut client).await?;
    tx.batch_execute("SET CONSTRAINTS ALL DEFERRED").await.map_err(said)?;
    let mut left = scoped(&tx).await?;
    let mut tables = Vec::new();
    // What is referred to is refused, and goes once what refers to it is gone.
    while !left.is_empty() {
        let before = left.len();
        let mut refused = Vec::new();
        for (table, column) in left {
            let statement = sql!("DELETE FROM {} WHERE {} = $1", &table, &column);
            let part = tx.transaction().await.map_err(said)?;
            match part.execute(statement.as_str(), &[&tenant.id]).await {
                Ok(rows) => {
                    part.commit().await.map_err(said)?;
                    tables.push(Rows { table, rows });
                }
                Err(error) if error.code() == Some(&SqlState::FOREIGN_KEY_VIOLATION) => {
                    part.rollback().await.map_err(said)?;
                    refused.push((table, column));
                }
                Err(error) => return Err(said(error)),
            }
        }
        if refused.len() == before {
            let tables = refused.into_iter().map(|(table, _)| table).collect();
            return Err(SchemaError::StillReferred { slug: slug.to_owned(), tables });
        }
        left = refused;
    }
    for statement in FORGET {
        tx.execute(statement, &[&tenant.id]).await.map_err(said)?;
    }
    tx.batch_execute("SET CONSTRAINTS ALL IMMEDIATE").await.map_err(said)?;
    let columns_looked_at = prove_gone(&tx, &tenant).await?;
    let rows: u64 = tables.iter().map(|table| table.rows).sum();
    record(&tx, "delete", slug, serde_json::json!({ "rows": rows })).await?;
    tx.commit().await.map_err(said)?;
    Ok(Deleted { tenant, tables, columns_looked_at })
}

/// Looks at every column that could hold the id. Materialised views that do are made anew first.
async fn prove_gone(tx: &Transaction<'_>, tenant: &Tenant) -> Result<usize, SchemaError> {
    let columns = tx.query(COLUMNS, &[]).await.map_err(said)?;
    for row in &columns {
        let (table, column) = (name(row)?, ident(row.get(2))?);
        let (materialised, is_uuid): (bool, bool) = (row.get(3), row.get(4));
        let populated =
            "SELECT relispopulated FROM pg_catalog.pg_class WHERE oid = $1::text::pg_catalog.regclass";
        let readable: bool = tx.query_one(populated, &[&table.to_string()]).await.map_err(said)?.get(0);
        if !readable {
            continue;
        }
        let mut found = holds(tx, &table, &column, is_uuid, tenant.id).await?;
        if found && materialised {
            tx.batch_execute(sql!("REFRESH MATERIALIZED VIEW {}", &table).as_str()).await.map_err(said)?;
            found = holds(tx, &table, &column, is_uuid, tenant.id).await?;
        }
        if found {
            return Err(SchemaError::SomethingLeft { slug: tenant.slug.clone(), table, column });
        }
    }
    Ok(columns.len())
}

async fn holds(
    tx: &Transaction<'_>,
    table: &QualifiedName,
    column: &Ident,
    is_uuid: bool,
    id: Uuid,
) -> Result<bool, SchemaError> {
    // Never the column is cast: an index on it is used where there is one.
    let wanted = if is_uuid { sql!("$1::text::uuid") } else { sql!("$1") };
    let statement = sql!("SELECT EXISTS (SELECT FROM {} t WHERE t.{} = {})", table, column, wanted);
    Ok(tx.query_one(statement.as_str(), &[&id.to_string()]).await.map_err(said)?.get(0))
}

async fn count(
    tx: &Transaction<'_>,
    table: &QualifiedName,
    column: &Ident,
    id: Uuid,
) -> Result<i64, SchemaError> {
    let statement = sql!("SELECT count(*) FROM {} t WHERE t.{} = $1", table, column);
    Ok(tx.query_one(statement.as_str(), &[&id]).await.map_err(said)?.get(0))
}

async fn scoped(tx: &Transaction<'_>) -> Result<Vec<Scoped>, SchemaError> {
    let rows = tx.query(SCOPED, &[]).await.map_err(said)?;
    rows.iter().map(|row| Ok((name(row)?, ident(row.get(2))?))).collect()
}

async fn named(target: &Target, slug: &str) -> Result<Tenant, SchemaError> {
    let found = tenants(target).await?.into_iter().find(|tenant| tenant.slug == slug);
    found.ok_or_else(|| SchemaError::NoTenant { slug: slug.to_owned() })
}

/// A filtered read would pass for a full one: a login that is bound is refused instead.
async fn begin(client: &mut Client) -> Result<Transaction<'_>, SchemaError> {
    let tx = client.transaction().await.map_err(said)?;
    tx.batch_execute("SET LOCAL row_security = off").await.map_err(said)?;
    Ok(tx)
}

async fn record(tx: &Transaction<'_>, act: &str, slug: &str, details: Value) -> Result<(), SchemaError> {
    tx.execute(RECORD, &[&act, &slug, &details]).await.map_err(said)?;
    Ok(())
}

fn name(row: &tokio_postgres::Row) -> Result<QualifiedName, SchemaError> {
    Ok(QualifiedName::new(ident(row.get(0))?, ident(row.get(1))?))
}

fn ident(text: String) -> Result<Ident, SchemaError> {
    Ident::new(text).map_err(|error| SchemaError::NotWritten { why: error.to_string() })
}

fn said(error: tokio_postgres::Error) -> SchemaError {
    SchemaError::server("the work on a merchant")(error)
}
