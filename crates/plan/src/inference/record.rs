//! Inference for a run: what was found goes into `bastide.rule` and `bastide.assignment`.

use bastide_sql::{Ident, Literal, QualifiedName, Sql, join, sql};

use super::{
    Graph, Node,
    render::{Dollar, relation, search_path, work},
    rounds, seeds,
};

/// Rule ids of different passes of one run are this far apart.
const PASS: usize = 1_000_000;

/// The pass that looks at quarantine again, when cutover begins: what nothing said then, rows written since may say.
pub const REOPENING: u32 = 3;

/// What a new root's rules have for a path: nothing led there but the operator's word.
const DECLARED: &str = "declared by --new-tenant-root";

/// Every row whose tenant column is NULL gets one line in `bastide.assignment`, in physical order; `quarantine` receives
/// what no evidence settles. `pass` (from 1) keeps the rule ids of one run's passes apart; a pass that finds no NULL is
/// over at once. Of a graph with quarantine reopened, only rows that evidence settles now are recorded. Runs after
/// [`prelude`](super::prelude).
#[must_use]
pub fn assign_script(graph: &Graph, quarantine: Option<&str>, pass: u32) -> Vec<Sql> {
    let open: Vec<usize> = graph.scoped().filter(|(_, node)| !node.root).map(|(n, _)| n).collect();
    if open.is_empty() {
        return Vec::new();
    }
    let something_open = open.iter().map(|&n| {
        let node = &graph.nodes[n];
        sql!("EXISTS (SELECT FROM ONLY {} AS c WHERE true{})", node.table, node.open(&sql!("c")))
    });
    let base = usize::try_from(pass.saturating_sub(1)).unwrap_or(0) * PASS;
    let recorded = open
        .iter()
        .flat_map(|&n| [insert_rules(graph, n, base), insert_assignments(graph, n, base, quarantine)]);
    let body = sql!(
        "BEGIN
  IF NOT ({}) THEN
    RETURN;
  END IF;
{}{};
{}END",
        join(something_open, "\n    OR "),
        rounds::lines(rounds::prepare(graph), "  "),
        rounds::rounds(graph),
        rounds::lines(recorded, "  ")
    );
    vec![search_path(graph), sql!("DO {}", Dollar(&body))]
}

/// The evidence for rows that all belong to the first tenant of a new root: one rule per table of `tables`, and no row in
/// `bastide.assignment`, because every row has the same.
#[must_use]
pub fn declare_script(tables: &[QualifiedName]) -> Vec<Sql> {
    let rules = tables.iter().enumerate().map(|(at, table)| sql!("({}, {})", at + 1, relation(table)));
    vec![sql!(
        "INSERT INTO bastide.rule (run_id, id, relation, kind, path)
SELECT current_setting('bastide.run')::uuid, v.id, v.relation, 'declared', {} FROM (VALUES {}) AS v (id, relation)",
        Literal::text(DECLARED),
        join(rules, ", ")
    )]
}

/// How `bastide.assignment.key` and `bastide.held.key` name a row of the table that `alias` stands for: its key's values
/// as text, or, without a key, a hash of its original columns. What a value prints as depends on the settings of
/// [`prelude`](super::prelude): whoever looks a row up by this must have them, too.
#[must_use]
pub fn row_key(alias: &Ident, key: &[Ident], original_columns: &[Ident]) -> Sql {
    key_of(&sql!("{}", alias), key, original_columns)
}

pub(crate) fn key_of(alias: &Sql, key: &[Ident], original_columns: &[Ident]) -> Sql {
    if key.is_empty() {
        let columns = original_columns.iter().map(|column| sql!("{}.{}", alias, column));
        sql!("jsonb_build_array('md5:' || md5(ROW({})::text))", join(columns, ", "))
    } else {
        let columns = key.iter().map(|column| sql!("{}.{}::text", alias, column));
        sql!("jsonb_build_array({})", join(columns, ", "))
    }
}

/// The id of the rule that speaks for row `x` of a work table. Conflicts are told apart by where they showed.
pub(crate) fn rule_id(graph: &Graph, n: usize, base: usize) -> Sql {
    sql!(
        "{} + CASE WHEN x.conflict THEN {} + x.rule WHEN x.tenant IS NULL THEN {} ELSE x.rule END",
        base,
        conflict_at(graph, 0),
        unreachable_at(graph, n)
    )
}

