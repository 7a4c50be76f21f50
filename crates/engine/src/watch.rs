//! Looking at a run from outside, while it goes on: short reads of the journal through a connection of their own, which
//! take no lock that anybody waits for and keep no transaction open.

use std::time::Duration;

use bastide_connect::{Connected, Target};
use bastide_plan::{Mode, Script, StepId};
use bastide_record::{RunSeen, Sighting, StepSeen, StepState};
use bastide_sql::sql;
use tokio_postgres::{Client, types::Json};
use uuid::Uuid;

use crate::{EngineError, blockers, guard, journal};

/// A server that does not answer is as good as gone.
const PATIENCE: Duration = Duration::from_secs(10);

/// A step that takes its lock at once is not worth asking who was in its way.
const AT_ONCE: time::Duration = time::Duration::milliseconds(300);

/// A connection to look through; open another when a look fails.
pub struct Watch {
    client: Connected,
    run: Option<Uuid>,
    /// Counted once for each step: evidence can be large.
    expected: Option<(StepId, Option<i64>)>,
}

impl Watch {
    /// Of the newest run at each look, or of the one asked for.
    ///
    /// # Errors
    /// When the server cannot be reached.
    pub async fn open(target: &Target, run: Option<Uuid>) -> Result<Self, EngineError> {
        let client = target.connect("bastide status").await?;
        client
            .batch_execute(
                "SET statement_timeout = '5s'; SET lock_timeout = '1s'; SET search_path = pg_catalog; SET TimeZone = 'UTC'",
            )
            .await
            .map_err(EngineError::server(LOOKING))?;
        Ok(Self { client, run, expected: None })
    }

    /// # Errors
    /// When the connection broke or the server does not answer; another may.
    pub async fn look(&mut self) -> Result<Sighting, EngineError> {
        let seen = tokio::time::timeout(PATIENCE, self.once())
            .await
            .unwrap_or(Err(EngineError::NoAnswer { seconds: PATIENCE.as_secs() }))?;
        // Somebody waits for a first run, or this is it: the next look is at the same one.
        if let Some(run) = seen.run.as_ref().filter(|run| run.state.live()) {
            self.run = Some(run.id);
        }
        Ok(seen)
    }

    async fn once(&mut self) -> Result<Sighting, EngineError> {
        let failed = |error: tokio_postgres::Error| EngineError::server(LOOKING)(error);
        let client = &self.client;
        // Before the journal: a run that ends between the two looks is seen to have ended, not to have died.
        let holder = guard::holding(client).await.map_err(failed)?;
        let row = client
            .query_one("SELECT clock_timestamp(), to_regclass('bastide.run') IS NOT NULL", &[])
            .await
            .map_err(failed)?;
        let there: bool = row.try_get(1).map_err(failed)?;
        let migrating = holder.as_ref().map(|(pid, _)| *pid);
        let mut seen = Sighting {
            seen_at: row.try_get(0).map_err(failed)?,
            run: None,
            holder: holder.map(|(_, who)| who),
            blocked_by: Vec::new(),
        };
        if !there {
            return Ok(seen);
        }
        let Some(mut run) = run_seen(client, self.run).await? else { return Ok(seen) };
        if let Some((mut step, script)) = step_seen(client, run.id).await? {
            if script.mode == Mode::Batches {
                let known = self.expected.take().filter(|(id, _)| *id == step.id);
                step.rows_expected = match known {
                    Some((_, expected)) => expected,
                    None => expected(client, run.id, &script).await,
                };
                self.expected = Some((step.id.clone(), step.rows_expected));
            }
            let under_way = matches!(step.state, StepState::Started | StepState::Undoing);
            let for_long = step.started_at.is_none_or(|started| seen.seen_at - started > AT_ONCE);
            if let (Some(pid), true, true) = (migrating, under_way && for_long, script.mode != Mode::Nothing)
            {
                seen.blocked_by = blockers::in_the_way(client, &script, pid).await.map_err(failed)?;
            }
            run.step = Some(step);
        }
        seen.run = Some(run);
        Ok(seen)
    }
}

