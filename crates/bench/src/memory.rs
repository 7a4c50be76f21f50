//! How much memory our process and the server's took at most. Linux only: elsewhere nothing is reported.

use std::{collections::BTreeMap, fs, sync::Mutex, time::Duration};

use bastide_connect::Target;
use tokio::{sync::oneshot, task::JoinHandle};

const EVERY: Duration = Duration::from_millis(20);

/// Forgets the highest resident memory of this process so far; false where that is not possible.
pub(crate) fn forget_peak() -> bool {
    fs::write("/proc/self/clear_refs", "5").is_ok()
}

/// The highest resident memory of this process since [`forget_peak`], in kB.
pub(crate) fn peak() -> Option<u64> {
    field("self", "VmHWM:")
}

fn field(process: &str, name: &str) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

/// What is being done right now, as told by whoever does it.
#[derive(Default)]
pub(crate) struct Doing(Mutex<&'static str>);

impl Doing {
    pub(crate) fn now(&self, what: &'static str) {
        *self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = what;
    }

    fn read(&self) -> &'static str {
        *self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// What [`Watch`] saw.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    /// kB of their own (not shared buffers) that the backends of the database had together, at most.
    pub(crate) backends: Option<u64>,
    /// Looks at the database while something was done: all, and those in which no backend had anything to do.
    pub(crate) looks: BTreeMap<&'static str, (u64, u64)>,
}

impl Seen {
    /// The part of the time in which the database was not asked for anything.
    pub(crate) fn idle(&self, doing: &str) -> f64 {
        let (all, idle) = self.looks.get(doing).copied().unwrap_or_default();
        if all == 0 { 0.0 } else { idle as f64 / all as f64 }
    }
}

/// Looks at a database's backends from outside, fifty times a second, until it is asked what it saw.
pub(crate) struct Watch {
    stop: oneshot::Sender<()>,
    task: JoinHandle<anyhow::Result<Seen>>,
}

impl Watch {
    pub(crate) async fn start(
        maintenance: &Target,
        database: &str,
        doing: std::sync::Arc<Doing>,
    ) -> anyhow::Result<Self> {
        let client = maintenance.connect("bastide bench watch").await?;
        let database = database.to_owned();
        let (stop, mut stopped) = oneshot::channel();
        let task = tokio::spawn(async move {
            let look = client
                .prepare(
                    "SELECT pid, state = 'idle' FROM pg_stat_activity
                     WHERE datname = $1 AND backend_type IN ('client backend', 'parallel worker')",
                )
                .await?;
            let mut seen = Seen::default();
            let mut ticks = tokio::time::interval(EVERY);
            ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
            loop {
                tokio::select! { _ = &mut stopped => break, _ = ticks.tick() => {} }
                let (mut memory, mut idle) = (None, true);
                for row in client.query(&look, &[&database]).await? {
                    let backend: i32 = row.try_get(0)?;
                    idle &= row.try_get::<_, Option<bool>>(1)?.unwrap_or(false);
                    // One that has just ended has none.
                    if let Some(own) = field(&backend.to_string(), "RssAnon:") {
                        memory = Some(memory.unwrap_or(0) + own);
                    }
                }
                seen.backends = seen.backends.max(memory);
                let looks = seen.looks.entry(doing.read()).or_default();
                looks.0 += 1;
                looks.1 += u64::from(idle);
            }
            client.close().await;
            Ok(seen)
        });
        Ok(Self { stop, task })
    }

    pub(crate) async fn seen(self) -> anyhow::Result<Seen> {
        // When the watch has failed it no longer listens, and says why itself.
        drop(self.stop);
        self.task.await?
    }
}
