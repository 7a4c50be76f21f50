//! `legacy`: every row's tenant found, recorded and written by Bastide, against `UPDATE … FROM` by somebody who knows the
//! schema. Both work on clones of one database, in turns, and must come to the same, row by row.
//!
//! | name | Bastide | reference |
//! | --- | --- | --- |
//! | `legacy.C` | the whole of `legacy upgrade`: survey, plan, run up to NOT NULL, evidence for each row | ADD COLUMN, UPDATE and the same proof of NOT NULL |
//! | `legacy.C.plan` | of that, reading the catalog and the survey | the same whole |
//! | `legacy.C.infer_and_fill` | of that, inference with its evidence, and the batches | the UPDATEs alone |
//! | `legacy.C.backfill` | of that, the batches alone, pauses included | the UPDATEs alone |
//! | `legacy.C.locked` | how long the rows of the longest batch were locked | the longest UPDATE |
//! | `legacy.C.memory.process` | peak resident memory of Bastide's process | the same at a tenth of the rows |
//! | `legacy.C.memory.server` | peak private memory of Bastide's backends | the same at a tenth of the rows |

mod by_hand;
mod compare;
mod shape;
mod upgrade;

use std::{fmt::Write, sync::Arc};

use anyhow::bail;
use by_hand::ByHand;
pub(crate) use shape::Case;
use upgrade::{FILLING, Upgrade};

use crate::{
    Measured,
    measurement::{Measurement, median},
    memory::{self, Doing, Seen, Watch},
    say,
    server::Bench,
};

/// PostgreSQL's own defaults are for a very small machine; durability is as in production. A checkpoint or an autovacuum
/// would fall into one side's time and not into the other's.
pub(crate) const SETTINGS: &[(&str, &str)] = &[
    ("shared_buffers", "512MB"),
    ("max_wal_size", "8GB"),
    ("checkpoint_timeout", "1h"),
    ("autovacuum", "off"),
];

const TEMPLATE: &str = "legacy";
const BASTIDE: &str = "bastide_side";
const BY_HAND: &str = "by_hand";

/// From this many rows on a repetition takes minutes.
const MANY: i64 = 5_000_000;

pub(crate) async fn run(
    bench: &Bench,
    scale: f64,
    repeat: Option<u32>,
    only: Option<Case>,
) -> anyhow::Result<Measured> {
    let mut all = Measured::default();
    for case in Case::ALL.into_iter().filter(|case| only.is_none_or(|only| only == *case)) {
        let small = one_side(bench, case, scale / 10.0).await?;
        let orphans = case.orphans(scale);
        make(bench, case, scale).await?;
        let mut rounds = Vec::new();
        for round in 0..repeat.unwrap_or(if orphans >= MANY { 1 } else { 3 }) {
            rounds.push(both(bench, case, round).await?);
        }
        bench.drop(TEMPLATE).await?;
        all.measurements.extend(measurements(case, &rounds, &small));
        all.remarks.push_str(&remarks(case, orphans, &rounds)?);
    }
    Ok(all)
}

/// Bastide's side of one repetition.
struct Side {
    upgrade: Upgrade,
    seen: Seen,
    /// kB.
    process: Option<u64>,
}

struct Round {
    bastide: Side,
    by_hand: ByHand,
}

async fn make(bench: &Bench, case: Case, scale: f64) -> anyhow::Result<()> {
    say(&format!("{}: filling a database with {} rows without a tenant", case.name(), case.orphans(scale)));
    case.fill(&bench.create(TEMPLATE).await?, scale).await
}

/// Bastide alone, for its memory.
async fn one_side(bench: &Bench, case: Case, scale: f64) -> anyhow::Result<Side> {
    make(bench, case, scale).await?;
    let side = bastide(bench, case).await?;
    bench.drop(BASTIDE).await?;
    bench.drop_roles().await?;
    bench.drop(TEMPLATE).await?;
    Ok(side)
}

/// Both sides, Bastide first in every other round; then whether they agree.
async fn both(bench: &Bench, case: Case, round: u32) -> anyhow::Result<Round> {
    let (bastide_side, by_hand_side);
    if round.is_multiple_of(2) {
        bastide_side = bastide(bench, case).await?;
        by_hand_side = by_hand(bench, case).await?;
    } else {
        by_hand_side = by_hand(bench, case).await?;
        bastide_side = bastide(bench, case).await?;
    }
    say(&format!("{}: comparing", case.name()));
    let of = |name| bench.maintenance().with_database(name);
    let found = compare::shares(&of(BASTIDE), case).await?;
    let expected = compare::shares(&of(BY_HAND), case).await?;
    if let Some(difference) = compare::difference(&found, &expected) {
        bail!("{}: Bastide and the statements by hand disagree: {difference}", case.name());
    }
    bench.drop(BASTIDE).await?;
    bench.drop(BY_HAND).await?;
    bench.drop_roles().await?;
    Ok(Round { bastide: bastide_side, by_hand: by_hand_side })
}

async fn bastide(bench: &Bench, case: Case) -> anyhow::Result<Side> {
    let target = bench.clone(TEMPLATE, BASTIDE).await?;
    say(&format!("{}: upgrading with Bastide", case.name()));
    let doing = Arc::<Doing>::default();
    let watch = Watch::start(bench.maintenance(), BASTIDE, Arc::clone(&doing)).await?;
    let forgot = memory::forget_peak();
    let upgrade = upgrade::run(bench, &target, &doing).await?;
    let process = memory::peak().filter(|_| forgot);
    Ok(Side { upgrade, seen: watch.seen().await?, process })
}

