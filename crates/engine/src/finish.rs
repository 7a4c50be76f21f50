//! The end of rollback: what was kept for it is discarded.

use bastide_connect::Target;
use bastide_plan::Phase;
use bastide_sql::sql;
use uuid::Uuid;

use crate::{EngineError, MigrationGuard, RunRecord, RunState, journal, message, read_run, run::wrong};

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
    let message = [
        sql!("BEGIN"),
        sql!("DELETE FROM bastide.journal WHERE run_id = current_setting('bastide.run')::uuid"),
        sql!("DELETE FROM bastide.assignment WHERE run_id = current_setting('bastide.run')::uuid"),
        sql!(
            "DO $$ BEGIN IF to_regclass('bastide.given') IS NOT NULL THEN DELETE FROM bastide.given WHERE run_id = current_setting('bastide.run')::uuid; END IF; END $$"
        ),
        sql!("DELETE FROM bastide.rule WHERE run_id = current_setting('bastide.run')::uuid"),
        sql!("DELETE FROM bastide.held WHERE run_id = current_setting('bastide.run')::uuid"),
        sql!("UPDATE bastide.run SET before = NULL WHERE id = current_setting('bastide.run')::uuid"),
        sql!("COMMIT"),
    ];
    guard
        .client()
        .batch_execute(&message::text(&message))
        .await
        .map_err(EngineError::server("discarding the journal"))?;
    journal::run_is(guard.client(), run.id, RunState::Finished, Phase::Cutover, None).await?;
    Ok(read_run(guard.client(), Some(run.id)).await?.0)
}
