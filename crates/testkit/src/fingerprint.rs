//! What is in a database's tables, in a form that can be compared: per table a count and an order-independent hash
//! over an explicit list of columns.

use std::collections::BTreeMap;

use bastide_sql::{Ident, QualifiedName, Sql, join, sql};

use crate::Database;

/// `schema.table` (quoted where it must be) to `count:sum:xor` of its rows' hashes.
pub type Fingerprints = BTreeMap<String, String>;

/// The columns every table had at some moment: what later fingerprints are taken over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Columns(BTreeMap<QualifiedName, Vec<Column>>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Column {
    name: Ident,
    /// Hashes as it is; the rest are hashed as text, which tells apart what equality does not (1.0 and 1.00).
    exact: bool,
}

/// Tables with rows of their own: partitioned parents have none, and a parent of inheritance is read by ONLY.
const COLUMNS: &str = "
    SELECT n.nspname, c.relname, a.attname,
           a.atttypid = ANY ('{bool,int2,int4,int8,oid,uuid,date,time,timestamp,timestamptz,bytea}'::regtype[])
    FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    WHERE c.relkind = 'r' AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'bastide')
      AND n.nspname NOT LIKE 'pg\\_temp\\_%' AND n.nspname NOT LIKE 'pg\\_toast%'
    ORDER BY 1, 2, a.attnum";

/// Nothing that filters rows or changes how a value prints may differ between two fingerprints.
const SESSION: &str =
    "SET row_security = off; SET search_path = pg_catalog; SET timezone = 'UTC'; SET datestyle = 'ISO';
    SET intervalstyle = 'postgres'; SET bytea_output = 'hex'; SET extra_float_digits = 1";

impl Database {
    /// The columns there are now.
    ///
    /// # Panics
    /// When the catalog cannot be read.
    pub async fn columns(&self) -> Columns {
        let mut columns: BTreeMap<_, Vec<Column>> = BTreeMap::new();
        let rows = self.client().await.query(COLUMNS, &[]).await;
        for row in
            rows.unwrap_or_else(|error| panic!("cannot read the columns of {}: {error:?}", self.name()))
        {
            let ident = |name: String| Ident::new(name).unwrap_or_else(|error| panic!("{error}"));
            let table = QualifiedName::new(ident(row.get(0)), ident(row.get(1)));
            let of_table = columns.entry(table).or_default();
            if let Some(name) = row.get::<_, Option<String>>(2) {
                of_table.push(Column { name: ident(name), exact: row.get(3) });
            }
        }
        Columns(columns)
    }

    /// Of every table outside schema `bastide`, over all columns it has now.
    ///
    /// # Panics
    /// When a table cannot be read.
    pub async fn fingerprints(&self) -> Fingerprints {
        self.fingerprints_of(&self.columns().await).await
    }

    /// Of every table there was when `columns` was taken, over the columns it had; `gone` for what is no longer there.
    ///
    /// # Panics
    /// When a table cannot be read.
    pub async fn fingerprints_of(&self, columns: &Columns) -> Fingerprints {
        let now = self.columns().await;
        let client = self.client().await;
        let prepared = client.batch_execute(SESSION).await;
        prepared.unwrap_or_else(|error| panic!("cannot prepare a session in {}: {error:?}", self.name()));
        let mut fingerprints = Fingerprints::new();
        for (table, wanted) in &columns.0 {
            let there = now.0.get(table).is_some_and(|there| {
                wanted.iter().all(|column| there.iter().any(|other| other.name == column.name))
            });
            let fingerprint = if there {
                let query = query(table, wanted);
                let row = client.query_one(query.as_str(), &[]).await;
                row.unwrap_or_else(|error| panic!("cannot read {table}: {error:?}")).get(0)
            } else {
                "gone".to_owned()
            };
            fingerprints.insert(table.to_string(), fingerprint);
        }
        fingerprints
    }
}

fn query(table: &QualifiedName, columns: &[Column]) -> Sql {
    let values = columns.iter().map(|column| {
        let name = &column.name;
        if column.exact { sql!("t.{}", name) } else { sql!("(t.{}::text COLLATE \"C\")", name) }
    });
    sql!(
        "SELECT format('%s:%s:%s', count(*), coalesce(sum(h), 0), coalesce(bit_xor(h), 0))
         FROM (SELECT hash_record_extended(ROW({}), 0) AS h FROM ONLY {} t) hashes",
        join(values, ", "),
        table,
    )
}

/// The tables whose fingerprints differ, one line each; empty when none does.
#[must_use]
pub fn diff(before: &Fingerprints, after: &Fingerprints) -> String {
    let mut tables: Vec<&String> = before.keys().chain(after.keys()).collect();
    tables.sort();
    tables.dedup();
    let shown = |side: &Fingerprints, table| side.get(table).map_or("absent", String::as_str).to_owned();
    tables
        .into_iter()
        .filter(|table| before.get(*table) != after.get(*table))
        .map(|table| format!("{table}: {} before, {} after\n", shown(before, table), shown(after, table)))
        .collect()
}