/// `(id, kind, path)` of every rule that can speak for rows of node `n`.
pub(crate) fn rules(graph: &Graph, n: usize, base: usize) -> Sql {
    let mut rows = Vec::new();
    let mut add = |id: usize, kind: &'static str, path: String| {
        rows.push(sql!("({}, {}, {})", base + id, Literal::text(kind), Literal::text(path)));
    };
    for (e, edge) in graph.evidence() {
        if edge.child == n {
            let path = graph.down_path(edge);
            add(rounds::by_parent(e), "parent", path.clone());
            add(conflict_at(graph, rounds::by_parent(e)), "conflict", path);
        }
        if edge.parent == n {
            let path = graph.up_path(edge);
            add(rounds::by_child(e), "child", path.clone());
            add(conflict_at(graph, rounds::by_child(e)), "conflict", path);
        }
    }
    for (k, seed) in graph.seeds.iter().enumerate().filter(|(_, seed)| seed.node == n) {
        add(seeds::rule(graph, k), seed.kind(), seed.path.clone());
        add(conflict_at(graph, seeds::rule(graph, k)), "conflict", seed.path.clone());
    }
    let table = &graph.nodes[n].table;
    add(unreachable_at(graph, n), "unreachable", format!("{table}: no reference leads to a tenant"));
    sql!("(VALUES {}) AS v (id, kind, path)", join(rows, ", "))
}

/// Rules that speak are numbered first: two for each edge, then the seeds.
fn speaking(graph: &Graph) -> usize {
    graph.edges.len() * 2 + graph.seeds.len()
}

fn conflict_at(graph: &Graph, rule: usize) -> usize {
    speaking(graph) + rule
}

fn unreachable_at(graph: &Graph, n: usize) -> usize {
    speaking(graph) * 2 + n + 1
}

fn insert_rules(graph: &Graph, n: usize, base: usize) -> Sql {
    sql!(
        "INSERT INTO bastide.rule (run_id, id, relation, kind, path)
SELECT current_setting('bastide.run')::uuid, v.id, {}, v.kind, v.path
FROM (SELECT DISTINCT {} AS id FROM {} AS x{}) AS f JOIN {} ON v.id = f.id ORDER BY v.id",
        relation(&graph.nodes[n].table),
        rule_id(graph, n, base),
        work(n),
        recorded(&graph.nodes[n]),
        rules(graph, n, base)
    )
}

/// Which rows `x` of a work table are recorded: all, unless they are in quarantine already and stay there.
fn recorded(node: &Node) -> Sql {
    if node.reopened.is_some() { sql!(" WHERE x.tenant IS NOT NULL AND NOT x.conflict") } else { sql!("") }
}

/// The rule ids of one pass: above the first, up to the second.
#[must_use]
pub fn rules_of_pass(pass: u32) -> (usize, usize) {
    let base = usize::try_from(pass.saturating_sub(1)).unwrap_or(0) * PASS;
    (base, base + PASS)
}

fn insert_assignments(graph: &Graph, n: usize, base: usize, quarantine: Option<&str>) -> Sql {
    let node = &graph.nodes[n];
    let rows = sql!(
        "SELECT x.rid, {} AS key, CASE WHEN x.conflict OR x.tenant IS NULL THEN {} ELSE x.tenant END AS tenant, {} AS rule
  FROM {} AS x JOIN ONLY {} AS t ON t.ctid = x.rid{}",
        row_key(&Ident::constant("t"), &node.key, &node.original_columns),
        quarantine.map_or_else(Literal::null, Literal::text),
        rule_id(graph, n, base),
        work(n),
        node.table,
        recorded(node)
    );
    // Rows without a key that are equal in every original column have the same references, so the same evidence.
    let rows = if node.key.is_empty() {
        sql!(
            "SELECT min(r.rid) AS rid, r.key, min(r.tenant) AS tenant, min(r.rule) AS rule FROM ({}) AS r GROUP BY r.key",
            rows
        )
    } else {
        rows
    };
    sql!(
        "INSERT INTO bastide.assignment (run_id, relation, key, tenant, rule)
SELECT current_setting('bastide.run')::uuid, {}, a.key, a.tenant, a.rule
FROM ({}) AS a ORDER BY a.rid",
        relation(&node.table),
        rows
    )
}
