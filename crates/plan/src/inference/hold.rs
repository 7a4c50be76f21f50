//! Rows that would join two tenants, or have none, moved whole into `bastide.held` at cutover, and put back by rollback.
//!
//! What references such a row goes with it, to the last table, so that no reference is left dangling; scoped or not.

use bastide_sql::{Ident, Literal, QualifiedName, Sql, join, sql};

use super::{
    Edge, Graph,
    render::{Dollar, relation, search_path},
    rounds::lines,
    row_key,
};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HoldAsideScripts {
    /// Runs in one transaction that begins with [`prelude`](super::prelude); so does `restore`.
    pub script: Vec<Sql>,
    pub restore: Vec<Sql>,
    /// Every table the scripts may write, parents before children where they do not go round.
    pub tables: Vec<QualifiedName>,
}

/// Build `graph` from the catalog as it is at cutover: every scoped table has its tenant column, and its columns are
/// those that the rows will have when they come back.
#[must_use]
pub fn hold_aside(graph: &Graph) -> HoldAsideScripts {
    let order = parents_first(graph);
    let mut script = vec![search_path(graph)];
    for &n in &order {
        script
            .push(sql!("CREATE TEMP TABLE {} (rid tid, round integer, reason text) ON COMMIT DROP", held(n)));
        script.push(sql!("CREATE UNIQUE INDEX ON {} (rid)", held(n)));
    }
    script.extend(order.iter().filter_map(|&n| without_tenant(graph, n)));
    script.extend(graph.evidence().filter_map(|(_, edge)| crossing(graph, edge)));
    script.push(sql!("DO {}", Dollar(&followers(graph))));
    script.extend(order.iter().filter(|&&n| graph.nodes[n].root).map(|&n| never_the_root(graph, n)));
    script.extend(order.iter().map(|&n| keep(graph, n)));
    // Neither the shop's own triggers nor CASCADE may act: every row that has to move is already named.
    script.push(sql!("SET LOCAL session_replication_role = replica"));
    script.extend(order.iter().rev().map(|&n| {
        sql!("DELETE FROM ONLY {} AS t USING {} AS h WHERE t.ctid = h.rid", graph.nodes[n].table, held(n))
    }));
    let mut restore = vec![search_path(graph), sql!("SET LOCAL session_replication_role = replica")];
    restore.extend(order.iter().flat_map(|&n| put_back(graph, n)));
    HoldAsideScripts {
        script,
        restore,
        tables: order.iter().map(|&n| graph.nodes[n].table.clone()).collect(),
    }
}

/// Rows of node `n` that move: `(rid tid, round int, reason text)`.
fn held(n: usize) -> Sql {
    sql!("pg_temp.bastide_h{}", n)
}

fn without_tenant(graph: &Graph, n: usize) -> Option<Sql> {
    let node = &graph.nodes[n];
    let column = node.tenant.as_ref().filter(|_| node.scoped && !node.root)?;
    Some(sql!(
        "INSERT INTO {} SELECT t.ctid, 0, 'has no tenant' FROM ONLY {} AS t WHERE t.{} IS NULL",
        held(n),
        node.table,
        column
    ))
}

fn crossing(graph: &Graph, edge: &Edge) -> Option<Sql> {
    let (child, parent) = (&graph.nodes[edge.child], &graph.nodes[edge.parent]);
    let (c, p) = (sql!("c"), sql!("p"));
    let (of_child, of_parent) = (graph.own(child, &c)?, graph.own(parent, &p)?);
    Some(sql!(
        "INSERT INTO {} SELECT c.ctid, 0, {}
FROM ONLY {} AS c JOIN ONLY {} AS p ON {} WHERE {} <> {} ON CONFLICT (rid) DO NOTHING",
        held(edge.child),
        Literal::text(format!("joins two tenants: {}", graph.down_path(edge))),
        child.table,
        parent.table,
        graph.on(edge, &c, &p),
        of_child,
        of_parent
    ))
}

