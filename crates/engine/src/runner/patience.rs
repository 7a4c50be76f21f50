//! How often a step is tried, and how long it waits in between.

use std::time::{Duration, Instant};

use crate::{Limits, ServerSaid, fault, message::SHORT};

/// When to give up on a lock, and when to leave the database alone. Many short tries rather than one long: whoever queues behind us waits as long as we do.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    pub tries: u32,
    pub total: Duration,
    pub limits: Limits,
}

impl Default for Patience {
    fn default() -> Self {
        fault::patience(Self { tries: 200, total: Duration::from_secs(60), limits: Limits::default() })
    }
}

/// A short statement may take [`SHORT`] at first; each time it runs out, twice as long, up to this.
const LAST_TIMEOUT: Duration = Duration::from_secs(2);

/// A statement that ran out of time is too much work rather than unlucky: it is tried a few times only.
const TIMEOUTS: u32 = 6;

/// A step that scans for long may have to give way a few times until it finds a quiet while; for some three minutes.
const WAYS_GIVEN: u32 = 20;
const FIRST_WAY: Duration = Duration::from_millis(100);
const LAST_WAY: Duration = Duration::from_secs(12);

pub(super) struct Tries {
    patience: Patience,
    begun: Instant,
    this: Instant,
    failed: u32,
    all_failed: u32,
    timeouts: u32,
    given_way: u32,
    waited: Duration,
    statement_timeout: Duration,
    pub(super) blockers: Vec<String>,
}

impl Tries {
    pub(super) fn new(patience: Patience) -> Self {
        let now = Instant::now();
        Self {
            patience,
            begun: now,
            this: now,
            failed: 0,
            all_failed: 0,
            timeouts: 0,
            given_way: 0,
            waited: Duration::ZERO,
            statement_timeout: SHORT,
            blockers: Vec::new(),
        }
    }

    pub(super) fn begin(&mut self) {
        self.this = Instant::now();
    }

    /// After something went well in a step of many parts: the next part has all its tries again.
    pub(super) fn renew(&mut self) {
        self.begun = Instant::now();
        self.failed = 0;
        self.timeouts = 0;
        self.given_way = 0;
    }

    /// Every try of the whole step, the one under way included.
    pub(super) fn count(&self) -> u32 {
        self.all_failed + 1
    }

    /// Of the part under way.
    pub(super) fn failures(&self) -> u32 {
        self.failed
    }

    pub(super) fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }

    pub(super) fn waited_ms(&self) -> f64 {
        self.waited.as_secs_f64() * 1000.0
    }

    pub(super) fn statement_timeout(&self) -> Duration {
        self.statement_timeout
    }

    /// Looking up the holders of a lock is not free either: at first, and then now and again.
    pub(super) fn asks_who(&self) -> bool {
        self.failed.is_multiple_of(10) || self.failed + 1 >= self.patience.tries || self.blockers.is_empty()
    }

    pub(super) fn times_given_way(&self) -> u32 {
        self.given_way
    }

    /// Counts a try that was cancelled for somebody else; how long to leave the way free, or `None` when that was the last.
    /// The time spent in it is no waiting of ours, so the patience for locks begins anew.
    pub(super) fn gave_way(&mut self) -> Option<Duration> {
        self.given_way += 1;
        self.all_failed += 1;
        self.begun = Instant::now();
        if self.given_way >= WAYS_GIVEN {
            return None;
        }
        let pause = FIRST_WAY.saturating_mul(1 << (self.given_way - 1).min(7)).min(LAST_WAY);
        self.waited += pause;
        Some(pause)
    }

    /// Counts a failed try; how long to pause before the next, or `None` when there is to be none.
    pub(super) fn again(&mut self, said: &ServerSaid) -> Option<Duration> {
        self.failed += 1;
        self.all_failed += 1;
        if said.timed_out() {
            self.timeouts += 1;
            self.statement_timeout = (self.statement_timeout * 2).min(LAST_TIMEOUT);
        }
        let spent = self.this.elapsed();
        self.waited += spent;
        if self.failed >= self.patience.tries
            || self.timeouts >= TIMEOUTS
            || self.begun.elapsed() >= self.patience.total
        {
            return None;
        }
        let pause = pause(self.failed);
        self.waited += pause;
        Some(pause)
    }
}

/// 20 ms at first, half a second at most, half of it by chance: two that collide must not collide again.
fn pause(failed: u32) -> Duration {
    let most = 20_u64.saturating_mul(1 << failed.min(5)).min(500);
    let chance = u64::from(uuid::Uuid::new_v4().as_bytes()[0]);
    Duration::from_millis(most / 2 + most * chance / 512)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_is_left_free_for_longer_each_time_and_not_for_ever() {
        let mut tries = Tries::new(Patience::default());
        let pauses: Vec<Duration> = std::iter::from_fn(|| tries.gave_way()).collect();
        assert_eq!(pauses.len(), 19);
        assert!(pauses.is_sorted(), "{pauses:?}");
        assert_eq!((pauses[0], pauses[18]), (Duration::from_millis(100), Duration::from_secs(12)));
        tries.renew();
        assert_eq!(
            tries.gave_way(),
            Some(Duration::from_millis(100)),
            "the next batch has all its tries again"
        );
    }

    #[test]
    fn pauses_grow_and_stay_below_half_a_second() {
        for failed in 0..100 {
            let pause = pause(failed);
            assert!(
                pause >= Duration::from_millis(10) && pause <= Duration::from_millis(500),
                "{failed}: {pause:?}"
            );
        }
    }
}
