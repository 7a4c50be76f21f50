//! The journal: each step by identity, `planned → started → done → undoing → undone | failed`, and the run it belongs to.
//!
//! Every write is one statement, committed by itself or together with the step it speaks of. The inverse is stored, as
//! concrete SQL, when the step is planned: a newer binary undoes what an older one did without rendering anything.

use std::time::Duration;

use bastide_plan::{Phase, PlannedStep, Script, StepId};
use serde_json::json;
use tokio_postgres::{GenericClient, Row, types::Json};
use uuid::Uuid;

use crate::{EngineError, PhaseRecord, RunState, StepRecord, StepState, fault};

/// Of the tables in schema.sql.
pub(crate) const JOURNAL_FORMAT: i32 = 1;

/// Writes every step as `planned`, its inverse with it.
pub(crate) async fn plan_steps(
    client: &impl GenericClient,
    run: Uuid,
    steps: &[PlannedStep],
) -> Result<(), EngineError> {
    let insert = client
        .prepare("INSERT INTO bastide.journal (run_id, step, ordinal, phase, state, text, forward, inverse) VALUES ($1, $2, $3, $4, 'planned', $5, $6, $7)")
        .await
        .map_err(EngineError::server("writing the journal"))?;
    for (ordinal, planned) in (0_i32..).zip(steps) {
        let phase = planned.phase.name();
        client
            .execute(
                &insert,
                &[
                    &run,
                    &planned.id.as_str(),
                    &ordinal,
                    &phase,
                    &planned.step.describe(),
                    &Json(planned.step.forward()),
                    &Json(planned.step.inverse()),
                ],
            )
            .await
            .map_err(EngineError::server("writing the journal"))?;
    }
    Ok(())
}

/// The step is about to begin. A step that was undone begins afresh; one that was interrupted keeps its cursor.
pub(crate) async fn started(
    client: &impl GenericClient,
    run: Uuid,
    step: &StepId,
) -> Result<(), EngineError> {
    mark(client, run, step, "started", "UPDATE bastide.journal SET state = 'started', cursor = CASE WHEN state IN ('planned', 'undone') THEN NULL ELSE cursor END, rows = CASE WHEN state IN ('planned', 'undone') THEN NULL ELSE rows END, started_at = coalesce(CASE WHEN state = 'started' THEN started_at END, clock_timestamp()), done_at = NULL, undone_at = NULL, error = NULL WHERE run_id = $1 AND step = $2").await
}

/// From here on cursor and rows are those of the undoing.
pub(crate) async fn undoing(
    client: &impl GenericClient,
    run: Uuid,
    step: &StepId,
) -> Result<(), EngineError> {
    mark(client, run, step, "undoing", "UPDATE bastide.journal SET cursor = CASE WHEN state = 'undoing' THEN cursor END, rows = CASE WHEN state = 'undoing' THEN rows END, state = 'undoing' WHERE run_id = $1 AND step = $2").await
}

/// For a step that has nothing (left) to undo or to do.
pub(crate) async fn undone(client: &impl GenericClient, run: Uuid, step: &StepId) -> Result<(), EngineError> {
    mark(client, run, step, "undone", "UPDATE bastide.journal SET state = 'undone', undone_at = clock_timestamp() WHERE run_id = $1 AND step = $2").await
}

async fn mark(
    client: &impl GenericClient,
    run: Uuid,
    step: &StepId,
    state: &str,
    statement: &str,
) -> Result<(), EngineError> {
    fault::point(before(state), step.as_str());
    let rows = client
        .execute(statement, &[&run, &step.as_str()])
        .await
        .map_err(|error| EngineError::Step { step: step.clone(), said: error.into() })?;
    fault::point(after(state), step.as_str());
    if rows == 1 {
        return Ok(());
    }
    Err(EngineError::Journal { run, what: format!("step `{step}` is not in it") })
}

fn before(state: &str) -> &'static str {
    match state {
        "started" => "before_started",
        "undoing" => "before_undoing",
        _ => "before_undone",
    }
}

fn after(state: &str) -> &'static str {
    match state {
        "started" => "after_started",
        "undoing" => "after_undoing",
        _ => "after_undone",
    }
}

