//! The seven phases, from the first look to the last ANALYZE, and how a run that stopped goes on.

use std::time::{Duration, Instant};

use bastide_catalog::Catalog;
use bastide_plan::{Phase, Plan, StepId};
use bastide_verify::Verdict;
use uuid::Uuid;

use crate::{
    EngineError, Event, Listener, MigrateOptions, MigrationGuard, OnFailure, Place, RunRecord, RunState,
    StepRecord, bootstrap, guard, journal, phases, read_run,
    rollback::{self, Undone},
    runner::Runner,
    upgrade,
};

/// What a command on a run ends with.
#[derive(Clone, Debug)]
pub struct RunOutcome {
    pub run: RunRecord,
    pub steps: Vec<StepRecord>,
    /// What verification said, when the command verified.
    pub verdict: Option<Verdict>,
}

/// Runs a plan from preflight to optimisation, or to [`MigrateOptions::until`].
///
/// Before schema `bastide` is made nothing is changed, and an error leaves nothing behind. After that a failure rolls back
/// by itself, unless told to stop, or unless somebody's lock is in the way: then the run is left where it is, and
/// [`resume`] goes on.
///
/// # Errors
/// [`EngineError::exit_code`] says which of the ways it ended.
pub async fn migrate(options: &MigrateOptions, listener: Listener<'_>) -> Result<RunOutcome, EngineError> {
    let mut guard = MigrationGuard::acquire(&options.place.target).await?;
    unfinished(&guard).await?;
    let begun = Instant::now();
    listener(&Event::PhaseStarted { phase: Phase::Preflight, steps: 0 });
    phases::preflight::check(&mut guard, options, listener).await?;
    let preflight = begun.elapsed();
    let run = Uuid::now_v7();
    begin(&mut guard, run, options).await?;
    listener(&Event::RunStarted {
        run: run.to_string(),
        database: guard.database().to_owned(),
        steps: options.plan.steps.len(),
    });
    let ago = begun.elapsed() - preflight;
    noted(&mut guard, run, Phase::Preflight, preflight, ago).await?;
    listener(&Event::PhaseDone { phase: Phase::Preflight, took: preflight });
    if options.until == Some(Phase::Preflight) {
        came_to(&mut guard, run, RunState::Stopped, Phase::Preflight).await?;
        return outcome(&mut guard, run, None).await;
    }
    let mut course = Course::new(guard, run, options, listener);
    course.from(Phase::Backup).await
}

/// Goes on where the newest run (or `id`) stopped or was killed: forward, or with its rollback when it was rolling back.
///
/// # Errors
/// As [`migrate`]; [`EngineError::WrongState`] when there is nothing to resume.
pub async fn resume(
    place: &Place,
    id: Option<Uuid>,
    app_password: Option<String>,
    listener: Listener<'_>,
) -> Result<RunOutcome, EngineError> {
    let mut guard = MigrationGuard::acquire(&place.target).await?;
    let (run, _) = read_run(guard.client(), id).await?;
    match run.state {
        RunState::Running | RunState::Stopped | RunState::Upgraded => {}
        RunState::RollingBack => {
            let to = (run.phase != Phase::Preflight).then_some(run.phase);
            rollback::carry_on(&mut guard, place, run.id, to, listener).await?;
            return outcome(&mut guard, run.id, None).await;
        }
        RunState::PendingCutover => {
            return Err(wrong(&run, "its seven phases are done; next is `bastide rls cutover`"));
        }
        RunState::CutOver => return Err(wrong(&run, "it is done; `bastide rls finish` ends it for good")),
        RunState::RolledBack | RunState::Finished => return Err(wrong(&run, "there is nothing to resume")),
    }
    guard.begin(run.id).await?;
    if run.phase == Phase::Cutover {
        return crate::cutover::go_on(guard, place, run, None, listener).await;
    }
    go_on(guard, place, run, None, app_password, listener).await
}

/// The phases from where the run stands, up to `until`.
pub(crate) async fn go_on(
    guard: MigrationGuard,
    place: &Place,
    run: RunRecord,
    until: Option<Phase>,
    app_password: Option<String>,
    listener: Listener<'_>,
) -> Result<RunOutcome, EngineError> {
    let options = MigrateOptions {
        place: place.clone(),
        plan: run.plan,
        until,
        // Whoever resumes is there to look.
        on_failure: OnFailure::Stop,
        backup: run.backup_choice.unwrap_or_default(),
        app_password,
    };
    let mut course = Course::new(guard, run.id, &options, listener);
    course.from(if run.phase == Phase::Preflight { Phase::Backup } else { run.phase }).await
}

/// A run under way.
pub(crate) struct Course<'a> {
    pub(crate) guard: MigrationGuard,
    pub(crate) run: Uuid,
    pub(crate) options: &'a MigrateOptions,
    pub(crate) listener: Listener<'a>,
    /// The catalog that the plan was found to fit, where this very process looked.
    pub(crate) before: Option<Catalog>,
    verdict: Option<Verdict>,
}

