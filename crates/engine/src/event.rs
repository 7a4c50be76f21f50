//! What happens during a run, as values. The engine never prints: whoever started it passes a [`Listener`].

use std::time::Duration;

use bastide_plan::{Phase, StepId};
use serde::Serialize;

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
    StepDone {
        step: StepId,
        took: Duration,
        rows: Option<u64>,
    },
    StepUndone {
        step: StepId,
        took: Duration,
    },
    PhaseDone {
        phase: Phase,
        took: Duration,
    },
    Notice {
        text: String,
    },
}

/// Called on the engine's own task: must be quick and must not block.
pub type Listener<'a> = &'a (dyn Fn(&Event) + Send + Sync);
