//! The fixpoint, in strata: down the references, up, down again, … until a stratum decides nothing.
//!
//! Stratum 1 listens to parents: their columns, then round by round what they learnt. Stratum 2 lets rows that are still
//! open listen to their children, columns first; stratum 3 goes down from what is new, and so on. Within a stratum the
//! outcome is a least fixpoint (open, one tenant, conflict), so it depends on no order; a row decided in an earlier one
//! is settled. A conflict flows down to rows that know nothing else, but a child in conflict says nothing to a parent in
//! a later stratum: otherwise one muddled order would poison its customer, and with him everything he ever touched. What
//! disagrees with a settled row shows as a crossing link, which is counted and never silent.
//!
//! Declared rules are stratum 0: they go before all evidence. Proposed tenants come when nothing more follows: they settle
//! only what would be unreachable, and what hangs together with it.
//!
//! A row enters the work table of its node only while its tenant is open, so a pass over a filled database is nearly free.
//! Where no references lead in a circle, stratum 1 takes no rounds: each work table is filled after those of its parents
//! ([`Order`]). A reference is kept only while both its ends are open and one of them may still hear of the other. Each
//! round looks at the rows that changed in the round before; a row changes at most twice (to one tenant, to conflict).

use std::collections::BTreeSet;

use bastide_sql::{Literal, Sql, join, sql};

use super::{
    Edge, Graph, components,
    order::Order,
    render::{pairs, queue, work},
    seeds::{self, Last},
    work::{create_pairs, create_work, fill_pairs, index_work},
};

/// From this round on the structure is deep (a long chain, a tree) and each round small: indexes pay.
const DEEP: i32 = 8;

/// Opens a block: what the operator declares may name a column `found`, which PL/pgSQL has a variable for.
pub(crate) fn columns_first() -> Sql {
    sql!("#variable_conflict use_column")
}

/// What `rule` says in a work table: which edge decided, and whether its parent or its child spoke.
pub(crate) fn by_parent(edge: usize) -> usize {
    edge * 2 + 1
}

pub(crate) fn by_child(edge: usize) -> usize {
    edge * 2 + 2
}

/// Statements that create the work tables and fill in what columns alone say, and what follows from it where
/// [`Order`] allows; all before [`rounds`].
pub(crate) fn prepare(graph: &Graph) -> Vec<Sql> {
    let order = Order::of(graph);
    let mut statements = Vec::new();
    for &n in order.nodes() {
        statements.extend(seeds::create(graph, n));
        statements.push(create_work(graph, &order, n));
        if !order.is_settled(n) {
            // Before any update: an index made over updated rows is invisible to the snapshot we work in.
            statements.push(index_work(n));
        }
        statements.push(sql!("CREATE TEMP TABLE {} (round integer, rid tid) ON COMMIT DROP", queue(n)));
    }
    statements.extend(spreading(graph).map(|(e, edge)| create_pairs(graph, &order, e, edge)));
    for (e, edge) in
        graph.evidence().filter(|(e, edge)| !order.is_folded(*e) && !graph.nodes[edge.child].root)
    {
        if graph.nodes[edge.parent].has_facts() {
            statements.push(seed_down(graph, e, edge));
        }
    }
    for n in speaking_first(graph, &order) {
        statements.push(sql!(
            "INSERT INTO {} SELECT 0, x.rid FROM {} AS x WHERE x.tenant IS NOT NULL OR x.conflict",
            queue(n),
            work(n)
        ));
    }
    statements
}

/// Nodes whose rows are heard in the rounds of the first stratum.
fn speaking_first(graph: &Graph, order: &Order) -> BTreeSet<usize> {
    spreading(graph).filter(|(e, _)| !order.is_done(*e)).map(|(_, edge)| edge.parent).collect()
}