const LOOKING: &str = "looking at the run";

async fn run_seen(client: &Client, id: Option<Uuid>) -> Result<Option<RunSeen>, EngineError> {
    let failed = |error: tokio_postgres::Error| EngineError::server(LOOKING)(error);
    let row = client
        .query_opt(
            "SELECT r.id, r.state, r.phase, count(j.step), count(j.step) FILTER (WHERE j.state = 'done'), count(j.step) FILTER (WHERE j.state = 'undone'), count(j.step) FILTER (WHERE j.phase = r.phase), count(j.step) FILTER (WHERE j.phase = r.phase AND j.state = 'done') FROM (SELECT id, state, phase FROM bastide.run WHERE $1::uuid IS NULL OR id = $1 ORDER BY started_at DESC LIMIT 1) r LEFT JOIN bastide.journal j ON j.run_id = r.id GROUP BY r.id, r.state, r.phase",
            &[&id],
        )
        .await
        .map_err(failed)?;
    let Some(row) = row else { return Ok(None) };
    let run: Uuid = row.try_get(0).map_err(failed)?;
    let wrong = |what: String| EngineError::Journal { run, what };
    Ok(Some(RunSeen {
        id: run,
        state: journal::word(row.try_get(1).map_err(failed)?).map_err(wrong)?,
        phase: journal::word(row.try_get(2).map_err(failed)?).map_err(wrong)?,
        steps: row.try_get(3).map_err(failed)?,
        steps_done: row.try_get(4).map_err(failed)?,
        steps_undone: row.try_get(5).map_err(failed)?,
        phase_steps: row.try_get(6).map_err(failed)?,
        phase_done: row.try_get(7).map_err(failed)?,
        step: None,
    }))
}

/// The step under way and the script it is at.
async fn step_seen(client: &Client, run: Uuid) -> Result<Option<(StepSeen, Script)>, EngineError> {
    let failed = |error: tokio_postgres::Error| EngineError::server(LOOKING)(error);
    let row = client
        .query_opt(
            "SELECT step, state, text, rows, CASE WHEN state = 'undoing' THEN inverse ELSE forward END, CASE WHEN state = 'started' THEN started_at END FROM bastide.journal WHERE run_id = $1 AND state IN ('started', 'undoing', 'failed') ORDER BY state = 'undoing' DESC, ordinal LIMIT 1",
            &[&run],
        )
        .await
        .map_err(failed)?;
    let Some(row) = row else { return Ok(None) };
    let wrong = |what: String| EngineError::Journal { run, what };
    let step: String = row.try_get(0).map_err(failed)?;
    let Json(script): Json<Script> = row.try_get(4).map_err(failed)?;
    Ok(Some((
        StepSeen {
            id: journal::word(&step).map_err(wrong)?,
            state: journal::word(row.try_get(1).map_err(failed)?).map_err(wrong)?,
            text: row.try_get(2).map_err(failed)?,
            rows: row.try_get(3).map_err(failed)?,
            rows_expected: None,
            started_at: row.try_get(5).map_err(failed)?,
        },
        script,
    )))
}

/// How many rows a step in batches will touch, when inference has counted them. An estimate only: whoever cannot have it
/// does without.
pub(crate) async fn expected(client: &Client, run: Uuid, script: &Script) -> Option<i64> {
    let relation = script.locked.first().map(|table| sql!("{}", table).as_str().to_owned())?;
    let row = client
        .query_one(
            "SELECT (SELECT coalesce(sum(with_tenant), 0) FROM bastide.assigned WHERE run_id = $1 AND relation = $2)::bigint + (SELECT count(tenant) FROM bastide.assigned_keyless WHERE run_id = $1 AND relation = $2)",
            &[&run, &relation],
        )
        .await;
    row.and_then(|row| row.try_get(0)).ok().filter(|rows| *rows > 0)
}
