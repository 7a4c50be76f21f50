//! One structured line in the log for each step that ended, whichever way: target `bastide::step`.

use std::time::Duration;

use bastide_engine::{StepEnded, StepOutcome};

pub(crate) const TARGET: &str = "bastide::step";

pub(crate) fn ended(end: &StepEnded) {
    let lock = end.lock.map(|lock| lock.to_string());
    let (lock, error) = (lock.as_deref(), end.error.as_deref());
    let (held_ms, waited_ms, duration_ms) =
        (end.held.map(milliseconds), milliseconds(end.waited), milliseconds(end.took));
    // The level is part of the call site, so there are two.
    macro_rules! line {
        ($level:ident) => {
            tracing::$level!(
                target: TARGET,
                run = %end.run,
                step = %end.step,
                object = end.step.subject(),
                phase = end.phase.name(),
                lock,
                outcome = end.outcome.name(),
                held_ms,
                waited_ms,
                duration_ms,
                attempts = end.attempts,
                rows = end.rows,
                error,
                "step {}",
                end.outcome.name()
            )
        };
    }
    if end.outcome == StepOutcome::Failed { line!(warn) } else { line!(info) }
}

/// To the microsecond.
fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1_000_000.0).round() / 1000.0
}
