//! Reading a run back, whoever made it and however it ended.

use bastide_connect::Target;
use bastide_plan::{Phase, Plan};
use tokio_postgres::{Client, types::Json};
use uuid::Uuid;

use crate::{
    BackupChoice, BackupRecord, EngineError, PhaseRecord, RunRecord, RunState, StepRecord, StepState, journal,
};

/// The newest run, or the one asked for, through a connection that takes no lock: works while a run is under way.
///
/// # Errors
/// When there is no such run, or it cannot be read.
pub async fn status(target: &Target, id: Option<Uuid>) -> Result<(RunRecord, Vec<StepRecord>), EngineError> {
    let client = target.connect("bastide").await?;
    read_run(&client, id).await
}

/// An older version's table has no `backup_choice`; the name then means the one outside, which is NULL.
const RUN: &str = "
SELECT id, state, phase, plan, bastide, started_at, ended_at, error, phases, backup,
       (SELECT backup_choice FROM bastide.run AS itself WHERE itself.id = run.id) AS backup_choice
  FROM (SELECT NULL::jsonb AS backup_choice) AS older, bastide.run AS run
 WHERE $1::uuid IS NULL OR id = $1 ORDER BY started_at DESC LIMIT 1";

/// As [`status`], through a connection there is.
///
/// # Errors
/// When there is no such run, or it cannot be read.
pub async fn read_run(
    client: &Client,
    id: Option<Uuid>,
) -> Result<(RunRecord, Vec<StepRecord>), EngineError> {
    let reading = "reading the run";
    let there: bool = client
        .query_one("SELECT pg_catalog.to_regclass('bastide.run') IS NOT NULL", &[])
        .await
        .and_then(|row| row.try_get(0))
        .map_err(EngineError::server(reading))?;
    if !there {
        return Err(id.map_or(EngineError::NoRun, EngineError::NoSuchRun));
    }
    let row = client.query_opt(RUN, &[&id]).await.map_err(EngineError::server(reading))?;
    let Some(row) = row else { return Err(id.map_or(EngineError::NoRun, EngineError::NoSuchRun)) };
    let run: Uuid = row.try_get("id").map_err(EngineError::server(reading))?;
    let wrong = |what: String| EngineError::Journal { run, what };
    let column = |error: tokio_postgres::Error| wrong(journal::told(&error));
    let mut record = RunRecord {
        id: run,
        state: journal::word(row.try_get("state").map_err(column)?).map_err(wrong)?,
        phase: journal::word(row.try_get("phase").map_err(column)?).map_err(wrong)?,
        plan: row.try_get::<_, Json<Plan>>("plan").map_err(column)?.0,
        bastide: row.try_get("bastide").map_err(column)?,
        started_at: row.try_get("started_at").map_err(column)?,
        ended_at: row.try_get("ended_at").map_err(column)?,
        error: row.try_get("error").map_err(column)?,
        phases: row.try_get::<_, Json<Vec<PhaseRecord>>>("phases").map_err(column)?.0,
        backup: row
            .try_get::<_, Option<Json<BackupRecord>>>("backup")
            .map_err(column)?
            .map(|Json(backup)| backup),
        backup_choice: row
            .try_get::<_, Option<Json<BackupChoice>>>("backup_choice")
            .map_err(column)?
            .map(|Json(choice)| choice),
    };
    let steps = journal::read_steps(client, run).await?;
    if record.state == RunState::Stopped && record.phase == Phase::Assignment && upgraded(&steps) {
        record.state = RunState::Upgraded;
    }
    Ok((record, steps))
}

/// Assignment is whole, and what comes after it is not begun, or undone again.
fn upgraded(steps: &[StepRecord]) -> bool {
    steps.iter().all(|step| {
        if step.phase <= Phase::Assignment {
            step.state == StepState::Done
        } else {
            matches!(step.state, StepState::Planned | StepState::Undone)
        }
    })
}
