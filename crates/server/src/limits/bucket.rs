//! Token buckets by key: governor counts, and what it keeps is bounded here.

use std::{
    collections::HashMap,
    hash::Hash,
    num::NonZeroU32,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use governor::{
    RateLimiter,
    clock::{Clock, MonotonicClock},
    middleware::StateInformationMiddleware,
    nanos::Nanos,
    state::StateStore,
};

use super::{Quota, seconds};

/// Keys of one generation. At most two are kept: a few megabytes, however many ask.
const GENERATION: usize = 16_384;

pub(super) struct Buckets<K: Hash + Eq + Clone, C: Clock = MonotonicClock> {
    name: &'static str,
    quota: Quota,
    limiter: RateLimiter<K, Generations<K>, C, StateInformationMiddleware>,
}

/// What one bucket has after a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Left {
    name: &'static str,
    quota: Quota,
    remaining: u32,
    /// There was nothing left: until there is.
    pub(super) wait: Option<Duration>,
}

impl<K: Hash + Eq + Clone> Buckets<K> {
    pub(super) fn new(name: &'static str, quota: Quota) -> Self {
        Self::with_clock(name, quota, MonotonicClock)
    }
}

impl<K: Hash + Eq + Clone, C: Clock> Buckets<K, C> {
    fn with_clock(name: &'static str, quota: Quota, clock: C) -> Self {
        let requests = NonZeroU32::new(quota.requests).unwrap_or(NonZeroU32::MIN);
        let each = (quota.per / requests.get()).max(Duration::from_nanos(1));
        // A time of no length is nobody's; governor refuses it, and the line above makes sure.
        let governed = governor::Quota::with_period(each)
            .unwrap_or(governor::Quota::per_second(requests))
            .allow_burst(requests);
        let limiter = RateLimiter::new(governed, Generations::default(), clock);
        Self { name, quota, limiter }
    }

    pub(super) fn take(&self, key: K) -> Left {
        let (remaining, wait) = match self.limiter.check_key(&key) {
            Ok(state) => (state.remaining_burst_capacity(), None),
            Err(not_until) => (0, Some(not_until.wait_time_from(self.limiter.clock().now()))),
        };
        Left { name: self.name, quota: self.quota, remaining, wait }
    }
}

impl Left {
    /// `"caller";q=1200;w=60`
    pub(super) fn policy(&self) -> String {
        format!("\"{}\";q={};w={}", self.name, self.quota.requests, seconds(self.quota.per).max(1))
    }

    /// `"caller";r=1199;t=1`: what is left, and in how many seconds all of it is back.
    pub(super) fn shown(&self) -> String {
        let used = self.quota.requests.saturating_sub(self.remaining);
        let back = self.quota.per / self.quota.requests.max(1) * used;
        format!("\"{}\";r={};t={}", self.name, self.remaining, seconds(back))
    }
}

/// Keys that were seen lately. When as many as fit were seen, those that were not seen since the last time are forgotten: whoever floods the
/// server with keys gives others a full bucket, and takes nothing from them.
struct Generations<K> {
    inner: Mutex<Kept<K>>,
}

struct Kept<K> {
    now: HashMap<K, Nanos>,
    before: HashMap<K, Nanos>,
}

impl<K> Default for Generations<K> {
    fn default() -> Self {
        Self { inner: Mutex::new(Kept { now: HashMap::new(), before: HashMap::new() }) }
    }
}

impl<K: Hash + Eq + Clone> StateStore for Generations<K> {
    type Key = K;

    fn measure_and_replace<T, F, E>(&self, key: &K, decide: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let mut kept = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let last = kept.now.get(key).or_else(|| kept.before.get(key)).copied();
        // Refused, too, it is one that was seen.
        let (outcome, next) = match decide(last) {
            Ok((value, next)) => (Ok(value), Some(next)),
            Err(error) => (Err(error), last),
        };
        if let Some(next) = next {
            if kept.now.len() >= GENERATION && !kept.now.contains_key(key) {
                kept.before = std::mem::take(&mut kept.now);
            }
            kept.now.insert(key.clone(), next);
        }
        outcome
    }
}

#[cfg(test)]
mod tests {
    use governor::clock::FakeRelativeClock;

    use super::*;

    const QUOTA: Quota = Quota { requests: 6, per: Duration::from_secs(60) };

    #[test]
    fn what_was_taken_comes_back_evenly() {
        let clock = FakeRelativeClock::default();
        let buckets = Buckets::with_clock("caller", QUOTA, clock.clone());
        let took = |key| buckets.take(key);
        assert_eq!(took(1).shown(), "\"caller\";r=5;t=10");
        assert_eq!(took(1).policy(), "\"caller\";q=6;w=60");
        (0..4).for_each(|_| assert_eq!(took(1).wait, None));
        assert_eq!(took(1).wait, Some(Duration::from_secs(10)));
        assert_eq!(took(1).shown(), "\"caller\";r=0;t=60");
        assert_eq!(took(2).wait, None, "another's is another's");
        clock.advance(Duration::from_secs(10));
        assert_eq!((took(1).wait, took(1).wait), (None, Some(Duration::from_secs(10))));
        clock.advance(Duration::from_secs(3600));
        assert_eq!(took(1).remaining, 5, "no more than there was");
    }

    #[test]
    fn a_flood_of_keys_keeps_no_more_than_two_generations() {
        let buckets = Buckets::with_clock("caller", QUOTA, FakeRelativeClock::default());
        (0..6).for_each(|_| assert_eq!(buckets.take(0).wait, None));
        for key in 1..GENERATION * 5 {
            buckets.take(key);
            if key % 1000 == 0 {
                assert!(buckets.take(0).wait.is_some(), "who asks all the time is not forgotten");
            }
        }
        let kept = buckets.limiter.into_state_store().inner.into_inner().unwrap();
        assert!(kept.now.len() <= GENERATION && kept.before.len() <= GENERATION);
    }
}
