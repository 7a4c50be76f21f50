//! Every row that the run filled: is there evidence, does it name the same tenant, and is there the rule it names?
//!
//! Rows that legacy statements wrote since got their tenant from a trigger, which leaves no evidence behind; they cannot
//! be told from rows whose evidence was lost but by number: the journal counted the rows that were filled.

use std::collections::BTreeSet;

use bastide_plan::{
    Phase, Step,
    inference::{self, Node},
    steps::Backfill,
};
use bastide_record::{Looked, LookedState};
use bastide_sql::{Ident, Literal, Sql, sql};

use super::{Eye, looked, number, shown};
use crate::SurveyError;

/// With more lines than this, every n-th is compared.
const COMPARED: u64 = 1_000_000;

pub(super) async fn check(eye: &Eye<'_>) -> Result<Vec<Looked>, SurveyError> {
    let mut found = Vec::new();
    if eye.upgrade.finished {
        return Ok(found);
    }
    if eye.upgrade.plan.root.new {
        for (_, node, _) in eye.scoped() {
            found.push(declared(eye, node).await?);
        }
        return Ok(found);
    }
    let mut seen = BTreeSet::new();
    for planned in eye.upgrade.plan.steps_of(Phase::Assignment) {
        let Step::Backfill(step) = &planned.step else { continue };
        let node = eye.scoped().find(|(_, node, _)| node.table == step.table);
        if let (Some((n, node, _)), true) = (node, seen.insert(&step.table)) {
            found.push(one(eye, n, node, step).await?);
        }
    }
    Ok(found)
}

async fn declared(eye: &Eye<'_>, node: &Node) -> Result<Looked, SurveyError> {
    let what = format!("look for what was declared of {}", node.table);
    let query = sql!(
        "SELECT (SELECT count(*) FROM ONLY {}), (SELECT count(*) FROM bastide.rule WHERE run_id = current_setting('bastide.run')::uuid AND relation = {} AND kind = 'declared')",
        node.table,
        relation(node)
    );
    let row = eye.row(&query, &what).await?;
    let (rows, rules) = (number(&row, 0, &what)?, number(&row, 1, &what)?);
    // A table that had a tenant column already needed no declaration.
    let filled = eye
        .upgrade
        .plan
        .steps
        .iter()
        .any(|planned| matches!(&planned.step, Step::AddTenantColumn(step) if step.table == node.table));
    Ok(if rules == 0 && filled {
        looked(&node.table, LookedState::Failed, rows, "no rule says whose its rows are".to_owned())
    } else {
        looked(&node.table, LookedState::Held, rows, "declared for all its rows".to_owned())
    })
}

async fn one(eye: &Eye<'_>, n: usize, node: &Node, step: &Backfill) -> Result<Looked, SurveyError> {
    let what = format!("compare {} with its evidence", node.table);
    let of_ours = sql!(
        "a.run_id = current_setting('bastide.run')::uuid AND a.relation = {} AND a.tenant IS NOT NULL",
        relation(node)
    );
    let counts = sql!(
        "SELECT count(*), count(*) FILTER (WHERE a.rule NOT IN (SELECT r.id FROM bastide.rule AS r WHERE r.run_id = current_setting('bastide.run')::uuid)), (SELECT count(*) FROM ONLY {}) FROM bastide.assignment AS a WHERE {}",
        node.table,
        of_ours
    );
    let row = eye.row(&counts, &what).await?;
    let (lines, unruled, rows) = (number(&row, 0, &what)?, number(&row, 1, &what)?, number(&row, 2, &what)?);
    let every = lines.div_ceil(COMPARED).max(1);
    let joined = joined(node, step, &of_ours, every);
    let differs = sql!(
        "line.key IS NOT NULL AND c.{} <> ALL (line.tenants::{}[]) AND NOT {}",
        step.column,
        step.type_name,
        inference::a_parent_agrees(&eye.graph, n)
    );
    let compared = sql!(
        "{}SELECT (SELECT count(*) FROM line), count(*), count(line.key), count(*) FILTER (WHERE {}) {}",
        joined.with,
        differs,
        joined.from
    );
    let row = eye.row(&compared, &what).await?;
    let (keys, looked_at, matched, differ) =
        (number(&row, 0, &what)?, number(&row, 1, &what)?, number(&row, 2, &what)?, number(&row, 3, &what)?);
    let filled = eye.upgrade.filled.get(&step.table).copied().unwrap_or(0);
    let unmatched = looked_at - matched;
    let unchanged = eye.upgrade.before.get(&node.table).is_some_and(|before| before.rows == rows);
    let missing = if every > 1 {
        if step.key.is_empty() { 0 } else { filled.saturating_sub(lines) }
    } else if !step.key.is_empty() {
        // A row that was emptied and filled again was counted twice; it has its evidence all the same.
        filled.saturating_sub(lines).min(unmatched)
    } else if unchanged {
        // Equal rows share a line here, so it is the rows that are counted.
        filled.saturating_sub(matched).min(unmatched)
    } else {
        0
    };
    let mut said = Vec::new();
    if missing > 0 {
        said.push(format!("{missing} of the {filled} rows that the run filled have no evidence"));
    }
    if differ > 0 {
        said.push(format!(
            "{differ} rows have another tenant than their evidence says, and no parent of that tenant"
        ));
    }
    if unruled > 0 {
        said.push(format!("{unruled} lines of evidence name a rule that is not there"));
    }
    let state = if said.is_empty() { LookedState::Held } else { LookedState::Failed };
    if said.is_empty() {
        said.push(format!("{filled} filled"));
    }
    if every > 1 {
        said.push(format!("1 row in {every} was compared"));
    } else {
        if unmatched > missing {
            said.push(format!("{} had a tenant before, or were written since", unmatched - missing));
        }
        if step.key.is_empty() {
            said.push("the table has no key: its rows are known by what is in them".to_owned());
        } else if keys > matched {
            said.push(format!("{} rows are gone, or held aside", keys - matched));
        }
    }
    let mut looked = looked(&node.table, state, rows, said.join("; "));
    if state == LookedState::Failed {
        let no_line = if missing > 0 { sql!("line.key IS NULL OR ") } else { sql!("") };
        let samples = sql!(
            "{}SELECT {} {} AND ({}{}) LIMIT 5",
            joined.with,
            shown(node),
            joined.from,
            no_line,
            differs
        );
        looked.samples = eye.samples(&samples, &what).await?;
    }
    Ok(looked)
}

struct Joined {
    with: Sql,
    from: Sql,
}

/// Rows `c` that have a tenant, each with what was found of it, in all passes.
fn joined(node: &Node, step: &Backfill, of_ours: &Sql, every: u64) -> Joined {
    let key = inference::row_key(&Ident::constant("c"), &node.key, &node.original_columns);
    let nth = |key: &Sql| {
        if every == 1 { sql!("") } else { sql!(" AND hashtextextended({}::text, 0) % {} = 0", key, every) }
    };
    Joined {
        with: sql!(
            "WITH line AS MATERIALIZED (
  SELECT a.key, array_agg(DISTINCT a.tenant) AS tenants FROM bastide.assignment AS a WHERE {}{} GROUP BY a.key
) ",
            of_ours,
            nth(&sql!("a.key"))
        ),
        from: sql!(
            "FROM ONLY {} AS c LEFT JOIN line ON line.key = {} WHERE c.{} IS NOT NULL{}",
            node.table,
            key,
            step.column,
            nth(&key)
        ),
    }
}

fn relation(node: &Node) -> Literal {
    Literal::text(sql!("{}", node.table).as_str())
}
