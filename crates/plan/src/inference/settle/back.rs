//! Taking it back: old values where ours still stand, whoever references a copy back to its original, and the copies go.
//!
//! A row without a key is known by a hash of what it holds, which each change alters; so the newest changes go back first,
//! wave by wave, until a wave finds nothing. What the application changed since stays as it is.

use bastide_sql::{Ident, QualifiedName, Sql, join, sql};

use super::{
    Dollar, LostReference, Node, SettleChecks, Settling, is_named, key, mark, pending, prelude, relation,
    search_path, values,
};
use crate::inference::rounds::lines;

pub(super) fn restore(settling: &Settling<'_>, reused: &impl Fn(&QualifiedName) -> bool) -> Vec<Sql> {
    let mut waves: Vec<Sql> =
        by_child(settling).iter().map(|changed| references_back(settling, changed)).collect();
    let moved = settling.movable().into_iter().filter(|&n| reused(&settling.graph.nodes[n].table));
    waves.extend(moved.filter_map(|n| tenant_back(settling, n)));
    let copies = settling.copied();
    let led_back: Vec<Sql> = copies.iter().flat_map(|(n, _)| lead_back(settling, *n)).collect();
    let body = sql!(
        "DECLARE
  bastide_rows bigint;
  bastide_back bigint;
BEGIN
{}{}{}{}{}END",
        until_nothing(&waves),
        lines(copies.iter().map(|(n, _)| let_go(settling, *n)), "  "),
        until_nothing(&led_back),
        lines(copies.iter().map(|(n, _)| drop_copies(settling, *n)), "  "),
        lines(
            [sql!(
                "UPDATE bastide.changed SET undone_at = clock_timestamp(), what = CASE what WHEN 'going' THEN 'made' ELSE what END WHERE run_id = current_setting('bastide.run')::uuid AND undone_at IS NULL"
            )],
            "  "
        )
    );
    vec![
        search_path(settling.graph),
        sql!("SET LOCAL session_replication_role = replica"),
        sql!("DO {}", Dollar(&body)),
    ]
}

fn until_nothing(changes: &[Sql]) -> Sql {
    if changes.is_empty() {
        return sql!("");
    }
    let counted = changes.iter().map(|change| {
        sql!(
            "    {};
    GET DIAGNOSTICS bastide_rows = ROW_COUNT;
    bastide_back := bastide_back + bastide_rows;
",
            change
        )
    });
    sql!(
        "  LOOP\n    bastide_back := 0;\n{}    EXIT WHEN bastide_back = 0;\n  END LOOP;\n",
        join(counted, "")
    )
}

/// What was changed in one table by one link, whichever partitions it leads to.
struct Changed<'a> {
    edges: Vec<usize>,
    columns: Vec<&'a Ident>,
}

fn by_child<'a>(settling: &Settling<'a>) -> Vec<Changed<'a>> {
    let mut found: Vec<Changed<'a>> = Vec::new();
    for (e, columns) in settling.references() {
        let edge = settling.edge(e);
        let same = found.iter_mut().find(|changed| {
            let first = settling.edge(changed.edges[0]);
            first.link == edge.link && first.child == edge.child
        });
        match same {
            Some(changed) => changed.edges.push(e),
            None => found.push(Changed { edges: vec![e], columns }),
        }
    }
    found
}

/// The old reference, where ours still stands and what it names is there.
fn references_back(settling: &Settling<'_>, changed: &Changed<'_>) -> Sql {
    let e = changed.edges[0];
    let (edge, node) = (settling.edge(e), settling.child(e));
    let position = |column: &Ident| edge.columns.iter().position(|known| known == column).unwrap_or_default();
    let set = changed
        .columns
        .iter()
        .map(|column| sql!("{} = (w.before->>{})::{}", column, position(column), node.kind(column)));
    let there = changed.edges.iter().map(|&e| names_a_row(settling, e, &sql!("w.before")));
    wave(
        settling,
        node,
        &sql!("m.link = {} AND m.what IN ('cut', 'redirected')", settling.link(e)),
        &values("t", &edge.columns),
        &sql!("{}", join(set, ", ")),
        &sql!("({})", join(there, " OR ")),
    )
}

