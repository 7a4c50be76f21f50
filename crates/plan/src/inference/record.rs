//! Inference for a run: what was found goes into `bastide.rule` and `bastide.assignment`.

use bastide_sql::{Ident, Literal, QualifiedName, Sql, join, sql};

use super::{
    Graph, Node,
    render::{Dollar, relation, search_path, work},
    rounds, seeds,
};

/// Rule ids of different passes of one run are this far apart.
const PASS: usize = 1_000_000;

/// The most rows in one line of `bastide.assigned`: enough for compression to find what repeats, few enough to unpack for
/// a batch of a hundred.
pub(crate) const CHUNK: usize = 1_000;

/// The pass over rows that came while the first one was written down. It can run again, over rows that came since.
pub const SECOND: u32 = 2;

/// The pass that looks at quarantine again, when cutover begins: what nothing said then, rows written since may say.
pub const REOPENING: u32 = 3;

/// What a new root's rules have for a path: nothing led there but the operator's word.
const DECLARED: &str = "declared by --new-tenant-root";

/// Every row whose tenant column is NULL gets one line in `bastide.assignment`, packed in physical order; `quarantine` receives
/// what no evidence settles. `pass` (from 1) keeps the rule ids of one run's passes apart; a pass that finds no NULL is
/// over at once. Of a graph with quarantine reopened, only rows that evidence settles now are recorded. Runs after
/// [`prelude`](super::prelude).
#[must_use]
pub fn assign_script(graph: &Graph, quarantine: Option<&str>, pass: u32) -> Vec<Sql> {
    // A row of an earlier pass that is in quarantine would otherwise contradict what the row's other references say.
    let graph = &quarantine.map_or_else(|| graph.clone(), |quarantine| graph.clone().silence(quarantine));
    let open: Vec<usize> = graph.scoped().filter(|(_, node)| !node.root).map(|(n, _)| n).collect();
    if open.is_empty() {
        return Vec::new();
    }
    let something_open = open.iter().map(|&n| {
        let node = &graph.nodes[n];
        sql!("EXISTS (SELECT FROM ONLY {} AS c WHERE true{})", node.table, node.open(&sql!("c")))
    });
    let recorded = open.iter().flat_map(|&n| {
        [
            insert_rules(graph, n, base_of(pass)),
            insert_tenants(graph, n, quarantine),
            insert_assignments(graph, n, pass, quarantine),
        ]
    });
    let body = sql!(
        "{}
BEGIN
  IF NOT ({}) THEN
    RETURN;
  END IF;
{}{};
{}END",
        rounds::columns_first(),
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
        sql!("jsonb_build_array('md5:' || {})", row_md5(alias, original_columns))
    } else {
        let columns = key.iter().map(|column| sql!("{}.{}::text", alias, column));
        sql!("jsonb_build_array({})", join(columns, ", "))
    }
}

/// How `bastide.assigned_keyless.hash` names a row; of [`row_key`] the part after `md5:`, in half the room.
pub(crate) fn row_hash(alias: &Sql, original_columns: &[Ident]) -> Sql {
    sql!("{}::uuid", row_md5(alias, original_columns))
}

fn row_md5(alias: &Sql, original_columns: &[Ident]) -> Sql {
    let columns = original_columns.iter().map(|column| sql!("{}.{}", alias, column));
    sql!("md5(ROW({})::text)", join(columns, ", "))
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
FROM (SELECT DISTINCT {} AS id FROM {} AS x{}) AS f JOIN {} ON v.id = f.id ORDER BY v.id
ON CONFLICT (run_id, id) DO NOTHING",
        relation(&graph.nodes[n].table),
        rule_id(graph, n, base),
        work(n),
        recorded(&graph.nodes[n]),
        rules(graph, n, base)
    )
}

/// Which rows `x` of a work table are recorded: all, unless they are in quarantine already and stay there.
fn recorded(node: &Node) -> Sql {
    if node.reopened { sql!(" WHERE x.tenant IS NOT NULL AND NOT x.conflict") } else { sql!("") }
}

/// The rule ids of one pass: above the first, up to the second.
#[must_use]
pub fn rules_of_pass(pass: u32) -> (usize, usize) {
    (base_of(pass), base_of(pass) + PASS)
}

