//! Reading a run back, whoever made it and however it ended.

use bastide_connect::Target;
use bastide_plan::{Phase, Plan};
use tokio_postgres::{Client, Row, types::Json};
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

/// As [`status`], through a connection there is.
///
/// # Errors
/// When there is no such run, or it cannot be read.
pub async fn read_run(
    client: &Client,
    id: Option<Uuid>,
) -> Result<(RunRecord, Vec<StepRecord>), EngineError> {
    let row = newest(client, id).await?;
    let head = Head::of(&row)?;
    let run = head.id;
    let column = |error: tokio_postgres::Error| EngineError::Journal { run, what: journal::told(&error) };
    let bastide: String = row.try_get("bastide").map_err(column)?;
    let plan = head.plan.map_err(|what| EngineError::OtherPlan { run, bastide: bastide.clone(), what })?;
    let mut record = RunRecord {
        id: run,
        state: head.state,
        phase: head.phase,
        plan,
        bastide,
        started_at: row.try_get("started_at").map_err(column)?,
        ended_at: row.try_get("ended_at").map_err(column)?,
        error: head.error,
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
    record.state = told(record.state, record.phase, &steps);
    Ok((record, steps))
}

/// What rolling a run back needs of it: the plan may be one that this binary cannot read, for inverses are concrete SQL.
#[derive(Clone, Debug)]
pub struct Head {
    pub id: Uuid,
    pub state: RunState,
    pub phase: Phase,
    pub error: Option<String>,
    /// Or why it cannot be read.
    pub plan: Result<Plan, String>,
}

impl Head {
    fn of(row: &Row) -> Result<Self, EngineError> {
        let run: Uuid = row.try_get("id").map_err(EngineError::server(READING))?;
        let wrong = |what: String| EngineError::Journal { run, what };
        let column = |error: tokio_postgres::Error| wrong(journal::told(&error));
        Ok(Self {
            id: run,
            state: journal::word(row.try_get("state").map_err(column)?).map_err(wrong)?,
            phase: journal::word(row.try_get("phase").map_err(column)?).map_err(wrong)?,
            error: row.try_get("error").map_err(column)?,
            plan: row
                .try_get::<_, Json<Plan>>("plan")
                .map(|Json(plan)| plan)
                .map_err(|error| journal::told(&error)),
        })
    }
}

/// As [`read_run`], for undoing.
pub(crate) async fn read_to_undo(
    client: &Client,
    id: Option<Uuid>,
) -> Result<(Head, Vec<StepRecord>), EngineError> {
    let mut head = Head::of(&newest(client, id).await?)?;
    let steps = journal::read_steps_to_undo(client, head.id).await?;
    head.state = told(head.state, head.phase, &steps);
    Ok((head, steps))
}

const READING: &str = "reading the run";

/// An older version's table has no `backup_choice`; the name then means the one outside, which is NULL.
const RUN: &str = "
SELECT id, state, phase, plan, bastide, started_at, ended_at, error, phases, backup,
       (SELECT backup_choice FROM bastide.run AS itself WHERE itself.id = run.id) AS backup_choice
  FROM (SELECT NULL::jsonb AS backup_choice) AS older, bastide.run AS run
 WHERE id = $1";

async fn newest(client: &Client, id: Option<Uuid>) -> Result<Row, EngineError> {
    let there: bool = client
        .query_one("SELECT pg_catalog.to_regclass('bastide.run') IS NOT NULL", &[])
        .await
        .and_then(|row| row.try_get(0))
        .map_err(EngineError::server(READING))?;
    let none = || id.map_or(EngineError::NoRun, EngineError::NoSuchRun);
    if !there {
        return Err(none());
    }
    // Of a newer format nothing is known but these, which every format has.
    let row = client
        .query_opt(
            "SELECT id, bastide, format FROM bastide.run WHERE $1::uuid IS NULL OR id = $1 ORDER BY started_at DESC LIMIT 1",
            &[&id],
        )
        .await
        .map_err(EngineError::server(READING))?
        .ok_or_else(none)?;
    let (run, bastide, format): (Uuid, String, i32) = (
        row.try_get(0).map_err(EngineError::server(READING))?,
        row.try_get(1).map_err(EngineError::server(READING))?,
        row.try_get(2).map_err(EngineError::server(READING))?,
    );
    if format > journal::JOURNAL_FORMAT {
        return Err(EngineError::NewerJournal { run, bastide, format });
    }
    client.query_one(RUN, &[&run]).await.map_err(EngineError::server(READING))
}

/// What is stored as `stopped` is `upgraded` where the steps say so.
fn told(state: RunState, phase: Phase, steps: &[StepRecord]) -> RunState {
    let whole = state == RunState::Stopped && phase == Phase::Assignment && upgraded(steps);
    if whole { RunState::Upgraded } else { state }
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
