//! `migrate`: a shop that goes on selling while it is migrated. Sales come at a fixed rate over connections of two legacy
//! logins, the tables' owner and one that is not, whether those before are done or not; a sale's time counts from when it was
//! due. First nobody else is there, then the whole migration with its backup; then, as the application's new login with a
//! tenant context, cutover and its undoing; then, as the legacy logins again, the rollback of everything.
//!
//! | name | Bastide | reference |
//! | --- | --- | --- |
//! | `migrate.p50.P`, `.p99.P`, `.max.P` | how long sales that were due in phase P took | the same with nobody else there |
//! | `migrate.blocked.longest` | longest wait of a sale for a lock that Bastide held or queued for, itself or through others; looked for every 10 ms, which is the least it says | the goal, 100 ms |
//! | `migrate.locked.step` | longest time that a step, or its undoing, kept writers out of a table | the goal, 100 ms |
//! | `migrate.locked.batch` | how long the rows of the longest batch were locked | the goal, 100 ms |
//! | `migrate.backfill.rate` | rows a second of the batches, pauses included, with nobody else there | one `UPDATE … FROM` per table |
//! | `migrate.backfill.rate.beside` | the same beside the sales | the same UPDATEs, with nobody else there |
//!
//! P is `planning`, the name of a phase, `inference` or `backfill` (of *assignment*, which is then what remains of it), `pending`
//! (migrated, not cut over), `scoped` (the application's login, before cutover), `cutover`, `cutover_undone`, `rollback`, or
//! `idle_after`, which tells how much of a ratio is the machine's own noise. A phase in which no sale was due is left out.
//!
//! It fails, with its table, when a statement of the shop failed (but for one 0A000 per connection, whose `SELECT *` is prepared,
//! each way), and without one when a row has no tenant or a wrong one, those sold meanwhile included.

mod blocked;
mod by_hand;
mod run;
mod sales;
mod shop;
mod till;
mod timeline;
mod truth;

use std::{collections::BTreeMap, fmt::Write, sync::Arc, time::Duration};

use bastide_connect::Target;
use blocked::{Seen, Watch};
use run::{Costs, Migration};
use sales::Sold;
use shop::Size;
use timeline::{Latency, Timeline, by_phase};
use truth::Rows;

use crate::{
    Measured,
    measurement::{Measurement, median},
    say,
    server::Bench,
};

/// As a shop's server would be set: enough memory for the larger part of the data, checkpoints and autovacuum as they come.
pub(crate) const SETTINGS: &[(&str, &str)] = &[("shared_buffers", "512MB"), ("max_wal_size", "4GB")];

const TEMPLATE: &str = "sales";
const ALONE: &str = "alone";
const BESIDE: &str = "beside";

/// Milliseconds that nobody should wait for longer.
const GOAL: f64 = 100.0;

/// From this many rows on a repetition takes minutes.
const MANY: i64 = 5_000_000;

pub(crate) async fn run(bench: &Bench, scale: f64, repeat: Option<u32>) -> anyhow::Result<Measured> {
    let size = Size::of(scale);
    say(&format!("migrate: filling a shop with {} rows", size.rows()));
    shop::make_logins(bench.maintenance()).await?;
    shop::fill(&bench.create(TEMPLATE).await?, size).await?;
    let mut rounds = Vec::new();
    for round in 0..repeat.unwrap_or(if size.rows() >= MANY { 1 } else { 3 }) {
        rounds.push(Round::take(bench, size, round).await?);
    }
    let beside = beside(bench, size, quiet(scale)).await?;
    bench.drop(TEMPLATE).await?;
    Ok(Measured {
        measurements: measurements(&beside, &rounds),
        remarks: remarks(size, &beside, &rounds)?,
        broken: broken(&beside.sold),
    })
}

/// How long to look at the sales when nobody else is there.
fn quiet(scale: f64) -> Duration {
    Duration::from_secs_f64((scale * 600.0).clamp(2.0, 30.0))
}

/// The backfill and the reference, each with nobody else there, the reference first in every other round.
struct Round {
    alone: Costs,
    /// Rows per second.
    by_hand: f64,
}

impl Round {
    async fn take(bench: &Bench, size: Size, round: u32) -> anyhow::Result<Self> {
        if round.is_multiple_of(2) {
            let by_hand = by_hand(bench).await?;
            Ok(Self { alone: alone(bench, size).await?, by_hand })
        } else {
            let alone = alone(bench, size).await?;
            Ok(Self { alone, by_hand: by_hand(bench).await? })
        }
    }
}

