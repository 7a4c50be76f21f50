//! `bastide rls status`: where the newest run stands, and what to type next.

use bastide_record::{RunRecord, RunState, StepRecord, StepState};
use serde::Serialize;

use crate::{args::RunId, context::Context, exit::Exit};

#[derive(Serialize)]
pub(super) struct Status {
    run: String,
    state: RunState,
    phase: bastide_plan::Phase,
    steps_done: usize,
    steps_undone: usize,
    steps: usize,
    /// The step that was under way or failed.
    at: Option<String>,
    error: Option<String>,
    next: &'static str,
}

pub(crate) async fn run(context: &Context, run: &RunId) -> anyhow::Result<Exit> {
    let id = context.run_id(run.run.as_deref())?;
    let (record, steps) = bastide_engine::status(&context.target()?, id).await?;
    let (exit, status) = of(&record, &steps);
    context.printer.result(&status, || text(&status))?;
    Ok(exit)
}

pub(super) fn of(record: &RunRecord, steps: &[StepRecord]) -> (Exit, Status) {
    let count = |state| steps.iter().filter(|step| step.state == state).count();
    let at = steps
        .iter()
        .find(|step| matches!(step.state, StepState::Started | StepState::Undoing | StepState::Failed));
    let (exit, next) = match record.state {
        RunState::Running | RunState::Stopped | RunState::RollingBack => (
            Exit::HalfWay,
            "`bastide rls resume` goes on, `bastide rls rollback` undoes it (unless a `bastide` is still at work)",
        ),
        RunState::Upgraded => (
            Exit::Done,
            "`bastide rls resume` goes on with policies, `bastide legacy validate` checks, `bastide legacy rollback` undoes",
        ),
        RunState::PendingCutover => (
            Exit::Done,
            "`bastide rls cutover` when the application uses its new login; `bastide rls rollback` undoes it",
        ),
        RunState::CutOver => (
            Exit::Done,
            "`bastide rls finish` when you will not go back; `bastide rls rollback` still undoes it",
        ),
        RunState::RolledBack | RunState::Finished => (Exit::Done, "nothing: the run has ended"),
    };
    let status = Status {
        run: record.id.to_string(),
        state: record.state,
        phase: record.phase,
        steps_done: count(StepState::Done),
        steps_undone: count(StepState::Undone),
        steps: steps.len(),
        at: at.map(|step| step.text.clone()),
        error: record.error.clone().or_else(|| at.and_then(|step| step.error.clone())),
        next,
    };
    (exit, status)
}

pub(super) fn text(status: &Status) -> String {
    let word = serde_json::to_value(status.state)
        .ok()
        .and_then(|v| v.as_str().map(|s| s.replace('_', " ")))
        .unwrap_or_default();
    let mut text = format!(
        "run    {}\nstate  {word}, phase {}\nsteps  {} of {} done",
        status.run, status.phase, status.steps_done, status.steps
    );
    if status.steps_undone > 0 {
        text.push_str(&format!(", {} undone", status.steps_undone));
    }
    if let Some(at) = &status.at {
        text.push_str(&format!("\nat     {at}"));
    }
    if let Some(error) = &status.error {
        text.push_str(&format!("\nwhy    {error}"));
    }
    text.push_str(&format!("\nnext   {}", status.next));
    text
}
