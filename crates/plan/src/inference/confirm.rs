//! For whoever checks afterwards: which references join two tenants now, and which rows a parent agrees with.

use bastide_sql::{Sql, join, sql};

use super::{Edge, Graph, Link, LinkMeasure, render};

/// The path to the operators that queries over this graph need.
#[must_use]
pub fn path(graph: &Graph) -> Sql {
    render::search_path(graph)
}

/// Of each link between scoped tables: rows with a reference, rows whose tenant is another than their parent's. A row
/// without a tenant is another matter, and not counted as one that crosses.
#[must_use]
pub fn crossings(graph: &Graph) -> Vec<LinkMeasure> {
    let links = graph.links.iter().enumerate().filter_map(|(at, link)| {
        let edges: Vec<&Edge> = graph.evidence().map(|(_, edge)| edge).filter(|e| e.link == at).collect();
        (!edges.is_empty()).then(|| measure(graph, link, &edges))
    });
    links.collect()
}

fn measure(graph: &Graph, link: &Link, edges: &[&Edge]) -> LinkMeasure {
    let counts = edges.iter().map(|edge| {
        let (from, crosses) = reference(graph, edge);
        sql!("SELECT count(*) AS rows, count(*) FILTER (WHERE {}) AS crossing FROM {}", crosses, from)
    });
    let samples = edges.iter().map(|edge| {
        let (from, crosses) = reference(graph, edge);
        let node = &graph.nodes[edge.child];
        let shown = if node.key.is_empty() { &edge.columns } else { &node.key };
        let key = join(shown.iter().map(|column| sql!("c.{}::text", column)), ", ");
        sql!("(SELECT concat_ws(', ', {}) FROM {} WHERE {} LIMIT 5)", key, from, crosses)
    });
    LinkMeasure {
        link: link.clone(),
        counts: sql!(
            "SELECT sum(l.rows)::bigint, sum(l.crossing)::bigint FROM ({}) AS l",
            join(counts, " UNION ALL ")
        ),
        samples: sql!("SELECT s.key FROM ({}) AS s (key) LIMIT 5", join(samples, " UNION ALL ")),
    }
}

fn reference(graph: &Graph, edge: &Edge) -> (Sql, Sql) {
    let (child, parent) = (&graph.nodes[edge.child], &graph.nodes[edge.parent]);
    let (c, p) = (sql!("c"), sql!("p"));
    let own = |node, alias| graph.own(node, alias).unwrap_or_else(|| sql!("NULL::text"));
    (
        sql!("ONLY {} AS c JOIN ONLY {} AS p ON {}", child.table, parent.table, graph.on(edge, &c, &p)),
        sql!("{} <> {}", own(child, &c), own(parent, &p)),
    )
}

/// Holds for a row `c` of node `n` when some row it references has its tenant; not by the tenant column alone, as the keys
/// of cutover hold it beside the reference.
#[must_use]
pub fn a_parent_agrees(graph: &Graph, n: usize) -> Sql {
    let (c, p) = (sql!("c"), sql!("p"));
    let child = &graph.nodes[n];
    let edges = graph.evidence().filter(|(_, edge)| {
        edge.child == n && !edge.columns.iter().all(|column| Some(column) == child.tenant.as_ref())
    });
    let agree: Vec<Sql> = edges
        .filter_map(|(_, edge)| {
            let parent = &graph.nodes[edge.parent];
            let (own, theirs) = (graph.own(child, &c)?, graph.own(parent, &p)?);
            let on = graph.on(edge, &c, &p);
            Some(sql!(
                "EXISTS (SELECT FROM ONLY {} AS p WHERE {} AND {} = {})",
                parent.table,
                on,
                own,
                theirs
            ))
        })
        .collect();
    if agree.is_empty() { sql!("false") } else { sql!("({})", join(agree, " OR ")) }
}