/// A plpgsql block; the rounds themselves.
pub(crate) fn rounds(graph: &Graph) -> Sql {
    let order = Order::of(graph);
    let first = speaking_first(graph, &order);
    let down = spreading(graph).map(|(e, edge)| {
        // What parents say in the first stratum is in the work table already.
        let when = if order.is_done(e) { sql!("bastide_stratum > 1 AND ") } else { sql!("") };
        step(&when, edge.parent, edge.child, &spread_down(e, edge))
    });
    let up = spreading(graph).map(|(e, edge)| step(&sql!(""), edge.child, edge.parent, &spread_up(e, edge)));
    let late: Vec<Sql> =
        graph.last_seeds().map(|(k, last)| seed(last.node, &seed_last(graph, k, &last))).collect();
    let facts_up = graph.evidence().filter_map(|(e, edge)| {
        let seed = seed(edge.parent, &seed_up(graph, e, edge)?);
        Some(sql!("      IF bastide_open[{}] THEN\n{}      END IF;\n", edge.parent + 1, seed))
    });
    let mut indexes = Vec::new();
    for (e, _) in spreading(graph) {
        indexes.push(sql!("CREATE INDEX ON {} (child)", pairs(e)));
        indexes.push(sql!("CREATE INDEX ON {} (parent)", pairs(e)));
        indexes.push(sql!("ANALYZE {}", pairs(e)));
    }
    let (mut fresh, mut open) = (Vec::new(), Vec::new());
    for n in 0..graph.nodes.len() {
        let is_open = order.nodes().contains(&n);
        if is_open {
            indexes.push(sql!("CREATE INDEX ON {} (round)", queue(n)));
            indexes.push(sql!("ANALYZE {}", queue(n)));
        }
        let exists = |what: Sql| sql!("EXISTS (SELECT FROM {})", what);
        fresh.push(if first.contains(&n) { exists(queue(n)) } else { sql!("false") });
        let undecided = || exists(sql!("{} AS x WHERE x.stratum IS NULL", work(n)));
        open.push(if is_open { undecided() } else { sql!("false") });
    }
    sql!(
        "DECLARE
  bastide_round integer := 0;
  bastide_stratum integer := 1;
  bastide_begun integer := 0;
  bastide_down boolean := true;
  bastide_deep boolean := false;
  bastide_last boolean := false;
  bastide_rows bigint;
  bastide_fresh boolean[] := ARRAY[{}]::boolean[];
  bastide_next boolean[];
  bastide_open boolean[];
BEGIN
  IF current_setting('transaction_isolation') NOT IN ('repeatable read', 'serializable') THEN
    RAISE EXCEPTION 'inference needs one snapshot: run it in a REPEATABLE READ transaction' USING ERRCODE = '25001';
  END IF;
  -- A work table without statistics looks small; looking its rows up one by one would take minutes.
  SET LOCAL enable_nestloop = off;
  LOOP
    WHILE true = ANY (bastide_fresh) LOOP
      IF NOT bastide_deep AND bastide_round >= {} THEN
        SET LOCAL enable_nestloop = on;
{}        bastide_deep := true;
      END IF;
      bastide_next := array_fill(false, ARRAY[{}]);
      IF bastide_down THEN
{}      ELSE
{}      END IF;
      bastide_fresh := bastide_next;
      bastide_round := bastide_round + 1;
    END LOOP;
    -- The next stratum begins with the rows that this one decided.
    bastide_stratum := bastide_stratum + 1;
    bastide_down := NOT bastide_down;
    bastide_round := bastide_round + 1;
    bastide_fresh := array_fill(false, ARRAY[{}]);
    IF bastide_stratum = 2 THEN
      -- Whether a node has rows that may still hear something.
      bastide_open := ARRAY[{}]::boolean[];
      IF true = ANY (bastide_open) THEN
{}      END IF;
{}{}    ELSE
{}    END IF;
{}    bastide_begun := bastide_round;
  END LOOP;
  SET LOCAL enable_nestloop = on;
{}END",
        join(fresh, ", "),
        DEEP,
        lines(indexes, "        "),
        graph.nodes.len().max(1),
        lines_or_nothing(down),
        lines_or_nothing(up),
        graph.nodes.len().max(1),
        join(open, ", "),
        lines_or_nothing(meet(graph, &order).into_iter()),
        join(order.nodes().iter().map(|&n| hand_on_first(graph, n)), ""),
        lines_or_nothing(facts_up),
        lines_or_nothing(order.nodes().iter().map(|&n| hand_on(graph, n))),
        end(late),
        lines(components::settle_kinds(graph), "  ")
    )
}

