//! What the steps said they would leave, compared with what they left. A difference fails no run: verification says what
//! is safe, rollback what is exact. It is said all the same, because later steps were planned against the projection.

use bastide_catalog::Catalog;
use bastide_plan::{Phase, Plan};
use bastide_sql::Ident;

use crate::{Event, Listener, MigrationGuard};

/// `before` is the catalog that the steps of `phases` began with.
pub(crate) async fn compare(
    guard: &mut MigrationGuard,
    before: Catalog,
    plan: &Plan,
    phases: impl Fn(Phase) -> bool,
    listener: Listener<'_>,
) {
    let now = match read(guard).await {
        Ok(now) => now,
        Err(error) => {
            tracing::warn!(%error, "the schema was not compared with what the plan foresaw");
            return;
        }
    };
    let differences = differences(before, plan, phases, now);
    let Some(first) = differences.first() else { return };
    for difference in &differences {
        tracing::warn!(difference, "not what the plan foresaw");
    }
    let text = format!(
        "the schema is not what the plan foresaw ({} difference(s), first: {first}); somebody changed it meanwhile, or this is a bug worth reporting",
        differences.len()
    );
    listener(&Event::Notice { text });
}

async fn read(guard: &mut MigrationGuard) -> Result<Catalog, crate::EngineError> {
    let catalog = bastide_catalog::read(guard.client_mut()).await?;
    guard.settle().await?;
    Ok(catalog)
}

fn differences(
    before: Catalog,
    plan: &Plan,
    phases: impl Fn(Phase) -> bool,
    mut now: Catalog,
) -> Vec<String> {
    let mut projected = before;
    for planned in plan.steps.iter().filter(|planned| phases(planned.phase)) {
        planned.step.apply(&mut projected);
    }
    // Made by the bootstrap, not by a step.
    let owner = Ident::constant("bastide_owner");
    for catalog in [&mut projected, &mut now] {
        catalog.roles.remove(&owner);
    }
    projected.diff(&now)
}
