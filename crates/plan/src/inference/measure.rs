//! Inference for a survey: the same fixpoint, counted instead of recorded; and the counts cutover looks at.

use bastide_catalog::Catalog;
use bastide_sql::{QualifiedName, Sql, join, sql};

use super::{
    Edge, Graph, Link,
    graph::leaves,
    record::{rule_id, rules},
    render::{Dollar, Side, collations, joined, layout, search_path, work},
    rounds,
};

/// `prepare` fills the work tables; the rest reads them. All in one transaction that begins with
/// [`prelude`](super::prelude) and is rolled back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SurveyScript {
    pub prepare: Vec<Sql>,
    pub tables: Vec<TableMeasure>,
    pub links: Vec<LinkMeasure>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableMeasure {
    pub table: QualifiedName,
    /// One row: rows, rows that had a tenant (both bigint).
    pub counts: Sql,
    /// Rows of (kind text, path text, rows bigint), kinds as in `bastide.rule`; `None` for the root, all facts.
    pub evidence: Option<Sql>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkMeasure {
    pub link: Link,
    /// One row: rows with a reference, rows that cross (both bigint).
    pub counts: Sql,
    /// Up to five rows of one text column: keys of crossing rows.
    pub samples: Sql,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageMeasure {
    pub table: QualifiedName,
    /// One row: rows, rows used by one tenant, rows used by several (all bigint).
    pub counts: Sql,
}

#[must_use]
pub fn survey_script(graph: &Graph) -> SurveyScript {
    let mut prepare = vec![search_path(graph)];
    prepare.extend(rounds::prepare(graph));
    prepare.push(sql!("DO {}", Dollar(&sql!("{}\n{}", rounds::columns_first(), rounds::rounds(graph)))));
    let tables = graph
        .scoped()
        .map(|(n, node)| {
            let had = node.tenant.as_ref().map_or_else(|| sql!("0::bigint"), |c| sql!("count(c.{})", c));
            TableMeasure {
                table: node.table.clone(),
                counts: sql!("SELECT count(*), {} FROM ONLY {} AS c", had, node.table),
                evidence: (!node.root).then(|| evidence(graph, n)),
            }
        })
        .collect();
    SurveyScript { prepare, tables, links: links(graph, Tenants::Inferred) }
}

/// How tenants use the rows of the tables `wanted`, which are not scoped; runs after [`SurveyScript::prepare`].
#[must_use]
pub fn usage_script(graph: &Graph, catalog: &Catalog, wanted: &[QualifiedName]) -> Vec<UsageMeasure> {
    wanted
        .iter()
        .map(|name| UsageMeasure { table: name.clone(), counts: usage(graph, catalog, name) })
        .collect()
}

/// How many rows of each link join two tenants now, by the tenant columns as they are filled; a NULL counts as a tenant
/// of its own. For cutover, and only with a graph whose tenant columns are all there.
#[must_use]
pub fn crossing_counts(graph: &Graph) -> Vec<LinkMeasure> {
    links(graph, Tenants::Filled)
}

/// Whose word counts for a row's tenant.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Tenants {
    /// Its column's, else what inference found.
    Inferred,
    /// Its column's alone.
    Filled,
}

fn evidence(graph: &Graph, n: usize) -> Sql {
    sql!(
        "SELECT v.kind, v.path, f.rows
FROM (SELECT {} AS id, count(*) AS rows FROM {} AS x GROUP BY 1) AS f JOIN {} ON v.id = f.id ORDER BY v.id",
        rule_id(graph, n, 0),
        work(n),
        rules(graph, n, 0)
    )
}

fn links(graph: &Graph, tenants: Tenants) -> Vec<LinkMeasure> {
    let mut of_link: Vec<Vec<&Edge>> = vec![Vec::new(); graph.links.len()];
    for (_, edge) in graph.evidence() {
        of_link[edge.link].push(edge);
    }
    let measured = graph.links.iter().zip(of_link).filter(|(_, edges)| !edges.is_empty());
    measured
        .map(|(link, edges)| {
            let counts = edges.iter().map(|edge| {
                let (from, crosses) = reference(graph, edge, tenants);
                sql!("SELECT count(*) AS rows, count(*) FILTER (WHERE {}) AS crossing FROM {}", crosses, from)
            });
            let samples = edges.iter().map(|edge| {
                let (from, crosses) = reference(graph, edge, tenants);
                let node = &graph.nodes[edge.child];
                let shown = if node.key.is_empty() { &edge.columns } else { &node.key };
                let key = join(shown.iter().map(|column| sql!("c.{}::text", column)), ", ");
                sql!(
                    "(SELECT concat_ws(', ', {}) FROM {} WHERE {} ORDER BY c.ctid LIMIT 5)",
                    key,
                    from,
                    crosses
                )
            });
            LinkMeasure {
                link: link.clone(),
                counts: sql!(
                    "SELECT sum(l.rows)::bigint, sum(l.crossing)::bigint FROM (\n{}\n) AS l",
                    join(counts, "\nUNION ALL ")
                ),
                samples: sql!("SELECT s.key FROM (\n{}\n) AS s (key) LIMIT 5", join(samples, "\nUNION ALL ")),
            }
        })
        .collect()
}

/// FROM clause of an edge's references (child `c`, parent `p`), and the condition that says one crosses.
fn reference(graph: &Graph, edge: &Edge, tenants: Tenants) -> (Sql, Sql) {
    let (child, parent) = (&graph.nodes[edge.child], &graph.nodes[edge.parent]);
    let (c, p, x, y) = (sql!("c"), sql!("p"), sql!("x"), sql!("y"));
    let joined =
        sql!("ONLY {} AS c JOIN ONLY {} AS p ON {}", child.table, parent.table, graph.on(edge, &c, &p));
    match tenants {
        Tenants::Inferred => (
            sql!("{}{}{}", joined, graph.with_work(edge.child, &c, &x), graph.with_work(edge.parent, &p, &y)),
            sql!("{} IS DISTINCT FROM {}", graph.known(child, &c, &x), graph.known(parent, &p, &y)),
        ),
        Tenants::Filled => {
            let own = |node, alias| graph.own(node, alias).unwrap_or_else(|| sql!("NULL::text"));
            (joined, sql!("{} IS DISTINCT FROM {}", own(child, &c), own(parent, &p)))
        }
    }
}

fn usage(graph: &Graph, catalog: &Catalog, name: &QualifiedName) -> Sql {
    let Some(used) = catalog.table(name) else {
        return sql!("SELECT 0::bigint, 0::bigint, 0::bigint");
    };
    // Rows of partitions belong to the partitioned table; rows of inheritance children do not.
    let only = if used.holds_rows() { sql!("ONLY ") } else { sql!("") };
    let (used_layout, used_collations) = (layout(used), collations(used));
    let (c, x, u) = (sql!("c"), sql!("x"), sql!("u"));
    let mut uses = Vec::new();
    for table in catalog.tables.values() {
        for key in table.foreign_keys.iter().filter(|key| !key.inherited && key.references == *name) {
            for leaf in leaves(catalog, &table.name) {
                let Some((n, node)) = graph.scoped().find(|(_, node)| node.table == leaf) else { continue };
                let on = joined(
                    &Side {
                        alias: &c,
                        columns: &key.columns,
                        layout: &node.layout,
                        collations: &node.collations,
                    },
                    &Side {
                        alias: &u,
                        columns: &key.referenced_columns,
                        layout: &used_layout,
                        collations: &used_collations,
                    },
                );
                uses.push(sql!(
                    "SELECT u.tableoid AS rel, u.ctid AS rid, {} COLLATE \"C\" AS tenant FROM ONLY {} AS c JOIN {}{} AS u ON {}{}",
                    graph.known(node, &c, &x),
                    node.table,
                    only,
                    name,
                    on,
                    graph.with_work(n, &c, &x)
                ));
            }
        }
    }
    let rows = sql!("(SELECT count(*) FROM {}{})", only, name);
    if uses.is_empty() {
        return sql!("SELECT {}, 0::bigint, 0::bigint", rows);
    }
    sql!(
        "SELECT {}, count(*) FILTER (WHERE g.lo = g.hi), count(*) FILTER (WHERE g.lo <> g.hi)
FROM (
  SELECT min(r.tenant) AS lo, max(r.tenant) AS hi FROM (
    {}
  ) AS r WHERE r.tenant IS NOT NULL GROUP BY r.rel, r.rid
) AS g",
        rows,
        join(uses, "\n    UNION ALL ")
    )
}