impl<'a> Course<'a> {
    fn new(guard: MigrationGuard, run: Uuid, options: &'a MigrateOptions, listener: Listener<'a>) -> Self {
        Self { guard, run, options, listener, before: None, verdict: None }
    }

    pub(crate) fn plan(&self) -> &Plan {
        &self.options.plan
    }

    async fn from(&mut self, first: Phase) -> Result<RunOutcome, EngineError> {
        for phase in Phase::SEVEN.into_iter().filter(|phase| *phase >= first) {
            if let Err(cause) = self.through(phase).await {
                return Err(self.fail(phase, cause).await);
            }
            if self.options.until == Some(phase) && phase != Phase::Optimisation {
                came_to(&mut self.guard, self.run, RunState::Stopped, phase).await?;
                return outcome(&mut self.guard, self.run, self.verdict.take()).await;
            }
        }
        if let Some(before) = self.before.take() {
            let steps = |phase| phase != Phase::Cutover;
            phases::projection::compare(&mut self.guard, before, &self.options.plan, steps, self.listener)
                .await;
        }
        came_to(&mut self.guard, self.run, RunState::PendingCutover, Phase::Optimisation).await?;
        outcome(&mut self.guard, self.run, self.verdict.take()).await
    }

    /// A phase that lost its connection between two steps goes on from the journal, as `resume` would. Inside a step the
    /// runner sees to that.
    async fn through(&mut self, phase: Phase) -> Result<(), EngineError> {
        let mut time = 0;
        loop {
            time += 1;
            match self.phase(phase).await {
                Err(cause) if !cause.stops() && self.guard.lost().await => {
                    cut_off(&mut self.guard, phase, &cause, time, self.listener).await?;
                }
                ended => return ended,
            }
        }
    }

    async fn phase(&mut self, phase: Phase) -> Result<(), EngineError> {
        let begun = Instant::now();
        journal::run_is(self.guard.client(), self.run, RunState::Running, phase, None).await?;
        (self.listener)(&Event::PhaseStarted { phase, steps: self.plan().steps_of(phase).count() });
        match phase {
            Phase::Backup => phases::backup::run(self).await?,
            Phase::Analysis => phases::analysis::run(self).await?,
            Phase::Validation => self.verdict = Some(phases::validation::run(self).await?),
            Phase::Assignment => {
                run_steps(&mut self.guard, &self.options.place, self.run, phase, |_| true, self.listener)
                    .await?;
                upgrade::remember_schema(&mut self.guard, self.run).await?;
            }
            Phase::Preflight | Phase::Optimisation | Phase::Cutover => {
                run_steps(&mut self.guard, &self.options.place, self.run, phase, |_| true, self.listener)
                    .await?;
            }
            Phase::Policies => {
                run_steps(&mut self.guard, &self.options.place, self.run, phase, |_| true, self.listener)
                    .await?;
                crate::app_login::give_password(self).await?;
            }
        }
        let took = begun.elapsed();
        journal::phase_took(self.guard.client(), self.run, phase, took, Duration::ZERO).await?;
        (self.listener)(&Event::PhaseDone { phase, took });
        Ok(())
    }

    /// Rolls back, unless the operator wants to look first, or that could not succeed either.
    async fn fail(&mut self, phase: Phase, cause: EngineError) -> EngineError {
        // Whoever took the login's rights away took those to roll back, too.
        let cause = match guard::check_rights(self.guard.client()).await {
            Err(lost @ EngineError::MayNot { .. }) => {
                return stopped(&mut self.guard, self.run, phase, lost).await;
            }
            _ => cause,
        };
        if self.options.on_failure == OnFailure::Stop || cause.stops() {
            return stopped(&mut self.guard, self.run, phase, cause).await;
        }
        let text = format!("the run failed ({cause}) and is rolled back");
        (self.listener)(&Event::Notice { text });
        match rollback::carry_out(
            &mut self.guard,
            &self.options.place,
            self.run,
            None,
            Some(&cause),
            self.listener,
        )
        .await
        {
            Ok(Undone { .. }) => EngineError::RolledBack(Box::new(cause)),
            Err(error) => EngineError::RollbackFailed { cause: Box::new(cause), rollback: Box::new(error) },
        }
    }
}

/// The state of a run that is left half-way. When not even that can be written, the cause is still what counts: a run
/// found `running` without a holder of the lock is resumed in the same way.
pub(crate) async fn stopped(
    guard: &mut MigrationGuard,
    run: Uuid,
    phase: Phase,
    cause: EngineError,
) -> EngineError {
    let text = cause.to_string();
    if let Err(error) = journal::run_is(guard.client(), run, RunState::Stopped, phase, Some(&text)).await {
        tracing::warn!(%error, "that the run stopped could not be written");
    }
    EngineError::Stopped { cause: Box::new(cause) }
}

