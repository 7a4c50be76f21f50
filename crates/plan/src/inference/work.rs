//! How work tables and references between open rows come into being, before the rounds and after the first stratum.

use bastide_sql::{Sql, join, sql};

use super::{
    Edge, Graph,
    order::Order,
    render::{pairs, work},
    rounds::by_parent,
    seeds,
};

/// The open rows of a node, with what their parents say: their columns, and what they have heard themselves where that is
/// settled. Elsewhere room is left on the pages for the two changes a row may see: they stay on the page, and out of the
/// index.
pub(crate) fn create_work(graph: &Graph, order: &Order, n: usize) -> Sql {
    let node = &graph.nodes[n];
    let child = sql!("c");
    let mut joins = Vec::new();
    let (mut said, mut muddled) = (Vec::new(), Vec::new());
    let (mut in_conflict, mut by_fact, mut by_row) = (Vec::new(), Vec::new(), Vec::new());
    for (e, edge) in graph.evidence().filter(|(e, edge)| edge.child == n && order.is_folded(*e)) {
        let Some(parent) = words(graph, order, edge) else { continue };
        let alias = sql!("p{}", e);
        let on = graph.on(edge, &child, &alias);
        joins.push(sql!("\n  LEFT JOIN ({}) AS {} ON {}", parent.query, alias, on));
        let mut heard = |word: &Sql, rules: &mut Vec<Sql>| {
            rules.push(sql!("WHEN {}.{} IS NOT NULL THEN {}", alias, word, by_parent(e)));
            said.push(sql!("{}.{}", alias, word));
        };
        if parent.facts {
            heard(&sql!("bastide_fact"), &mut by_fact);
        }
        if parent.rows {
            heard(&sql!("bastide_tenant"), &mut by_row);
            muddled.push(sql!("{}.bastide_conflict", alias));
            in_conflict.push(sql!("WHEN {}.bastide_conflict THEN {}", alias, by_parent(e)));
        }
    }
    let (mut lo, mut hi, mut rule) = if said.is_empty() {
        (sql!("NULL::text"), sql!("NULL::text"), sql!("0"))
    } else {
        let rules = in_conflict.into_iter().chain(by_fact).chain(by_row);
        (
            sql!("LEAST({})", join(&said, ", ")),
            sql!("GREATEST({})", join(&said, ", ")),
            sql!("CASE {} ELSE 0 END", join(rules, " ")),
        )
    };
    let mut muddled =
        if muddled.is_empty() { sql!("false") } else { sql!("COALESCE({}, false)", join(muddled, " OR ")) };
    let mut stratum = sql!("CASE WHEN s.lo IS NOT NULL OR s.muddled THEN 1 END");
    let mut declared = sql!("");
    if let Some(first) = seeds::First::of(graph, n) {
        joins.push(first.join);
        muddled = sql!("{} IS NULL AND {}", first.lo, muddled);
        lo = sql!("COALESCE({}, {})", first.lo, lo);
        hi = sql!("COALESCE({}, {})", first.hi, hi);
        rule = sql!("CASE {} ELSE {} END", first.rule, rule);
        stratum = sql!("CASE WHEN s.declared THEN 0 WHEN s.lo IS NOT NULL OR s.muddled THEN 1 END");
        declared = sql!(", {} IS NOT NULL AS declared", first.lo);
    }
    sql!(
        "CREATE TEMP TABLE {}{} ON COMMIT DROP AS
SELECT s.rid, CASE WHEN s.lo = s.hi AND NOT s.muddled THEN s.lo END COLLATE \"C\" AS tenant,
  COALESCE(s.lo <> s.hi, false) OR s.muddled AS conflict, s.rule, {} AS stratum
FROM (
  SELECT c.ctid AS rid, {} COLLATE \"C\" AS lo, {} COLLATE \"C\" AS hi, {} AS muddled, {} AS rule{}
  FROM ONLY {} AS c{}
  WHERE true{}
) AS s",
        work(n),
        if order.is_settled(n) { sql!("") } else { sql!(" WITH (fillfactor = 40)") },
        stratum,
        lo,
        hi,
        muddled,
        rule,
        declared,
        node.table,
        join(joins, ""),
        node.open(&child)
    )
}

