//! `legacy validate`: what the journal knows, put beside the rows there are.

use std::collections::BTreeMap;

use bastide_connect::Target;
use bastide_legacy::Upgrade;
use bastide_plan::{Phase, Step};
use bastide_record::{RowsVerdict, RunRecord, RunState, StepRecord, StepState};
use bastide_sql::QualifiedName;
use uuid::Uuid;

use crate::{EngineError, Event, Listener, fingerprint, guard::check_rights, journal, read_run, run::wrong};

/// Checks the rows of the newest run (or `id`). Changes nothing and takes no lock that somebody would wait for. `exact`:
/// nobody wrote since the run began, so totals that differ are a failure.
///
/// # Errors
/// [`EngineError::NothingAssigned`] when the run was rolled back; [`EngineError::WrongState`] when it is not through with
/// assignment.
pub async fn validate_rows(
    target: &Target,
    id: Option<Uuid>,
    exact: bool,
    listener: Listener<'_>,
) -> Result<RowsVerdict, EngineError> {
    let mut client = target.connect("bastide").await?;
    check_rights(&client).await?;
    let (run, steps) = read_run(&client, id).await?;
    assigned(&run, &steps)?;
    let before = fingerprint::stored(&client, run.id).await?;
    let before = before.map(|before| before.totals()).unwrap_or_default();
    let catalog = bastide_catalog::read(&mut client).await?;
    let upgrade = Upgrade {
        run: run.id.to_string(),
        plan: &run.plan,
        only_upgraded: run.state == RunState::Upgraded,
        cut_over: matches!(run.state, RunState::CutOver | RunState::Finished),
        finished: run.state == RunState::Finished,
        before,
        filled: filled(&run, &steps),
        exact,
    };
    let say = |text: &str| listener(&Event::Activity { phase: Phase::Validation, text: text.to_owned() });
    Ok(bastide_legacy::validate(&mut client, &catalog, &upgrade, &say).await?)
}

fn assigned(run: &RunRecord, steps: &[StepRecord]) -> Result<(), EngineError> {
    let through = || {
        steps.iter().filter(|step| step.phase <= Phase::Assignment).all(|step| step.state == StepState::Done)
    };
    match run.state {
        RunState::RolledBack => {
            Err(EngineError::NothingAssigned { run: run.id, state: journal::state_words(run.state) })
        }
        RunState::Running | RunState::Stopped | RunState::RollingBack if !through() => Err(wrong(
            run,
            "not every row has been given its tenant; `bastide legacy upgrade` or `bastide rls resume` goes on",
        )),
        _ => Ok(()),
    }
}

/// What the backfills counted, all passes together.
fn filled(run: &RunRecord, steps: &[StepRecord]) -> BTreeMap<QualifiedName, u64> {
    let mut filled = BTreeMap::new();
    for planned in &run.plan.steps {
        let Step::Backfill(backfill) = &planned.step else { continue };
        let step = steps.iter().find(|step| step.id == planned.id && step.state == StepState::Done);
        let rows = step.and_then(|step| step.rows).unwrap_or(0).unsigned_abs();
        *filled.entry(backfill.table.clone()).or_default() += rows;
    }
    filled
}
