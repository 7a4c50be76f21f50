//! Values that occur more than once, told apart by whose the rows are: what a unique key per tenant would refuse or allow.

use bastide_catalog::Catalog;
use bastide_sql::{Ident, Literal, QualifiedName, Sql, join, sql};

use super::{Graph, graph::leaves};

/// Both run after [`SurveyScript::prepare`](super::SurveyScript::prepare), which a new root does without.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DuplicateMeasure {
    /// One row: rows with a value, distinct values, distinct values of each tenant added up, values that one tenant has
    /// more than once, values that several tenants have once each, other repeated values (all bigint); and the mean
    /// length of a value (float8).
    pub counts: Sql,
    /// Up to five rows of one text column: repeated values, those within one tenant first.
    pub samples: Sql,
}

/// Of a table or of the partitions it has; `None` when it is not scoped, or is the root. `percent`: of each table's pages.
#[must_use]
pub fn duplicates(
    graph: &Graph,
    catalog: &Catalog,
    table: &QualifiedName,
    columns: &[Ident],
    percent: Option<f64>,
) -> Option<DuplicateMeasure> {
    let numbered = |at: usize| sql!("k{}", at);
    let keys: Vec<Sql> = (0..columns.len()).map(numbered).collect();
    let keys = || join(keys.iter(), ", ");
    let mut rows = Vec::new();
    for leaf in leaves(catalog, table) {
        let (n, node) = graph.scoped().find(|(_, node)| node.table == leaf && !node.root)?;
        let (c, x) = (sql!("c"), sql!("x"));
        let values = columns.iter().enumerate().map(|(at, column)| sql!("c.{} AS k{}", column, at));
        let present = columns.iter().map(|column| sql!("c.{} IS NOT NULL", column));
        let sample = percent.map_or_else(|| sql!(""), sample);
        // Under a new root everything is one tenant's, and there are no work tables.
        let (tenant, work) = if graph.root.new {
            (sql!("''::text"), sql!(""))
        } else {
            (graph.known(node, &c, &x), graph.with_work(n, &c, &x))
        };
        rows.push(sql!(
            "SELECT {}, {} COLLATE \"C\" AS tenant FROM ONLY {} AS c{}{} WHERE {}",
            join(values, ", "),
            tenant,
            node.table,
            sample,
            work,
            join(present, " AND ")
        ));
    }
    if rows.is_empty() {
        return None;
    }
    let groups = sql!(
        "SELECT {}, sum(o.rows) AS rows, count(*) AS owners, max(o.rows) FILTER (WHERE o.tenant IS NOT NULL) > 1 AS within,
    bool_or(o.tenant IS NULL) AS open
  FROM (
    SELECT {}, r.tenant, count(*) AS rows FROM (
      {}
    ) AS r GROUP BY {}, r.tenant
  ) AS o GROUP BY {}",
        keys(),
        keys(),
        join(rows, "\n      UNION ALL "),
        keys(),
        keys()
    );
    let texts: Vec<Sql> = (0..columns.len()).map(|at| sql!("g.k{}::text", at)).collect();
    let text = sql!("concat_ws(', ', {})", join(texts, ", "));
    Some(DuplicateMeasure {
        counts: sql!(
            "SELECT COALESCE(sum(g.rows), 0)::bigint, count(*), COALESCE(sum(g.owners), 0)::bigint,
  count(*) FILTER (WHERE g.rows > 1 AND g.within),
  count(*) FILTER (WHERE g.rows > 1 AND g.within IS NOT TRUE AND NOT g.open),
  count(*) FILTER (WHERE g.rows > 1 AND g.within IS NOT TRUE AND g.open),
  COALESCE(avg(length({})), 0)::float8
FROM (
  {}
) AS g",
            text,
            groups
        ),
        samples: sql!(
            "SELECT {} FROM (
  {}
) AS g WHERE g.rows > 1 ORDER BY g.within IS TRUE DESC, g.rows DESC, 1 LIMIT 5",
            text,
            groups
        ),
    })
}

fn sample(percent: f64) -> Sql {
    sql!(" TABLESAMPLE SYSTEM ({}) REPEATABLE (1)", Literal::text(format!("{percent:.6}")))
}
