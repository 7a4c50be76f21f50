//! When a backfill leaves the database alone for a while: what is measured between batches, and what is too much.

use std::time::{Duration, Instant};

use bastide_plan::StepId;
use bastide_sql::QualifiedName;
use serde::Deserialize;
use tokio_postgres::Client;

use crate::runner::WATCHER;

/// What is too much; `[pressure]` of `bastide.toml`. Zero: that is not looked at.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// How far a streaming replica may be behind in replaying, in seconds.
    pub replica_lag_seconds: f64,
    /// WAL that a replication slot keeps from being removed, in MB.
    pub slot_wal_mb: f64,
    /// Size of `pg_wal`, in multiples of `max_wal_size`.
    pub wal_max_sizes: f64,
    /// Whether archiving may fail; its WAL piles up meanwhile.
    pub archiver_may_fail: bool,
    /// Dead rows of the table under way, in multiples of what autovacuum begins at, when autovacuum does not come.
    pub dead_rows_thresholds: f64,
    /// Sessions that wait for locks, more than when the step began.
    pub lock_waits: f64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            replica_lag_seconds: 10.0,
            slot_wal_mb: 16_384.0,
            wal_max_sizes: 4.0,
            archiver_may_fail: false,
            dead_rows_thresholds: 3.0,
            lock_waits: 8.0,
        }
    }
}

/// One look at the server.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Sample {
    pub(crate) lag: Option<(String, f64)>,
    pub(crate) slot: Option<(String, f64)>,
    pub(crate) wal_max_sizes: f64,
    pub(crate) archiver_fails: bool,
    pub(crate) dead: Option<Dead>,
    pub(crate) lock_waits: f64,
    /// Whether another session of this database is at work, or was a moment ago. One that we may not look at counts as one that is.
    pub(crate) in_company: bool,
}

/// Dead rows of a table that autovacuum is to clean.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Dead {
    pub(crate) thresholds: f64,
    pub(crate) being_vacuumed: bool,
    /// It came lately: what it left is held back by somebody's old snapshot, and waiting does not help.
    pub(crate) vacuumed_lately: bool,
    /// It is due for longer than it takes to come round: its workers are busy, or it was stopped.
    pub(crate) overdue: bool,
}

/// What is too much now, in words; `before` was sampled when the step began.
pub(crate) fn exceeded(limits: &Limits, before: &Sample, now: &Sample) -> Vec<String> {
    let over = |value: f64, limit: f64| limit > 0.0 && value > limit;
    let mut reasons = Vec::new();
    if let Some((name, lag)) = now.lag.as_ref().filter(|(_, lag)| over(*lag, limits.replica_lag_seconds)) {
        reasons.push(format!(
            "replica {name} is {lag:.0} s behind (replica_lag_seconds = {})",
            limits.replica_lag_seconds
        ));
    }
    if let Some((name, mb)) = now.slot.as_ref().filter(|(_, mb)| over(*mb, limits.slot_wal_mb)) {
        reasons.push(format!("slot {name} keeps {mb:.0} MB of WAL (slot_wal_mb = {})", limits.slot_wal_mb));
    }
    if over(now.wal_max_sizes, limits.wal_max_sizes) {
        reasons.push(format!(
            "pg_wal is {:.1} times max_wal_size (wal_max_sizes = {})",
            now.wal_max_sizes, limits.wal_max_sizes
        ));
    }
    if now.archiver_fails && !limits.archiver_may_fail {
        reasons.push(
            "WAL cannot be archived (pg_stat_archiver says since when; archiver_may_fail = false)".to_owned(),
        );
    }
    let starving = now.dead.filter(|dead| {
        dead.overdue
            && !dead.being_vacuumed
            && !dead.vacuumed_lately
            && over(dead.thresholds, limits.dead_rows_thresholds)
    });
    if let Some(dead) = starving {
        reasons.push(format!(
            "autovacuum does not come to the table, whose dead rows are {:.1} times its threshold (dead_rows_thresholds = {})",
            dead.thresholds, limits.dead_rows_thresholds
        ));
    }
    let more = now.lock_waits - before.lock_waits;
    if over(more, limits.lock_waits) {
        reasons.push(format!(
            "{more:.0} more sessions wait for locks than at first (lock_waits = {})",
            limits.lock_waits
        ));
    }
    reasons
}