/// The old tenant, in a column that was there before the run.
fn tenant_back(settling: &Settling<'_>, n: usize) -> Option<Sql> {
    let node = &settling.graph.nodes[n];
    let tenant = node.tenant.as_ref()?;
    Some(wave(
        settling,
        node,
        &sql!("m.what = 'moved'"),
        &values("t", [tenant]),
        &sql!("{} = (w.before->>0)::{}", tenant, node.kind(tenant)),
        &sql!("true"),
    ))
}

/// The newest change of each row that still stands. Rows without a key that are alike, and have one tenant, are as good as one
/// another.
fn wave(settling: &Settling<'_>, node: &Node, which: &Sql, now: &Sql, set: &Sql, if_so: &Sql) -> Sql {
    let (whose, noted) = whose(settling, node);
    sql!(
        "WITH pending AS MATERIALIZED (
      SELECT m.seq, m.key, m.before, m.after, {} AS whose, row_number() OVER (PARTITION BY m.key, m.after, {} ORDER BY m.seq DESC) AS nth
      FROM bastide.changed AS m WHERE {} AND {}
    ), there AS MATERIALIZED (
      SELECT h.*, row_number() OVER (PARTITION BY h.key, h.now, h.whose ORDER BY h.rid) AS nth
      FROM (SELECT t.ctid AS rid, {} AS key, {} AS now, {} AS whose FROM ONLY {} AS t) AS h WHERE h.key IN (SELECT w.key FROM pending AS w)
    ), back AS (
      UPDATE ONLY {} AS t SET {} FROM there AS h JOIN pending AS w ON w.key = h.key AND w.nth = h.nth AND w.after = h.now AND w.whose = h.whose
      WHERE t.ctid = h.rid AND {} RETURNING w.seq
    )
    UPDATE bastide.changed AS c SET undone_at = clock_timestamp() FROM back AS b WHERE c.seq = b.seq",
        noted,
        noted,
        pending("m", node),
        which,
        key(node, "t"),
        now,
        whose,
        node.table,
        node.table,
        set,
        if_so
    )
}

/// What tells rows `t` apart that a hash does not, for it leaves the tenant column out; and the same of a change `m`. Of a
/// row with a key somebody may have changed the tenant since.
fn whose(settling: &Settling<'_>, node: &Node) -> (Sql, Sql) {
    if node.key.is_empty() {
        let noted = sql!("CASE m.what WHEN 'moved' THEN m.after->>0 ELSE m.tenant END");
        (sql!("coalesce({}, '')", settling.own(node, "t")), sql!("coalesce({}, '')", noted))
    } else {
        (sql!("''"), sql!("''"))
    }
}

/// There is a row that the reference `before` (its columns' values as text) names.
fn names_a_row(settling: &Settling<'_>, e: usize, before: &Sql) -> Sql {
    let (edge, parent) = (settling.edge(e), settling.parent(e));
    let equal = edge
        .parent_columns
        .iter()
        .enumerate()
        .map(|(at, column)| sql!("p.{} = ({}->>{})::{}", column, before, at, parent.kind(column)));
    sql!("EXISTS (SELECT FROM ONLY {} AS p WHERE {})", parent.table, join(equal, " AND "))
}

/// The copies `q`, and their originals `s`.
fn copies(settling: &Settling<'_>, n: usize) -> Sql {
    let node = &settling.graph.nodes[n];
    sql!(
        "bastide.changed AS m JOIN ONLY {} AS q ON {} JOIN ONLY {} AS s ON {}",
        node.table,
        is_named(node, "q", &sql!("m.key")),
        node.table,
        is_named(node, "s", &sql!("m.before"))
    )
}

/// A copy goes unless somebody changed it, or its original is gone: then it is a row that was written since. Told before
/// any reference is led back, for a copy's own may be among them.
fn let_go(settling: &Settling<'_>, n: usize) -> Sql {
    let node = &settling.graph.nodes[n];
    sql!(
        "UPDATE bastide.changed AS c SET what = 'going' FROM {} WHERE {} AND m.what = 'made' AND m.after->>0 = {} AND c.seq = m.seq",
        copies(settling, n),
        pending("m", node),
        mark(node, "q")
    )
}

