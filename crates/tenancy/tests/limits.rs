//! Waiting ends, a read is one round trip, and a pooler is enough.

mod notes;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use bastide_tenancy::{Error, Kind, PoolConfig, Query, Target, TenantPool};
use notes::{NOTES, assert_nothing_open, assert_own, pool, read_whole, small, tenant};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

const SLEEP: Query = Query::new("SELECT pg_sleep($1::text::float8) IS NULL", &[Kind::Text]);

#[tokio::test]
async fn waiting_for_a_connection_ends() {
    let (_server, database) = notes::database().await;
    let pool = pool(&database, PoolConfig { wait: Duration::from_millis(100), ..small(1) }).await;
    let tx = pool.begin(&tenant(1)).await.unwrap();
    assert!(matches!(pool.read(&tenant(2), &NOTES, &[]).await, Err(Error::Busy)));
    tx.rollback().await.unwrap();
    read_whole(&pool, 2).await;
}

#[tokio::test]
async fn a_slow_statement_is_stopped_by_the_server() {
    for transaction_pooler in [false, true] {
        let (_server, database) = notes::database().await;
        let config = PoolConfig { statement: Duration::from_millis(200), transaction_pooler, ..small(1) };
        let pool = pool(&database, config).await;
        let began = Instant::now();
        assert!(matches!(pool.read(&tenant(1), &SLEEP, &[&"5"]).await, Err(Error::Deadline)));
        assert!(began.elapsed() < Duration::from_secs(2));
        read_whole(&pool, 2).await;
        assert_nothing_open(&database).await;
    }
}

#[tokio::test]
async fn a_dropped_slow_statement_does_not_go_on_for_long() {
    let (_server, database) = notes::database().await;
    let pool = pool(&database, PoolConfig { statement: Duration::from_secs(60), ..small(1) }).await;
    let dropped =
        tokio::time::timeout(Duration::from_millis(100), pool.read(&tenant(1), &SLEEP, &[&"50"])).await;
    assert!(dropped.is_err());
    read_whole(&pool, 2).await;
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert_nothing_open(&database).await;
}

#[tokio::test]
async fn nothing_listens_there() {
    let nowhere = Target::parse("postgresql://app:secret@127.0.0.1:1/x").unwrap();
    let error = TenantPool::connect(&nowhere, small(1)).await.unwrap_err();
    assert!(matches!(error, Error::Connect(_)), "{error}");
    assert!(!error.to_string().contains("secret") && !format!("{error:?}").contains("secret"));
}

#[tokio::test]
async fn without_named_statements_everything_works_the_same() {
    const PREPARED: Query = Query::new("SELECT name FROM pg_catalog.pg_prepared_statements", &[]);
    const ONE: Query = Query::new("SELECT tenant_id FROM public.\"Notes\" WHERE id = $1", &[Kind::Int8]);
    let (_server, database) = notes::database().await;
    let pool = pool(&database, PoolConfig { transaction_pooler: true, ..small(1) }).await;
    read_whole(&pool, 1).await;
    assert_own(&pool.read(&tenant(2), &ONE, &[&1_i64]).await.unwrap(), 2);
    let mut tx = pool.begin(&tenant(2)).await.unwrap();
    assert_eq!(tx.query(&NOTES, &[]).await.unwrap().len(), 100);
    assert_eq!(tx.execute(&notes::ADD, &[&2_i32, &"x"]).await.unwrap(), 1);
    tx.rollback().await.unwrap();
    assert!(
        pool.read(&tenant(1), &PREPARED, &[]).await.unwrap().is_empty(),
        "a pooler could not follow them"
    );
    read_whole(&pool, 2).await;
}

#[tokio::test]
async fn a_read_is_one_round_trip() {
    for transaction_pooler in [false, true] {
        let (server, database) = notes::database().await;
        let proxy = Proxy::before(server.postgres().port()).await;
        let url = database
            .url_as("app", "app")
            .replace(&format!(":{}/", server.postgres().port()), &format!(":{}/", proxy.port));
        let pool =
            TenantPool::connect(&Target::parse(&url).unwrap(), PoolConfig { transaction_pooler, ..small(1) })
                .await
                .unwrap();
        read_whole(&pool, 1).await; // prepares
        proxy.turns.store(0, Ordering::SeqCst);
        for round in 0..10 {
            read_whole(&pool, 1 + round % 3).await;
        }
        assert_eq!(
            proxy.turns.load(Ordering::SeqCst),
            10,
            "ten reads, ten turns (pooler: {transaction_pooler})"
        );
    }
}

/// Forwards bytes and counts turns: how often the client speaks after the server has spoken.
struct Proxy {
    port: u16,
    turns: Arc<AtomicUsize>,
}

impl Proxy {
    async fn before(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (port, turns) = (listener.local_addr().unwrap().port(), Arc::new(AtomicUsize::new(0)));
        let counter = turns.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let upstream = TcpStream::connect(("127.0.0.1", server)).await.unwrap();
                tokio::spawn(forward(client, upstream, counter.clone()));
            }
        });
        Self { port, turns }
    }
}

async fn forward(client: TcpStream, server: TcpStream, turns: Arc<AtomicUsize>) {
    let (mut client_in, mut client_out) = client.into_split();
    let (mut server_in, mut server_out) = server.into_split();
    let server_spoke = Arc::new(AtomicBool::new(true));
    let spoke = server_spoke.clone();
    tokio::spawn(async move {
        let mut buffer = vec![0; 1 << 16];
        while let Ok(length @ 1..) = server_in.read(&mut buffer).await {
            spoke.store(true, Ordering::SeqCst);
            if client_out.write_all(&buffer[..length]).await.is_err() {
                return;
            }
        }
    });
    let mut buffer = vec![0; 1 << 16];
    while let Ok(length @ 1..) = client_in.read(&mut buffer).await {
        if server_spoke.swap(false, Ordering::SeqCst) {
            turns.fetch_add(1, Ordering::SeqCst);
        }
        if server_out.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
}
