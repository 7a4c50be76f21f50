//! Refused crossings on their way into the database: a short queue, written in batches beside the requests, so that whoever provokes
//! them can neither slow a request down nor fill a table. What does not fit is counted.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use bastide_commerce::{Error, queries::crossings, rows::Crossing};
use bastide_tenancy::{Error as Door, TenantPool};
use uuid::Uuid;

/// How often the queue is emptied.
pub(crate) const INTERVAL: Duration = Duration::from_secs(1);

const BATCH: usize = 100;
const WINDOW: Duration = Duration::from_secs(60);
/// Of what may be recorded in a minute, nobody gets more than this part, so that one who is loud does not hide another.
const SHARE: u32 = 8;

pub(crate) struct Audit {
    per_minute: u32,
    inner: Mutex<Inner>,
}

struct Inner {
    waiting: VecDeque<Crossing>,
    since: Instant,
    taken: u32,
    /// Of each user, and of all that are anonymous. No longer than what is taken.
    by_who: HashMap<Option<Uuid>, u32>,
}

/// What became of a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Written {
    pub(crate) recorded: u64,
    pub(crate) dropped: u64,
    /// Whether it is worth going on at once.
    pub(crate) more: bool,
}

impl Audit {
    pub(crate) fn new(per_minute: u32) -> Self {
        let inner =
            Inner { waiting: VecDeque::new(), since: Instant::now(), taken: 0, by_who: HashMap::new() };
        Self { per_minute, inner: Mutex::new(inner) }
    }

    /// Whether it will be recorded.
    pub(crate) fn push(&self, crossing: Crossing) -> bool {
        self.push_at(crossing, Instant::now())
    }

    fn push_at(&self, crossing: Crossing, now: Instant) -> bool {
        let mut inner = self.lock();
        if now.saturating_duration_since(inner.since) >= WINDOW {
            (inner.since, inner.taken) = (now, 0);
            inner.by_who.clear();
        }
        let share = (self.per_minute / SHARE).max(1);
        let own = inner.by_who.get(&crossing.who).copied().unwrap_or(0);
        // Two minutes' worth may wait for a database that is away.
        let full =
            inner.waiting.len() >= usize::try_from(self.per_minute).unwrap_or(usize::MAX).saturating_mul(2);
        if full || inner.taken >= self.per_minute || own >= share {
            return false;
        }
        inner.taken += 1;
        inner.by_who.insert(crossing.who, own + 1);
        inner.waiting.push_back(crossing);
        true
    }

    pub(crate) fn waiting(&self) -> usize {
        self.lock().waiting.len()
    }

    /// Writes one batch. What a database that is away could not take waits for the next time.
    pub(crate) async fn write(&self, pool: &TenantPool) -> Written {
        let batch: Vec<Crossing> = {
            let mut inner = self.lock();
            let count = inner.waiting.len().min(BATCH);
            inner.waiting.drain(..count).collect()
        };
        if batch.is_empty() {
            return Written::default();
        }
        let sent = u64::try_from(batch.len()).unwrap_or(u64::MAX);
        match crossings::record(pool, &batch).await {
            Ok(recorded) => Written { recorded, dropped: sent.saturating_sub(recorded), more: true },
            Err(error) if may_pass(&error) => {
                let mut inner = self.lock();
                batch.into_iter().rev().for_each(|crossing| inner.waiting.push_front(crossing));
                Written::default()
            }
            Err(error) => {
                tracing::warn!(%error, dropped = sent, "refused crossings cannot be recorded; does `bastide schema status` say that 0003_watch is applied?");
                Written { dropped: sent, more: true, ..Written::default() }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn may_pass(error: &Error) -> bool {
    matches!(
        error,
        Error::Door(
            Door::Busy | Door::Deadline | Door::Connect(_) | Door::Unreachable(_) | Door::NotIsolated
        )
    )
}

#[cfg(test)]
mod tests {
    use bastide_commerce::rows::CrossingKind;
    use time::OffsetDateTime;

    use super::*;

    fn crossing(who: Option<Uuid>) -> Crossing {
        Crossing {
            at: OffsetDateTime::UNIX_EPOCH,
            kind: CrossingKind::Header,
            who,
            method: "GET".to_owned(),
            route: "/".to_owned(),
            merchant: None,
            request_id: "r".to_owned(),
        }
    }

    #[test]
    fn a_flood_fills_neither_the_queue_nor_everybodys_share() {
        let audit = Audit::new(80);
        let began = Instant::now();
        let pushed = |minute: u32, who| {
            (0..1000).filter(|_| audit.push_at(crossing(who), began + WINDOW * minute)).count()
        };
        let user = |number| Some(Uuid::from_u128(number));
        assert_eq!(pushed(0, None), 10, "an eighth");
        assert_eq!(pushed(0, user(1)), 10);
        assert_eq!(
            (2..100).map(|who| pushed(0, user(who))).sum::<usize>(),
            60,
            "and no more than the minute's"
        );
        assert_eq!(pushed(1, None), 10);
        for minute in 2..20 {
            assert!((0..100).map(|who| pushed(minute, user(who))).sum::<usize>() <= 80);
        }
        assert_eq!(audit.waiting(), 160, "two minutes' worth");
        assert!(audit.lock().by_who.len() <= 80);
    }
}