/// Rows that reference a row that moves, round by round.
fn followers(graph: &Graph) -> Sql {
    let (c, p) = (sql!("c"), sql!("p"));
    let moves = graph.edges.iter().map(|edge| {
        sql!(
            "    INSERT INTO {} SELECT c.ctid, bastide_round + 1, {}
      FROM {} AS h JOIN ONLY {} AS p ON p.ctid = h.rid JOIN ONLY {} AS c ON {}
      WHERE h.round = bastide_round ON CONFLICT (rid) DO NOTHING;
    GET DIAGNOSTICS bastide_rows = ROW_COUNT;
    bastide_moved := bastide_moved + bastide_rows;
",
            held(edge.child),
            Literal::text(format!("references a row held aside: {}", graph.down_path(edge))),
            held(edge.parent),
            graph.nodes[edge.parent].table,
            graph.nodes[edge.child].table,
            graph.on(edge, &c, &p)
        )
    });
    sql!(
        "DECLARE
  bastide_round integer := 0;
  bastide_rows bigint;
  bastide_moved bigint;
BEGIN
  LOOP
    bastide_moved := 0;
{}    EXIT WHEN bastide_moved = 0;
    bastide_round := bastide_round + 1;
  END LOOP;
END",
        join(moves, "")
    )
}

/// A tenant cannot be held aside: everything it owns would follow.
fn never_the_root(graph: &Graph, n: usize) -> Sql {
    let message = format!(
        "a row of the tenant root {} references another tenant's row, so it cannot be held aside; choose another root",
        graph.nodes[n].table
    );
    let body = lines(
        [sql!(
            "BEGIN IF EXISTS (SELECT FROM {}) THEN
  RAISE EXCEPTION USING MESSAGE = {}, ERRCODE = '23503'; END IF; END",
            held(n),
            Literal::text(message)
        )],
        "",
    );
    sql!("DO {}", Dollar(&body))
}

fn keep(graph: &Graph, n: usize) -> Sql {
    let node = &graph.nodes[n];
    let t = sql!("t");
    let columns = node.layout.iter().map(|(column, ..)| sql!("t.{}", column));
    sql!(
        "INSERT INTO bastide.held (run_id, relation, key, tenant, row, reason)
SELECT current_setting('bastide.run')::uuid, {}, {}, {}, ROW({})::text, h.reason
FROM {} AS h JOIN ONLY {} AS t ON t.ctid = h.rid ORDER BY h.rid",
        relation(&node.table),
        row_key(&Ident::constant("t"), &node.key, &node.original_columns),
        graph.own(node, &t).unwrap_or_else(|| sql!("NULL::text")),
        join(columns, ", "),
        held(n),
        node.table
    )
}

/// The literals read back through a table of the layout they were written with, so that columns added since do not
/// matter.
fn put_back(graph: &Graph, n: usize) -> [Sql; 3] {
    let node = &graph.nodes[n];
    let layout = sql!("pg_temp.bastide_r{}", n);
    let columns = node.layout.iter().map(|(column, kind, _)| sql!("{} {}", column, kind));
    let written = || node.layout.iter().filter(|(.., writable)| *writable).map(|(column, ..)| column);
    let pending = sql!(
        "run_id = current_setting('bastide.run')::uuid AND relation = {} AND restored_at IS NULL",
        relation(&node.table)
    );
    [
        sql!("CREATE TEMP TABLE {} ({}) ON COMMIT DROP", layout, join(columns, ", ")),
        sql!(
            "INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE
SELECT {} FROM (SELECT h.row::{} AS r FROM bastide.held AS h WHERE {} ORDER BY h.seq OFFSET 0) AS s",
            node.table,
            join(written(), ", "),
            join(written().map(|column| sql!("(s.r).{}", column)), ", "),
            layout,
            pending
        ),
        sql!("UPDATE bastide.held SET restored_at = clock_timestamp() WHERE {}", pending),
    ]
}

/// Nodes so that whatever is referenced comes before what references it; where keys go round, in the catalog's order.
fn parents_first(graph: &Graph) -> Vec<usize> {
    let mut order = Vec::with_capacity(graph.nodes.len());
    let mut placed = vec![false; graph.nodes.len()];
    while order.len() < graph.nodes.len() {
        let waits = |n: usize, placed: &[bool]| {
            graph.edges.iter().any(|edge| edge.child == n && edge.parent != n && !placed[edge.parent])
        };
        let next = (0..placed.len())
            .filter(|&n| !placed[n])
            .find(|&n| !waits(n, &placed))
            .or_else(|| placed.iter().position(|done| !done));
        let Some(next) = next else { break };
        placed[next] = true;
        order.push(next);
    }
    order
}
