//! The moment the legacy login loses its unfiltered access. A short window of its own, after the seven phases: it can
//! fail, be undone and be tried again without touching them.

use std::time::{Duration, Instant};

use bastide_catalog::{Catalog, Table};
use bastide_plan::{
    LinkSurvey, Phase, Plan, Settlement, Step, StepId,
    inference::{Side, collations, joined, layout},
    unbound_functions,
};
use bastide_sql::{Sql, sql};
use tokio_postgres::Client;
use uuid::Uuid;

use crate::{
    EngineError, Event, Listener, MigrationGuard, Place, RunOutcome, RunRecord, RunState, legacy_use,
    phases::{projection, validation},
    read_run, rollback,
    run::{came_to, cut_off, noted, outcome, run_steps, stopped, wrong},
};

/// Cuts over the newest run (or `id`), which must be pending cutover. A failure undoes what cutover did, and the run is
/// pending cutover again.
///
/// # Errors
/// [`EngineError::Crossing`] when, on the rows there are now, too many references join two tenants.
pub async fn cutover(
    place: &Place,
    id: Option<Uuid>,
    listener: Listener<'_>,
) -> Result<RunOutcome, EngineError> {
    let mut guard = MigrationGuard::acquire(&place.target).await?;
    let (run, _) = read_run(guard.client(), id).await?;
    is_pending(&run)?;
    guard.begin(run.id).await?;
    let catalog = bastide_catalog::read(guard.client_mut()).await?;
    guard.settle().await?;
    still_in_use(&guard, &run.plan, listener).await?;
    let mut after = catalog.clone();
    for planned in run.plan.steps_of(Phase::Cutover).filter(|p| matches!(p.step, Step::EndBypass(_))) {
        planned.step.apply(&mut after);
    }
    for text in unbound_functions(&after, &run.plan.config.app_role) {
        listener(&Event::Notice { text });
    }
    go_on(guard, place, run, Some(catalog), listener).await
}

/// Only a run that has its seven phases behind it and its cutover before it can be cut over.
pub(crate) fn is_pending(run: &RunRecord) -> Result<(), EngineError> {
    match run.state {
        RunState::PendingCutover => Ok(()),
        RunState::CutOver => Err(wrong(run, "it is cut over already; `bastide rls finish` ends it for good")),
        RunState::Running | RunState::Stopped | RunState::Upgraded => {
            Err(wrong(run, "its seven phases are not done; `bastide rls resume` goes on"))
        }
        RunState::RollingBack => Err(wrong(run, "`bastide rls rollback` ends it")),
        RunState::RolledBack | RunState::Finished => Err(wrong(run, "there is nothing to cut over")),
    }
}

/// The steps and the proof; also where a killed cutover goes on. `before`: the catalog it begins with, where known.
pub(crate) async fn go_on(
    mut guard: MigrationGuard,
    place: &Place,
    run: RunRecord,
    before: Option<Catalog>,
    listener: Listener<'_>,
) -> Result<RunOutcome, EngineError> {
    let begun = Instant::now();
    let phase = Phase::Cutover;
    came_to(&mut guard, run.id, RunState::Running, phase).await?;
    listener(&Event::PhaseStarted { phase, steps: run.plan.steps_of(phase).count() });
    let verdict = match through(&mut guard, place, &run, listener).await {
        Ok(verdict) => verdict,
        Err(cause) if cause.stops() => {
            return Err(stopped(&mut guard, run.id, phase, cause).await);
        }
        Err(cause) => {
            let text = format!("cutover failed ({cause}) and is undone");
            listener(&Event::Notice { text });
            let undone = rollback::carry_out(
                &mut guard,
                place,
                run.id,
                Some(Phase::Optimisation),
                Some(&cause),
                listener,
            )
            .await;
            return Err(match undone {
                Ok(_) if matches!(cause, EngineError::Crossing(_)) => cause,
                Ok(_) => EngineError::RolledBack(Box::new(cause)),
                Err(error) => {
                    EngineError::RollbackFailed { cause: Box::new(cause), rollback: Box::new(error) }
                }
            });
        }
    };
    if let Some(before) = before {
        let steps = |phase| phase == Phase::Cutover;
        projection::compare(&mut guard, before, &run.plan, steps, listener).await;
    }
    let took = begun.elapsed();
    noted(&mut guard, run.id, phase, took, Duration::ZERO).await?;
    came_to(&mut guard, run.id, RunState::CutOver, phase).await?;
    listener(&Event::PhaseDone { phase, took });
    outcome(&mut guard, run.id, Some(verdict)).await
}

/// As often as the connection is cut between two steps, from the journal.
async fn through(
    guard: &mut MigrationGuard,
    place: &Place,
    run: &RunRecord,
    listener: Listener<'_>,
) -> Result<bastide_verify::Verdict, EngineError> {
    let mut time = 0;
    loop {
        time += 1;
        match carry_out(guard, place, run, listener).await {
            Err(cause) if !cause.stops() && guard.lost().await => {
                cut_off(guard, Phase::Cutover, &cause, time, listener).await?;
            }
            ended => return ended,
        }
    }
}