/// What the first stratum did without and later ones need, once rows are left that it did not decide.
fn meet(graph: &Graph, order: &Order) -> Vec<Sql> {
    let settled = order.nodes().iter().filter(|n| order.is_settled(**n));
    let mut statements: Vec<Sql> = settled.map(|&n| sql!("        {};\n", index_work(n))).collect();
    for (e, edge) in spreading(graph).filter(|(e, _)| order.is_done(*e)) {
        statements.push(sql!(
            "        IF bastide_open[{}] OR bastide_open[{}] THEN
          {};
        END IF;
",
            edge.child + 1,
            edge.parent + 1,
            fill_pairs(graph, e, edge)
        ));
    }
    statements
}

/// Nothing more follows: the last word have the tenants that the plan proposes, once. They speak in the stratum that begins,
/// and it goes on with them.
fn end(late: Vec<Sql>) -> Sql {
    if late.is_empty() {
        return sql!("    EXIT WHEN NOT (true = ANY (bastide_fresh));\n");
    }
    sql!(
        "    IF NOT (true = ANY (bastide_fresh)) THEN
      EXIT WHEN bastide_last;
      bastide_last := true;
{}      EXIT WHEN NOT (true = ANY (bastide_fresh));
    END IF;
",
        join(late, "")
    )
}

/// Statements for a plpgsql block, one to a line.
pub(crate) fn lines(statements: impl IntoIterator<Item = Sql>, indent: &'static str) -> Sql {
    let indent = Sql::trusted(indent);
    let lines = statements.into_iter().map(|statement| sql!("{}{};\n", indent, statement));
    sql!("{}", join(lines, ""))
}

/// A branch of an IF may not be empty.
fn lines_or_nothing(moves: impl Iterator<Item = Sql>) -> Sql {
    let moves: Vec<Sql> = moves.collect();
    if moves.is_empty() { sql!("        NULL;\n") } else { sql!("{}", join(moves, "")) }
}

/// References along which an open row can hear from another open row.
fn spreading(graph: &Graph) -> impl Iterator<Item = (usize, &Edge)> {
    graph.evidence().filter(|(_, edge)| !graph.nodes[edge.child].root && !graph.nodes[edge.parent].root)
}

fn seed_down(graph: &Graph, e: usize, edge: &Edge) -> Sql {
    let (child, parent) = (&graph.nodes[edge.child], &graph.nodes[edge.parent]);
    let (c, p) = (sql!("c"), sql!("p"));
    let own = graph.own(parent, &p).unwrap_or_else(|| sql!("NULL::text"));
    let said = sql!(
        "SELECT c.ctid AS rid, {} COLLATE \"C\" AS lo, {} COLLATE \"C\" AS hi, false AS conflict
  FROM ONLY {} AS c JOIN ONLY {} AS p ON {} WHERE true{}{}",
        own,
        own,
        child.table,
        parent.table,
        graph.on(edge, &c, &p),
        child.open(&c),
        parent.settled(&p)
    );
    sql!("UPDATE {} AS x SET {}", work(edge.child), hears(&said, by_parent(e), &sql!("1")))
}

