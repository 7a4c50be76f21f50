//! Sends one step's script: takes its locks in a hurry, steps back when it cannot have them, says who is in the way, and
//! tries again; after a lost connection it asks the journal what became of the last message.

mod batches;
mod patience;
#[cfg(test)]
mod tests;
mod yielding;

use std::time::{Duration, Instant};

use bastide_plan::{Mode, Script, StepId};
use bastide_sql::Sql;
pub use patience::Patience;
use patience::Tries;
use uuid::Uuid;
pub(crate) use yielding::WATCHER;
use yielding::Watcher;

use crate::{
    EngineError, Event, Listener, MigrationGuard, ServerSaid, StepRecord, StepState,
    event::{StepEnded, StepOutcome},
    fault, journal,
    message::{self, Direction},
};

pub(crate) struct Runner<'a> {
    pub(crate) guard: &'a mut MigrationGuard,
    pub(crate) run: Uuid,
    pub(crate) patience: Patience,
    pub(crate) listener: Listener<'a>,
    watcher: Watcher,
}

/// How one try ended that is no error of the step's.
enum Try {
    Arrived,
    /// The server refused for now, or the connection broke.
    SteppedBack(ServerSaid),
    /// Cancelled for somebody who waited for us.
    GaveWay(String),
}

impl<'a> Runner<'a> {
    pub(crate) fn new(
        guard: &'a mut MigrationGuard,
        run: Uuid,
        patience: Patience,
        listener: Listener<'a>,
    ) -> Self {
        Self { guard, run, patience, listener, watcher: Watcher::default() }
    }

    /// Brings a step to `done`; a step that is done already is left alone.
    ///
    /// # Errors
    /// When the script fails, when its locks cannot be had, or when the connection does not come back.
    pub(crate) async fn forward(&mut self, step: &StepRecord) -> Result<(), EngineError> {
        if step.state == StepState::Done {
            return Ok(());
        }
        let begun = Instant::now();
        let (id, phase, text) = (step.id.clone(), step.phase, step.text.clone());
        (self.listener)(&Event::StepStarted { step: id, phase, text });
        journal::started(self.guard.client(), self.run, &step.id).await?;
        let rows = self.carry_out(step, &step.forward, Direction::Forward).await?;
        (self.listener)(&Event::StepDone { step: step.id.clone(), took: begun.elapsed(), rows });
        Ok(())
    }

    /// Brings a step to `undone`. One that never ran, or whose transaction never committed, has nothing to undo.
    ///
    /// # Errors
    /// As [`Self::forward`].
    pub(crate) async fn undo(&mut self, step: &StepRecord) -> Result<(), EngineError> {
        let half_done = matches!(step.state, StepState::Started | StepState::Failed)
            && matches!(step.forward.mode, Mode::Autocommit | Mode::Batches);
        match step.state {
            StepState::Planned | StepState::Undone => return Ok(()),
            StepState::Started | StepState::Failed if !half_done => {
                journal::undone(self.guard.client(), self.run, &step.id).await?;
                self.nothing_to_undo(step);
                return Ok(());
            }
            StepState::Started | StepState::Failed | StepState::Done | StepState::Undoing => {}
        }
        let begun = Instant::now();
        journal::undoing(self.guard.client(), self.run, &step.id).await?;
        self.carry_out(step, &step.inverse, Direction::Undo).await?;
        (self.listener)(&Event::StepUndone { step: step.id.clone(), took: begun.elapsed() });
        Ok(())
    }

