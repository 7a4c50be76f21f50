//! One measurement at a time, each in a savepoint with a time limit of its own: what cannot be measured is written down as
//! that, and the next one begins.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use bastide_catalog::{Catalog, Table, TableKind};
use bastide_plan::inference::{Side, catalog_path, collations, joined, layout};
use bastide_record::{Extent, Unmeasured};
use bastide_sql::{Ident, Literal, QualifiedName, Sql, join, sql};
use tokio_postgres::{Row, Transaction, error::SqlState};

use crate::{SurveyError, error::LOCK_TIMEOUT_SECONDS, survey::Progress};

/// How long measuring may take, and from which size on tables are sampled.
#[derive(Clone, Copy, Debug)]
pub struct IntegrityLimits {
    /// For one measurement.
    pub statement: Duration,
    /// For all of them.
    pub deadline: Instant,
    /// Of a table with more rows than this, by the server's estimate, about so many are read.
    pub sample_above_rows: u64,
}

/// The transaction, and what went unmeasured in it.
pub(crate) struct Looking<'a, 't> {
    pub(crate) transaction: &'a mut Transaction<'t>,
    pub(crate) catalog: &'a Catalog,
    pub(crate) limits: &'a IntegrityLimits,
    pub(crate) progress: Progress<'a>,
    path: Sql,
    unreadable: BTreeSet<u32>,
    unmeasured: Vec<Unmeasured>,
    out_of_time: u64,
}

/// Tables that this login may not read, or would read through somebody's policies.
const UNREADABLE: &str = "
SELECT c.oid
FROM pg_catalog.pg_class c
WHERE c.relkind IN ('r', 'p') AND (
  NOT has_schema_privilege(c.relnamespace, 'USAGE') OR NOT has_table_privilege(c.oid, 'SELECT') OR row_security_active(c.oid))";
/// Measurements without time that are named one by one.
const NAMED_WITHOUT_TIME: u64 = 20;
const NO_TIME: &str = "no time was left";

impl<'a, 't> Looking<'a, 't> {
    pub(crate) async fn begin(
        transaction: &'a mut Transaction<'t>,
        catalog: &'a Catalog,
        limits: &'a IntegrityLimits,
        progress: Progress<'a>,
    ) -> Result<Self, SurveyError> {
        let path = catalog_path(catalog);
        let mut looking = Self {
            transaction,
            catalog,
            limits,
            progress,
            path,
            unreadable: BTreeSet::new(),
            unmeasured: Vec::new(),
            out_of_time: 0,
        };
        let what = "find out which tables may be read";
        for row in looking.rows(what, &Sql::trusted(UNREADABLE)).await?.unwrap_or_default() {
            looking.unreadable.insert(row.try_get(0).map_err(SurveyError::during(what))?);
        }
        let may_not: Vec<&Table> = whole_tables(catalog).filter(|table| !looking.may_read(table)).collect();
        for table in may_not {
            looking.miss(
                &format!("look at {}", table.name),
                "this login may not read it, or only through policies".to_owned(),
            );
        }
        Ok(looking)
    }

    /// What went unmeasured.
    pub(crate) fn end(mut self) -> Vec<Unmeasured> {
        if let Some(more) = self.out_of_time.checked_sub(NAMED_WITHOUT_TIME).filter(|more| *more > 0) {
            self.miss(&format!("take {more} more measurements"), NO_TIME.to_owned());
        }
        self.unmeasured
    }

    /// The tables there are to look at.
    pub(crate) fn tables(&self) -> Vec<&'a Table> {
        whole_tables(self.catalog).filter(|table| self.may_read(table)).collect()
    }

    pub(crate) fn may_read(&self, table: &Table) -> bool {
        !self.unreadable.contains(&table.oid)
    }

    /// `what` completes "could not …". `None`: it is among the unmeasured now.
    pub(crate) async fn rows(&mut self, what: &str, query: &Sql) -> Result<Option<Vec<Row>>, SurveyError> {
        (self.progress)(what);
        let left = self.limits.deadline.saturating_duration_since(Instant::now());
        if left < Duration::from_millis(1) {
            self.out_of_time += 1;
            if self.out_of_time <= NAMED_WITHOUT_TIME {
                self.miss(what, NO_TIME.to_owned());
            }
            return Ok(None);
        }
        let limit = left.min(self.limits.statement).max(Duration::from_millis(1));
        let milliseconds = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX).min(2_000_000_000);
        let attempt = self.transaction.savepoint("bastide_look").await.map_err(SurveyError::during(what))?;
        let settings = sql!("SET LOCAL statement_timeout = {}; {}", milliseconds, self.path);
        attempt.batch_execute(settings.as_str()).await.map_err(SurveyError::during(what))?;
        let found = attempt.query(query.as_str(), &[]).await;
        let failure = match found {
            Ok(rows) => {
                attempt.rollback().await.map_err(SurveyError::during(what))?;
                return Ok(Some(rows));
            }
            Err(error) => error,
        };
        let Some(said) = failure.as_db_error() else { return Err(SurveyError::during(what)(failure)) };
        let why = if *said.code() == SqlState::QUERY_CANCELED {
            format!("it took longer than {}", seconds(limit))
        } else if *said.code() == SqlState::LOCK_NOT_AVAILABLE {
            format!("another session held a lock on it for longer than {LOCK_TIMEOUT_SECONDS} s")
        } else {
            said.message().to_owned()
        };
        attempt.rollback().await.map_err(SurveyError::during(what))?;
        self.miss(what, why);
        Ok(None)
    }

    /// As [`Self::rows`], but leaves no trace when it fails: it is tried again in smaller parts.
    pub(crate) async fn try_rows(
        &mut self,
        what: &str,
        query: &Sql,
    ) -> Result<Option<Vec<Row>>, SurveyError> {
        let (missed, out_of_time) = (self.unmeasured.len(), self.out_of_time);
        let rows = self.rows(what, query).await?;
        if rows.is_none() {
            self.unmeasured.truncate(missed);
            self.out_of_time = out_of_time;
        }
        Ok(rows)
    }

    /// The only row of a query that always has one.
    pub(crate) async fn row(&mut self, what: &str, query: &Sql) -> Result<Option<Row>, SurveyError> {
        Ok(self.rows(what, query).await?.and_then(|rows| rows.into_iter().next()))
    }

    /// The first column of each row, which is text.
    pub(crate) async fn texts(&mut self, what: &str, query: &Sql) -> Result<Vec<String>, SurveyError> {
        let rows = self.rows(what, query).await?.unwrap_or_default();
        rows.iter().map(|row| row.try_get(0).map_err(SurveyError::during(what))).collect()
    }

    fn miss(&mut self, what: &str, why: String) {
        self.unmeasured.push(Unmeasured { what: what.to_owned(), why });
    }

    /// How much of a table is read where all of it would be right.
    pub(crate) fn extent(&self, table: &Table) -> Extent {
        at_most(self.catalog, table, self.limits.sample_above_rows)
    }
}

