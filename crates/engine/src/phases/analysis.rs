//! The plan was made before; the schema it was made for must still be there. Rows may have changed: the steps look at
//! rows when they run.

use bastide_catalog::{Catalog, Fingerprint};
use bastide_plan::{Phase, Plan};

use crate::{EngineError, Event, MigrationGuard, StepState, journal, run::Course};

pub(crate) async fn run(course: &mut Course<'_>) -> Result<(), EngineError> {
    let steps = journal::read_steps(course.guard.client(), course.run).await?;
    if steps.iter().any(|step| step.state != StepState::Planned && step.state != StepState::Undone) {
        // Resumed: what differs from the plan's catalog is our own work.
        return Ok(());
    }
    let text = "comparing the plan with the schema".to_owned();
    (course.listener)(&Event::Activity { phase: Phase::Analysis, text });
    let plan = course.plan().clone();
    let catalog = fresh(&mut course.guard, &plan).await?;
    tracing::debug!(tables = catalog.tables.len(), "the plan is fresh");
    course.before = Some(catalog);
    Ok(())
}

/// The current catalog, when it is the one that was planned for.
pub(crate) async fn fresh(guard: &mut MigrationGuard, plan: &Plan) -> Result<Catalog, EngineError> {
    let catalog = bastide_catalog::read(guard.client_mut()).await?;
    guard.settle().await?;
    changed(&plan.fingerprint, &catalog).map_or(Ok(catalog), |changes| Err(EngineError::Stale { changes }))
}

/// What differs between a schema as it was and as it is now, in a few words.
pub(crate) fn changed(was: &Fingerprint, now: &Catalog) -> Option<String> {
    let changes = was.changes(&Fingerprint::of(now));
    if changes.is_empty() {
        return None;
    }
    let mut names: Vec<String> = changes.iter().take(5).map(ToString::to_string).collect();
    if changes.len() > names.len() {
        names.push(format!("and {} more", changes.len() - names.len()));
    }
    Some(names.join(", "))
}
