//! What happens during a run, as values. The engine never prints: whoever started it passes a [`Listener`].

use std::time::Duration;

use bastide_plan::{Phase, StepId};
use bastide_sql::LockMode;
use serde::Serialize;
use uuid::Uuid;

#[derive(Clone, Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    RunStarted {
        run: String,
        database: String,
        steps: usize,
    },
    PhaseStarted {
        phase: Phase,
        steps: usize,
    },
    /// Work inside a phase that is no step (a preflight check, the backup, a probe round).
    Activity {
        phase: Phase,
        text: String,
    },
    StepStarted {
        step: StepId,
        phase: Phase,
        text: String,
    },
    /// Of a step in batches, or of the backup.
    Progress {
        step: StepId,
        done: u64,
        total: Option<u64>,
    },
    /// We stepped back from a lock and will try again.
    Waiting {
        step: StepId,
        attempt: u32,
        blocked_by: Vec<String>,
    },
    /// Somebody waited for us, so what we did was cancelled; we will try again.
    GaveWay {
        step: StepId,
        to: String,
        times: u32,
    },
    /// The database is under pressure, and we leave it alone for so long.
    Paused {
        step: StepId,
        pause: Duration,
        why: Vec<String>,
    },
    StepDone {
        step: StepId,
        took: Duration,
        rows: Option<u64>,
    },
    StepUndone {
        step: StepId,
        took: Duration,
    },
    /// A step ended in one of three ways: what the log says of it.
    StepEnded(StepEnded),
    PhaseDone {
        phase: Phase,
        took: Duration,
    },
    Notice {
        text: String,
    },
}

/// What one step did and cost, forward or undone; of this attempt at it alone.
#[derive(Clone, Debug, Serialize)]
pub struct StepEnded {
    pub run: Uuid,
    pub step: StepId,
    pub phase: Phase,
    pub lock: Option<LockMode>,
    pub outcome: StepOutcome,
    /// How long the lock was held: of the longest batch, where there are several. None when that was not measured.
    pub held: Option<Duration>,
    /// For locks, with the pauses between tries.
    pub waited: Duration,
    pub took: Duration,
    pub attempts: u32,
    /// Of a step in batches.
    pub rows: Option<u64>,
    pub error: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StepOutcome {
    Done,
    Undone,
    Failed,
}

impl StepOutcome {
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Undone => "undone",
            Self::Failed => "failed",
        }
    }
}

/// Called on the engine's own task: must be quick and must not block.
pub type Listener<'a> = &'a (dyn Fn(&Event) + Send + Sync);