/// Rows per second.
async fn by_hand(bench: &Bench) -> anyhow::Result<f64> {
    let target = bench.clone(TEMPLATE, ALONE).await?;
    say("migrate: updating by hand");
    let rate = by_hand::rate(&target).await?;
    bench.drop(ALONE).await?;
    Ok(rate)
}

async fn alone(bench: &Bench, size: Size) -> anyhow::Result<Costs> {
    let target = bench.clone(TEMPLATE, ALONE).await?;
    say("migrate: backfilling, with nobody else there");
    let timeline = Arc::<Timeline>::default();
    let migration = Migration::of(bench, &target, Arc::clone(&timeline));
    migration.fill().await?;
    truth::check(&target, there_from_the_start(size)).await?;
    bench.drop(ALONE).await?;
    bench.drop_roles().await?;
    Ok(migration.costs())
}

struct Beside {
    timeline: Arc<Timeline>,
    sold: Sold,
    seen: Seen,
    costs: Costs,
}

async fn beside(bench: &Bench, size: Size, quiet: Duration) -> anyhow::Result<Beside> {
    let target = bench.clone(TEMPLATE, BESIDE).await?;
    let login = |name| target.with_user(name, Some(shop::PASSWORD));
    let (legacy, app) = ([login(shop::LEGACY), login(shop::OWNER)], [login(run::APP), login(run::APP)]);
    let timeline = Arc::<Timeline>::default();
    let watch = Watch::start(bench.maintenance(), BESIDE, Arc::clone(&timeline)).await?;
    let migration = Migration::of(bench, &target, Arc::clone(&timeline));

    say(&format!("migrate: {} sales a second, first with nobody else there", sales::RATE));
    let selling = sales::start(&legacy, size, 1, false).await?;
    warm(&timeline, "idle", quiet).await;
    say("migrate: migrating meanwhile");
    migration.seven_phases().await?;
    lull(&timeline, "pending", quiet / 2).await;
    let mut sold = selling.stop().await?;

    say("migrate: the application's login sells, and the migration is cut over");
    let selling = sales::start(&app, size, 2, true).await?;
    lull(&timeline, "scoped", quiet / 2).await;
    migration.cut_over().await?;
    lull(&timeline, "cutover", quiet / 4).await;
    sold.add(selling.stop().await?);
    check(&target, size, &sold).await?;
    let selling = sales::start(&app, size, 3, true).await?;
    timeline.now("cutover_undone");
    migration.undo_cutover().await?;
    lull(&timeline, "cutover_undone", quiet / 4).await;
    sold.add(selling.stop().await?);
    check(&target, size, &sold).await?;

    say("migrate: the legacy logins sell again, and everything is rolled back");
    let selling = sales::start(&legacy, size, 4, false).await?;
    lull(&timeline, "pending", quiet / 4).await;
    timeline.now("rollback");
    migration.roll_back().await?;
    lull(&timeline, "idle_after", quiet).await;
    sold.add(selling.stop().await?);
    let seen = watch.seen().await?;
    bench.drop(BESIDE).await?;
    Ok(Beside { timeline, sold, seen, costs: migration.costs() })
}

/// Plans and caches are filled first, which nobody measures.
async fn warm(timeline: &Timeline, phase: &'static str, long: Duration) {
    tokio::time::sleep(long / 4).await;
    lull(timeline, phase, long).await;
}

/// Sales alone.
async fn lull(timeline: &Timeline, phase: &'static str, long: Duration) {
    timeline.now(phase);
    tokio::time::sleep(long).await;
}

fn there_from_the_start(size: Size) -> Rows {
    Rows { stock: size.products, orders: size.orders, lines: size.lines }
}

/// Whatever was sold so far has its tenant.
async fn check(target: &Target, size: Size, sold: &Sold) -> anyhow::Result<()> {
    let from_the_start = there_from_the_start(size);
    let orders = from_the_start.orders + sold.orders;
    truth::check(target, Rows { orders, lines: from_the_start.lines + sold.lines, ..from_the_start }).await
}

