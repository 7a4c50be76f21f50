//! Nothing lost, nothing counted twice: the tenants' rows and sums add up to the table's, and with what is held aside to
//! what was there before the run.

use bastide_plan::{Step, inference::HeldLayout, inference::Node};
use bastide_record::{Looked, LookedState};
use bastide_sql::{Ident, Literal, Sql, join, sql};

use super::{Eye, Totals, looked, number};
use crate::SurveyError;

pub(super) async fn check(eye: &Eye<'_>) -> Result<Vec<Looked>, SurveyError> {
    let mut found = Vec::new();
    for (_, node, column) in eye.scoped() {
        found.push(one(eye, node, column).await?);
    }
    Ok(found)
}

async fn one(eye: &Eye<'_>, node: &Node, tenant: &Ident) -> Result<Looked, SurveyError> {
    let what = format!("add up {}", node.table);
    let unknown = Totals::default();
    let before = eye.upgrade.before.get(&node.table);
    let there = |column: &Ident| node.layout.iter().any(|(name, ..)| name == column);
    // A column that is gone cannot be added up; the schema's own comparison tells of it.
    let was: Vec<&(Ident, String)> =
        before.unwrap_or(&unknown).sums.iter().filter(|(column, _)| there(column)).collect();
    let columns: Vec<&Ident> = was.iter().map(|(column, _)| column).collect();
    let held = held(eye, node).await?;
    let row = eye.row(&totals(eye, node, tenant, &columns, held), &what).await?;
    let (tenants, rows, parts, aside) =
        (number(&row, 0, &what)?, number(&row, 1, &what)?, number(&row, 2, &what)?, number(&row, 3, &what)?);
    let texts = |at| row.try_get::<_, Vec<String>>(at).map_err(SurveyError::during(&what));
    let (total, added, whole) = (texts(4)?, texts(5)?, texts(6)?);
    let fail = |message| Ok(looked(&node.table, LookedState::Failed, rows, message));
    if parts != rows {
        return fail(format!("the tenants have {parts} rows in all, and the table has {rows}"));
    }
    for (column, (added, total)) in columns.iter().zip(added.iter().zip(&total)) {
        if added != total {
            return fail(format!(
                "{column} adds up to {added} over the tenants, and to {total} in the table"
            ));
        }
    }
    let Some(before) = before else {
        let message = format!("{tenants} tenants; the run wrote down no totals to compare with");
        return Ok(looked(&node.table, LookedState::Changed, rows, message));
    };
    let mut differs = Vec::new();
    if rows + aside != before.rows {
        differs.push(format!("{} rows before, {rows} now", before.rows));
    }
    for ((column, was), now) in was.iter().zip(&whole) {
        if was != now {
            differs.push(format!("{column} added up to {was}, and now to {now}"));
        }
    }
    let of = |text: String| if aside > 0 { format!("{text}, and {aside} held aside") } else { text };
    if differs.is_empty() {
        let message = of(format!("{rows} rows and {} sums of {tenants} tenants", columns.len()));
        return Ok(looked(&node.table, LookedState::Held, rows + aside, message));
    }
    let differs = of(differs.join("; "));
    if eye.upgrade.exact {
        return fail(differs);
    }
    let message = format!("rows were written since: {differs}; the tenants add up to what is there now");
    Ok(looked(&node.table, LookedState::Changed, rows, message))
}

/// One row: tenants, rows, rows of all tenants and of none, rows held aside; the table's sums, those of its parts, and
/// those with what is held aside. The parts are joined from the root, so a tenant that is there twice counts twice.
fn totals(eye: &Eye<'_>, node: &Node, tenant: &Ident, columns: &[&Ident], held: Option<Sql>) -> Sql {
    let root = &eye.graph.root;
    let sum = |alias: &'static str| {
        let alias = Sql::trusted(alias);
        let sums = columns
            .iter()
            .enumerate()
            .map(|(at, column)| sql!(", coalesce(sum({}.{}::numeric), 0) AS {}", alias, column, name(at)));
        sql!("{}", join(sums, ""))
    };
    let sum_of_sums =
        columns.iter().enumerate().map(|(at, _)| sql!(", coalesce(sum(g.{}), 0) AS {}", name(at), name(at)));
    let array = |expressions: Vec<Sql>| sql!("ARRAY[{}]::text[]", join(expressions, ", "));
    let each = |f: &dyn Fn(Ident) -> Sql| (0..columns.len()).map(|at| f(name(at))).collect::<Vec<_>>();
    let total = each(&|s| sql!("trim_scale(total.{})::text", s));
    let parts = each(&|s| sql!("trim_scale(part.{} + stray.{})::text", s, s));
    let whole = each(&|s| sql!("trim_scale(total.{} + held.{})::text", s, s));
    let nothing_held = sql!("SELECT 0::bigint AS n{}", join(each(&|s| sql!(", 0::numeric AS {}", s)), ""));
    let held = match held {
        Some(rows) => sql!("SELECT count(*) AS n{} FROM {} AS h", sum("h"), rows),
        None => nothing_held,
    };
    sql!(
        "WITH total AS (SELECT count(*) AS n{} FROM ONLY {} AS c),
part AS (
  SELECT count(*) AS tenants, coalesce(sum(g.n), 0)::bigint AS n{} FROM (
    SELECT count(*) AS n{} FROM {} AS r JOIN ONLY {} AS c ON c.{} = r.{} GROUP BY r.{}
  ) AS g
), stray AS (
  SELECT count(*) AS n{} FROM ONLY {} AS c WHERE NOT EXISTS (SELECT FROM {} AS r WHERE r.{} = c.{})
), held AS ({})
SELECT part.tenants, total.n, part.n + stray.n, held.n, {}, {}, {} FROM total, part, stray, held",
        sum("c"),
        node.table,
        join(sum_of_sums, ""),
        sum("c"),
        root.table,
        node.table,
        tenant,
        root.key,
        root.key,
        sum("c"),
        node.table,
        root.table,
        root.key,
        tenant,
        held,
        array(total),
        array(parts),
        array(whole)
    )
}

fn name(at: usize) -> Ident {
    Ident::derived("sum", &at.to_string())
}

/// The rows of this table that are held aside, read with the layout they were written down in.
async fn held(eye: &Eye<'_>, node: &Node) -> Result<Option<Sql>, SurveyError> {
    let layouts = eye.upgrade.plan.steps.iter().filter_map(|planned| match &planned.step {
        Step::HoldAside(step) => Some(&step.layouts),
        _ => None,
    });
    let Some(layout) = layouts.flatten().find(|layout| layout.table == node.table) else { return Ok(None) };
    if !eye.upgrade.cut_over || eye.upgrade.finished {
        return Ok(None);
    }
    let what = format!("read what is held aside of {}", node.table);
    eye.execute(&sql!("DROP TABLE IF EXISTS pg_temp.bastide_validate"), &what).await?;
    eye.execute(&like(layout), &what).await?;
    Ok(Some(sql!(
        "(SELECT (s.r).* FROM (SELECT h.row::pg_temp.bastide_validate AS r FROM bastide.held AS h WHERE h.run_id = current_setting('bastide.run')::uuid AND h.relation = {} AND h.restored_at IS NULL OFFSET 0) AS s)",
        Literal::text(sql!("{}", node.table).as_str())
    )))
}

fn like(layout: &HeldLayout) -> Sql {
    let columns = layout.columns.iter().map(|(column, kind)| sql!("{} {}", column, kind));
    sql!("CREATE TEMP TABLE bastide_validate ({}) ON COMMIT DROP", join(columns, ", "))
}
