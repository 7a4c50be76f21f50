//! `legacy upgrade`, run again: the phases up to assignment where they are not done, and, where they are, another look
//! for rows that have come without a tenant since.
//!
//! It plans nothing anew. The steps of inference's second pass are in the journal; they run once more, over the rows that
//! are open now, under the same identities and inverses. Whatever becomes of them, the run is one that `resume` goes on
//! with and `rollback` undoes.

use bastide_catalog::{Catalog, Fingerprint};
use bastide_plan::{Phase, Plan, Step, StepId, inference, steps::Backfill};
use bastide_sql::{Literal, Sql, sql};
use tokio_postgres::types::Json;
use uuid::Uuid;

use crate::{
    EngineError, Event, Listener, MigrationGuard, Place, RunOutcome, RunRecord, RunState, StepRecord,
    StepState, fault, journal, message,
    phases::analysis,
    read_run,
    run::{go_on, outcome, run_steps, stopped, wrong},
};

pub(crate) const NEXT: &str = "`bastide rls resume` goes on with policies, `bastide legacy validate` checks, `bastide legacy rollback` undoes";

/// What another upgrade did.
#[derive(Clone, Debug)]
pub struct Upgraded {
    pub outcome: RunOutcome,
    /// The run had not come that far: it went on, and no second look was needed.
    pub went_on: bool,
    /// Rows of scoped tables without a tenant, before and after.
    pub open_before: u64,
    pub open: u64,
    /// Rows in the quarantine tenant. Cutover looks at them again; nothing else does.
    pub quarantined: u64,
}

/// Brings the newest run to the end of assignment; one that is there already looks for new orphans, and touches only them.
///
/// # Errors
/// [`EngineError::NoRun`] when nothing is to be continued (none, rolled back, finished); [`EngineError::WrongState`] and
/// [`EngineError::Migrated`] when the run is further on; [`EngineError::ChangedSince`] when the schema is not what the
/// upgrade left.
pub async fn upgrade_again(place: &Place, listener: Listener<'_>) -> Result<Upgraded, EngineError> {
    let mut guard = MigrationGuard::acquire(&place.target).await?;
    let (run, steps) = read_run(guard.client(), None).await?;
    match run.state {
        RunState::Upgraded => {}
        RunState::Running | RunState::Stopped if run.phase <= Phase::Assignment => {
            guard.begin(run.id).await?;
            let outcome = go_on(guard, place, run, Some(Phase::Assignment), None, listener).await?;
            return Ok(Upgraded { outcome, went_on: true, open_before: 0, open: 0, quarantined: 0 });
        }
        RunState::Running | RunState::Stopped => {
            let next = "its rows have their tenants; `bastide rls resume` goes on, `bastide legacy rollback` undoes it";
            return Err(wrong(&run, next));
        }
        RunState::RollingBack => return Err(wrong(&run, "`bastide legacy rollback` ends it")),
        RunState::PendingCutover | RunState::CutOver => {
            return Err(EngineError::Migrated { run: run.id, state: journal::state_words(run.state) });
        }
        RunState::RolledBack | RunState::Finished => return Err(EngineError::NoRun),
    }
    guard.begin(run.id).await?;
    let catalog = bastide_catalog::read(guard.client_mut()).await?;
    guard.settle().await?;
    unchanged(&guard, &run, &catalog).await?;
    let again = Again::of(&run.plan, &steps);
    let say = |text: &str| listener(&Event::Activity { phase: Phase::Assignment, text: text.to_owned() });
    say("looking for rows without a tenant");
    let open_before = again.open(&guard, &catalog).await?;
    let quarantined = quarantined(&guard, &run.plan, &catalog).await?;
    if open_before == 0 {
        let outcome = outcome(&mut guard, run.id, None).await?;
        return Ok(Upgraded { outcome, went_on: false, open_before, open: 0, quarantined });
    }
    again.prepare(&mut guard, run.id).await?;
    listener(&Event::PhaseStarted {
        phase: Phase::Assignment,
        steps: again.inferences.len() + again.backfills.len(),
    });
    if let Err(cause) = run_steps(&mut guard, place, run.id, Phase::Assignment, |_| true, listener).await {
        return Err(stopped(&mut guard, run.id, Phase::Assignment, cause).await);
    }
    let open = again.open(&guard, &catalog).await?;
    journal::run_is(guard.client(), run.id, RunState::Stopped, Phase::Assignment, None).await?;
    let outcome = outcome(&mut guard, run.id, None).await?;
    Ok(Upgraded { outcome, went_on: false, open_before, open, quarantined })
}

/// The steps that look again, and the tables they look at.
struct Again<'a> {
    inferences: Vec<&'a StepId>,
    backfills: Vec<&'a StepId>,
    /// Of each of `backfills`.
    tables: Vec<&'a Backfill>,
}

impl<'a> Again<'a> {
    fn of(plan: &'a Plan, journal: &[StepRecord]) -> Self {
        let mut found = Self { inferences: Vec::new(), backfills: Vec::new(), tables: Vec::new() };
        for planned in plan.steps_of(Phase::Assignment) {
            let done = journal.iter().any(|step| step.id == planned.id && step.state == StepState::Done);
            match &planned.step {
                Step::InferTenants(step) if step.pass == inference::SECOND && done => {
                    found.inferences.push(&planned.id);
                }
                Step::Backfill(step) if step.pass == inference::SECOND && done => {
                    found.backfills.push(&planned.id);
                    found.tables.push(step);
                }
                _ => {}
            }
        }
        found
    }