/// What children's columns say, many to one parent: their least and greatest tenant differ when they do.
fn seed_up(graph: &Graph, e: usize, edge: &Edge) -> Option<Sql> {
    let (child, parent) = (&graph.nodes[edge.child], &graph.nodes[edge.parent]);
    let (c, p) = (sql!("c"), sql!("p"));
    if parent.root {
        return None;
    }
    let own = graph.own(child, &c)?;
    let said = sql!(
        "SELECT p.ctid AS rid, min({} COLLATE \"C\") AS lo, max({} COLLATE \"C\") AS hi, false AS conflict
  FROM ONLY {} AS c JOIN ONLY {} AS p ON {} WHERE true{}{} GROUP BY p.ctid",
        own,
        own,
        child.table,
        parent.table,
        graph.on(edge, &c, &p),
        child.settled(&c),
        parent.open(&p)
    );
    Some(sql!(
        "UPDATE {} AS x SET {}",
        work(edge.parent),
        hears(&said, by_child(e), &sql!("bastide_stratum"))
    ))
}

/// The rows a proposed tenant is about, where nothing else has settled them.
fn seed_last(graph: &Graph, k: usize, last: &Last<'_>) -> Sql {
    let said = sql!(
        "SELECT c.ctid AS rid, {} COLLATE \"C\" AS lo, {} COLLATE \"C\" AS hi, false AS conflict FROM ONLY {} AS c WHERE {}",
        Literal::text(last.tenant),
        Literal::text(last.tenant),
        graph.nodes[last.node].table,
        last.when
    );
    sql!(
        "UPDATE {} AS x SET {}",
        work(last.node),
        hears(&said, seeds::rule(graph, k), &sql!("bastide_stratum"))
    )
}

fn spread_down(e: usize, edge: &Edge) -> Sql {
    let said = sql!(
        "SELECT l.child AS rid, y.tenant AS lo, y.tenant AS hi, y.conflict
  FROM {} AS q JOIN {} AS y ON y.rid = q.rid JOIN {} AS l ON l.parent = q.rid WHERE q.round = bastide_round",
        queue(edge.parent),
        work(edge.parent),
        pairs(e)
    );
    sql!("UPDATE {} AS x SET {}", work(edge.child), hears(&said, by_parent(e), &sql!("bastide_stratum")))
}

fn spread_up(e: usize, edge: &Edge) -> Sql {
    let said = sql!(
        "SELECT l.parent AS rid, min(y.tenant) AS lo, max(y.tenant) AS hi, bool_or(y.conflict) AS conflict
  FROM {} AS q JOIN {} AS y ON y.rid = q.rid JOIN {} AS l ON l.child = q.rid WHERE q.round = bastide_round
  GROUP BY l.parent",
        queue(edge.child),
        work(edge.child),
        pairs(e)
    );
    sql!("UPDATE {} AS x SET {}", work(edge.parent), hears(&said, by_child(e), &sql!("bastide_stratum")))
}

/// The join of the lattice: what a row holds, with what it hears; only for rows that no earlier stratum decided.
fn hears(said: &Sql, rule: usize, stratum: &Sql) -> Sql {
    sql!(
        "tenant = CASE WHEN s.conflict OR s.lo <> s.hi OR x.tenant <> s.lo THEN NULL ELSE s.lo END,
    conflict = COALESCE(s.conflict OR s.lo <> s.hi OR x.tenant <> s.lo, false), rule = {}, stratum = {}
FROM (
  {}
) AS s
WHERE x.rid = s.rid AND NOT x.conflict AND (x.stratum IS NULL OR x.stratum = {}) AND (s.conflict OR s.lo <> s.hi OR x.tenant IS DISTINCT FROM s.lo)",
        rule,
        stratum,
        said,
        stratum
    )
}

/// One move inside a round: only when the speaking node changed, and noting whether the listening one did.
fn step(when: &Sql, speaker: usize, listener: usize, update: &Sql) -> Sql {
    sql!(
        "        IF {}bastide_fresh[{}] THEN
          WITH reached AS ({} RETURNING x.rid)
          INSERT INTO {} SELECT bastide_round + 1, rid FROM reached;
          GET DIAGNOSTICS bastide_rows = ROW_COUNT;
          IF bastide_rows > 0 THEN bastide_next[{}] := true; END IF;
        END IF;
",
        when,
        speaker + 1,
        update,
        queue(listener),
        listener + 1
    )
}