/// A second at first, half a minute at most.
pub(crate) fn pause(times: u32) -> Duration {
    Duration::from_secs((1 << times.min(5)).min(30))
}

/// Looks at most once a second, however short the batches are.
pub(crate) struct Gauge {
    limits: Limits,
    relation: Option<String>,
    before: Option<Sample>,
    last: Option<Instant>,
    /// Since when autovacuum is due and was not there.
    due: Option<Instant>,
    in_company: bool,
}

const BETWEEN: Duration = Duration::from_secs(1);

/// Long enough for who has waited to come through.
const BREATH: Duration = Duration::from_millis(5);

impl Gauge {
    pub(crate) fn new(limits: Limits, table: Option<&QualifiedName>) -> Self {
        let relation = table.map(|table| bastide_sql::sql!("{}", table).as_str().to_owned());
        Self { limits, relation, before: None, last: None, due: None, in_company: true }
    }

    /// How long to rest after a batch that took `took`. A batch keeps a processor and the disk busy, so beside others half of its time is
    /// theirs alone; with nobody there it would be nobody's.
    pub(crate) fn rest(&self, took: Duration) -> Duration {
        if self.in_company { (took / 2).clamp(BREATH, BREATH * 16) } else { BREATH }
    }

    fn wait_for_autovacuum(&mut self, dead: Option<&mut Dead>, naptime: Duration) {
        let waiting =
            dead.filter(|dead| dead.thresholds > 1.0 && !dead.being_vacuumed && !dead.vacuumed_lately);
        let Some(dead) = waiting else {
            self.due = None;
            return;
        };
        dead.overdue = self.due.get_or_insert_with(Instant::now).elapsed() > naptime * 3;
    }

    /// Why to pause now; nothing when there is no reason, or it was looked a moment ago.
    pub(crate) async fn look(&mut self, client: &Client, step: &StepId) -> Vec<String> {
        if self.last.is_some_and(|last| last.elapsed() < BETWEEN) {
            return Vec::new();
        }
        self.look_now(client, step).await
    }

    pub(crate) async fn look_now(&mut self, client: &Client, step: &StepId) -> Vec<String> {
        self.last = Some(Instant::now());
        match sample(client, self.relation.as_deref()).await {
            Ok((mut now, naptime)) => {
                self.wait_for_autovacuum(now.dead.as_mut(), naptime);
                self.in_company = now.in_company;
                let before = self.before.get_or_insert_with(|| now.clone());
                exceeded(&self.limits, before, &now)
            }
            Err(error) => {
                // What cannot be measured stops nothing: a broken connection is found out by the next batch.
                tracing::debug!(%step, %error, "could not look how the server does");
                Vec::new()
            }
        }
    }
}

/// And how often autovacuum looks round.
async fn sample(
    client: &Client,
    relation: Option<&str>,
) -> Result<(Sample, Duration), tokio_postgres::Error> {
    let row = client.query_one(SAMPLE, &[&relation, &WATCHER]).await?;
    let named = |name: Option<String>, value: Option<f64>| name.zip(value);
    let thresholds: Option<f64> = row.try_get("thresholds")?;
    let dead = match thresholds {
        None => None,
        Some(thresholds) => Some(Dead {
            thresholds,
            being_vacuumed: row.try_get("being_vacuumed")?,
            vacuumed_lately: row.try_get("vacuumed_lately")?,
            overdue: false,
        }),
    };
    let sample = Sample {
        lag: named(row.try_get("replica")?, row.try_get("lag")?),
        slot: named(row.try_get("slot")?, row.try_get("slot_mb")?),
        wal_max_sizes: row.try_get("wal_max_sizes")?,
        archiver_fails: row.try_get("archiver_fails")?,
        dead,
        lock_waits: row.try_get("lock_waits")?,
        in_company: row.try_get("in_company")?,
    };
    let naptime = Duration::try_from_secs_f64(row.try_get("naptime")?).unwrap_or(Duration::from_secs(60));
    Ok((sample, naptime))
}