/// What the tries of a step cost, and why it failed when it did. Gives back how long its lock was held, in milliseconds.
pub(crate) async fn tried(
    client: &impl GenericClient,
    run: Uuid,
    step: &StepId,
    attempts: u32,
    waited_ms: f64,
    failed: Option<&str>,
) -> Result<f64, EngineError> {
    let attempts = i32::try_from(attempts).unwrap_or(i32::MAX);
    client
        .query_one(
            "UPDATE bastide.journal SET attempts = attempts + $3, waited_ms = waited_ms + $4, error = coalesce($5, error), state = CASE WHEN $5 IS NULL OR state <> 'started' THEN state ELSE 'failed' END WHERE run_id = $1 AND step = $2 RETURNING held_ms",
            &[&run, &step.as_str(), &attempts, &waited_ms, &failed],
        )
        .await
        .and_then(|row| row.try_get(0))
        .map_err(EngineError::server("writing the journal"))
}

/// Why a step that is under way does not get on; None when it does again.
pub(crate) async fn noted(
    client: &impl GenericClient,
    run: Uuid,
    step: &StepId,
    text: Option<&str>,
) -> Result<(), tokio_postgres::Error> {
    client
        .execute(
            "UPDATE bastide.journal SET error = $3 WHERE run_id = $1 AND step = $2",
            &[&run, &step.as_str(), &text],
        )
        .await
        .map(drop)
}

pub(crate) async fn run_is(
    client: &impl GenericClient,
    run: Uuid,
    state: RunState,
    phase: Phase,
    error: Option<&str>,
) -> Result<(), EngineError> {
    let ended = !matches!(state, RunState::Running | RunState::RollingBack);
    let name = state_name(state);
    let place = format!("{name} {}", phase.name());
    fault::point("before_run", &place);
    client
        .execute(
            "UPDATE bastide.run SET state = $2, phase = $3, error = $4, ended_at = CASE WHEN $5 THEN clock_timestamp() END WHERE id = $1",
            &[&run, &name, &phase.name(), &error, &ended],
        )
        .await
        .map_err(EngineError::server("writing the state of the run"))?;
    fault::point("after_run", &place);
    Ok(())
}

/// When it ended is the server's to say, whose clock the steps go by; `ago` is how long it has been since.
pub(crate) async fn phase_took(
    client: &impl GenericClient,
    run: Uuid,
    phase: Phase,
    took: Duration,
    ago: Duration,
) -> Result<(), EngineError> {
    let record = PhaseRecord { phase, seconds: took.as_secs_f64(), ended_at: None };
    client
        .execute(
            "UPDATE bastide.run SET phases = phases || jsonb_build_array($2::jsonb || jsonb_build_object('ended_at', clock_timestamp() - make_interval(secs => $3))) WHERE id = $1",
            &[&run, &Json(record), &ago.as_secs_f64()],
        )
        .await
        .map_err(EngineError::server("writing the state of the run"))?;
    Ok(())
}

pub(crate) async fn read_steps(
    client: &impl GenericClient,
    run: Uuid,
) -> Result<Vec<StepRecord>, EngineError> {
    rows_of(client, run).await?.iter().map(|row| step_record(run, row, whole)).collect()
}

/// As [`read_steps`], where what is undone need not be understood: of the way there its mode alone counts, which says whether
/// it may have got half-way.
pub(crate) async fn read_steps_to_undo(
    client: &impl GenericClient,
    run: Uuid,
) -> Result<Vec<StepRecord>, EngineError> {
    let forward = |row: &Row| {
        whole(row).or_else(|error| {
            let column = |error: tokio_postgres::Error| told(&error);
            let Json(script) = row.try_get::<_, Json<serde_json::Value>>("forward").map_err(column)?;
            let mode = script.get("mode").and_then(serde_json::Value::as_str).unwrap_or_default();
            let (prelude, statements) = (Vec::new(), Vec::new());
            let mode = word(mode).map_err(|_| error)?;
            Ok(Script { mode, prelude, statements, lock: None, locked: Vec::new() })
        })
    };
    rows_of(client, run).await?.iter().map(|row| step_record(run, row, forward)).collect()
}