    async fn carry_out(
        &mut self,
        record: &StepRecord,
        script: &Script,
        direction: Direction,
    ) -> Result<Option<u64>, EngineError> {
        let (step, begun) = (&record.id, Instant::now());
        let (before, after) = match direction {
            Direction::Forward => ("before_done", "after_done"),
            Direction::Undo => ("before_undone", "after_undone"),
        };
        fault::point(before, step.as_str());
        let mut tries = Tries::new(self.patience);
        let result = match script.mode {
            Mode::Batches => self.in_batches(step, script, direction, &mut tries).await.map(Some),
            Mode::Autocommit => self.one_by_one(step, script, direction, &mut tries).await.map(|()| None),
            Mode::Nothing | Mode::Transaction | Mode::LongTransaction => {
                self.in_one_message(step, script, direction, &mut tries).await.map(|()| None)
            }
        };
        let said = result.as_ref().err().map(ToString::to_string);
        // When the connection is gone for good this cannot be written; the first error is the one to report.
        let noted = journal::tried(
            self.guard.client(),
            self.run,
            step,
            tries.count(),
            tries.waited_ms(),
            said.as_deref(),
        );
        let held_ms = match noted.await {
            Ok(held_ms) => Some(held_ms),
            Err(error) => {
                tracing::warn!(%step, %error, "the cost of the step was not recorded");
                None
            }
        };
        let outcome = match (&result, direction) {
            (Err(_), _) => StepOutcome::Failed,
            (Ok(_), Direction::Forward) => StepOutcome::Done,
            (Ok(_), Direction::Undo) => StepOutcome::Undone,
        };
        // Of a step that failed in one piece the journal has no time, or that of what it is undoing.
        let measured = result.is_ok() || script.mode == Mode::Batches;
        (self.listener)(&Event::StepEnded(StepEnded {
            run: self.run,
            step: step.clone(),
            phase: record.phase,
            lock: script.lock,
            outcome,
            held: held_ms.filter(|_| measured).map(milliseconds),
            waited: milliseconds(tries.waited_ms()),
            took: begun.elapsed(),
            attempts: tries.count(),
            rows: result.as_ref().ok().copied().flatten(),
            error: said,
        }));
        let rows = result?;
        fault::point(after, step.as_str());
        Ok(rows)
    }

    /// Its transaction never committed: the journal was all there was to write.
    fn nothing_to_undo(&self, step: &StepRecord) {
        (self.listener)(&Event::StepEnded(StepEnded {
            run: self.run,
            step: step.id.clone(),
            phase: step.phase,
            lock: None,
            outcome: StepOutcome::Undone,
            held: None,
            waited: Duration::ZERO,
            took: Duration::ZERO,
            attempts: 0,
            rows: None,
            error: None,
        }));
    }

    async fn in_one_message(
        &mut self,
        step: &StepId,
        script: &Script,
        direction: Direction,
        tries: &mut Tries,
    ) -> Result<(), EngineError> {
        loop {
            let message = match script.mode {
                Mode::LongTransaction => message::long(script, step, direction),
                Mode::Nothing => vec![message::arrived(step, direction)],
                _ => message::short(script, step, direction, tries.statement_timeout()),
            };
            match self.send(step, script, &message, tries).await? {
                Try::Arrived => return Ok(()),
                Try::GaveWay(to) => self.let_pass(step, tries, to).await?,
                Try::SteppedBack(said) => {
                    if self.wait_and_look(step, script, direction, tries, &said).await? {
                        return Ok(());
                    }
                }
            }
        }
    }

