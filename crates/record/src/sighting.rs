//! What somebody who watches a run sees at one moment, without taking its lock.

use bastide_plan::{Phase, StepId};
use serde::Serialize;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{RunState, StepState};

#[derive(Clone, Debug, Serialize)]
pub struct Sighting {
    /// By the server's clock.
    #[serde(with = "time::serde::rfc3339")]
    pub seen_at: OffsetDateTime,
    /// The newest run, or the one asked for; none while the first is still in preflight.
    pub run: Option<RunSeen>,
    /// Who holds the migration lock; without a holder nobody is at work.
    pub holder: Option<String>,
    /// Who is in the way of the step under way.
    pub blocked_by: Vec<Blocker>,
}

#[derive(Clone, Debug, Serialize)]
pub struct RunSeen {
    pub id: Uuid,
    pub state: RunState,
    pub phase: Phase,
    pub steps: i64,
    pub steps_done: i64,
    pub steps_undone: i64,
    /// Of the phase it is in.
    pub phase_steps: i64,
    pub phase_done: i64,
    /// The step under way, or the one that failed.
    pub step: Option<StepSeen>,
}

#[derive(Clone, Debug, Serialize)]
pub struct StepSeen {
    pub id: StepId,
    pub state: StepState,
    pub text: String,
    /// What its batches have done so far.
    pub rows: Option<i64>,
    /// What they will have done, where inference has counted that.
    pub rows_expected: Option<i64>,
    #[serde(with = "time::serde::rfc3339::option")]
    pub started_at: Option<OffsetDateTime>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Blocker {
    pub pid: i32,
    /// Its login, its program, for how long, and how its statement begins, without the values in it.
    pub who: String,
}

impl RunState {
    /// Somebody should be at work on it.
    #[must_use]
    pub fn live(self) -> bool {
        matches!(self, Self::Running | Self::RollingBack)
    }
}

impl Sighting {
    /// Whether there is more to tell than of `before`; that time went by alone is not.
    #[must_use]
    pub fn tells_more(&self, before: &Self) -> bool {
        let run = |seen: &Self| {
            seen.run.as_ref().map(|run| {
                let step = run.step.as_ref().map(|step| (step.id.clone(), step.state, step.rows));
                (run.id, run.state, run.phase, run.steps_done, run.steps_undone, step)
            })
        };
        let pids = |seen: &Self| seen.blocked_by.iter().map(|blocker| blocker.pid).collect::<Vec<_>>();
        run(self) != run(before)
            || self.holder.is_some() != before.holder.is_some()
            || pids(self) != pids(before)
    }
}
