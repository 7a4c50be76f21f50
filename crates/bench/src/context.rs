//! `context`: what a sealed tenant context costs against a plain one, through the serving pool. A page of twenty rows of one of
//! two hundred tenants is read by 32 readers over 8 connections, on two databases that differ in nothing but the seal, in turns.
//!
//! | name | Bastide | reference |
//! | --- | --- | --- |
//! | `context.sealed.rate` | pages a second, a tenant at random each time, so that most connections change theirs | the same with plain contexts |
//! | `context.sealed.rate.one_tenant` | the same, always the same tenant | the same |
//! | `context.sealed.p50`, `.p99` | milliseconds a page, a tenant at random, one reader | the same |
//! | `context.sealed.open` | microseconds the server needs to open one token, 20,000 in one statement | `current_setting` alone |

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::Context;
use bastide_catalog::cves::{self, Opens};
use bastide_connect::Target;
use bastide_engine::{
    MigrateOptions, OnFailure, Patience, Place, make_plan, migrate, seal_keys, without_backup,
};
use bastide_plan::{Config, Declarations, Phase, RootChoice};
use bastide_sql::Ident;
use bastide_tenancy::{Kind, PoolConfig, Query, SealKeys, TenantId, TenantPool};

use tokio_postgres::Client;

use crate::{
    Measured,
    measurement::{Measurement, median},
    say,
    server::Bench,
};

pub(crate) const SETTINGS: &[(&str, &str)] = &[("shared_buffers", "256MB")];

const PASSWORD: &str = "bastide-bench";
const TENANTS: u64 = 200;
const READERS: usize = 32;
const CONNECTIONS: usize = 8;

const SHOP: &str = "CREATE TABLE merchants (id bigint PRIMARY KEY, slug text NOT NULL UNIQUE);
INSERT INTO merchants SELECT g, 'm' || g FROM generate_series(1, 200) g;
CREATE TABLE orders (id bigint PRIMARY KEY, merchant_id bigint NOT NULL REFERENCES merchants, total numeric NOT NULL, note text);
INSERT INTO orders SELECT g, 1 + g % 200, g % 977, 'order ' || g FROM generate_series(1, 200000) g;
CREATE INDEX ON orders (merchant_id, id)";

const PAGE: Query = Query::new("SELECT id, total::text, note FROM public.orders ORDER BY id LIMIT 20", &[]);
const OPENING: Query = Query::new(
    "SELECT count(bastide.current_tenant()) FROM pg_catalog.generate_series(1, $1) g",
    &[Kind::Int4],
);

pub(crate) async fn run(bench: &Bench, scale: f64, repeat: Option<u32>) -> anyhow::Result<Measured> {
    let client = bench.maintenance().connect("bastide bench").await?;
    client.batch_execute("CREATE ROLE bastide_app LOGIN PASSWORD 'bastide-bench'").await?;
    let plain = side(bench, "context_plain", false).await?;
    let sealed = side(bench, "context_sealed", true).await?;
    let lasting = Duration::from_secs_f64((8.0 * scale).clamp(0.2, 30.0));
    let mut rounds = Vec::new();
    for round in 0..repeat.unwrap_or(3) {
        say(&format!("context: round {}", round + 1));
        rounds.push((Figures::of(&sealed, lasting).await?, Figures::of(&plain, lasting).await?));
    }
    let pairs = |figure: fn(&Figures) -> f64| -> Vec<(f64, f64)> {
        rounds.iter().map(|(sealed, plain)| (figure(sealed), figure(plain))).collect()
    };
    let name = |name: &str| format!("context.sealed.{name}");
    Ok(Measured {
        measurements: vec![
            Measurement::rate(name("rate"), "/s", &pairs(|figures| figures.rate)),
            Measurement::rate(name("rate.one_tenant"), "/s", &pairs(|figures| figures.one_tenant)),
            Measurement::of(name("p50"), "ms", &pairs(|figures| figures.p50)),
            Measurement::of(name("p99"), "ms", &pairs(|figures| figures.p99)),
            Measurement::of(name("open"), "µs", &pairs(|figures| figures.open)),
        ],
        remarks: format!(
            "context: {READERS} readers over {CONNECTIONS} connections for {:.0} s a figure; plain contexts use prepared statements, sealed ones none",
            lasting.as_secs_f64()
        ),
        broken: None,
    })
}

/// A shop up to its policies; there and later the application is bound alike.
/// A server that the question is not about does not take an answer to it.
async fn answers(client: &Client, sealed: bool) -> anyhow::Result<BTreeMap<String, String>> {
    let version: i32 =
        client.query_one("SELECT current_setting('server_version_num')::int", &[]).await?.try_get(0)?;
    let asked = sealed && cves::affecting(version.unsigned_abs()).any(|cve| cve.opens == Opens::ToCraftedSql);
    Ok(asked.then(|| ("seal:server".to_owned(), "accept".to_owned())).into_iter().collect())
}