    /// Outside a transaction the list as a whole is run again: steps of this kind are written for that.
    async fn one_by_one(
        &mut self,
        step: &StepId,
        script: &Script,
        direction: Direction,
        tries: &mut Tries,
    ) -> Result<(), EngineError> {
        'again: loop {
            let mut sent = self.send(step, script, &message::autocommit_settings(script), tries).await?;
            for statement in &script.statements {
                if matches!(sent, Try::Arrived) {
                    sent = self.send(step, script, std::slice::from_ref(statement), tries).await?;
                    fault::point("after_statement", step.as_str());
                }
            }
            if matches!(sent, Try::Arrived) {
                sent = self.send(step, script, &[message::arrived(step, direction)], tries).await?;
            }
            match sent {
                Try::Arrived => break 'again,
                Try::GaveWay(to) => self.let_pass(step, tries, to).await?,
                Try::SteppedBack(said) => {
                    if self.wait_and_look(step, script, direction, tries, &said).await? {
                        break 'again;
                    }
                }
            }
        }
        self.guard.settle().await
    }

    async fn send(
        &mut self,
        step: &StepId,
        script: &Script,
        message: &[Sql],
        tries: &mut Tries,
    ) -> Result<Try, EngineError> {
        // A single statement goes as it is: CONCURRENTLY refuses to run in a message of several.
        let text = match message {
            [only] => only.as_str().to_owned(),
            several => message::text(several),
        };
        tries.begin();
        let work = self.guard.client().batch_execute(&text);
        // A short transaction has time-outs that are shorter than a look.
        let (done, given_way) = if matches!(script.mode, Mode::Transaction | Mode::Nothing) {
            (work.await, None)
        } else {
            self.watcher.over(self.guard.target(), self.guard.backend(), work).await
        };
        match done {
            Ok(()) => Ok(Try::Arrived),
            Err(error) => self.failed(step, error.into(), given_way).await,
        }
    }

    /// Sorts a refusal: for now, or for good. Leaves no failed transaction behind.
    async fn failed(
        &mut self,
        step: &StepId,
        said: ServerSaid,
        given_way: Option<String>,
    ) -> Result<Try, EngineError> {
        if said.lost() {
            return Ok(Try::SteppedBack(said));
        }
        if let Err(error) = self.guard.client().batch_execute("ROLLBACK").await {
            let error = ServerSaid::from(error);
            if error.lost() {
                return Ok(Try::SteppedBack(error));
            }
        }
        match given_way {
            Some(to) if said.timed_out() => Ok(Try::GaveWay(to)),
            _ if said.passes() => Ok(Try::SteppedBack(said)),
            _ => Err(EngineError::Step { step: step.clone(), said }),
        }
    }

    /// Leaves the way free for a while, longer each time.
    async fn let_pass(&mut self, step: &StepId, tries: &mut Tries, to: String) -> Result<(), EngineError> {
        let (pause, times) = (tries.gave_way(), tries.times_given_way());
        let Some(pause) = pause else {
            return Err(EngineError::GaveWay { step: step.clone(), times, to });
        };
        (self.listener)(&Event::GaveWay { step: step.clone(), to, times });
        tokio::time::sleep(pause).await;
        Ok(())
    }

    /// Before the next try: waits a little, or reconnects. True when the journal says that the step had arrived.
    async fn wait_and_look(
        &mut self,
        step: &StepId,
        script: &Script,
        direction: Direction,
        tries: &mut Tries,
        said: &ServerSaid,
    ) -> Result<bool, EngineError> {
        if said.lost() {
            fault::point("after_loss", step.as_str());
            let lost = |cause: String| EngineError::Lost { step: step.clone(), cause };
            self.guard.reconnect().await.map_err(|error| lost(error.to_string()))?;
            let (state, _) = journal::state_of(self.guard.client(), self.run, step)
                .await
                .map_err(|error| lost(error.to_string()))?;
            let goal = if direction == Direction::Forward { StepState::Done } else { StepState::Undone };
            return match tries.again(said) {
                _ if state == goal => Ok(true),
                Some(_) => Ok(false),
                None => Err(lost(said.to_string())),
            };
        }
        if tries.asks_who() {
            tries.blockers = crate::blockers::blockers(self.guard.client(), script).await;
        }
        let Some(pause) = tries.again(said) else {
            let blockers = if tries.blockers.is_empty() {
                format!("nobody could be named ({said})")
            } else {
                tries.blockers.join("; ")
            };
            let (tries, seconds) = (tries.failures(), tries.elapsed().as_secs());
            return Err(EngineError::Blocked { step: step.clone(), tries, seconds, blockers });
        };
        (self.listener)(&Event::Waiting {
            step: step.clone(),
            attempt: tries.failures(),
            blocked_by: tries.blockers.clone(),
        });
        tokio::time::sleep(pause).await;
        Ok(false)
    }
}

/// A clock that was set back while a step ran must not end the run.
fn milliseconds(ms: f64) -> Duration {
    Duration::try_from_secs_f64(ms / 1000.0).unwrap_or_default()
}
