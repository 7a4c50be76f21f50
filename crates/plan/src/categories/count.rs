//! SQL that counts: a table's rows, and those of its categories, whole or on a sample.

use bastide_catalog::Table;
use bastide_sql::{Literal, QualifiedName, Sql, join, sql};

use super::TableCategory;
use crate::inference::{Graph, path_of, tenant_of};

/// The part of a table's pages that is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// Thousandths of a per cent.
    millipercent: u32,
}

impl Share {
    /// So that about `wanted` of `rows` rows are looked at; `None` when that is all of them.
    #[must_use]
    pub fn of(wanted: u64, rows: u64) -> Option<Self> {
        if rows <= wanted {
            return None;
        }
        let millipercent = u128::from(wanted) * 100_000 / u128::from(rows);
        Some(Self { millipercent: u32::try_from(millipercent).unwrap_or(100_000).max(1) })
    }

    #[must_use]
    pub fn percent(self) -> f64 {
        f64::from(self.millipercent) / 1000.0
    }

    /// What `seen` rows of the sample stand for.
    #[must_use]
    pub fn scaled(self, seen: u64) -> u64 {
        let rows = u128::from(seen) * 100_000 / u128::from(self.millipercent);
        u64::try_from(rows).unwrap_or(u64::MAX)
    }
}

/// Reads one table's categories; in a transaction after [`inference::prelude`](crate::inference::prelude), and with a graph
/// after the survey script's `prepare`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CategoryCounts {
    /// Names that the predicates need.
    pub path: Sql,
    /// One row of bigints: rows looked at; then for each category its rows, and with a graph those without a tenant and
    /// among them those that nothing reaches (without one, two zeros).
    pub counts: Sql,
    /// For each category: up to three rows of one text column, keys of its rows; `None` for a table without a key.
    pub samples: Option<Vec<Sql>>,
}

/// `SELECT` of one bigint: the rows of one table, or of its sample.
#[must_use]
pub fn table_rows(table: &QualifiedName, share: Option<Share>) -> Sql {
    sql!("SELECT count(*) FROM ONLY {} AS c{}", table, sampled(share))
}

/// `graph` only when it knows the tenants, by its columns or by its work tables, which must then be there.
#[must_use]
pub fn category_counts(
    table: &Table,
    categories: &[&TableCategory],
    graph: Option<&Graph>,
    share: Option<Share>,
) -> CategoryCounts {
    let from = sql!("ONLY {} AS c{}", table.name, sampled(share));
    let tenant = graph.and_then(|graph| tenant_of(graph, &table.name));
    let holds = categories
        .iter()
        .enumerate()
        .map(|(at, category)| sql!(", COALESCE({}, false) AS k{}", category.predicate, at));
    let counted = (0..categories.len()).map(|at| match tenant {
        Some(_) => sql!(
            ", count(*) FILTER (WHERE r.k{}), count(*) FILTER (WHERE r.k{} AND t.tenant IS NULL), count(*) FILTER (WHERE r.k{} AND t.tenant IS NULL AND NOT t.conflict)",
            at, at, at
        ),
        None => sql!(", count(*) FILTER (WHERE r.k{}), 0::bigint, 0::bigint", at),
    });
    let (own, join_work) = match &tenant {
        Some(tenant) => (
            sql!(", {} AS own", tenant.own),
            sql!(
                "{} CROSS JOIN LATERAL (SELECT COALESCE(r.own, {}) AS tenant, {} AS conflict) AS t",
                tenant.join,
                tenant.inferred,
                tenant.conflict
            ),
        ),
        None => (sql!(""), sql!("")),
    };
    let counts = sql!(
        "SELECT count(*){}\nFROM (SELECT c.ctid AS rid{}{} FROM {}) AS r{}",
        join(counted, ""),
        join(holds, ""),
        own,
        from,
        join_work
    );
    let samples = table.row_key().map(|key| {
        let shown = join(key.columns.iter().map(|column| sql!("c.{}::text", column)), ", ");
        let query = |category: &&TableCategory| {
            sql!("SELECT concat_ws(', ', {}) FROM {} WHERE {} LIMIT 3", shown, from, category.predicate)
        };
        categories.iter().map(query).collect()
    });
    CategoryCounts { path: path_of(table), counts, samples }
}

/// The same rows each time, as long as the table is the same.
fn sampled(share: Option<Share>) -> Sql {
    match share {
        None => sql!(""),
        Some(share) => sql!(
            " TABLESAMPLE SYSTEM ({}::numeric / 1000) REPEATABLE (1)",
            Literal::text(share.millipercent.to_string())
        ),
    }
}
