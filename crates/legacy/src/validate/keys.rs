//! Keys that the plan makes tenant-wide: unique within each tenant.

use bastide_catalog::Table;
use bastide_plan::{
    Phase, Step,
    steps::{DropLegacyKey, LegacyKey},
};
use bastide_record::{Looked, LookedState};
use bastide_sql::{Ident, join, sql};

use super::{Eye, looked, number};
use crate::SurveyError;

pub(super) async fn check(eye: &Eye<'_>) -> Result<Vec<Looked>, SurveyError> {
    let mut found = Vec::new();
    for planned in eye.upgrade.plan.steps_of(Phase::Cutover) {
        let Step::DropLegacyKey(key) = &planned.step else { continue };
        if matches!(key.kind, LegacyKey::ForeignKey { .. }) {
            continue;
        }
        let tenant = eye.upgrade.plan.tables.get(&key.table).and_then(|table| table.tenant_column.as_ref());
        if let (Some(table), Some(tenant)) = (eye.catalog.table(&key.table), tenant) {
            found.push(one(eye, key, table, &tenant.name).await?);
        }
    }
    Ok(found)
}

async fn one(
    eye: &Eye<'_>,
    key: &DropLegacyKey,
    table: &Table,
    tenant: &Ident,
) -> Result<Looked, SurveyError> {
    let what = format!("look for values twice in {} ({})", key.table, key.name);
    let names: Vec<String> = key.columns.iter().map(ToString::to_string).collect();
    let object = format!("{} ({})", key.table, names.join(", "));
    // Rows of inheritance children are none of this key's.
    let only = if table.holds_rows() { sql!("ONLY ") } else { sql!("") };
    let proof = table
        .keys
        .iter()
        .find(|kept| kept.columns.iter().all(|column| column == tenant || key.columns.contains(column)));
    if let Some(proof) = proof {
        let rows = eye.row(&sql!("SELECT count(*) FROM {}{}", only, key.table), &what).await?;
        let message = format!("the unique key {} sees to it", proof.name);
        return Ok(looked(object, LookedState::Held, number(&rows, 0, &what)?, message));
    }
    let present = join(key.columns.iter().map(|column| sql!("c.{} IS NOT NULL", column)), " AND ");
    let columns = join(key.columns.iter().map(|column| sql!("c.{}", column)), ", ");
    let groups = sql!(
        "SELECT {}, count(*) AS times FROM {}{} AS c WHERE {} GROUP BY c.{}, {}",
        sql!("concat_ws(', ', c.{}::text, {})", tenant, columns),
        only,
        key.table,
        present,
        tenant,
        columns
    );
    let counts = sql!(
        "SELECT coalesce(sum(g.times), 0)::bigint, count(*) FILTER (WHERE g.times > 1) FROM ({}) AS g (key, times)",
        groups
    );
    let row = eye.row(&counts, &what).await?;
    let (rows, twice) = (number(&row, 0, &what)?, number(&row, 1, &what)?);
    if twice == 0 {
        return Ok(looked(object, LookedState::Held, rows, String::new()));
    }
    let message = format!("{twice} values are there more than once in one tenant");
    let mut looked = looked(object, LookedState::Failed, rows, message);
    let samples = sql!("SELECT g.key FROM ({}) AS g (key, times) WHERE g.times > 1 LIMIT 5", groups);
    looked.samples = eye.samples(&samples, &what).await?;
    Ok(looked)
}