async fn by_hand(bench: &Bench, case: Case) -> anyhow::Result<ByHand> {
    let target = bench.clone(TEMPLATE, BY_HAND).await?;
    say(&format!("{}: updating by hand", case.name()));
    by_hand::fill(&target, case).await
}

fn measurements(case: Case, rounds: &[Round], small: &Side) -> Vec<Measurement> {
    let name = |part: &str| format!("legacy.{}{part}", case.name());
    let of = |part: &str, unit, pair: &dyn Fn(&Upgrade, &ByHand) -> (f64, f64)| {
        let pairs: Vec<_> = rounds.iter().map(|round| pair(&round.bastide.upgrade, &round.by_hand)).collect();
        Measurement::of(name(part), unit, &pairs)
    };
    let mut measurements = vec![
        of("", "s", &|b, h| (b.plan + b.run, h.whole)),
        of(".plan", "s", &|b, h| (b.plan, h.whole)),
        of(".infer_and_fill", "s", &|b, h| (b.inference + b.fill, h.updates)),
        of(".backfill", "s", &|b, h| (b.fill, h.updates)),
        of(".locked", "s", &|b, h| (b.longest_batch, h.longest_update)),
    ];
    let mut memory = |part, of: &dyn Fn(&Side) -> Option<u64>| {
        let Some(small) = of(small) else { return };
        let megabytes = |kilobytes: u64| kilobytes as f64 / 1024.0;
        let pairs: Vec<_> = rounds
            .iter()
            .filter_map(|round| of(&round.bastide))
            .map(|peak| (megabytes(peak), megabytes(small)))
            .collect();
        measurements.push(Measurement::of(name(part), "MB", &pairs));
    };
    memory(".memory.process", &|side| side.process);
    memory(".memory.server", &|side| side.seen.backends);
    measurements
}

/// Where the time went: medians.
fn remarks(case: Case, orphans: i64, rounds: &[Round]) -> anyhow::Result<String> {
    let of = |value: &dyn Fn(&Side) -> f64| median(rounds.iter().map(|round| value(&round.bastide)));
    let up = |value: &dyn Fn(&Upgrade) -> f64| of(&|side| value(&side.upgrade));
    let mut out =
        format!("{}: {orphans} rows without a tenant; both sides gave each the same tenant\n", case.name());
    writeln!(
        out,
        "  plan {:.1} s, inference {:.1} s, batches {:.1} s ({:.0} rows/s; by hand {:.0}); pauses and round trips are {:.0} % of the batches",
        up(&|b| b.plan),
        up(&|b| b.inference),
        up(&|b| b.fill),
        up(&|b| b.rows as f64 / b.fill),
        median(rounds.iter().map(|round| orphans as f64 / round.by_hand.updates)),
        of(&|side| side.seen.idle(FILLING)) * 100.0
    )?;
    writeln!(
        out,
        "  {:.0} batches of up to {:.0} rows; the longest held its rows for {:.0} ms",
        up(&|b| b.batches as f64),
        up(&|b| b.largest_batch as f64),
        up(&|b| b.longest_batch) * 1000.0
    )?;
    let Some(Round { bastide: Side { upgrade, .. }, .. }) = rounds.first() else { return Ok(out) };
    let mut further: Vec<_> = upgrade.further.iter().filter(|(_, seconds)| **seconds >= 0.05).collect();
    further.sort_by(|a, b| b.1.total_cmp(a.1));
    let further: Vec<_> = further.iter().map(|(what, seconds)| format!("{what} {seconds:.1} s")).collect();
    if !further.is_empty() {
        writeln!(out, "  besides: {}", further.join(", "))?;
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn both_sides_agree_and_a_row_that_differs_is_seen() {
        let server = bastide_testkit::server().await;
        let state = tempfile::tempdir().unwrap();
        let bench = Bench::on(server.postgres(), state.path());
        let measured = run(&bench, 0.0005, Some(2), Some(Case::FiveHops)).await.unwrap();
        let names: Vec<_> = measured.measurements.iter().map(|m| m.name.as_str()).collect();
        assert_eq!(
            names[..5],
            [
                "legacy.five_hops",
                "legacy.five_hops.plan",
                "legacy.five_hops.infer_and_fill",
                "legacy.five_hops.backfill",
                "legacy.five_hops.locked",
            ]
        );
        assert!(measured.measurements.iter().all(|m| m.ratio.is_finite() && m.spread.is_some()));

        make(&bench, Case::OneHop, 0.0005).await.unwrap();
        let side = bastide(&bench, Case::OneHop).await.unwrap();
        assert_eq!(side.upgrade.rows, 5_000);
        let database = server.existing(BASTIDE);
        let target = bench.maintenance().with_database(BASTIDE);
        let before = compare::shares(&target, Case::OneHop).await.unwrap();
        assert_eq!(compare::difference(&before, &before), None);
        database.execute("SET session_replication_role = replica; UPDATE orders SET tenant_id = 1001 - tenant_id WHERE id = 7").await;
        let after = compare::shares(&target, Case::OneHop).await.unwrap();
        let difference = compare::difference(&after, &before).unwrap();
        assert!(difference.contains("orders of tenant"), "{difference}");
    }

    #[test]
    fn two_empty_sides_do_not_agree() {
        assert!(compare::difference(&Default::default(), &Default::default()).is_some());
    }
}