/// What the rows of a parent say.
struct Words {
    /// Rows of the referenced columns, and those that the flags tell of.
    query: Sql,
    /// `bastide_fact text`: the tenant that the row's column names.
    facts: bool,
    /// `bastide_tenant text, bastide_conflict bool`: what the row has heard itself.
    rows: bool,
}

/// In a query of its own, so that a column is cast once for each row of the parent; `None` when none of them can speak now.
fn words(graph: &Graph, order: &Order, edge: &Edge) -> Option<Words> {
    let parent = &graph.nodes[edge.parent];
    let (p, y) = (sql!("p"), sql!("y"));
    let own = graph.own(parent, &p);
    let rows = order.is_settled(edge.parent);
    let mut columns: Vec<Sql> = edge.parent_columns.iter().map(|column| sql!("p.{}", column)).collect();
    let (facts, mut from, mut when) = (own.is_some(), sql!("ONLY {} AS p", parent.table), sql!(""));
    if let Some(own) = own {
        let settled = parent.settled(&p);
        columns.push(match (rows, &parent.quarantine) {
            (true, Some(_)) => {
                sql!("CASE WHEN true{} THEN {} END COLLATE \"C\" AS bastide_fact", settled, own)
            }
            _ => sql!("{} COLLATE \"C\" AS bastide_fact", own),
        });
        when = sql!(" WHERE true{}", settled);
    }
    if rows {
        columns.push(sql!("y.tenant AS bastide_tenant, y.conflict AS bastide_conflict"));
        from = sql!("{}{}", from, graph.with_work(edge.parent, &p, &y));
        when = sql!("");
    }
    let query = sql!("SELECT {} FROM {}{}", join(columns, ", "), from, when);
    (facts || rows).then_some(Words { query, facts, rows })
}

/// Empty where the first stratum needs none: [`fill_pairs`].
pub(crate) fn create_pairs(graph: &Graph, order: &Order, e: usize, edge: &Edge) -> Sql {
    if order.is_done(e) {
        return sql!("CREATE TEMP TABLE {} (child tid, parent tid) ON COMMIT DROP", pairs(e));
    }
    let (child, parent) = (&graph.nodes[edge.child], &graph.nodes[edge.parent]);
    let (c, p) = (sql!("c"), sql!("p"));
    sql!(
        "CREATE TEMP TABLE {} ON COMMIT DROP AS
SELECT c.ctid AS child, p.ctid AS parent
FROM ONLY {} AS c JOIN ONLY {} AS p ON {}
WHERE true{}{}",
        pairs(e),
        child.table,
        parent.table,
        graph.on(edge, &c, &p),
        child.open(&c),
        parent.open(&p)
    )
}

/// References with an end that the first stratum did not decide: no later one changes a row that is.
pub(crate) fn fill_pairs(graph: &Graph, e: usize, edge: &Edge) -> Sql {
    let (c, p) = (sql!("c"), sql!("p"));
    let from = || {
        sql!(
            "SELECT c.ctid, p.ctid FROM {} AS x JOIN ONLY {} AS c ON c.ctid = x.rid JOIN ONLY {} AS p ON {} JOIN {} AS y ON y.rid = p.ctid",
            work(edge.child),
            graph.nodes[edge.child].table,
            graph.nodes[edge.parent].table,
            graph.on(edge, &c, &p),
            work(edge.parent)
        )
    };
    sql!(
        "INSERT INTO {} {} WHERE x.stratum IS NULL UNION ALL {} WHERE y.stratum IS NULL AND x.stratum IS NOT NULL",
        pairs(e),
        from(),
        from()
    )
}

pub(crate) fn index_work(n: usize) -> Sql {
    sql!("CREATE UNIQUE INDEX ON {} (rid)", work(n))
}