/// Every step of a phase that is not done yet, in order.
pub(crate) async fn run_steps(
    guard: &mut MigrationGuard,
    place: &Place,
    run: Uuid,
    phase: Phase,
    which: impl Fn(&StepId) -> bool,
    listener: Listener<'_>,
) -> Result<(), EngineError> {
    let steps = journal::read_steps(guard.client(), run).await?;
    let mut runner = Runner::new(guard, run, place.patience, listener);
    for step in steps.iter().filter(|step| step.phase == phase && which(&step.id)) {
        runner.forward(step).await?;
    }
    Ok(())
}

pub(crate) async fn outcome(
    guard: &mut MigrationGuard,
    run: Uuid,
    verdict: Option<Verdict>,
) -> Result<RunOutcome, EngineError> {
    let read = read_run(guard.client(), Some(run)).await;
    let again = guard.mended(&read).await?;
    let (run, steps) = if again { read_run(guard.client(), Some(run)).await? } else { read? };
    Ok(RunOutcome { run, steps, verdict })
}

/// A state that a run ends a command in.
pub(crate) async fn came_to(
    guard: &mut MigrationGuard,
    run: Uuid,
    state: RunState,
    phase: Phase,
) -> Result<(), EngineError> {
    let written = journal::run_is(guard.client(), run, state, phase, None).await;
    let again = guard.mended(&written).await?;
    if again { journal::run_is(guard.client(), run, state, phase, None).await } else { written }
}

/// How long a phase took.
pub(crate) async fn noted(
    guard: &mut MigrationGuard,
    run: Uuid,
    phase: Phase,
    took: Duration,
    ago: Duration,
) -> Result<(), EngineError> {
    let written = journal::phase_took(guard.client(), run, phase, took, ago).await;
    let again = guard.mended(&written).await?;
    if again { journal::phase_took(guard.client(), run, phase, took, ago).await } else { written }
}

/// The connection was cut in `phase`, for the `time`-th time: makes another, or says that none could be had or kept.
pub(crate) async fn cut_off(
    guard: &mut MigrationGuard,
    phase: Phase,
    cause: &EngineError,
    time: u32,
    listener: Listener<'_>,
) -> Result<(), EngineError> {
    if time > RECONNECTS {
        return Err(EngineError::CutOff { phase, cause: format!("{cause}, for the {time}th time") });
    }
    listener(&Event::Notice { text: format!("the connection was lost ({cause}); connecting again") });
    let gone = |error: EngineError| EngineError::CutOff { phase, cause: error.to_string() };
    guard.reconnect().await.map_err(gone)
}

/// Whether a COMMIT was carried out whose answer got lost, the run itself says.
async fn begin(guard: &mut MigrationGuard, run: Uuid, options: &MigrateOptions) -> Result<(), EngineError> {
    let cause = match bootstrap::begin(guard, run, &options.plan, &options.backup).await {
        Err(cause) if guard.lost().await => cause,
        begun => return begun,
    };
    tracing::debug!(%cause, "the connection was cut; looking whether the run has begun");
    guard.reconnect().await?;
    match read_run(guard.client(), Some(run)).await {
        Ok(_) => guard.begin(run).await,
        Err(EngineError::NoRun | EngineError::NoSuchRun(_)) => {
            bootstrap::begin(guard, run, &options.plan, &options.backup).await
        }
        Err(error) => Err(error),
    }
}

/// How often in one phase: a server that cuts every connection must not keep us busy for ever.
const RECONNECTS: u32 = 20;

pub(crate) fn wrong(run: &RunRecord, next: &'static str) -> EngineError {
    EngineError::WrongState { run: run.id, state: journal::state_words(run.state), phase: run.phase, next }
}

/// One run at a time: what an earlier one left half-way, or migrated, comes first.
async fn unfinished(guard: &MigrationGuard) -> Result<(), EngineError> {
    let run = match read_run(guard.client(), None).await {
        Ok((run, _)) => run,
        Err(EngineError::NoRun) => return Ok(()),
        Err(error) => return Err(error),
    };
    match run.state {
        RunState::Running | RunState::Stopped => {
            Err(wrong(&run, "`bastide rls resume` goes on, `bastide rls rollback` undoes it"))
        }
        RunState::Upgraded => Err(wrong(&run, upgrade::NEXT)),
        RunState::RollingBack => Err(wrong(&run, "`bastide rls rollback` ends it")),
        RunState::PendingCutover | RunState::CutOver => {
            Err(EngineError::Migrated { run: run.id, state: journal::state_words(run.state) })
        }
        RunState::RolledBack | RunState::Finished => Ok(()),
    }
}
