//! A step in batches: each commits by itself, its cursor with it, so a killed run goes on where it was.

use std::time::{Duration, Instant};

use bastide_plan::{Script, StepId};
use tokio_postgres::{Client, Statement, types::Type};

use super::{Runner, Try, patience::Tries};
use crate::{
    EngineError, Event, ServerSaid, fault, journal,
    message::{self, Direction},
    pressure::{self, Gauge},
};

/// Row locks last as long as the batch.
const AIM: Duration = Duration::from_millis(80);
const FEWEST: i64 = 100;
const MOST: i64 = 10_000;
const FIRST: i64 = 1_000;

/// Where even the smallest batch takes long (no index leads to the rows), it may: up to this.
const SLOWEST: Duration = Duration::from_secs(30);

impl Runner<'_> {
    pub(super) async fn in_batches(
        &mut self,
        step: &StepId,
        script: &Script,
        direction: Direction,
        tries: &mut Tries,
    ) -> Result<u64, EngineError> {
        let failed =
            |error: tokio_postgres::Error| EngineError::Step { step: step.clone(), said: error.into() };
        let [statement] = script.statements.as_slice() else {
            return Err(EngineError::Journal {
                run: self.run,
                what: format!(
                    "`{step}` runs in batches and has {} statements instead of one",
                    script.statements.len()
                ),
            });
        };
        let total =
            crate::watch::expected(self.guard.client(), self.run, script).await.map(i64::unsigned_abs);
        let (_, mut cursor) = journal::state_of(self.guard.client(), self.run, step).await.map_err(failed)?;
        let mut prepared: Option<Statement> = None;
        let mut gauge = Gauge::new(self.patience.limits, script.locked.first());
        let (mut size, mut timeout) = (FIRST, Duration::from_secs(1));
        let mut done = 0_u64;
        loop {
            self.relieve(step, &mut gauge).await;
            let begun = Instant::now();
            tries.begin();
            let batch = Batch { step, script, statement: statement.as_str(), size, timeout, direction };
            let work = batch.send(self.guard.client(), &mut prepared, cursor.as_deref());
            let (ended, given_way) = self.watcher.over(self.guard.target(), self.guard.backend(), work).await;
            match ended {
                Ok((next, rows)) => {
                    fault::point("after_batch", step.as_str());
                    tries.renew();
                    done += u64::try_from(rows).unwrap_or(0);
                    (self.listener)(&Event::Progress { step: step.clone(), done, total });
                    if next.is_none() {
                        return Ok(done);
                    }
                    cursor = next;
                    size = adapted(size, begun.elapsed());
                    tokio::time::sleep(gauge.rest(begun.elapsed())).await;
                }
                Err(error) => {
                    let said = match self.failed(step, ServerSaid::from(error), given_way).await? {
                        Try::Arrived => continue,
                        Try::GaveWay(to) => {
                            size = (size / 2).max(FEWEST);
                            self.let_pass(step, tries, to).await?;
                            continue;
                        }
                        Try::SteppedBack(said) => said,
                    };
                    if said.timed_out() && size == FEWEST && timeout < SLOWEST {
                        timeout *= 2;
                        tries.renew();
                    }
                    size = (size / 2).max(FEWEST);
                    if said.lost() {
                        prepared = None;
                    }
                    if self.wait_and_look(step, script, direction, tries, &said).await? {
                        return Ok(done);
                    }
                    if said.lost() {
                        // The last COMMIT may have been carried out: its cursor is in the journal, or is not.
                        cursor =
                            journal::state_of(self.guard.client(), self.run, step).await.map_err(failed)?.1;
                    }
                }
            }
        }
    }
}

impl Runner<'_> {
    /// Between two batches, as long as the database is under pressure; nothing of ours is open meanwhile.
    async fn relieve(&mut self, step: &StepId, gauge: &mut Gauge) {
        let mut why = gauge.look(self.guard.client(), step).await;
        let mut times = 0;
        while !why.is_empty() {
            let pause = pressure::pause(times);
            self.note(step, Some(&format!("paused: {}", why.join("; ")))).await;
            (self.listener)(&Event::Paused { step: step.clone(), pause, why });
            tokio::time::sleep(pause).await;
            times += 1;
            why = gauge.look_now(self.guard.client(), step).await;
        }
        if times > 0 {
            self.note(step, None).await;
        }
    }

    /// For `rls status`, which shows it as the reason why the step does not get on.
    async fn note(&self, step: &StepId, text: Option<&str>) {
        if let Err(error) = journal::noted(self.guard.client(), self.run, step, text).await {
            tracing::debug!(%step, %error, "why the step pauses was not written down");
        }
    }
}

/// One batch: its own transaction, its cursor with it.
struct Batch<'a> {
    step: &'a StepId,
    script: &'a Script,
    statement: &'a str,
    size: i64,
    timeout: Duration,
    direction: Direction,
}

impl Batch<'_> {
    /// The next cursor, and how many rows it changed.
    async fn send(
        &self,
        client: &Client,
        prepared: &mut Option<Statement>,
        cursor: Option<&str>,
    ) -> Result<(Option<String>, i64), tokio_postgres::Error> {
        client.batch_execute(&message::text(&message::batch_opening(self.script, self.timeout))).await?;
        // After the opening: the settings it begins with decide which of the table's rules rewrite the statement.
        let ready = match prepared {
            Some(ready) => ready.clone(),
            None => prepared
                .insert(client.prepare_typed(self.statement, &[Type::TEXT, Type::INT8]).await?)
                .clone(),
        };
        let row = client.query_one(&ready, &[&cursor, &self.size]).await?;
        let (next, rows): (Option<String>, Option<i64>) = (row.try_get(0)?, row.try_get(1)?);
        let rows = rows.unwrap_or(0);
        let closing = message::batch_closing(self.step, next.as_deref(), rows, self.direction);
        client.batch_execute(&message::text(&closing)).await?;
        Ok((next, rows))
    }
}

/// The next size: towards the aim, by no more than a factor of two.
fn adapted(size: i64, took: Duration) -> i64 {
    let next = if took > AIM * 2 {
        size / 2
    } else if took > AIM {
        size * 3 / 4
    } else if took < AIM / 2 {
        size * 2
    } else if took < AIM * 3 / 4 {
        size * 5 / 4
    } else {
        size
    };
    next.clamp(FEWEST, MOST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_follow_the_time_they_took_within_bounds() {
        assert_eq!(adapted(1_000, Duration::from_millis(10)), 2_000);
        assert_eq!(adapted(1_000, Duration::from_millis(50)), 1_250);
        assert_eq!(adapted(1_000, Duration::from_millis(60)), 1_000);
        assert_eq!(adapted(1_000, Duration::from_millis(100)), 750);
        assert_eq!(adapted(1_000, Duration::from_millis(500)), 500);
        assert_eq!(adapted(100, Duration::from_secs(9)), 100);
        assert_eq!(adapted(10_000, Duration::ZERO), 10_000);
    }
}