/// What children's columns say is heard once, when the first upward stratum begins.
fn seed(listener: usize, update: &Sql) -> Sql {
    sql!(
        "      WITH reached AS ({} RETURNING x.rid)
      INSERT INTO {} SELECT bastide_round, rid FROM reached;
      GET DIAGNOSTICS bastide_rows = ROW_COUNT;
      IF bastide_rows > 0 THEN bastide_fresh[{}] := true; END IF;
",
        update,
        queue(listener),
        listener + 1
    )
}

/// The rows that the first stratum decided speak first in the second; those in conflict keep silent. Rows that refer to
/// nobody who could hear them need not be asked, unless it matters whether there are any: see [`heard`].
fn hand_on_first(graph: &Graph, node: usize) -> Sql {
    // What was declared spoke to children first, like a column; now it speaks to parents.
    let declared =
        if graph.first_seeds(node).next().is_some() { sql!(" OR y.stratum = 0") } else { sql!("") };
    let up: Vec<Sql> = spreading(graph)
        .filter(|(_, edge)| edge.child == node)
        .map(|(e, _)| sql!("SELECT l.child AS rid FROM {} AS l", pairs(e)))
        .collect();
    let referring = if up.is_empty() || graph.last_seeds().next().is_some() {
        sql!("")
    } else {
        sql!(" JOIN (SELECT DISTINCT u.rid FROM ({}) AS u) AS l ON l.rid = y.rid", join(up, " UNION ALL "))
    };
    sql!(
        "      IF {} THEN
        INSERT INTO {} SELECT bastide_round, y.rid FROM {} AS y{} WHERE (y.stratum = 1{}) AND NOT y.conflict;
        GET DIAGNOSTICS bastide_rows = ROW_COUNT;
        IF bastide_rows > 0 THEN bastide_fresh[{}] := true; END IF;
      END IF;
",
        heard(graph, node),
        queue(node),
        work(node),
        referring,
        declared,
        node + 1
    )
}

/// The rows a later stratum decided speak first in the next; upwards, those in conflict keep silent.
fn hand_on(graph: &Graph, node: usize) -> Sql {
    sql!(
        "      IF {} THEN
        INSERT INTO {} SELECT DISTINCT bastide_round, q.rid FROM {} AS q JOIN {} AS y ON y.rid = q.rid
          WHERE q.round >= bastide_begun AND q.round < bastide_round AND y.stratum = bastide_stratum - 1 AND (bastide_down OR NOT y.conflict);
        GET DIAGNOSTICS bastide_rows = ROW_COUNT;
        IF bastide_rows > 0 THEN bastide_fresh[{}] := true; END IF;
      END IF;
",
        heard(graph, node),
        queue(node),
        queue(node),
        work(node),
        node + 1
    )
}

/// Whether anybody could hear the rows of `node` in the stratum that begins: only rows that no stratum has decided can.
/// Without them, handing on the rows of a large table would be most of what inference costs. Not asked once rounds are
/// deep and small, nor where a stratum that decides nothing still sets the direction in which the last seeds speak.
fn heard(graph: &Graph, node: usize) -> Sql {
    if graph.last_seeds().next().is_some() {
        return sql!("true");
    }
    let open = |listener| sql!("EXISTS (SELECT FROM {} AS x WHERE x.stratum IS NULL)", work(listener));
    let any = |listeners: BTreeSet<usize>| match listeners.len() {
        0 => sql!("false"),
        _ => sql!("({})", join(listeners.into_iter().map(open), " OR ")),
    };
    let edges = || spreading(graph).map(|(_, edge)| edge);
    let children = edges().filter(|edge| edge.parent == node).map(|edge| edge.child).collect();
    let parents = edges().filter(|edge| edge.child == node).map(|edge| edge.parent).collect();
    sql!("bastide_deep OR bastide_down AND {} OR NOT bastide_down AND {}", any(children), any(parents))
}
