//! What the database was before: its schema as `pg_dump` prints it, and of every table's rows a count and an
//! order-independent hash over the columns it had then. What rollback is compared with.

use std::collections::BTreeMap;

use bastide_legacy::Totals;
use bastide_sql::{Ident, QualifiedName, Sql, join, sql};
use serde::{Deserialize, Serialize};
use tokio_postgres::{Client, GenericClient, Transaction, types::Json};
use uuid::Uuid;

use crate::{BackupRecord, EngineError, MigrationGuard, tools};

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Before {
    /// The whole dump rather than its hash: when something differs, the first differing line can be named.
    pub(crate) schema: String,
    pub(crate) tables: Vec<TableBefore>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct TableBefore {
    pub(crate) table: QualifiedName,
    pub(crate) columns: Vec<ColumnBefore>,
    pub(crate) rows: i64,
    /// Sum and exclusive or of the rows' 64-bit hashes: either alone misses pairs of equal rows, or swaps.
    pub(crate) sum: Option<String>,
    pub(crate) xor: Option<i64>,
    /// Of the columns that count or measure something, in their order; exact, without trailing zeros.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) sums: Vec<String>,
}

impl Before {
    /// What the tenants have to add up to.
    pub(crate) fn totals(&self) -> BTreeMap<QualifiedName, Totals> {
        let of = |table: &TableBefore| {
            let added =
                table.columns.iter().filter(|column| column.adds_up).map(|column| column.name.clone());
            Totals { rows: table.rows.unsigned_abs(), sums: added.zip(table.sums.iter().cloned()).collect() }
        };
        self.tables.iter().map(|table| (table.table.clone(), of(table))).collect()
    }
}

impl TableBefore {
    /// The same columns of the same table as they are now, or in another database. The hashes say all that the sums could.
    pub(crate) async fn again(&self, client: &impl GenericClient) -> Result<Self, EngineError> {
        let hashed = self.columns.iter().map(|column| ColumnBefore { adds_up: false, ..column.clone() });
        read_table(client, self.table.clone(), hashed.collect()).await
    }

    pub(crate) fn same_rows(&self, other: &Self) -> bool {
        (self.rows, &self.sum, self.xor) == (other.rows, &other.sum, other.xor)
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ColumnBefore {
    name: Ident,
    /// The type hashes by itself; else its text does.
    hashes: bool,
    /// Neither part of a key nor a reference, and of a type whose sum is exact: an amount, a quantity.
    #[serde(default)]
    adds_up: bool,
}

/// What differs from before.
pub(crate) struct Comparison {
    /// The first line of the schema dump that differs.
    pub(crate) schema: Option<String>,
    /// Tables whose rows differ, with both counts.
    pub(crate) written: Vec<String>,
    pub(crate) note: Option<String>,
}

/// Every table that holds rows, and its columns. Types outside the list hash by their text: not all of them can be
/// hashed, an enum hashes by numbers that differ in a restored backup, and for the rest it is only slower.
const COLUMNS: &str = "
SELECT n.nspname::text, c.relname::text, a.attname::text,
       coalesce(t.oid = ANY ('{bool,bytea,\"char\",name,int8,int2,int4,text,oid,float4,float8,bpchar,varchar,date,time,timestamp,timestamptz,interval,numeric,uuid,inet}'::regtype[]), false),
       coalesce(t.oid = ANY ('{int2,int4,int8,numeric}'::regtype[]) AND a.attidentity = ''
         AND NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisunique AND a.attnum = ANY (i.indkey))
         AND NOT EXISTS (SELECT FROM pg_constraint f WHERE f.conrelid = c.oid AND f.contype = 'f' AND a.attnum = ANY (f.conkey)), false)
  FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
  LEFT JOIN pg_type t ON t.oid = a.atttypid
 WHERE c.relkind = 'r' AND c.relpersistence <> 't'
   AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'bastide') AND n.nspname !~ '^pg_(toast|temp)'
 ORDER BY 1, 2, a.attnum";

/// Reads every table, within the caller's snapshot. Of each the lock is let go of when it is read: nobody waits for the
/// next one, and the server's table of locks need not hold them all.
pub(crate) async fn take(client: &Transaction<'_>, schema: String) -> Result<Before, EngineError> {
    let reading = "reading the columns to fingerprint";
    let mut tables: BTreeMap<QualifiedName, Vec<ColumnBefore>> = BTreeMap::new();
    for row in client.query(COLUMNS, &[]).await.map_err(EngineError::server(reading))? {
        let text = |at: usize| row.try_get::<_, Option<String>>(at).map_err(EngineError::server(reading));
        let name = |at: usize| -> Result<Option<Ident>, EngineError> {
            text(at)?.map(Ident::new).transpose().map_err(|error| EngineError::Preflight(error.to_string()))
        };
        let (Some(schema), Some(table)) = (name(0)?, name(1)?) else { continue };
        let columns = tables.entry(QualifiedName::new(schema, table)).or_default();
        if let Some(name) = name(2)? {
            let flag = |at: usize| row.try_get(at).map_err(EngineError::server(reading));
            columns.push(ColumnBefore { name, hashes: flag(3)?, adds_up: flag(4)? });
        }
    }
    let mut taken = Vec::with_capacity(tables.len());
    let letting_go = "letting go of a table that was fingerprinted";
    for (table, columns) in tables {
        client.batch_execute("SAVEPOINT one").await.map_err(EngineError::server(letting_go))?;
        taken.push(read_table(client, table, columns).await?);
        let done = "ROLLBACK TO SAVEPOINT one; RELEASE SAVEPOINT one";
        client.batch_execute(done).await.map_err(EngineError::server(letting_go))?;
    }
    Ok(Before { schema, tables: taken })
}

async fn read_table(
    client: &impl GenericClient,
    table: QualifiedName,
    columns: Vec<ColumnBefore>,
) -> Result<TableBefore, EngineError> {
    let row = client
        .query_one(query(&table, &columns).as_str(), &[])
        .await
        .map_err(EngineError::server("fingerprinting a table"))?;
    let read = |error| EngineError::server("fingerprinting a table")(error);
    Ok(TableBefore {
        rows: row.try_get(0).map_err(read)?,
        sum: row.try_get(1).map_err(read)?,
        xor: row.try_get(2).map_err(read)?,
        sums: row.try_get(3).map_err(read)?,
        table,
        columns,
    })
}

fn query(table: &QualifiedName, columns: &[ColumnBefore]) -> Sql {
    let values: Vec<Sql> = columns
        .iter()
        .map(|column| if column.hashes { sql!("t.{}", column.name) } else { sql!("t.{}::text", column.name) })
        .collect();
    let added: Vec<&Ident> = columns.iter().filter(|column| column.adds_up).map(|c| &c.name).collect();
    let name = |at: usize| Ident::derived("sum", &at.to_string());
    let sums = (0..added.len()).map(|at| sql!("trim_scale(coalesce(sum({}::numeric), 0))::text", name(at)));
    let kept = added.iter().enumerate().map(|(at, column)| sql!(", t.{} AS {}", column, name(at)));
    sql!(
        "SELECT count(*), sum(h)::text, bit_xor(h), ARRAY[{}]::text[] FROM (SELECT hash_record_extended(ROW({}), 0) AS h{} FROM ONLY {} AS t) AS hashed",
        join(sums, ", "),
        join(values, ", "),
        join(kept, ""),
        table
    )
}

/// With the backup of the same snapshot, or neither.
pub(crate) async fn store(
    guard: &MigrationGuard,
    run: Uuid,
    before: &Before,
    backup: Option<&BackupRecord>,
) -> Result<(), EngineError> {
    guard
        .client()
        .execute(
            "UPDATE bastide.run SET before = $2, backup = $3 WHERE id = $1",
            &[&run, &Json(before), &backup.map(Json)],
        )
        .await
        .map_err(EngineError::server("storing the fingerprints"))?;
    Ok(())
}

pub(crate) async fn stored(client: &Client, run: Uuid) -> Result<Option<Before>, EngineError> {
    let reading = "reading the fingerprints";
    let row = client
        .query_one("SELECT before FROM bastide.run WHERE id = $1", &[&run])
        .await
        .map_err(EngineError::server(reading))?;
    Ok(row
        .try_get::<_, Option<Json<Before>>>(0)
        .map_err(EngineError::server(reading))?
        .map(|Json(before)| before))
}

/// Reads everything again and says what differs.
pub(crate) async fn compare(guard: &mut MigrationGuard, run: Uuid) -> Result<Comparison, EngineError> {
    let Some(before) = stored(guard.client(), run).await? else {
        // The run stopped before it looked, so it changed nothing either.
        let note = Some("the run had taken no fingerprints yet; it had changed nothing".to_owned());
        return Ok(Comparison { schema: None, written: Vec::new(), note });
    };
    // As an older binary stored it, it may begin with the versions of that day.
    let was = tools::without_token(&before.schema);
    let schema = first_difference(&was, &tools::schema_dump(guard).await?);
    let mut written = Vec::new();
    for was in before.tables {
        match was.again(guard.client()).await {
            Ok(now) if now.same_rows(&was) => {}
            Ok(now) => written.push(format!("{} ({} rows before, {} now)", was.table, was.rows, now.rows)),
            // Dropped meanwhile: the schema dump tells, and better.
            Err(error) if schema.is_some() => {
                tracing::debug!(table = %was.table, %error, "not fingerprinted")
            }
            Err(error) => return Err(error),
        }
    }
    Ok(Comparison { schema, written, note: None })
}

/// `was` and `is`, of the first lines that differ.
fn first_difference(before: &str, now: &str) -> Option<String> {
    if before == now {
        return None;
    }
    let (mut before, mut now) = (before.lines(), now.lines());
    loop {
        match (before.next(), now.next()) {
            (Some(was), Some(is)) if was == is => {}
            (None, None) => return Some("line ends".to_owned()),
            (was, is) => {
                let show = |line: Option<&str>| line.map_or("nothing".to_owned(), |line| format!("`{line}`"));
                return Some(format!("was {}, is {}", show(was), show(is)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_differing_line_is_named() {
        assert_eq!(first_difference("a\nb\n", "a\nb\n"), None);
        insta::assert_snapshot!(first_difference("a\nb\n", "a\nc\n").unwrap(), @"was `b`, is `c`");
        insta::assert_snapshot!(first_difference("a\n", "a\nc\n").unwrap(), @"was nothing, is `c`");
    }

    #[test]
    fn a_table_is_hashed_by_its_own_columns_only() {
        let column = |name: &'static str, hashes, adds_up| ColumnBefore {
            name: Ident::constant(name),
            hashes,
            adds_up,
        };
        let columns = [column("id", true, false), column("body", false, false), column("Stars", true, true)];
        let text = query(&"public.Notes".parse().unwrap(), &columns);
        insta::assert_snapshot!(text, @r#"SELECT count(*), sum(h)::text, bit_xor(h), ARRAY[trim_scale(coalesce(sum("sum0"::numeric), 0))::text]::text[] FROM (SELECT hash_record_extended(ROW(t."id", t."body"::text, t."Stars"), 0) AS h, t."Stars" AS "sum0" FROM ONLY "public"."Notes" AS t) AS hashed"#);
    }
}
