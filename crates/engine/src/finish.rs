//! The end of rollback: what was kept for it is discarded.

use bastide_connect::Target;
use bastide_plan::Phase;
use bastide_sql::{join, sql};
use uuid::Uuid;

use crate::{
    EngineError, MigrationGuard, RunRecord, RunState, bootstrap, journal, message, read_run, run::wrong,
};

/// Discards the journal, the evidence and the rows held aside of the newest run (or `id`), which must be cut over. The run's
/// own row stays, as history; the context functions and `bastide.scoped_tables` stay, because policies read them.
///
/// # Errors
/// [`EngineError::WrongState`] before cutover.
pub async fn finish(target: &Target, id: Option<Uuid>) -> Result<RunRecord, EngineError> {
    let mut guard = MigrationGuard::acquire(target).await?;
    let (run, _) = read_run(guard.client(), id).await?;
    match run.state {
        RunState::CutOver => {}
        RunState::PendingCutover => {
            return Err(wrong(
                &run,
                "the legacy login still reads everything; next is `bastide rls cutover`",
            ));
        }
        RunState::Finished => return Err(wrong(&run, "there is nothing left to discard")),
        _ => return Err(wrong(&run, "only a run that is cut over can be finished")),
    }
    guard.begin(run.id).await?;
    let evidence = bootstrap::evidence(guard.client()).await?;
    let mut message = vec![sql!("BEGIN")];
    let discarded = [sql!("bastide.journal"), sql!("bastide.held")];
    message.extend(
        evidence
            .iter()
            .chain(&discarded)
            .map(|table| sql!("DELETE FROM {} WHERE run_id = current_setting('bastide.run')::uuid", table)),
    );
    message.extend([
        // A run that an older binary began has no such table.
        sql!(
            "DO $$ BEGIN IF to_regclass('bastide.changed') IS NOT NULL THEN DELETE FROM bastide.changed WHERE run_id = current_setting('bastide.run')::uuid; END IF; END $$"
        ),
        sql!("UPDATE bastide.run SET before = NULL WHERE id = current_setting('bastide.run')::uuid"),
        sql!("COMMIT"),
    ]);
    guard
        .client()
        .batch_execute(&message::text(&message))
        .await
        .map_err(EngineError::server("discarding the journal"))?;
    // Of a large shop it is gigabytes, which nobody would come back for.
    let vacuum = sql!("VACUUM {}", join(&evidence, ", "));
    guard
        .client()
        .batch_execute(vacuum.as_str())
        .await
        .map_err(EngineError::server("giving back the room that the evidence took"))?;
    journal::run_is(guard.client(), run.id, RunState::Finished, Phase::Cutover, None).await?;
    Ok(read_run(guard.client(), Some(run.id)).await?.0)
}
