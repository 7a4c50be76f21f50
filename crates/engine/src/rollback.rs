//! Undoing a run, exactly: in reverse order, from the inverses in the journal; then the journal's own house; then the
//! proof that everything is as before.

use bastide_plan::{Phase, steps::HELD_BY_ROLLBACK};
use uuid::Uuid;

use crate::{
    EngineError, Event, Head, Listener, MigrationGuard, Place, RunState, StepRecord, app_login, backup,
    bootstrap, fault, fingerprint, journal, phases, platform, read_run::read_to_undo, run::cut_off,
    runner::Runner,
};

/// What a rollback did.
#[derive(Clone, Debug)]
pub struct Undone {
    pub run: Head,
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
/// [`EngineError::RollbackStopped`] half-way;
/// [`EngineError::NotAsBefore`] when the schema differs afterwards (somebody changed it meanwhile).
pub async fn rollback(
    place: &Place,
    id: Option<Uuid>,
    to: Option<Phase>,
    listener: Listener<'_>,
) -> Result<Undone, EngineError> {
    let mut guard = MigrationGuard::acquire(&place.target).await?;
    platform::nothing_on_top(guard.client()).await?;
    let (run, _) = read_to_undo(guard.client(), id).await?;
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
    if to.is_some() {
        let forget = platform::forget_adopted();
        let doing = "forgetting that the platform's schema is what the run left";
        guard.client().batch_execute(forget.as_str()).await.map_err(EngineError::server(doing))?;
    }
    carry_on(&mut guard, place, run.id, to, listener).await
}

fn wrong(run: &Head, next: &'static str) -> EngineError {
    EngineError::WrongState { run: run.id, state: journal::state_words(run.state), phase: run.phase, next }
}

/// The rollback that somebody asked for: where it stops half-way, the next one goes on.
pub(crate) async fn carry_on(
    guard: &mut MigrationGuard,
    place: &Place,
    run: Uuid,
    to: Option<Phase>,
    listener: Listener<'_>,
) -> Result<Undone, EngineError> {
    carry_out(guard, place, run, to, None, listener).await.map_err(|cause| match cause {
        // Before anything was undone, and after everything was.
        EngineError::NotRestorable(_) | EngineError::NotAsBefore(_) => cause,
        cause => EngineError::RollbackStopped { cause: Box::new(cause) },
    })
}

/// As often as the connection is cut, from the journal.
pub(crate) async fn carry_out(
    guard: &mut MigrationGuard,
    place: &Place,
    run: Uuid,
    to: Option<Phase>,
    cause: Option<&EngineError>,
    listener: Listener<'_>,
) -> Result<Undone, EngineError> {
    let phase = to.unwrap_or(Phase::Preflight);
    if guard.lost().await {
        guard.reconnect().await?;
    }
    let mut time = 0;
    loop {
        time += 1;
        match undo(guard, place, run, to, cause, listener).await {
            Err(cut) if !cut.stops() && guard.lost().await => {
                cut_off(guard, phase, &cut, time, listener).await?;
            }
            ended => return ended,
        }
    }
}

async fn undo(
    guard: &mut MigrationGuard,
    place: &Place,
    run: Uuid,
    to: Option<Phase>,
    cause: Option<&EngineError>,
    listener: Listener<'_>,
) -> Result<Undone, EngineError> {
    // `--to preflight` leaves nothing of the run: that is all of it.
    let to = to.filter(|phase| *phase > Phase::Preflight);
    guard.begin(run).await?;
    let (record, steps) = read_to_undo(guard.client(), Some(run)).await?;
    let undo: Vec<&StepRecord> =
        steps.iter().rev().filter(|step| to.is_none_or(|to| step.phase > to)).collect();
    match &record.plan {
        Ok(plan) => phases::restorable::check(&mut *guard, plan, &undo).await?,
        Err(what) => {
            let text = format!(
                "this Bastide cannot read the plan of the run ({what}), so it does not test beforehand whether rows written since fit the old keys; one that does not stops the rollback, and `bastide rls rollback` goes on once it is mended"
            );
            listener(&Event::Notice { text });
        }
    }
    let error = cause.map(ToString::to_string).or(record.error.clone());
    let phase = to.unwrap_or(Phase::Preflight);
    journal::run_is(guard.client(), run, RunState::RollingBack, phase, error.as_deref()).await?;
    let login = app_login::made_by_steps(&steps);
    if let Some(login) = &login
        && app_login::stand_in(guard.client(), login, &steps).await?
    {
        let text = format!("{login} was dropped meanwhile; a role that cannot log in stands in for it");
        listener(&Event::Notice { text });
    }
    let mut runner = Runner::new(&mut *guard, run, place.patience, listener);
    for step in &undo {
        runner.undo(step).await?;
    }
    let mut notes = Vec::new();
    let mut written_since = Vec::new();
    let mut differs = None;
    if to.is_none() {
        backup::drop_scratch(guard).await?;
        notes.extend(held_by_us(guard, run).await?);
        notes.extend(bootstrap::undo(guard).await?);
        fault::point("after_unbootstrap", "run");
        if let Some(login) = &login {
            app_login::forget_password(place, login)?;
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
    let (run, steps) = read_to_undo(guard.client(), Some(run)).await?;
    Ok(Undone { run, steps, written_since, notes })
}

/// Rows that legacy statements wrote for a tenant of ours, and that the old schema cannot hold without it.
async fn held_by_us(guard: &MigrationGuard, run: Uuid) -> Result<Vec<String>, EngineError> {
    let doing = "reading what rollback held aside";
    let rows = guard
        .client()
        .query(
            "SELECT format('%s row(s) of %s were written for a tenant that the run had made; they are held aside in bastide.held', count(*), relation) FROM bastide.held WHERE run_id = $1 AND reason = $2 GROUP BY relation ORDER BY relation",
            &[&run, &HELD_BY_ROLLBACK],
        )
        .await
        .map_err(EngineError::server(doing))?;
    rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>().map_err(EngineError::server(doing))
}

/// Undoing cutover alone leads back to where cutover can be tried again; anything else is half-way.
fn state_after(to: Option<Phase>, steps: &[StepRecord]) -> RunState {
    let whole = steps
        .iter()
        .filter(|step| step.phase <= Phase::Optimisation)
        .all(|step| step.state == crate::StepState::Done);
    if to >= Some(Phase::Optimisation) && whole { RunState::PendingCutover } else { RunState::Stopped }
}