async fn carry_out(
    guard: &mut MigrationGuard,
    place: &Place,
    run: &RunRecord,
    listener: Listener<'_>,
) -> Result<bastide_verify::Verdict, EngineError> {
    // First what only looks at rows again; then whether the boundary holds on the rows there are; then what binds.
    let looks_again = |step: &Step| matches!(step, Step::InferTenants(_) | Step::Backfill(_));
    let first: Vec<StepId> = run
        .plan
        .steps_of(Phase::Cutover)
        .filter(|planned| looks_again(&planned.step))
        .map(|p| p.id.clone())
        .collect();
    run_steps(guard, place, run.id, Phase::Cutover, |step| first.contains(step), listener).await?;
    let catalog = bastide_catalog::read(guard.client_mut()).await?;
    guard.settle().await?;
    boundary_holds(guard, &run.plan, &catalog, listener).await?;
    run_steps(guard, place, run.id, Phase::Cutover, |step| !first.contains(step), listener).await?;
    validation::verify(guard, place, &run.plan, Phase::Cutover, listener).await
}

/// Legacy statements may have crossed tenants since the survey. How each link is settled is said; more than 1 % of a
/// table is no dirt but a wrong boundary, unless that was accepted in writing.
async fn boundary_holds(
    guard: &MigrationGuard,
    plan: &Plan,
    catalog: &Catalog,
    listener: Listener<'_>,
) -> Result<(), EngineError> {
    let catalog = plan.config.declared.as_foreign_keys(catalog);
    let moves = plan.steps.iter().any(|planned| matches!(planned.step, Step::HoldAside(_)));
    for link in &plan.links {
        let Some(query) = crossing(plan, &catalog, link) else { continue };
        let (crossing, rows) = count(guard.client(), &query).await?;
        if crossing == 0 {
            continue;
        }
        let what = format!(
            "{crossing} of {rows} rows of {} refer to another tenant's row of {} ({})",
            link.table, link.references, link.foreign_key
        );
        let settlement = plan.settlement(link).unwrap_or(Settlement::HoldAside);
        // Rows that several tenants use, as the operator said, are no sign of a wrong boundary.
        let wrong = crossing.saturating_mul(100) > rows
            && settlement != Settlement::Copy
            && !plan.boundary_accepted();
        if wrong || !moves {
            return Err(EngineError::Crossing(what));
        }
        let done = match settlement {
            Settlement::HoldAside => "they are held aside",
            Settlement::Cut => "the references are cut",
            Settlement::Copy => "their tenants get a copy",
            Settlement::Move => "they move to that tenant",
        };
        listener(&Event::Notice { text: format!("{what}; {done}") });
    }
    Ok(())
}

fn crossing(plan: &Plan, catalog: &Catalog, link: &LinkSurvey) -> Option<Sql> {
    let tenant = |table| plan.tables.get(table).and_then(|decision| decision.tenant_column.as_ref());
    let (child, parent) = (tenant(&link.table)?, tenant(&link.references)?);
    let table = catalog.table(&link.table)?;
    let key = table.foreign_keys.iter().find(|key| key.name == link.foreign_key)?;
    let (c, p) = (sql!("c"), sql!("p"));
    let referenced = catalog.table(&link.references)?;
    let (own, theirs) = (layout(table), layout(referenced));
    let (own_collations, their_collations) = (collations(table), collations(referenced));
    let on = joined(
        &Side { alias: &c, columns: &key.columns, layout: &own, collations: &own_collations },
        &Side { alias: &p, columns: &key.referenced_columns, layout: &theirs, collations: &their_collations },
    );
    Some(sql!(
        "SELECT (SELECT count(*) FROM {} AS c JOIN {} AS p ON {} WHERE c.{} <> p.{}), (SELECT count(*) FROM {})",
        bound(table),
        bound(referenced),
        on,
        child.name,
        parent.name,
        bound(table)
    ))
}

/// The rows that a foreign key of the table, or to it, speaks of: those of partitions, but not of tables that inherit.
fn bound(table: &Table) -> Sql {
    if table.holds_rows() { sql!("ONLY {}", table.name) } else { sql!("{}", table.name) }
}

async fn count(client: &Client, query: &Sql) -> Result<(i64, i64), EngineError> {
    let doing = "counting references that cross tenants";
    let row = client.query_one(query.as_str(), &[]).await.map_err(EngineError::server(doing))?;
    let number = |at: usize| row.try_get::<_, i64>(at).map_err(EngineError::server(doing));
    Ok((number(0)?, number(1)?))
}

/// Whoever came since the window, or was cut off knowingly, is named: no policy asks how long a session has been there.
async fn still_in_use(
    guard: &MigrationGuard,
    plan: &Plan,
    listener: Listener<'_>,
) -> Result<(), EngineError> {
    for text in legacy_use::look(guard.client(), plan).await?.lines() {
        listener(&Event::Notice { text });
    }
    let text =
        format!("{} is a superuser, which no policy binds: keep it for migrations only", guard.login());
    listener(&Event::Notice { text });
    Ok(())
}
