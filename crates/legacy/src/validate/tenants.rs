//! No scoped row without a tenant, and none with one that is not there.

use bastide_plan::{Phase, Step, inference};
use bastide_record::{Looked, LookedState};
use bastide_sql::{Ident, Literal, Sql, sql};

use super::{Eye, looked, number, shown};
use crate::SurveyError;

pub(super) async fn check(eye: &Eye<'_>) -> Result<Vec<Looked>, SurveyError> {
    let root = &eye.graph.root;
    let mut found = Vec::new();
    for (_, node, column) in eye.scoped() {
        let what = format!("look for rows of {} without a tenant", node.table);
        let from = sql!("ONLY {} AS c", node.table);
        let stray = sql!(
            "c.{} IS NOT NULL AND NOT EXISTS (SELECT FROM {} AS r WHERE r.{} = c.{})",
            column,
            root.table,
            root.key,
            column
        );
        let counts = sql!(
            "SELECT count(*), count(*) FILTER (WHERE c.{} IS NULL), (SELECT count(*) FROM {} WHERE {}) FROM {}",
            column,
            from,
            stray,
            from
        );
        let row = eye.row(&counts, &what).await?;
        let (rows, without, strays) =
            (number(&row, 0, &what)?, number(&row, 1, &what)?, number(&row, 2, &what)?);
        let unsettled = unsettled(eye, node, column);
        let known = if without > 0 && held_aside_at_cutover(eye) {
            let known = sql!("SELECT count(*) FROM {} WHERE c.{} IS NULL AND {}", from, column, unsettled);
            number(&eye.row(&known, &what).await?, 0, &what)?
        } else {
            0
        };
        let (state, message) = if without > known || strays > 0 {
            let mut said = Vec::new();
            if without > known {
                let next =
                    if eye.upgrade.only_upgraded { "; `bastide legacy upgrade` looks for it" } else { "" };
                said.push(format!("{} rows have no tenant{next}", without - known));
            }
            if strays > 0 {
                said.push(format!("{strays} rows have a tenant that {} does not have", root.table));
            }
            (LookedState::Failed, said.join("; "))
        } else if known > 0 {
            (LookedState::PendingCutover, format!("nothing settles {known} rows; cutover holds them aside"))
        } else {
            (LookedState::Held, String::new())
        };
        let mut looked = looked(&node.table, state, rows, message);
        if state == LookedState::Failed {
            let known = if known > 0 { sql!(" AND NOT {}", unsettled) } else { sql!("") };
            let samples = sql!(
                "SELECT {} FROM {} WHERE c.{} IS NULL{} OR {} LIMIT 5",
                shown(node),
                from,
                column,
                known,
                stray
            );
            looked.samples = eye.samples(&samples, &what).await?;
        }
        found.push(looked);
    }
    Ok(found)
}

/// Row `c` has no tenant, and nobody expects it to: inference wrote down that nothing settles it. Once policies have begun
/// no more is inferred before cutover, so there a row that the run gave no tenant counts, too.
fn unsettled(eye: &Eye<'_>, node: &inference::Node, column: &Ident) -> Sql {
    let key = inference::row_key(&Ident::constant("c"), &node.key, &node.original_columns);
    let relation = Literal::text(sql!("{}", node.table).as_str());
    let (among, settled) = if eye.upgrade.only_upgraded {
        (sql!("IN"), sql!("NULL"))
    } else {
        (sql!("NOT IN"), sql!("NOT NULL"))
    };
    sql!(
        "(c.{} IS NULL AND {} {} (SELECT a.key FROM bastide.assignment AS a WHERE a.run_id = current_setting('bastide.run')::uuid AND a.relation = {} AND a.tenant IS {}))",
        column,
        key,
        among,
        relation,
        settled
    )
}

fn held_aside_at_cutover(eye: &Eye<'_>) -> bool {
    !eye.upgrade.cut_over
        && eye.upgrade.plan.quarantine.is_none()
        && eye.upgrade.plan.steps_of(Phase::Cutover).any(|p| matches!(p.step, Step::HoldAside(_)))
}
