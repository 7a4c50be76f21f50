//! The workload: so many sales a second, whether those before are done or not. A sale's time counts from when it should have
//! begun, so that one that waits for a connection behind a blocked one is as late as it is to the shopper.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use bastide_connect::Target;
use tokio::task::JoinHandle;
use tokio_postgres::error::SqlState;

use super::{shop::Size, till::Till};

/// What the workload's sessions call themselves.
pub(super) const APPLICATION: &str = "bench sales";

/// Sales a second.
pub(super) const RATE: u32 = 100;

/// Of each login.
const CONNECTIONS: usize = 4;

/// Whatever goes wrong, it ends.
const LONGEST: Duration = Duration::from_secs(4 * 3600);

/// What was sold between start and stop.
#[derive(Default)]
pub(super) struct Sold {
    /// When each should have begun, and how long it took from then.
    pub(super) sales: Vec<(Instant, Duration)>,
    /// By SQLSTATE, but for the one that is allowed.
    pub(super) errors: BTreeMap<String, u64>,
    /// Prepared `SELECT *`s that the server asked to prepare again (0A000).
    pub(super) prepared_again: u64,
    /// Whose COMMIT was acknowledged.
    pub(super) orders: i64,
    pub(super) lines: i64,
}

impl Sold {
    pub(super) fn add(&mut self, other: Self) {
        self.sales.extend(other.sales);
        for (code, times) in other.errors {
            *self.errors.entry(code).or_default() += times;
        }
        self.prepared_again += other.prepared_again;
        self.orders += other.orders;
        self.lines += other.lines;
    }
}

pub(super) struct Sales {
    stop: Arc<AtomicBool>,
    tills: Vec<JoinHandle<anyhow::Result<Sold>>>,
}

/// `session` makes the numbers of its orders unique; `scoped`: each transaction says first whose it is.
pub(super) async fn start(
    logins: &[Target],
    size: Size,
    session: u32,
    scoped: bool,
) -> anyhow::Result<Sales> {
    let mut opened = Vec::new();
    for login in logins {
        for _ in 0..CONNECTIONS {
            opened.push(Till::open(login, size, session, scoped).await?);
        }
    }
    let stop = Arc::<AtomicBool>::default();
    let (next, begun) = (Arc::<AtomicU64>::default(), Instant::now());
    let tills = opened
        .into_iter()
        .map(|till| tokio::spawn(sell(till, Arc::clone(&next), begun, Arc::clone(&stop))))
        .collect();
    Ok(Sales { stop, tills })
}

impl Sales {
    /// Those under way are finished first.
    pub(super) async fn stop(self) -> anyhow::Result<Sold> {
        self.stop.store(true, Ordering::Relaxed);
        let mut sold = Sold::default();
        for till in self.tills {
            sold.add(till.await??);
        }
        Ok(sold)
    }
}

/// Whoever is free takes the next sale that is due.
async fn sell(
    mut till: Till,
    next: Arc<AtomicU64>,
    begun: Instant,
    stop: Arc<AtomicBool>,
) -> anyhow::Result<Sold> {
    let mut sold = Sold::default();
    while !stop.load(Ordering::Relaxed) {
        let number = next.fetch_add(1, Ordering::Relaxed);
        let due = Duration::from_secs(1) / RATE * u32::try_from(number)?;
        if due > LONGEST {
            break;
        }
        let intended = begun + due;
        tokio::time::sleep_until(intended.into()).await;
        let mut result = till.sell(number).await;
        if result.as_ref().err().and_then(|error| error.code()) == Some(&SqlState::FEATURE_NOT_SUPPORTED) {
            till.again().await?;
            sold.prepared_again += 1;
            result = till.sell(number).await;
        }
        match result {
            Ok(lines) => {
                sold.orders += i64::from(lines > 0);
                sold.lines += lines;
            }
            Err(error) => {
                let code = error.code().map_or("connection", SqlState::code).to_owned();
                *sold.errors.entry(code).or_default() += 1;
                till.give_up().await?;
            }
        }
        sold.sales.push((intended, intended.elapsed()));
    }
    till.close().await;
    Ok(sold)
}