    /// Rows without a tenant, where the server does not rule them out.
    async fn open(&self, guard: &MigrationGuard, catalog: &Catalog) -> Result<u64, EngineError> {
        let may = self.tables.iter().filter(|step| {
            let column = catalog.table(&step.table).and_then(|table| table.column(&step.column));
            column.is_none_or(|column| !column.not_null)
        });
        let mut open = 0;
        for step in may {
            let count = sql!("SELECT count(*) FROM ONLY {} WHERE {} IS NULL", step.table, step.column);
            open += counted(guard, &count).await?;
        }
        Ok(open)
    }

    /// In one transaction: the journal says that the steps are under way, from the beginning, and what was recorded of
    /// rows that are open now is forgotten, for they are looked at afresh.
    ///
    /// `started`, not `planned`: rolling back from here must undo what these steps did the first time.
    async fn prepare(&self, guard: &mut MigrationGuard, run: Uuid) -> Result<(), EngineError> {
        let doing = "preparing another look at the rows";
        let mut script = vec![sql!("SET LOCAL lock_timeout = '5s'")];
        script.extend(inference::prelude().into_iter().skip(1));
        fault::point("before_again", "run");
        let transaction = guard.client_mut().transaction().await.map_err(EngineError::server(doing))?;
        let packed: bool = transaction
            .query_one("SELECT to_regclass('bastide.assigned') IS NOT NULL", &[])
            .await
            .and_then(|row| row.try_get(0))
            .map_err(EngineError::server(doing))?;
        let again: Vec<(Sql, Sql)> = self.tables.iter().map(|step| step.look_again(packed)).collect();
        script.extend(again.iter().map(|(forget, _)| forget.clone()));
        transaction.batch_execute(&message::text(&script)).await.map_err(EngineError::server(doing))?;
        let nothing = sql!("NULL");
        let cursors = self.backfills.iter().zip(again.iter().map(|(_, cursor)| cursor));
        for (step, cursor) in self.inferences.iter().map(|id| (id, &nothing)).chain(cursors) {
            let restart = sql!(
                "UPDATE bastide.journal SET state = 'started', cursor = {}, done_at = NULL, error = NULL WHERE run_id = current_setting('bastide.run')::uuid AND step = {}",
                cursor,
                Literal::text(step.as_str())
            );
            transaction.batch_execute(restart.as_str()).await.map_err(EngineError::server(doing))?;
        }
        transaction
            .execute(
                "UPDATE bastide.run SET state = 'running', ended_at = NULL, error = NULL WHERE id = $1",
                &[&run],
            )
            .await
            .map_err(EngineError::server(doing))?;
        transaction.commit().await.map_err(EngineError::server(doing))?;
        fault::point("after_again", "run");
        Ok(())
    }
}

/// Writes down the schema that assignment leaves, beside what was before: later, whoever looks again compares it.
pub(crate) async fn remember_schema(guard: &mut MigrationGuard, run: Uuid) -> Result<(), EngineError> {
    let catalog = bastide_catalog::read(guard.client_mut()).await?;
    guard.settle().await?;
    guard
        .client()
        .execute(
            "UPDATE bastide.run SET before = before || jsonb_build_object('upgraded', $2::jsonb) WHERE id = $1",
            &[&run, &Json(Fingerprint::of(&catalog))],
        )
        .await
        .map_err(EngineError::server("writing down the schema"))?;
    Ok(())
}

async fn unchanged(guard: &MigrationGuard, run: &RunRecord, catalog: &Catalog) -> Result<(), EngineError> {
    let reading = "reading the schema that the upgrade left";
    let left: Option<Json<Fingerprint>> = guard
        .client()
        .query_one("SELECT before->'upgraded' FROM bastide.run WHERE id = $1", &[&run.id])
        .await
        .and_then(|row| row.try_get(0))
        .map_err(EngineError::server(reading))?;
    // An older binary wrote none down.
    let Some(Json(left)) = left else { return Ok(()) };
    match analysis::changed(&left, catalog) {
        None => Ok(()),
        Some(changes) => Err(EngineError::ChangedSince { run: run.id, changes }),
    }
}

async fn quarantined(guard: &MigrationGuard, plan: &Plan, catalog: &Catalog) -> Result<u64, EngineError> {
    let Some(quarantine) = &plan.quarantine else { return Ok(0) };
    let mut rows = 0;
    for (table, decision) in &plan.tables {
        let Some(column) = decision.tenant_column.as_ref().filter(|_| *table != plan.root.table) else {
            continue;
        };
        if !catalog.table(table).is_some_and(bastide_catalog::Table::holds_rows) {
            continue;
        }
        let tenant = Literal::text(quarantine.id.as_str());
        let (name, kind) = (&column.name, &column.type_name);
        let count = sql!("SELECT count(*) FROM ONLY {} WHERE {} = {}::{}", table, name, tenant, kind);
        rows += counted(guard, &count).await?;
    }
    Ok(rows)
}

async fn counted(guard: &MigrationGuard, count: &Sql) -> Result<u64, EngineError> {
    guard
        .client()
        .query_one(count.as_str(), &[])
        .await
        .and_then(|row| row.try_get::<_, i64>(0))
        .map(i64::unsigned_abs)
        .map_err(EngineError::server("counting rows"))
}
