//! Rows that would join two tenants, or have none, moved whole into `bastide.held` at cutover, and put back by rollback.
//!
//! What references such a row goes with it, to the last table, so that no reference is left dangling; scoped or not.

use bastide_catalog::TypeName;
use bastide_sql::{Ident, Literal, QualifiedName, Sql, join, sql};
use serde::{Deserialize, Serialize};

use super::{
    Edge, Graph,
    chunks::{Passes, next_chunk},
    render::{Dollar, is_text, path_to, relation, search_path},
    rounds::lines,
    row_key,
};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HoldAsideScripts {
    /// One statement that commits as it goes: it runs by itself, outside a transaction. Running it again is harmless.
    pub script: Vec<Sql>,
    /// Runs in one transaction that begins with [`prelude`](super::prelude).
    pub restore: Vec<Sql>,
    /// Every table the scripts may write, parents before children where they do not go round.
    pub tables: Vec<QualifiedName>,
    /// The columns of those tables as the rows are written down.
    pub layouts: Vec<HeldLayout>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldLayout {
    pub table: QualifiedName,
    pub columns: Vec<(Ident, TypeName)>,
}

/// Build `graph` from the catalog as it is at cutover: every scoped table has its tenant column, and its columns are
/// those that the rows will have when they come back.
#[must_use]
pub fn hold_aside(graph: &Graph) -> HoldAsideScripts {
    let order = parents_first(graph);
    let mut restore = vec![search_path(graph), sql!("SET LOCAL session_replication_role = replica")];
    restore.extend(order.iter().flat_map(|&n| put_back(graph, n)));
    HoldAsideScripts {
        script: vec![sql!("DO {}", Dollar(&passes(graph, &order)))],
        restore,
        tables: order.iter().map(|&n| graph.nodes[n].table.clone()).collect(),
        layouts: order.iter().map(|&n| held_layout(graph, n)).collect(),
    }
}

fn held_layout(graph: &Graph, n: usize) -> HeldLayout {
    let node = &graph.nodes[n];
    // Held rows are compared with each other, so they keep what their keys are compared by; a domain has it anyway.
    let kind = |column: &Ident, kind: &TypeName| match node.collations.get(column) {
        Some(loose) if is_text(kind) => sql!("{} COLLATE {}", kind, loose),
        _ => kind.clone(),
    };
    let columns = node.layout.iter().map(|(column, is, _)| (column.clone(), kind(column, is))).collect();
    HeldLayout { table: node.table.clone(), columns }
}

fn passes(graph: &Graph, order: &[usize]) -> Sql {
    let made = order.iter().flat_map(|&n| {
        [
            sql!("DROP TABLE IF EXISTS {}, {}", found(n), written(n)),
            sql!("CREATE TEMP TABLE {} (rid tid, version xid, round integer, reason text)", found(n)),
            sql!("CREATE UNIQUE INDEX ON {} (rid)", found(n)),
            create_layout(graph, n, &written(n)),
        ]
    });
    let mut finding: Vec<Sql> = order.iter().filter_map(|&n| without_tenant(graph, n)).collect();
    finding.extend(graph.evidence().filter_map(|(_, edge)| crossing(graph, edge)));
    finding.extend(graph.edges.iter().map(|edge| bereaved(graph, edge)));
    let roots = order.iter().filter(|&&n| graph.nodes[n].root).map(|&n| never_the_root(graph, n));
    Passes {
        graph,
        made: made.collect(),
        found: order.iter().map(|&n| found(n)).collect(),
        kept: order.iter().map(|&n| written(n)).collect(),
        find: sql!("{}{}{}", lines(finding, "    "), followers(graph), lines(roots, "    ")),
        changes: order.iter().rev().map(|&n| (found(n), move_chunk(graph, n))).collect(),
        busy: "the rows to hold aside are locked or change all the time",
    }
    .block()
}

/// Rows of node `n` that move: `(rid tid, version xid, round int, reason text)`.
fn found(n: usize) -> Sql {
    sql!("pg_temp.bastide_h{}", n)
}

/// The row type that rows of node `n` were written down with.
fn written(n: usize) -> Sql {
    sql!("pg_temp.bastide_g{}", n)
}

fn create_layout(graph: &Graph, n: usize, name: &Sql) -> Sql {
    let columns = graph.nodes[n].layout.iter().map(|(column, kind, _)| sql!("{} {}", column, kind));
    sql!("CREATE TEMP TABLE {} ({})", name, join(columns, ", "))
}

fn without_tenant(graph: &Graph, n: usize) -> Option<Sql> {
    let node = &graph.nodes[n];
    let column = node.tenant.as_ref().filter(|_| node.scoped && !node.root)?;
    Some(sql!(
        "INSERT INTO {} SELECT t.ctid, t.xmin, 0, 'has no tenant' FROM ONLY {} AS t WHERE t.{} IS NULL",
        found(n),
        node.table,
        column
    ))
}

fn crossing(graph: &Graph, edge: &Edge) -> Option<Sql> {
    let (child, parent) = (&graph.nodes[edge.child], &graph.nodes[edge.parent]);
    let (c, p) = (sql!("c"), sql!("p"));
    let (of_child, of_parent) = (graph.own(child, &c)?, graph.own(parent, &p)?);
    Some(sql!(
        "INSERT INTO {} SELECT c.ctid, c.xmin, 0, {}
FROM ONLY {} AS c JOIN ONLY {} AS p ON {} WHERE {} <> {} ON CONFLICT (rid) DO NOTHING",
        found(edge.child),
        Literal::text(format!("joins two tenants: {}", graph.down_path(edge))),
        child.table,
        parent.table,
        graph.on(edge, &c, &p),
        of_child,
        of_parent
    ))
}

fn follows(graph: &Graph, edge: &Edge) -> Literal {
    Literal::text(format!("references a row held aside: {}", graph.down_path(edge)))
}

/// Rows that came to reference a row after it was found and before it moved.
fn bereaved(graph: &Graph, edge: &Edge) -> Sql {
    let (c, p, q) = (sql!("c"), sql!("p"), sql!("q"));
    let same = graph.edges.iter().filter(|other| other.link == edge.link && other.child == edge.child);
    // The row may be back, written anew, in this partition or another.
    let gone = same.map(|other| {
        sql!(
            "NOT EXISTS (SELECT FROM ONLY {} AS q WHERE {})",
            graph.nodes[other.parent].table,
            graph.on(other, &c, &q)
        )
    });
    sql!(
        "INSERT INTO {} SELECT c.ctid, c.xmin, 0, {}
FROM {} AS p JOIN ONLY {} AS c ON {} WHERE {} ON CONFLICT (rid) DO NOTHING",
        found(edge.child),
        follows(graph, edge),
        held_rows(&graph.nodes[edge.parent].table, &written(edge.parent)),
        graph.nodes[edge.child].table,
        graph.on(edge, &c, &p),
        join(gone, " AND ")
    )
}

/// The held rows of one table, as rows of the type `layout`.
fn held_rows(table: &QualifiedName, layout: &Sql) -> Sql {
    // OFFSET 0: read each row once, not once per column.
    sql!(
        "(SELECT (s.r).* FROM (SELECT h.row::{} AS r FROM bastide.held AS h WHERE {} ORDER BY h.seq OFFSET 0) AS s)",
        layout,
        pending(table)
    )
}

fn pending(table: &QualifiedName) -> Sql {
    sql!(
        "run_id = current_setting('bastide.run')::uuid AND relation = {} AND restored_at IS NULL",
        relation(table)
    )
}

/// Rows that reference a row that moves, round by round.
fn followers(graph: &Graph) -> Sql {
    let (c, p) = (sql!("c"), sql!("p"));
    let moves = graph.edges.iter().map(|edge| {
        sql!(
            "      INSERT INTO {} SELECT c.ctid, c.xmin, bastide_round + 1, {}
        FROM {} AS h JOIN ONLY {} AS p ON p.ctid = h.rid JOIN ONLY {} AS c ON {}
        WHERE h.round = bastide_round ON CONFLICT (rid) DO NOTHING;
      GET DIAGNOSTICS bastide_rows = ROW_COUNT;
      bastide_done := bastide_done + bastide_rows;
",
            found(edge.child),
            follows(graph, edge),
            found(edge.parent),
            graph.nodes[edge.parent].table,
            graph.nodes[edge.child].table,
            graph.on(edge, &c, &p)
        )
    });
    sql!(
        "    DECLARE bastide_round integer := 0; BEGIN LOOP
      bastide_done := 0;
{}      EXIT WHEN bastide_done = 0;
      bastide_round := bastide_round + 1;
    END LOOP; END;
",
        join(moves, "")
    )
}

/// A tenant cannot be held aside: everything it owns would follow.
fn never_the_root(graph: &Graph, n: usize) -> Sql {
    let message = format!(
        "a row of the tenant root {} references another tenant's row, so it cannot be held aside; choose another root",
        graph.nodes[n].table
    );
    sql!(
        "IF EXISTS (SELECT FROM {}) THEN
  RAISE EXCEPTION USING MESSAGE = {}, ERRCODE = '23503'; END IF",
        found(n),
        Literal::text(message)
    )
}

/// What was found moves.
fn move_chunk(graph: &Graph, n: usize) -> Sql {
    let node = &graph.nodes[n];
    let t = sql!("t");
    let columns = node.layout.iter().map(|(column, ..)| sql!("t.{}", column));
    sql!(
        "WITH {}, locked AS MATERIALIZED (
        SELECT t.ctid AS rid, {} AS key, {} AS tenant, ROW({})::text AS literal, f.reason
        FROM chunk AS f JOIN ONLY {} AS t ON t.ctid = f.rid AND t.xmin = f.version FOR UPDATE OF t SKIP LOCKED
      ), kept AS (
        INSERT INTO bastide.held (run_id, relation, key, tenant, row, reason)
        SELECT current_setting('bastide.run')::uuid, {}, l.key, l.tenant, l.literal, l.reason FROM locked AS l ORDER BY l.rid
      )
      DELETE FROM ONLY {} AS t USING locked AS l WHERE t.ctid = l.rid",
        next_chunk(&found(n)),
        row_key(&Ident::constant("t"), &node.key, &node.original_columns),
        graph.own(node, &t).unwrap_or_else(|| sql!("NULL::text")),
        join(columns, ", "),
        node.table,
        relation(&node.table),
        node.table
    )
}

