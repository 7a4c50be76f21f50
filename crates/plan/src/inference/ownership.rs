//! How the rows are spread over the tenants: a root that gives all of them to one keeps nothing apart.

use bastide_sql::{Sql, join, sql};

use super::Graph;

/// One row: tenants with at least one row besides the root's, rows of the tenant with most, rows that have a tenant (all
/// bigint). Runs after [`SurveyScript::prepare`](super::SurveyScript::prepare).
#[must_use]
pub fn ownership(graph: &Graph) -> Sql {
    let (c, x) = (sql!("c"), sql!("x"));
    let nodes = graph.scoped().filter(|(_, node)| !node.root);
    let counts = nodes.map(|(n, node)| {
        sql!(
            "SELECT {} COLLATE \"C\" AS tenant, count(*) AS rows FROM ONLY {} AS c{} GROUP BY 1",
            graph.known(node, &c, &x),
            node.table,
            graph.with_work(n, &c, &x)
        )
    });
    let counts: Vec<Sql> = counts.collect();
    if counts.is_empty() {
        return sql!("SELECT 0::bigint, 0::bigint, 0::bigint");
    }
    sql!(
        "SELECT count(*), COALESCE(max(o.rows), 0)::bigint, COALESCE(sum(o.rows), 0)::bigint FROM (
  SELECT sum(r.rows) AS rows FROM (
    {}
  ) AS r WHERE r.tenant IS NOT NULL GROUP BY r.tenant
) AS o",
        join(counts, "\n    UNION ALL ")
    )
}
