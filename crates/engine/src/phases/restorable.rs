//! Before a rollback changes anything: would the keys it puts back hold for the rows there are now?

use bastide_plan::Step;
use bastide_plan::steps::{DropLegacyKey, LegacyKey};
use bastide_sql::{Ident, Sql, join, sql};
use tokio_postgres::Client;

use crate::{EngineError, RunRecord, StepRecord, StepState};

pub(crate) async fn check(client: &Client, run: &RunRecord, undo: &[&StepRecord]) -> Result<(), EngineError> {
    let mut misfits = Vec::new();
    for record in undo.iter().filter(|step| matches!(step.state, StepState::Done | StepState::Undoing)) {
        let planned =
            run.plan.steps.iter().find(|planned| planned.id == record.id).map(|planned| &planned.step);
        let Some(Step::DropLegacyKey(key)) = planned else { continue };
        let Some(query) = duplicates(key) else { continue };
        let rows = client
            .query_one(query.as_str(), &[])
            .await
            .and_then(|row| row.try_get::<_, i64>(0))
            .map_err(EngineError::server("testing the keys that rollback restores"))?;
        if rows > 0 {
            let columns = key.columns.iter().map(Ident::to_string).collect::<Vec<_>>().join(", ");
            misfits.push(format!(
                "{} has {rows} value(s) of ({columns}) more than once, which {} forbids",
                key.table, key.name
            ));
        }
    }
    if misfits.is_empty() { Ok(()) } else { Err(EngineError::NotRestorable(misfits.join("; "))) }
}

/// Keys that one tenant's rows kept, and several tenants' rows may not. A simple foreign key needs no test: the
/// composite one in its place forbids the same.
fn duplicates(key: &DropLegacyKey) -> Option<Sql> {
    match key.kind {
        LegacyKey::ForeignKey { .. } => None,
        LegacyKey::UniqueConstraint | LegacyKey::UniqueIndex => {
            let present: Vec<Sql> = key.columns.iter().map(|column| sql!("{} IS NOT NULL", column)).collect();
            let columns = sql!("{}", join(&key.columns, ", "));
            Some(sql!(
                "SELECT count(*) FROM (SELECT 1 FROM {} WHERE {} GROUP BY {} HAVING count(*) > 1) AS d",
                key.table,
                join(present, " AND "),
                columns
            ))
        }
    }
}