fn base_of(pass: u32) -> usize {
    usize::try_from(pass.saturating_sub(1)).unwrap_or(0) * PASS
}

/// The tenant that row `x` of a work table is recorded with.
fn given(quarantine: Option<&str>) -> Sql {
    let unsettled = quarantine.map_or_else(Literal::null, Literal::text);
    sql!("CASE WHEN x.conflict OR x.tenant IS NULL THEN {} ELSE x.tenant END", unsettled)
}

/// Numbers for the tenants that this run has not given to any row before.
fn insert_tenants(graph: &Graph, n: usize, quarantine: Option<&str>) -> Sql {
    sql!(
        "INSERT INTO bastide.assigned_tenant (run_id, tenant)
SELECT current_setting('bastide.run')::uuid, f.tenant
FROM (SELECT DISTINCT {} AS tenant FROM {} AS x{}) AS f
WHERE f.tenant IS NOT NULL AND NOT EXISTS (
  SELECT FROM bastide.assigned_tenant AS d WHERE d.run_id = current_setting('bastide.run')::uuid AND d.tenant = f.tenant)",
        given(quarantine),
        work(n),
        recorded(&graph.nodes[n])
    )
}

/// Running a pass again adds what it finds then; what is there stays, because undoing needs it.
fn insert_assignments(graph: &Graph, n: usize, pass: u32, quarantine: Option<&str>) -> Sql {
    let node = &graph.nodes[n];
    let rows = sql!(
        "SELECT x.rid, x.conflict, {} AS key, d.id AS tenant, {} AS rule
  FROM {} AS x JOIN ONLY {} AS t ON t.ctid = x.rid
  LEFT JOIN bastide.assigned_tenant AS d ON d.run_id = current_setting('bastide.run')::uuid AND d.tenant = {}{}",
        if node.key.is_empty() {
            row_hash(&sql!("t"), &node.original_columns)
        } else {
            row_key(&Ident::constant("t"), &node.key, &node.original_columns)
        },
        rule_id(graph, n, base_of(pass)),
        work(n),
        node.table,
        given(quarantine),
        recorded(node)
    );
    if node.key.is_empty() { insert_keyless(node, pass, &rows) } else { insert_packed(node, pass, &rows) }
}

/// Rows in conflict are kept apart: who asks for them alone must not unpack all others. The lists of a line are made in one
/// go over rows that are sorted before, so they speak of the same row at the same place; each sorted by itself, they would take
/// twice as long.
fn insert_packed(node: &Node, pass: u32, rows: &Sql) -> Sql {
    sql!(
        "INSERT INTO bastide.assigned (run_id, relation, seq, rows, with_tenant, pass, conflict, keys, tenants, rules)
SELECT current_setting('bastide.run')::uuid, {}, min(b.at) + (
    SELECT COALESCE(max(s.seq + s.rows - 1), 0) FROM bastide.assigned AS s
    WHERE s.run_id = current_setting('bastide.run')::uuid AND s.relation = {}
  ), count(*), count(b.tenant), {}, b.conflict, jsonb_agg(b.key), array_agg(b.tenant), array_agg(b.rule)
FROM (
  SELECT a.*, (a.at - 1) / {} AS line FROM (
    SELECT r.*, row_number() OVER (ORDER BY r.conflict, r.rid) AS at FROM (
  {}) AS r
  ) AS a ORDER BY a.conflict, line, a.at
) AS b
GROUP BY b.conflict, b.line",
        relation(&node.table),
        relation(&node.table),
        pass,
        CHUNK,
        rows
    )
}

/// Rows without a key that are equal in every original column have the same references, so the same evidence.
fn insert_keyless(node: &Node, pass: u32, rows: &Sql) -> Sql {
    sql!(
        "INSERT INTO bastide.assigned_keyless (run_id, relation, hash, pass, conflict, tenant, rule)
SELECT current_setting('bastide.run')::uuid, {}, a.key, {}, bool_or(a.conflict), min(a.tenant), min(a.rule)
FROM (
  {}) AS a GROUP BY a.key ORDER BY min(a.rid)",
        relation(&node.table),
        pass,
        rows
    )
}