fn measurements(beside: &Beside, rounds: &[Round]) -> Vec<Measurement> {
    let latencies = latencies(beside);
    let mut all = Vec::new();
    if let Some(idle) = latencies.get("idle") {
        for at in [Latency::P50, Latency::P99, Latency::MAX] {
            for phase in beside.timeline.phases().into_iter().filter(|phase| *phase != "idle") {
                if let Some(found) = latencies.get(phase) {
                    let name = format!("migrate.{}.{phase}", at.0);
                    all.push(Measurement::of(name, "ms", &[((at.1)(found), (at.1)(idle))]));
                }
            }
        }
    }
    let mut goal = |name: &str, value: f64| {
        all.push(Measurement::of(format!("migrate.{name}"), "ms", &[(value, GOAL)]));
    };
    goal("blocked.longest", beside.seen.blocked());
    goal("locked.step", beside.costs.longest_lock().map_or(f64::NAN, |cost| cost.held));
    goal("locked.batch", beside.costs.longest_batch());
    let pairs: Vec<_> = rounds.iter().map(|round| (round.alone.rate(), round.by_hand)).collect();
    all.push(Measurement::rate("migrate.backfill.rate".to_owned(), "/s", &pairs));
    let reference = median(rounds.iter().map(|round| round.by_hand));
    let pair = (beside.costs.rate(), reference);
    all.push(Measurement::rate("migrate.backfill.rate.beside".to_owned(), "/s", &[pair]));
    all
}

fn latencies(beside: &Beside) -> BTreeMap<&'static str, Latency> {
    by_phase(&beside.timeline, beside.sold.sales.iter().copied())
}

/// What no statement of the shop may end with.
fn broken(sold: &Sold) -> Option<String> {
    if sold.errors.is_empty() {
        return None;
    }
    let errors: Vec<_> = sold.errors.iter().map(|(code, times)| format!("{code} {times} times")).collect();
    Some(format!("statements of the shop failed: {}", errors.join(", ")))
}

fn remarks(size: Size, beside: &Beside, rounds: &[Round]) -> anyhow::Result<String> {
    let Beside { sold, seen, costs, .. } = beside;
    let latencies = latencies(beside);
    let mut out = format!(
        "migrate: {} rows, {} of them without a tenant, and {} sold meanwhile; each got its own tenant\n",
        size.rows(),
        size.without_tenant(),
        sold.orders + sold.lines
    );
    for phase in beside.timeline.phases() {
        if let Some(Latency { sales, p50, p99, max }) = latencies.get(phase) {
            let blocked = seen.longest.get(phase).copied().unwrap_or(0.0);
            writeln!(
                out,
                "  {phase:14}  {sales:6} sales  p50 {p50:6.1}  p99 {p99:7.1}  max {max:7.1}  behind us {blocked:5.1} ms"
            )?;
        }
    }
    writeln!(
        out,
        "  {} prepared again (0A000), {} other errors; sales waited for each other up to {:.0} ms; {} looks, the longest gap between two {:.0} ms",
        sold.prepared_again,
        sold.errors.values().sum::<u64>(),
        seen.for_others,
        seen.looks,
        seen.longest_gap
    )?;
    let alone = rounds.iter().map(|round| ("nobody else there", &round.alone));
    for (when, costs) in alone.chain([("beside the sales", costs)]) {
        writeln!(
            out,
            "  backfill, {when}: {} rows in {:.1} s, {} batches, {:.0} rows/s; the longest held its rows for {:.0} ms",
            costs.rows,
            costs.fill,
            costs.batches,
            costs.rate(),
            costs.longest_batch()
        )?;
    }
    let by_hand: Vec<_> = rounds.iter().map(|round| format!("{:.0}", round.by_hand)).collect();
    writeln!(out, "  by hand, nobody else there: {} rows/s", by_hand.join(", "))?;
    let mut longest: Vec<_> = costs
        .steps
        .iter()
        .filter(|cost| cost.lock.is_some_and(bastide_sql::LockMode::blocks_writers))
        .collect();
    longest.sort_by(|a, b| b.held.total_cmp(&a.held));
    writeln!(out, "  {} steps kept writers out; the longest:", longest.len())?;
    for cost in longest.iter().take(8) {
        let lock = cost.lock.map(|lock| lock.to_string()).unwrap_or_default();
        writeln!(out, "    {:6.1} ms  {lock}  {}", cost.held, cost.step)?;
    }
    for cost in costs.steps.iter().filter(|cost| cost.attempts > 1) {
        writeln!(out, "  stepped back {} times: {}", cost.attempts - 1, cost.step)?;
    }
    Ok(out)
}

#[cfg(test)]
mod tests;
