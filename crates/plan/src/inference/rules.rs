//! What declared rules come to, measured over all rows before anything changes: how many rows each decides, values that are
//! no tenant, keys that are no row, and rows that two rules give to different tenants.

use bastide_sql::{Literal, Sql, join, sql};

use super::{Graph, render::search_path, seeds::Says};
use crate::Declarations;

/// Of one rule on one table that holds rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleMeasure {
    /// Which of the declared rules.
    pub rule: usize,
    /// One row: rows it speaks of, of those whose value no tenant has (both bigint), up to five such values (text[]), rows
    /// whose filled tenant column says otherwise (bigint).
    pub counts: Sql,
}

/// What the server makes of a rule's expression, asked before any row is looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleReading {
    /// Which of the declared rules.
    pub rule: usize,
    /// Makes a temporary view of the expression: parsed, and not evaluated.
    pub prepare: Sql,
    /// Rows of one text column: the VOLATILE functions it calls, also through views and operators.
    pub volatile: Sql,
}

/// For a graph of a survey.
#[must_use]
pub fn rule_readings(graph: &Graph) -> Vec<RuleReading> {
    let said = graph.seeds.iter().filter_map(|seed| match &seed.says {
        Says::First { rule, tenant } => Some((*rule, seed.node, tenant)),
        Says::Last { .. } | Says::Kind { .. } => None,
    });
    said.enumerate()
        .map(|(at, (rule, n, tenant))| {
            let view = sql!("pg_temp.bastide_rule{}", at);
            let table = &graph.nodes[n].table;
            let prepare = sql!(
                "CREATE VIEW {} AS SELECT {} AS said FROM ONLY {} AS {}",
                view,
                tenant,
                table,
                table.name
            );
            RuleReading { rule, prepare, volatile: volatile(&view) }
        })
        .collect()
}

/// Dependencies of a view leave out what the server came with, `random()` among it; its parsed form has every function.
/// That is the server's own notation, in which no name or text that somebody chose can pass for a number of ours.
fn volatile(view: &Sql) -> Sql {
    sql!(
        r"WITH RECURSIVE looked (rule) AS (
  SELECT r.oid FROM pg_rewrite AS r WHERE r.ev_class = {}::regclass
  UNION
  SELECT n.oid FROM looked AS l
    JOIN pg_depend AS d ON d.classid = 'pg_rewrite'::regclass AND d.objid = l.rule AND d.refclassid = 'pg_class'::regclass
    JOIN pg_rewrite AS n ON n.ev_class = d.refobjid AND n.ev_type = '1'
), parsed AS (
  SELECT r.ev_action::text AS tree FROM looked AS l JOIN pg_rewrite AS r ON r.oid = l.rule
), called (function) AS (
  SELECT m[1]::oid FROM parsed, regexp_matches(tree, ':(?:funcid|opfuncid|aggfnoid|winfnoid) (\d+)', 'g') AS m
  UNION
  SELECT o.oprcode::oid FROM parsed, regexp_matches(tree, ':opno (\d+)', 'g') AS m JOIN pg_operator AS o ON o.oid = m[1]::oid
)
SELECT p.oid::regprocedure::text FROM called JOIN pg_proc AS p ON p.oid = called.function WHERE p.provolatile = 'v' ORDER BY 1",
        Literal::text(view.as_str())
    )
}

/// Two rules of one table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RulePair {
    pub rules: (usize, usize),
    /// One row: rows they give to different tenants (bigint), up to five of their keys (text[]).
    pub counts: Sql,
}

/// For a graph of a survey.
#[must_use]
pub fn rule_measures(graph: &Graph) -> (Vec<RuleMeasure>, Vec<RulePair>) {
    let said: Vec<(usize, usize, &Sql)> = graph
        .seeds
        .iter()
        .filter_map(|seed| match &seed.says {
            Says::First { rule, tenant } => Some((*rule, seed.node, tenant)),
            Says::Last { .. } | Says::Kind { .. } => None,
        })
        .collect();
    let measures =
        said.iter().map(|&(rule, n, tenant)| RuleMeasure { rule, counts: counts(graph, n, tenant) });
    let mut pairs = Vec::new();
    for (at, &(one, n, first)) in said.iter().enumerate() {
        for &(other, _, second) in said[at + 1..].iter().filter(|(_, m, _)| *m == n) {
            pairs.push(RulePair { rules: (one, other), counts: contradictions(graph, n, first, second) });
        }
    }
    (measures.collect(), pairs)
}

fn counts(graph: &Graph, n: usize, tenant: &Sql) -> Sql {
    let node = &graph.nodes[n];
    let row = sql!("{}", node.table.name);
    let own = node
        .tenant
        .as_ref()
        .map_or_else(|| sql!("NULL::{}", graph.root.key_type), |column| sql!("{}.{}", row, column));
    sql!(
        "SELECT count(q.said), count(q.said) FILTER (WHERE r.{} IS NULL),
  coalesce((array_agg(DISTINCT left(q.said::text, 60)) FILTER (WHERE q.said IS NOT NULL AND r.{} IS NULL))[1:5], ARRAY[]::text[]),
  count(*) FILTER (WHERE q.own <> q.said)
FROM (SELECT {} AS said, {} AS own, {}.ctid AS rid FROM ONLY {} AS {}) AS q LEFT JOIN {} AS r ON r.{} = q.said",
        graph.root.key,
        graph.root.key,
        tenant,
        own,
        row,
        node.table,
        row,
        graph.root.table,
        graph.root.key
    )
}

fn contradictions(graph: &Graph, n: usize, first: &Sql, second: &Sql) -> Sql {
    let node = &graph.nodes[n];
    let row = sql!("{}", node.table.name);
    let shown: Vec<Sql> = if node.key.is_empty() {
        vec![sql!("{}.ctid::text", row)]
    } else {
        node.key.iter().map(|column| sql!("{}.{}::text", row, column)).collect()
    };
    sql!(
        "SELECT count(*), coalesce((array_agg(q.key))[1:5], ARRAY[]::text[])
FROM (SELECT {} AS one, {} AS other, left(concat_ws(', ', {}), 60) AS key FROM ONLY {} AS {}) AS q WHERE q.one <> q.other",
        first,
        second,
        join(shown, ", "),
        node.table,
        row
    )
}

impl Graph {
    /// What the names in a rule mean while scripts run; [`rule_measures`] are read under the same.
    #[must_use]
    pub fn rule_path(&self) -> Sql {
        search_path(self)
    }

    /// Given keys that no row of the rule's table has: one row, their number (bigint) and up to five of them (text[], as
    /// JSON).
    #[must_use]
    pub fn keys_of_no_row(&self, declared: &Declarations, rule: usize) -> Option<Sql> {
        let nodes =
            self.seeds.iter().filter(|seed| matches!(seed.says, Says::First { rule: of, .. } if of == rule));
        let rule = declared.rules.get(rule)?;
        let keys = rule.keys.as_ref()?;
        let absent = nodes.map(|seed| {
            let node = &self.nodes[seed.node];
            sql!(
                "NOT EXISTS (SELECT FROM ONLY {} AS t WHERE {} = g.key)",
                node.table,
                super::record::key_of(&sql!("t"), &keys.columns, &node.original_columns)
            )
        });
        Some(sql!(
            "SELECT count(*), coalesce((array_agg(g.key::text))[1:5], ARRAY[]::text[]) FROM {} AS g WHERE g.rule = {} AND {}",
            self.given.relation(),
            Literal::text(&rule.name),
            join(absent, " AND ")
        ))
    }
}
