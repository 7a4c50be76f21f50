//! What a migration made, and so what undoing it loses.

use std::collections::BTreeSet;

use bastide_sql::{Ident, QualifiedName, sql};
use serde::{Deserialize, Serialize};
use tokio_postgres::{GenericClient, error::SqlState};

use crate::SchemaError;

/// The tables a migration made, and the columns it added to others.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Made {
    pub(crate) tables: BTreeSet<QualifiedName>,
    pub(crate) columns: BTreeSet<(QualifiedName, Ident)>,
}

/// What undoing one version loses.
#[derive(Clone, Debug, Serialize)]
pub struct Loss {
    pub version: i32,
    pub name: String,
    pub tables: Vec<LostTable>,
    pub columns: Vec<LostColumn>,
}

#[derive(Clone, Debug, Serialize)]
pub struct LostTable {
    pub table: QualifiedName,
    /// A million stands for that many or more.
    pub rows: i64,
}

#[derive(Clone, Debug, Serialize)]
pub struct LostColumn {
    pub table: QualifiedName,
    pub column: Ident,
    /// Rows with a value in it, as far as they are counted.
    pub values: i64,
}

/// Whoever is asked wants to know whether anything is in there, not to wait for the last row.
const COUNTED: i64 = 1_000_000;

impl Loss {
    /// One line for each thing that holds something.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let number = |counted: i64| {
            if counted >= COUNTED { format!("{COUNTED} or more") } else { counted.to_string() }
        };
        let tables =
            self.tables.iter().map(|lost| format!("table {}, {} row(s)", lost.table, number(lost.rows)));
        let columns = self
            .columns
            .iter()
            .map(|lost| format!("column {}.{}, {} value(s)", lost.table, lost.column, number(lost.values)));
        tables.chain(columns).collect()
    }
}

/// Every table with its columns, and every view, that is not the system's; the names of views apart.
#[derive(Clone, Debug, Default)]
pub(crate) struct Relations {
    pub(crate) columns: BTreeSet<(QualifiedName, Ident)>,
    pub(crate) tables: BTreeSet<QualifiedName>,
    pub(crate) views: BTreeSet<QualifiedName>,
}

impl Relations {
    pub(crate) async fn read(client: &impl GenericClient) -> Result<Self, SchemaError> {
        let doing = "listing tables and columns";
        let rows = client
            .query(
                "SELECT n.nspname::text, c.relname::text, a.attname::text, c.relkind IN ('v', 'm')
                 FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
                      LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
                 WHERE c.relkind IN ('r', 'p', 'f', 'v', 'm') AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'",
                &[],
            )
            .await
            .map_err(SchemaError::server(doing))?;
        let mut relations = Self::default();
        let ident = |text: String| Ident::new(text).map_err(|error| named(&error));
        for row in rows {
            let read = |error| SchemaError::server(doing)(error);
            let name = QualifiedName::new(
                ident(row.try_get(0).map_err(read)?)?,
                ident(row.try_get(1).map_err(read)?)?,
            );
            if row.try_get(3).map_err(read)? {
                relations.views.insert(name);
                continue;
            }
            if let Some(column) = row.try_get::<_, Option<String>>(2).map_err(read)? {
                relations.columns.insert((name.clone(), ident(column)?));
            }
            relations.tables.insert(name);
        }
        Ok(relations)
    }

    /// What has come since `before`.
    pub(crate) fn made_since(&self, before: &Self) -> Made {
        let tables: BTreeSet<QualifiedName> = self.tables.difference(&before.tables).cloned().collect();
        let columns = self
            .columns
            .difference(&before.columns)
            .filter(|(table, _)| !tables.contains(table))
            .cloned()
            .collect();
        Made { tables, columns }
    }
}

fn named(error: &bastide_sql::IdentError) -> SchemaError {
    SchemaError::Engine(bastide_engine::EngineError::Preflight(error.to_string()))
}

impl Made {
    pub(crate) async fn lost(
        &self,
        client: &impl GenericClient,
        version: i32,
        name: &str,
    ) -> Result<Loss, SchemaError> {
        let mut loss = Loss { version, name: name.to_owned(), tables: Vec::new(), columns: Vec::new() };
        for table in &self.tables {
            let query = sql!("SELECT count(*) FROM (SELECT FROM {} LIMIT {}) AS x", table, COUNTED);
            if let Some(rows) = count(client, query.as_str()).await? {
                loss.tables.push(LostTable { table: table.clone(), rows });
            }
        }
        for (table, column) in &self.columns {
            let query = sql!(
                "SELECT count(*) FROM (SELECT FROM {} WHERE {} IS NOT NULL LIMIT {}) AS x",
                table,
                column,
                COUNTED
            );
            if let Some(values) = count(client, query.as_str()).await? {
                loss.columns.push(LostColumn { table: table.clone(), column: column.clone(), values });
            }
        }
        Ok(loss)
    }
}

/// `None` when it is gone already.
async fn count(client: &impl GenericClient, query: &str) -> Result<Option<i64>, SchemaError> {
    match client.query_one(query, &[]).await.and_then(|row| row.try_get(0)) {
        Ok(count) => Ok(Some(count)),
        Err(error)
            if error.code().is_some_and(|code| {
                [SqlState::UNDEFINED_TABLE, SqlState::UNDEFINED_COLUMN, SqlState::INVALID_SCHEMA_NAME]
                    .contains(code)
            }) =>
        {
            Ok(None)
        }
        Err(error) => Err(SchemaError::server("counting what undoing loses")(error)),
    }
}