/// The literals read back through a table of the layout they were written with, so that columns added since do not
/// matter.
fn put_back(graph: &Graph, n: usize) -> [Sql; 3] {
    let node = &graph.nodes[n];
    let layout = sql!("pg_temp.bastide_r{}", n);
    let writable: Vec<&Ident> =
        node.layout.iter().filter(|(.., writable)| *writable).map(|(column, ..)| column).collect();
    let columns = join(writable.iter().map(|column| sql!("{}", column)), ", ");
    [
        sql!("{} ON COMMIT DROP", create_layout(graph, n, &layout)),
        sql!(
            "INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE SELECT {} FROM {} AS s",
            node.table,
            columns,
            columns,
            held_rows(&node.table, &layout)
        ),
        sql!("UPDATE bastide.held SET restored_at = clock_timestamp() WHERE {}", pending(&node.table)),
    ]
}

/// Which held rows could not come back because a row written since has one of `keys` (of the table itself, or of one it
/// is a partition of): statements that prepare, for a transaction that is rolled back, and one query per key of
/// `(count bigint, examples text)`.
#[must_use]
pub fn collisions(layout: &HeldLayout, keys: &[(QualifiedName, Vec<Ident>)]) -> (Vec<Sql>, Vec<Sql>) {
    let name = sql!("pg_temp.bastide_check");
    let mut prepare = vec![path_to(layout.columns.iter().map(|(_, kind)| kind))];
    prepare.extend(like(&name, layout));
    let queries = keys.iter().map(|(table, key)| {
        let same = key.iter().map(|column| sql!("t.{} = p.{}", column, column));
        let text = key.iter().map(|column| sql!("p.{}::text", column));
        sql!(
            "SELECT count(*), coalesce(array_to_string((array_agg(left(concat_ws(', ', {}), 60)))[1:5], '; '), '')
FROM {} AS p WHERE EXISTS (SELECT FROM {} AS t WHERE {})",
            join(text, ", "),
            held_rows(&layout.table, &name),
            table,
            join(same, " AND ")
        )
    });
    (prepare, queries.collect())
}

