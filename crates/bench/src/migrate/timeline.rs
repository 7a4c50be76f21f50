//! When the run did what, and how long sales took meanwhile.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Phases in the order in which they began; each lasts until the next.
#[derive(Default)]
pub(super) struct Timeline(Mutex<Vec<(Instant, &'static str)>>);

impl Timeline {
    pub(super) fn now(&self, phase: &'static str) {
        let mut began = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if began.last().is_none_or(|(_, last)| *last != phase) {
            began.push((Instant::now(), phase));
        }
    }

    /// The phase under way at `at`.
    pub(super) fn at(&self, at: Instant) -> Option<&'static str> {
        let began = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let after = began.partition_point(|(begun, _)| *begun <= at);
        after.checked_sub(1).map(|index| began[index].1)
    }

    /// Every phase once, the first that began first.
    pub(super) fn phases(&self) -> Vec<&'static str> {
        let mut phases = Vec::new();
        for (_, phase) in self.0.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            if !phases.contains(phase) {
                phases.push(*phase);
            }
        }
        phases
    }
}

/// How long sales took, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Latency {
    pub(super) sales: usize,
    pub(super) p50: f64,
    pub(super) p99: f64,
    pub(super) max: f64,
}

/// A name, and the figure that it is of.
pub(super) type Figure = (&'static str, fn(&Latency) -> f64);

impl Latency {
    pub(super) const P50: Figure = ("p50", |latency| latency.p50);
    pub(super) const P99: Figure = ("p99", |latency| latency.p99);
    pub(super) const MAX: Figure = ("max", |latency| latency.max);

    fn of(mut took: Vec<f64>) -> Option<Self> {
        took.sort_by(f64::total_cmp);
        let (sales, max) = (took.len(), *took.last()?);
        // The nearest rank: of a hundred the ninety-ninth.
        let rank = |percent: usize| took[(sales * percent).div_ceil(100).max(1) - 1];
        Some(Self { sales, p50: rank(50), p99: rank(99), max })
    }
}

/// By the phase under way when each sale should have begun: whoever then waits has waited for that phase.
pub(super) fn by_phase(
    timeline: &Timeline,
    sales: impl Iterator<Item = (Instant, Duration)>,
) -> BTreeMap<&'static str, Latency> {
    let mut took: BTreeMap<&'static str, Vec<f64>> = BTreeMap::new();
    for (intended, lasted) in sales {
        if let Some(phase) = timeline.at(intended) {
            took.entry(phase).or_default().push(lasted.as_secs_f64() * 1000.0);
        }
    }
    took.into_iter().filter_map(|(phase, took)| Some((phase, Latency::of(took)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_nearest_rank() {
        let of = |n: u32| Latency::of((1..=n).rev().map(f64::from).collect());
        assert_eq!(of(0), None);
        assert_eq!(of(1), Some(Latency { sales: 1, p50: 1.0, p99: 1.0, max: 1.0 }));
        assert_eq!(of(200), Some(Latency { sales: 200, p50: 100.0, p99: 198.0, max: 200.0 }));
    }

    #[test]
    fn a_sale_counts_for_the_phase_it_should_have_begun_in() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let timeline = Timeline(Mutex::new(vec![
            (at(10), "idle"),
            (at(20), "backfill"),
            (at(30), "policies"),
            (at(40), "idle"),
        ]));
        assert_eq!(timeline.phases(), ["idle", "backfill", "policies"]);
        let took = |ms| Duration::from_millis(ms);
        let sales = [(at(9), took(7)), (at(19), took(500)), (at(20), took(1)), (at(45), took(2))];
        let found = by_phase(&timeline, sales.into_iter());
        assert_eq!(found.keys().copied().collect::<Vec<_>>(), ["backfill", "idle"]);
        assert_eq!((found["idle"].sales, found["idle"].max, found["backfill"].max), (2, 500.0, 1.0));
    }
}
