//! What a run would send, without sending it: the messages come from the same functions the runner uses.

use bastide_plan::{Phase, Plan, StepId};
use serde::Serialize;

use crate::message::{Direction, rendered};

/// One step, as the server would see it.
#[derive(Clone, Debug, Serialize)]
pub struct RenderedStep {
    pub id: StepId,
    pub phase: Phase,
    pub text: String,
    /// In batches, the one statement is run with the cursor as `$1` and the batch's size as `$2` until it has no next cursor.
    pub forward: String,
    pub inverse: String,
}

#[must_use]
pub fn dry_run(plan: &Plan) -> Vec<RenderedStep> {
    plan.steps
        .iter()
        .map(|planned| RenderedStep {
            id: planned.id.clone(),
            phase: planned.phase,
            text: planned.step.describe(),
            forward: rendered(&planned.step.forward(), &planned.id, Direction::Forward),
            inverse: rendered(&planned.step.inverse(), &planned.id, Direction::Undo),
        })
        .collect()
}
