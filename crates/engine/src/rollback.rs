//! Undoing a run, exactly: in reverse order, from the inverses in the journal; then the journal's own house; then the
//! proof that everything is as before.

use bastide_plan::{Phase, Step};
use uuid::Uuid;

use crate::{
    EngineError, Event, Listener, MigrationGuard, Place, RunRecord, RunState, StepRecord, app_login, backup,
    bootstrap, fault, fingerprint, journal, phases, read_run, run::wrong, runner::Runner,
};

/// What a rollback did.
#[derive(Clone, Debug)]
pub struct Undone {
    pub run: RunRecord,
    pub steps: Vec<StepRecord>,
    /// Tables whose rows differ from before the run: written meanwhile. Empty after a partial rollback.
    pub written_since: Vec<String>,
    /// What stays, and why.
    pub notes: Vec<String>,
}

/// Undoes the newest run (or `id`), whatever state it is in; with `to`, only what came after that phase.
///
/// # Errors
/// [`EngineError::WrongState`] when `to` is further on than the run; [`EngineError::NotRestorable`] before anything changes, when rows written since do not fit the old schema;
/// [`EngineError::NotAsBefore`] when the schema differs afterwards (somebody changed it meanwhile).
pub async fn rollback(
    place: &Place,
    id: Option<Uuid>,
    to: Option<Phase>,
    listener: Listener<'_>,
) -> Result<Undone, EngineError> {
    let mut guard = MigrationGuard::acquire(&place.target).await?;
    let (run, _) = read_run(guard.client(), id).await?;
    match run.state {
        RunState::RolledBack => return Err(wrong(&run, "there is nothing to undo")),
        RunState::Finished => {
            return Err(wrong(
                &run,
                "its journal was discarded by `bastide rls finish`; only a backup goes back further",
            ));
        }
        _ => {}
    }
    // Further on than it stands there is nothing to go back to, and `resume` would begin with steps that build on others
    // not done. After cutover comes nothing.
    if to.is_some_and(|to| to > run.phase || to >= Phase::Cutover) {
        return Err(wrong(&run, "`--to` takes a phase before that, or none to undo all"));
    }
    carry_on(&mut guard, place, run.id, to, listener).await
}

pub(crate) async fn carry_on(
    guard: &mut MigrationGuard,
    place: &Place,
    run: Uuid,
    to: Option<Phase>,
    listener: Listener<'_>,
) -> Result<Undone, EngineError> {
    carry_out(guard, place, run, to, None, listener).await
}

pub(crate) async fn carry_out(
    guard: &mut MigrationGuard,
    place: &Place,
    run: Uuid,
    to: Option<Phase>,
    cause: Option<&EngineError>,
    listener: Listener<'_>,
) -> Result<Undone, EngineError> {
    // `--to preflight` leaves nothing of the run: that is all of it.
    let to = to.filter(|phase| *phase > Phase::Preflight);
    if guard.client().is_closed() {
        guard.reconnect().await?;
    }
    guard.begin(run).await?;
    let (record, steps) = read_run(guard.client(), Some(run)).await?;
    let undo: Vec<&StepRecord> =
        steps.iter().rev().filter(|step| to.is_none_or(|to| step.phase > to)).collect();
    phases::restorable::check(&mut *guard, &record, &undo).await?;
    let error = cause.map(ToString::to_string).or(record.error.clone());
    let phase = to.unwrap_or(Phase::Preflight);
    journal::run_is(guard.client(), run, RunState::RollingBack, phase, error.as_deref()).await?;
    if app_login::stand_in(guard.client(), &record.plan, &steps).await? {
        let role = &record.plan.config.app_role;
        let text = format!("{role} was dropped meanwhile; a role that cannot log in stands in for it");
        listener(&Event::Notice { text });
    }
    let mut runner = Runner { guard: &mut *guard, run, patience: place.patience, listener };
    for step in &undo {
        runner.undo(step).await?;
    }
    let mut notes = Vec::new();
    let mut written_since = Vec::new();
    let mut differs = None;
    if to.is_none() {
        backup::drop_scratch(guard).await?;
        notes.extend(bootstrap::undo(guard).await?);
        fault::point("after_unbootstrap", "run");
        if record.plan.steps.iter().any(|planned| matches!(planned.step, Step::CreateAppRole(_))) {
            app_login::forget_password(place, &record.plan.config.app_role)?;
        }
        (listener)(&Event::Activity { phase, text: "comparing schema and rows with before".to_owned() });
        let comparison = fingerprint::compare(guard, run).await?;
        written_since = comparison.written;
        differs = comparison.schema;
        if let Some(note) = comparison.note {
            notes.push(note);
        }
    }
    let state = if to.is_none() { RunState::RolledBack } else { state_after(to, &steps) };
    journal::run_is(guard.client(), run, state, phase, error.as_deref()).await?;
    for text in &notes {
        listener(&Event::Notice { text: text.clone() });
    }
    if !written_since.is_empty() {
        let text = format!("written since the run began, and kept: {}", written_since.join(", "));
        listener(&Event::Notice { text });
    }
    if let Some(first) = differs {
        return Err(EngineError::NotAsBefore(first));
    }
    let (run, steps) = read_run(guard.client(), Some(run)).await?;
    Ok(Undone { run, steps, written_since, notes })
}

/// Undoing cutover alone leads back to where cutover can be tried again; anything else is half-way.
fn state_after(to: Option<Phase>, steps: &[StepRecord]) -> RunState {
    let whole = steps
        .iter()
        .filter(|step| step.phase <= Phase::Optimisation)
        .all(|step| step.state == crate::StepState::Done);
    if to >= Some(Phase::Optimisation) && whole { RunState::PendingCutover } else { RunState::Stopped }
}
