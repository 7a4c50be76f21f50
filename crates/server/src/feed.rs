//! The state of the newest run for those who listen: one question a second to the database while anybody does, however many
//! they are, and none when nobody does.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bastide_commerce::{Error, Example, queries::migration, rows::MigrationStatus};
use bastide_tenancy::TenantPool;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    time::Instant,
};
use utoipa::ToSchema;

/// Then a listener has to come again; who is gone without a word does not keep a place for ever.
const LONGEST: Duration = Duration::from_secs(10 * 60);

#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum MigrationNow {
    Run(MigrationStatus),
    None {
        #[schema(pattern = "^none$")]
        state: &'static str,
    },
}

impl MigrationNow {
    pub(crate) async fn ask(pool: &TenantPool) -> Result<Self, Error> {
        let status = migration::status(pool).await?;
        Ok(status.map_or(Self::None { state: "none" }, Self::Run))
    }
}

impl Example for MigrationNow {
    fn example() -> Value {
        json!({
            "state": "cut_over",
            "phase": "optimisation",
            "steps_done": 42,
            "steps_total": 42,
            "started_at": "2025-01-01T00:00:00Z",
            "ended_at": "2025-01-01T00:30:00Z"
        })
    }
}

/// What a listener is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// As JSON.
    Status(Arc<str>),
    /// The database did not answer.
    Away,
}

pub(crate) struct Feed {
    places: Arc<Semaphore>,
    interval: Duration,
    inner: Arc<Inner>,
    stopping: watch::Sender<bool>,
}

struct Inner {
    /// None until the database was asked.
    latest: watch::Sender<Option<Seen>>,
    /// Whether somebody asks; held while a listener comes or the asking ends, so that neither misses the other.
    asking: Mutex<bool>,
}

pub(crate) struct Listener {
    latest: watch::Receiver<Option<Seen>>,
    stopping: watch::Receiver<bool>,
    until: Instant,
    /// Given back when the listener goes.
    _place: OwnedSemaphorePermit,
}

impl Feed {
    pub(crate) fn new(places: usize, interval: Duration) -> Self {
        let inner = Inner { latest: watch::Sender::new(None), asking: Mutex::new(false) };
        Self {
            places: Arc::new(Semaphore::new(places)),
            interval,
            inner: Arc::new(inner),
            stopping: watch::Sender::new(false),
        }
    }

    /// None when every place is taken.
    pub(crate) fn listen(&self, pool: &TenantPool) -> Option<Listener> {
        let place = self.places.clone().try_acquire_owned().ok()?;
        let mut asking = self.inner.asking.lock().unwrap_or_else(PoisonError::into_inner);
        if !*asking {
            // What was seen when somebody last listened is old.
            self.inner.latest.send_replace(None);
            tokio::spawn(ask(self.inner.clone(), pool.clone(), self.interval));
            *asking = true;
        }
        let mut latest = self.inner.latest.subscribe();
        latest.mark_changed();
        let stopping = self.stopping.subscribe();
        Some(Listener { latest, stopping, until: Instant::now() + LONGEST, _place: place })
    }

    /// Every stream ends: the server goes.
    pub(crate) fn stop(&self) {
        self.stopping.send_replace(true);
    }
}

impl Listener {
    /// The next thing to tell; none when the stream is to end.
    pub(crate) async fn next(&mut self) -> Option<Seen> {
        loop {
            tokio::select! {
                changed = self.latest.changed() => changed.ok()?,
                // A sender that is gone means the same.
                _ = self.stopping.wait_for(|stopping| *stopping) => return None,
                () = tokio::time::sleep_until(self.until) => return None,
            }
            if let Some(seen) = self.latest.borrow_and_update().clone() {
                return Some(seen);
            }
        }
    }
}

/// As long as anybody listens.
async fn ask(inner: Arc<Inner>, pool: TenantPool, interval: Duration) {
    loop {
        let seen = look(&pool).await;
        inner.latest.send_if_modified(|latest| {
            let news = latest.as_ref() != Some(&seen);
            if news {
                if seen == Seen::Away {
                    tracing::warn!("the state of the migration cannot be read");
                }
                *latest = Some(seen);
            }
            news
        });
        tokio::time::sleep(interval).await;
        let mut asking = inner.asking.lock().unwrap_or_else(PoisonError::into_inner);
        if inner.latest.receiver_count() == 0 {
            *asking = false;
            return;
        }
    }
}

async fn look(pool: &TenantPool) -> Seen {
    let now = MigrationNow::ask(pool).await.ok();
    now.and_then(|now| serde_json::to_string(&now).ok()).map_or(Seen::Away, |json| Seen::Status(json.into()))
}