async fn side(bench: &Bench, name: &'static str, sealed: bool) -> anyhow::Result<TenantPool> {
    say(&format!("context: {name}"));
    let target = bench.create(name).await?;
    let client = target.connect("bastide bench").await?;
    client.batch_execute(SHOP).await?;
    let state_dir: PathBuf = bench.state().join(name);
    let app = target.with_user("bastide_app", Some(PASSWORD));
    let place =
        Place { target: target.clone(), app: Some(app.clone()), state_dir, patience: Patience::default() };
    let config = Config {
        root: RootChoice::Existing("public.merchants".parse()?),
        app_role: Ident::constant("bastide_app"),
        exclude_schemas: Default::default(),
        exclude_tables: Default::default(),
        accept_defaults: true,
        declared: Declarations { sealed_context: sealed, ..Declarations::default() },
        answers: answers(&client, sealed).await?,
    };
    let plan = make_plan(&target, &config, &|_| {}).await.context("planning")?;
    let options = MigrateOptions {
        place,
        plan,
        until: Some(Phase::Policies),
        on_failure: OnFailure::Stop,
        backup: without_backup("the bench", "its data are made up"),
        app_password: Some(PASSWORD.to_owned()),
    };
    migrate(&options, &|_| {}).await.context("migrating")?;
    client.batch_execute("VACUUM (ANALYZE)").await?;
    let keys = if sealed { Some(keys(&target).await?) } else { None };
    let config = PoolConfig { size: CONNECTIONS, seal_keys: keys, ..PoolConfig::default() };
    Ok(TenantPool::connect(&app, config).await?)
}

async fn keys(target: &Target) -> anyhow::Result<SealKeys> {
    let keys = seal_keys(target).await?;
    let lines: Vec<String> = keys.iter().map(|key| format!("{} {}", key.id, key.secret)).collect();
    Ok(SealKeys::parse(&lines.join("\n"))?)
}

struct Figures {
    rate: f64,
    one_tenant: f64,
    p50: f64,
    p99: f64,
    open: f64,
}

impl Figures {
    async fn of(pool: &TenantPool, lasting: Duration) -> anyhow::Result<Self> {
        rate(pool, lasting / 4, TENANTS).await?;
        let mut times = alone(pool, lasting).await?;
        times.sort_by(f64::total_cmp);
        Ok(Self {
            rate: rate(pool, lasting, TENANTS).await?,
            one_tenant: rate(pool, lasting, 1).await?,
            p50: median(times.iter().copied()),
            p99: times.get(times.len() * 99 / 100).copied().unwrap_or(f64::NAN),
            open: open(pool).await?,
        })
    }
}

/// Pages a second of all readers together, of the first so many tenants.
async fn rate(pool: &TenantPool, lasting: Duration, tenants: u64) -> anyhow::Result<f64> {
    let (pages, over) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let began = Instant::now();
    let readers: Vec<_> = (0..READERS)
        .map(|reader| {
            let (pool, pages, over) = (pool.clone(), pages.clone(), over.clone());
            tokio::spawn(async move {
                let mut pick = Pick::new(reader as u64, tenants);
                while !over.load(Ordering::Relaxed) {
                    page(&pool, &pick.next()?).await?;
                    pages.fetch_add(1, Ordering::Relaxed);
                }
                anyhow::Ok(())
            })
        })
        .collect();
    tokio::time::sleep(lasting).await;
    let (read, took) = (pages.load(Ordering::Relaxed), began.elapsed());
    over.store(true, Ordering::Relaxed);
    for reader in readers {
        reader.await??;
    }
    Ok(read as f64 / took.as_secs_f64())
}

/// Milliseconds of each page of one reader.
async fn alone(pool: &TenantPool, lasting: Duration) -> anyhow::Result<Vec<f64>> {
    let (mut times, mut pick, began) = (Vec::new(), Pick::new(7, TENANTS), Instant::now());
    while began.elapsed() < lasting {
        let (tenant, from) = (pick.next()?, Instant::now());
        page(pool, &tenant).await?;
        times.push(from.elapsed().as_secs_f64() * 1000.0);
    }
    Ok(times)
}

async fn page(pool: &TenantPool, tenant: &TenantId) -> anyhow::Result<()> {
    let rows = pool.read(tenant, &PAGE, &[]).await?;
    anyhow::ensure!(rows.len() == 20, "a page of {} rows", rows.len());
    Ok(())
}

/// Microseconds each time.
async fn open(pool: &TenantPool) -> anyhow::Result<f64> {
    const TIMES: i32 = 20_000;
    let tenant = TenantId::new("1")?;
    pool.read(&tenant, &OPENING, &[&100]).await?;
    let from = Instant::now();
    pool.read(&tenant, &OPENING, &[&TIMES]).await?;
    Ok(from.elapsed().as_secs_f64() * 1e6 / f64::from(TIMES))
}

/// Tenants in an order that looks random and is always the same.
struct Pick {
    state: u64,
    tenants: u64,
}

impl Pick {
    fn new(seed: u64, tenants: u64) -> Self {
        Self { state: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1, tenants }
    }

    fn next(&mut self) -> anyhow::Result<TenantId> {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        Ok(TenantId::new((1 + self.state % self.tenants).to_string())?)
    }
}