/// `$1`: the table under way; `$2`: what our own second connection is called. Where autovacuum is off, for it or altogether, nobody is starved by us.
const SAMPLE: &str = "
SELECT lag.replica, lag.seconds AS lag, slot.name AS slot, slot.mb AS slot_mb,
       (SELECT coalesce(sum(size), 0) FROM pg_ls_waldir())::float8 / pg_size_bytes(current_setting('max_wal_size')) AS wal_max_sizes,
       coalesce(archiver.last_failed_time > coalesce(archiver.last_archived_time, '-infinity'), false) AS archiver_fails,
       dead.thresholds, dead.being_vacuumed, dead.vacuumed_lately,
       extract(epoch FROM current_setting('autovacuum_naptime')::interval)::float8 AS naptime,
       (SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND pid <> pg_backend_pid())::float8 AS lock_waits,
       EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND coalesce(backend_type, 'client backend') = 'client backend'
                  AND pid <> pg_backend_pid() AND coalesce(application_name, '') <> $2
                  AND (coalesce(state, 'active') = 'active' OR state_change > clock_timestamp() - interval '2 s')) AS in_company
  FROM pg_stat_archiver AS archiver
  LEFT JOIN LATERAL (
    SELECT coalesce(nullif(application_name, ''), host(client_addr), 'of pid ' || pid) AS replica,
           extract(epoch FROM coalesce(replay_lag, flush_lag, write_lag))::float8 AS seconds
      FROM pg_stat_replication WHERE state = 'streaming' AND coalesce(replay_lag, flush_lag, write_lag) IS NOT NULL
     ORDER BY 2 DESC LIMIT 1) AS lag ON true
  LEFT JOIN LATERAL (
    SELECT slot_name::text AS name, (pg_wal_lsn_diff(pg_current_wal_insert_lsn(), restart_lsn) / 1048576.0)::float8 AS mb
      FROM pg_replication_slots WHERE restart_lsn IS NOT NULL AND NOT temporary ORDER BY 2 DESC LIMIT 1) AS slot ON true
  LEFT JOIN LATERAL (
    SELECT s.n_dead_tup / greatest(1, begins.rows + begins.part * greatest(0, c.reltuples)) AS thresholds,
           EXISTS (SELECT FROM pg_stat_progress_vacuum v WHERE v.relid = c.oid) AS being_vacuumed,
           coalesce(s.last_autovacuum > clock_timestamp() - 3 * current_setting('autovacuum_naptime')::interval, false) AS vacuumed_lately
      FROM pg_class c JOIN pg_stat_all_tables s ON s.relid = c.oid
      CROSS JOIN LATERAL (
        SELECT coalesce(max(option_value) FILTER (WHERE option_name = 'autovacuum_vacuum_threshold'), current_setting('autovacuum_vacuum_threshold'))::float8 AS rows,
               coalesce(max(option_value) FILTER (WHERE option_name = 'autovacuum_vacuum_scale_factor'), current_setting('autovacuum_vacuum_scale_factor'))::float8 AS part,
               coalesce(max(option_value) FILTER (WHERE option_name = 'autovacuum_enabled'), 'true')::boolean AS enabled
          FROM pg_options_to_table(c.reloptions)) AS begins
     WHERE c.oid = to_regclass($1) AND begins.enabled AND current_setting('autovacuum')::boolean) AS dead ON true";

#[cfg(test)]
mod tests {
    use super::*;

    fn reasons(change: impl FnOnce(&mut Sample)) -> Vec<String> {
        let mut now = Sample::default();
        change(&mut now);
        exceeded(&Limits::default(), &Sample { lock_waits: 2.0, ..Sample::default() }, &now)
    }