fn going(settling: &Settling<'_>, n: usize) -> Sql {
    sql!("{} AND m.what = 'going'", pending("m", &settling.graph.nodes[n]))
}

/// Whoever references a copy that goes, written since or not, references its original. One level at a time: a copy may have
/// been copied.
fn lead_back(settling: &Settling<'_>, n: usize) -> Vec<Sql> {
    let (from, condition) = (copies(settling, n), going(settling, n));
    let graph = settling.graph;
    let edges = graph.edges.iter().enumerate().filter(|(_, edge)| edge.parent == n);
    edges
        .map(|(e, edge)| {
            let set = edge
                .columns
                .iter()
                .zip(&edge.parent_columns)
                .map(|(own, theirs)| sql!("{} = s.{}", own, theirs));
            sql!(
                "UPDATE ONLY {} AS t SET {} FROM {} WHERE {} AND {}",
                graph.nodes[edge.child].table,
                join(set, ", "),
                from,
                condition,
                settling.on(e, "t", "q")
            )
        })
        .collect()
}

fn drop_copies(settling: &Settling<'_>, n: usize) -> Sql {
    sql!(
        "DELETE FROM ONLY {} AS t USING {} WHERE {} AND t.ctid = q.ctid",
        settling.graph.nodes[n].table,
        copies(settling, n),
        going(settling, n)
    )
}

/// What [`restore`] would have to leave, because the row that an old value names was deleted since.
pub(super) fn checks(settling: &Settling<'_>, reused: &impl Fn(&QualifiedName) -> bool) -> SettleChecks {
    let mut lost = Vec::new();
    for changed in by_child(settling) {
        let e = changed.edges[0];
        let (edge, node) = (settling.edge(e), settling.child(e));
        let gone = changed.edges.iter().map(|&e| {
            sql!("NOT {} AND NOT {}", names_a_row(settling, e, &sql!("m.before")), held(settling.parent(e)))
        });
        lost.push(LostReference {
            table: node.table.clone(),
            references: settling.graph.links[edge.link].references.clone(),
            query: standing(
                settling,
                node,
                &sql!(
                    "m.link = {} AND m.what IN ('cut', 'redirected') AND {}",
                    settling.link(e),
                    join(gone, " AND ")
                ),
                &values("t", &edge.columns),
                edge.columns.len(),
            ),
        });
    }
    let root = &settling.graph.root;
    for n in settling.movable() {
        let node = &settling.graph.nodes[n];
        let Some(tenant) = node.tenant.as_ref().filter(|_| reused(&node.table)) else { continue };
        let gone = sql!(
            "m.what = 'moved' AND NOT EXISTS (SELECT FROM {} AS p WHERE p.{} = (m.before->>0)::{})",
            root.table,
            root.key,
            root.key_type
        );
        lost.push(LostReference {
            table: node.table.clone(),
            references: root.table.clone(),
            query: standing(settling, node, &gone, &values("t", [tenant]), 1),
        });
    }
    let mut prepare = prelude();
    prepare.push(search_path(settling.graph));
    SettleChecks { prepare, lost }
}

/// Changes that still stand, of the kind `which` says: how many, and examples of what was there before.
fn standing(settling: &Settling<'_>, node: &Node, which: &Sql, now: &Sql, columns: usize) -> Sql {
    let (whose, noted) = whose(settling, node);
    let before = (0..columns).map(|at| sql!("m.before->>{}", at));
    sql!(
        "SELECT count(DISTINCT m.seq), coalesce(array_to_string((array_agg(DISTINCT left(concat_ws(', ', {}), 60)))[1:5], '; '), '')
FROM bastide.changed AS m JOIN ONLY {} AS t ON {} = m.key AND {} = {} WHERE {} AND {} = m.after AND {}",
        join(before, ", "),
        node.table,
        key(node, "t"),
        whose,
        noted,
        pending("m", node),
        now,
        which
    )
}

/// The referenced row is in `bastide.held`, and comes back before.
fn held(parent: &Node) -> Sql {
    sql!(
        "EXISTS (SELECT FROM bastide.held AS h WHERE h.run_id = current_setting('bastide.run')::uuid AND h.restored_at IS NULL
      AND h.relation = {} AND h.key = m.parent)",
        relation(&parent.table)
    )
}