/// A reference of rows that are held aside, without the tenant columns: `(parent, [(column, parent's column)])`.
pub type HeldReference = (QualifiedName, Vec<(Ident, Ident)>);

/// Which held rows of `layout` would come back to nothing, because what they refer to is neither in its table nor held
/// itself: as [`collisions`], one query per reference. `parents`: the layouts that hold each reference's parent rows.
#[must_use]
pub fn orphans(
    layout: &HeldLayout,
    references: &[(HeldReference, Vec<&HeldLayout>)],
) -> (Vec<Sql>, Vec<Sql>) {
    let own = sql!("pg_temp.bastide_check");
    let mut prepare = vec![path_to(layout.columns.iter().map(|(_, kind)| kind))];
    prepare.extend(like(&own, layout));
    let mut queries = Vec::new();
    for (at, ((parent, pairs), held)) in references.iter().enumerate() {
        let same = |alias: &'static str| {
            let alias = Sql::trusted(alias);
            let equal: Vec<Sql> =
                pairs.iter().map(|(mine, theirs)| sql!("{}.{} = p.{}", alias, theirs, mine)).collect();
            sql!("{}", join(equal, " AND "))
        };
        let mut nowhere = vec![sql!("NOT EXISTS (SELECT FROM {} AS t WHERE {})", parent, same("t"))];
        for (nth, other) in held.iter().enumerate() {
            let name = sql!("pg_temp.bastide_check_{}_{}", at, nth);
            prepare.extend(like(&name, other));
            nowhere.push(sql!(
                "NOT EXISTS (SELECT FROM {} AS q WHERE {})",
                held_rows(&other.table, &name),
                same("q")
            ));
        }
        let present = pairs.iter().map(|(mine, _)| sql!("p.{} IS NOT NULL", mine));
        let text = pairs.iter().map(|(mine, _)| sql!("p.{}::text", mine));
        queries.push(sql!(
            "SELECT count(*), coalesce(array_to_string((array_agg(DISTINCT left(concat_ws(', ', {}), 60)))[1:5], '; '), '')
FROM {} AS p WHERE {} AND {}",
            join(text, ", "),
            held_rows(&layout.table, &own),
            join(present, " AND "),
            join(nowhere, " AND ")
        ));
    }
    (prepare, queries)
}

fn like(name: &Sql, layout: &HeldLayout) -> [Sql; 2] {
    let columns = layout.columns.iter().map(|(column, kind)| sql!("{} {}", column, kind));
    [sql!("DROP TABLE IF EXISTS {}", name), sql!("CREATE TEMP TABLE {} ({})", name, join(columns, ", "))]
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