async fn rows_of(client: &impl GenericClient, run: Uuid) -> Result<Vec<Row>, EngineError> {
    client
        .query("SELECT step, ordinal, phase, state, text, forward, inverse, cursor, rows, attempts, waited_ms, held_ms, started_at, done_at, undone_at, error FROM bastide.journal WHERE run_id = $1 ORDER BY ordinal", &[&run])
        .await
        .map_err(EngineError::server("reading the journal"))
}

fn whole(row: &Row) -> Result<Script, String> {
    row.try_get::<_, Json<Script>>("forward").map(|Json(script)| script).map_err(|error| told(&error))
}

/// Whether a step arrived; asked after a lost connection, when the last COMMIT may or may not have been carried out.
pub(crate) async fn state_of(
    client: &impl GenericClient,
    run: Uuid,
    step: &StepId,
) -> Result<(StepState, Option<String>), tokio_postgres::Error> {
    let row = client
        .query_one(
            "SELECT to_jsonb(state), cursor FROM bastide.journal WHERE run_id = $1 AND step = $2",
            &[&run, &step.as_str()],
        )
        .await?;
    let Json(state) = row.try_get::<_, Json<StepState>>(0)?;
    Ok((state, row.try_get(1)?))
}

fn step_record(
    run: Uuid,
    row: &Row,
    forward: impl Fn(&Row) -> Result<Script, String>,
) -> Result<StepRecord, EngineError> {
    let wrong = |what: String| EngineError::Journal { run, what };
    let column = |error: tokio_postgres::Error| wrong(told(&error));
    let step: String = row.try_get("step").map_err(column)?;
    let id: StepId = word(&step).map_err(wrong)?;
    Ok(StepRecord {
        ordinal: row.try_get("ordinal").map_err(column)?,
        phase: word(row.try_get("phase").map_err(column)?).map_err(wrong)?,
        state: word(row.try_get("state").map_err(column)?).map_err(wrong)?,
        text: row.try_get("text").map_err(column)?,
        forward: forward(row).map_err(wrong)?,
        inverse: row.try_get::<_, Json<Script>>("inverse").map_err(column)?.0,
        cursor: row.try_get("cursor").map_err(column)?,
        rows: row.try_get("rows").map_err(column)?,
        attempts: row.try_get("attempts").map_err(column)?,
        waited_ms: row.try_get("waited_ms").map_err(column)?,
        held_ms: row.try_get("held_ms").map_err(column)?,
        started_at: row.try_get("started_at").map_err(column)?,
        done_at: row.try_get("done_at").map_err(column)?,
        undone_at: row.try_get("undone_at").map_err(column)?,
        error: row.try_get("error").map_err(column)?,
        id,
    })
}

/// With its cause, which names the field that could not be read.
pub(crate) fn told(error: &tokio_postgres::Error) -> String {
    std::error::Error::source(error).map_or_else(|| error.to_string(), |source| format!("{error}: {source}"))
}

/// A value whose serde form is one word.
pub(crate) fn word<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, String> {
    serde_json::from_value(json!(text)).map_err(|error| format!("`{text}`: {error}"))
}

pub(crate) fn state_name(state: RunState) -> &'static str {
    match state {
        RunState::Running => "running",
        RunState::Stopped | RunState::Upgraded => "stopped",
        RunState::PendingCutover => "pending_cutover",
        RunState::CutOver => "cut_over",
        RunState::RollingBack => "rolling_back",
        RunState::RolledBack => "rolled_back",
        RunState::Finished => "finished",
    }
}

/// The same for people.
pub(crate) fn state_words(state: RunState) -> &'static str {
    match state {
        RunState::Running => "under way (or was killed)",
        RunState::Stopped => "stopped half-way",
        RunState::Upgraded => "upgraded",
        RunState::PendingCutover => "pending cutover",
        RunState::CutOver => "cut over",
        RunState::RollingBack => "rolling back",
        RunState::RolledBack => "rolled back",
        RunState::Finished => "finished",
    }
}