    #[test]
    fn each_limit_is_kept_and_named_when_it_is_not() {
        assert_eq!(reasons(|_| {}), Vec::<String>::new());
        assert_eq!(reasons(|now| now.lag = Some(("b".to_owned(), 10.0))), Vec::<String>::new());
        insta::assert_snapshot!(reasons(|now| now.lag = Some(("b".to_owned(), 12.4))).join("; "), @"replica b is 12 s behind (replica_lag_seconds = 10)");
        insta::assert_snapshot!(reasons(|now| now.slot = Some(("sub".to_owned(), 20_000.0))).join("; "), @"slot sub keeps 20000 MB of WAL (slot_wal_mb = 16384)");
        insta::assert_snapshot!(reasons(|now| now.wal_max_sizes = 4.5).join("; "), @"pg_wal is 4.5 times max_wal_size (wal_max_sizes = 4)");
        insta::assert_snapshot!(reasons(|now| now.archiver_fails = true).join("; "), @"WAL cannot be archived (pg_stat_archiver says since when; archiver_may_fail = false)");
        assert_eq!(reasons(|now| now.lock_waits = 10.0), Vec::<String>::new(), "two waited before");
        insta::assert_snapshot!(reasons(|now| now.lock_waits = 11.0).join("; "), @"9 more sessions wait for locks than at first (lock_waits = 8)");
    }

    #[test]
    fn autovacuum_is_waited_for_only_where_it_would_help() {
        let dead = |being_vacuumed, vacuumed_lately| {
            let dead = Dead { thresholds: 3.1, being_vacuumed, vacuumed_lately, overdue: true };
            reasons(|now| now.dead = Some(dead))
        };
        insta::assert_snapshot!(dead(false, false).join("; "), @"autovacuum does not come to the table, whose dead rows are 3.1 times its threshold (dead_rows_thresholds = 3)");
        assert_eq!(dead(true, false), Vec::<String>::new());
        assert_eq!(dead(false, true), Vec::<String>::new());
    }

    /// It comes round once in a naptime: a small table is far past its threshold by then, and nobody is starved.
    #[test]
    fn autovacuum_is_overdue_only_after_it_had_its_time() {
        let naptime = Duration::from_secs(60);
        let mut gauge = Gauge::new(Limits::default(), None);
        let mut look = |thresholds, earlier: Option<Duration>| {
            if let (Some(due), Some(earlier)) = (gauge.due, earlier) {
                gauge.due = due.checked_sub(earlier);
            }
            let mut dead = Dead { thresholds, ..Dead::default() };
            gauge.wait_for_autovacuum(Some(&mut dead), naptime);
            dead.overdue
        };
        assert!(!look(9.0, None), "it is due, and has had no time");
        assert!(!look(9.0, Some(naptime * 2)));
        assert!(look(9.0, Some(naptime * 2)), "four naptimes later");
        assert!(!look(0.5, None), "it came");
        assert!(!look(9.0, None), "and is due anew");
    }

    #[test]
    fn zero_is_no_limit() {
        let limits = Limits { replica_lag_seconds: 0.0, archiver_may_fail: true, ..Limits::default() };
        let now = Sample { lag: Some(("b".to_owned(), 1e9)), archiver_fails: true, ..Sample::default() };
        assert_eq!(exceeded(&limits, &Sample::default(), &now), Vec::<String>::new());
    }

    #[test]
    fn beside_others_half_of_the_time_is_theirs() {
        let mut gauge = Gauge::new(Limits::default(), None);
        let rest = |gauge: &Gauge, ms| gauge.rest(Duration::from_millis(ms)).as_millis();
        assert_eq!([0, 4, 60, 80, 5_000].map(|ms| rest(&gauge, ms)), [5, 5, 30, 40, 80]);
        gauge.in_company = false;
        assert_eq!([0, 80, 5_000].map(|ms| rest(&gauge, ms)), [5, 5, 5]);
    }

    #[test]
    fn pauses_grow_to_half_a_minute() {
        let pauses: Vec<u64> = (0..8).map(|times| pause(times).as_secs()).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 30, 30, 30]);
    }
}