fn seconds(limit: Duration) -> String {
    if limit < Duration::from_secs(1) {
        format!("{} ms", limit.as_millis())
    } else {
        format!("{:.1} s", limit.as_secs_f64())
    }
}

/// The sample that reads about so many rows.
pub(crate) fn at_most(catalog: &Catalog, table: &Table, rows: u64) -> Extent {
    let estimated = estimated_rows(catalog, table);
    if estimated <= rows {
        return Extent::Whole;
    }
    #[expect(clippy::cast_precision_loss, reason = "a share in percent")]
    let percent = 100.0 * rows.max(1) as f64 / estimated as f64;
    Extent::Sample { percent: percent.max(0.0001) }
}

/// What the server thinks; of a table it has never looked at, what its size suggests.
pub(crate) fn estimated_rows(catalog: &Catalog, table: &Table) -> u64 {
    const BYTES_OF_A_SHORT_ROW: u64 = 64;
    if table.kind == TableKind::Partitioned {
        let parts = table.children.iter().filter_map(|child| catalog.table(child));
        return parts.map(|part| estimated_rows(catalog, part)).sum();
    }
    u64::try_from(table.estimated_rows).unwrap_or(table.bytes.unsigned_abs() / BYTES_OF_A_SHORT_ROW)
}

/// Tables as people see them: a partitioned table, not its partitions; and no foreign ones, whose server is another's.
fn whole_tables(catalog: &Catalog) -> impl Iterator<Item = &Table> {
    catalog.tables.values().filter(|table| match table.kind {
        TableKind::Ordinary => true,
        TableKind::Partitioned => table.parents.is_empty(),
        TableKind::Partition | TableKind::Foreign => false,
    })
}

/// `ONLY schema.table AS c TABLESAMPLE …`. Rows of partitions are the partitioned table's; those of inheritance children
/// are not their parent's, to a key.
pub(crate) fn from(table: &Table, alias: &Sql, extent: Extent) -> Sql {
    let only = if table.holds_rows() { sql!("ONLY ") } else { sql!("") };
    let sample = match extent {
        Extent::Whole => sql!(""),
        Extent::Sample { percent } => {
            sql!(" TABLESAMPLE SYSTEM ({}) REPEATABLE (1)", Literal::text(format!("{percent:.6}")))
        }
    };
    sql!("{}{} AS {}{}", only, table.name, alias, sample)
}

/// `c.a IS NOT NULL AND c.b IS NOT NULL`: MATCH SIMPLE says nothing of a reference that is NULL in part.
pub(crate) fn present(alias: &Sql, columns: &[Ident]) -> Sql {
    sql!("{}", join(columns.iter().map(|column| sql!("{}.{} IS NOT NULL", alias, column)), " AND "))
}

/// `EXISTS (SELECT FROM parent AS p WHERE …)` for the values of `columns` under `alias`.
pub(crate) fn has_parent(
    child: &Table,
    alias: &Sql,
    columns: &[Ident],
    parent: &Table,
    parent_columns: &[Ident],
) -> Sql {
    let p = sql!("p");
    let on = joined(
        &Side { alias, columns, layout: &layout(child), collations: &collations(child) },
        &Side {
            alias: &p,
            columns: parent_columns,
            layout: &layout(parent),
            collations: &collations(parent),
        },
    );
    sql!("EXISTS (SELECT FROM {} WHERE {})", from(parent, &p, Extent::Whole), on)
}

/// `public.orders.customer_id`, `public.orders.(a, b)`
pub(crate) fn columns_of(table: &QualifiedName, columns: &[Ident]) -> String {
    match columns {
        [only] => format!("{table}.{only}"),
        many => {
            format!("{table}.({})", many.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))
        }
    }
}
