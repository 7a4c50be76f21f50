//! Who waits for whose lock, seen from outside a hundred times a second.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

use bastide_connect::Target;
use tokio::{sync::oneshot, task::JoinHandle};

use super::{sales::APPLICATION, timeline::Timeline};

/// What no look sees may have waited for as long.
pub(super) const EVERY: Duration = Duration::from_millis(10);

/// Bastide's sessions call themselves so.
const OURS: &str = "bastide";

/// Whoever waits, for how many milliseconds and for whom; and Bastide's sessions, who may be waited for.
const LOOK: &str = "SELECT a.pid, a.application_name,
    (SELECT extract(epoch FROM clock_timestamp() - min(l.waitstart)) * 1000 FROM pg_locks AS l WHERE l.pid = a.pid AND NOT l.granted)::double precision,
    CASE WHEN a.wait_event_type = 'Lock' THEN pg_blocking_pids(a.pid) ELSE '{}' END
 FROM pg_stat_activity AS a WHERE a.datname = $1 AND (a.wait_event_type = 'Lock' OR a.application_name = $2)";

#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    /// The longest wait of a sale for a lock that Bastide held or queued for, in milliseconds, by phase.
    pub(super) longest: BTreeMap<&'static str, f64>,
    /// Waits for each other's locks alone.
    pub(super) for_others: f64,
    pub(super) looks: u64,
    /// Between two looks, in milliseconds.
    pub(super) longest_gap: f64,
}

impl Seen {
    /// The longest wait there was, and never less than what may have been overlooked.
    pub(super) fn blocked(&self) -> f64 {
        self.longest.values().copied().fold(EVERY.as_secs_f64() * 1000.0, f64::max)
    }
}

pub(super) struct Watch {
    stop: oneshot::Sender<()>,
    task: JoinHandle<anyhow::Result<Seen>>,
}

impl Watch {
    pub(super) async fn start(
        maintenance: &Target,
        database: &str,
        timeline: Arc<Timeline>,
    ) -> anyhow::Result<Self> {
        let client = maintenance.connect("bastide bench watch").await?;
        let database = database.to_owned();
        let (stop, mut stopped) = oneshot::channel();
        let task = tokio::spawn(async move {
            let look = client.prepare(LOOK).await?;
            let (mut seen, mut before) = (Seen::default(), None);
            let mut ticks = tokio::time::interval(EVERY);
            ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
            loop {
                tokio::select! { _ = &mut stopped => break, _ = ticks.tick() => {} }
                let at = Instant::now();
                let mut sessions = Vec::new();
                for row in client.query(&look, &[&database, &OURS]).await? {
                    sessions.push(Session {
                        pid: row.try_get(0)?,
                        name: row.try_get(1)?,
                        waits: row.try_get::<_, Option<f64>>(2)?.unwrap_or(0.0),
                        blocked_by: row.try_get(3)?,
                    });
                }
                seen.note(timeline.at(at).unwrap_or_default(), &sessions);
                if let Some(before) = before.replace(at) {
                    seen.longest_gap = seen.longest_gap.max((at - before).as_secs_f64() * 1000.0);
                }
            }
            client.close().await;
            Ok(seen)
        });
        Ok(Self { stop, task })
    }

    pub(super) async fn seen(self) -> anyhow::Result<Seen> {
        // When the watch has failed it no longer listens, and says why itself.
        drop(self.stop);
        self.task.await?
    }
}

struct Session {
    pid: i32,
    name: String,
    waits: f64,
    blocked_by: Vec<i32>,
}

impl Seen {
    fn note(&mut self, phase: &'static str, sessions: &[Session]) {
        self.looks += 1;
        let ours = behind_us(sessions);
        for sale in sessions.iter().filter(|s| s.name == APPLICATION && !s.blocked_by.is_empty()) {
            let longest = if ours.contains(&sale.pid) {
                self.longest.entry(phase).or_default()
            } else {
                &mut self.for_others
            };
            *longest = longest.max(sale.waits);
        }
    }
}

/// Those who wait for us, or for somebody who waits for us; and we.
fn behind_us(sessions: &[Session]) -> BTreeSet<i32> {
    let mut behind: BTreeSet<i32> = sessions.iter().filter(|s| s.name == OURS).map(|s| s.pid).collect();
    loop {
        let found = behind.len();
        behind.extend(
            sessions
                .iter()
                .filter(|s| s.blocked_by.iter().any(|pid| behind.contains(pid)))
                .map(|s| s.pid)
                .collect::<Vec<_>>(),
        );
        if behind.len() == found {
            return behind;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_sale_behind_one_that_waits_for_us_is_seen_and_one_behind_others_is_not_ours() {
        let server = bastide_testkit::server().await;
        let database = server.database("watched").await;
        database.execute("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1), (2)").await;
        let target = Target::parse(&database.url()).unwrap();
        let timeline = Arc::new(Timeline::default());
        timeline.now("policies");
        let watch = Watch::start(&target, target.database(), timeline).await.unwrap();
        let ours = target.connect(OURS).await.unwrap();
        let other = target.connect("somebody").await.unwrap();
        let sales = [target.connect(APPLICATION).await.unwrap(), target.connect(APPLICATION).await.unwrap()];
        let third = target.connect(APPLICATION).await.unwrap();
        ours.batch_execute("BEGIN; UPDATE t SET id = 3 WHERE id = 1").await.unwrap();
        other.batch_execute("BEGIN; SELECT FROM t WHERE id = 2 FOR UPDATE").await.unwrap();
        let held = async {
            tokio::time::sleep(Duration::from_millis(300)).await;
            ours.batch_execute("ROLLBACK").await.unwrap();
            tokio::time::sleep(Duration::from_millis(600)).await;
            other.batch_execute("ROLLBACK").await.unwrap();
        };
        let wait = "SELECT FROM t WHERE id = 1 FOR UPDATE";
        let (first, second, aside, ()) = tokio::join!(
            sales[0].batch_execute(wait),
            sales[1].batch_execute(wait),
            third.batch_execute("SELECT FROM t WHERE id = 2 FOR UPDATE"),
            held
        );
        first.and(second).and(aside).unwrap();
        let seen = watch.seen().await.unwrap();
        assert_eq!(seen.longest.keys().copied().collect::<Vec<_>>(), ["policies"]);
        assert!(seen.blocked() > 100.0 && seen.blocked() < seen.for_others, "{seen:?}");
    }

    #[test]
    fn what_no_look_saw_may_have_waited_from_one_to_the_next() {
        assert_eq!(Seen::default().blocked(), 10.0);
    }
}
