//! Who waits for us is given way to, and a database under pressure is left alone.

use std::time::Duration;

use bastide_plan::Script;
use bastide_sql::{LockMode, Sql, sql};
use tokio_postgres::Client;

use super::{Scene, orders};
use crate::{Event, Limits, Patience, StepState, journal, pressure::Gauge};

impl Scene {
    fn given_way_to(&self) -> Vec<String> {
        let events = self.events.lock().unwrap();
        let named = events.iter().filter_map(|event| match event {
            Event::GaveWay { to, .. } => Some(to.clone()),
            _ => None,
        });
        named.collect()
    }

    fn paused_for(&self) -> Vec<String> {
        let events = self.events.lock().unwrap();
        let named = events.iter().filter_map(|event| match event {
            Event::Paused { why, .. } => Some(why.join("; ")),
            _ => None,
        });
        named.collect()
    }

    async fn till(&self) -> Client {
        let till = self.db.client().await;
        till.batch_execute("SET application_name = 'till'").await.unwrap();
        till
    }
}

/// Until a session of ours sleeps.
async fn asleep(client: &Client) {
    let asleep = "SELECT FROM pg_stat_activity WHERE application_name = 'bastide' AND wait_event = 'PgSleep'";
    while client.query_opt(asleep, &[]).await.unwrap().is_none() {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_transaction_gives_way_to_a_writer_and_is_done_later() {
    let mut scene = Scene::new().await;
    scene.db.execute("CREATE SEQUENCE tries").await;
    let statements = vec![
        sql!("UPDATE public.orders SET touched = touched + 1 WHERE id = 1"),
        // Of what is undone a sequence keeps count.
        sql!("SELECT pg_sleep(CASE WHEN nextval('public.tries') = 1 THEN 300 ELSE 0 END)"),
    ];
    let script = Script::long(LockMode::RowExclusive, orders(), statements);
    scene.journalled("long", &script, &Script::nothing()).await;
    let till = scene.till().await;
    let writing = tokio::spawn(async move {
        asleep(&till).await;
        till.execute("UPDATE orders SET touched = 100 WHERE id = 1", &[]).await.unwrap();
    });
    scene.go(true).await.unwrap();
    writing.await.unwrap();
    assert_eq!(scene.db.query_one_text("SELECT touched FROM orders WHERE id = 1").await, "101");
    assert_eq!(scene.db.query_one_text("SELECT last_value FROM tries").await, "2");
    let named = scene.given_way_to();
    assert!(named.len() == 1 && named[0].contains("(postgres, till)"), "{named:?}");
    assert_eq!(scene.state().await, StepState::Done);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_gives_way_to_a_writer_and_comes_back_half_as_big() {
    let mut scene = Scene::new().await;
    scene.db.execute("CREATE SEQUENCE tries; CREATE TABLE sizes (size bigint)").await;
    let statement = Sql::trusted(
        "WITH next AS (SELECT id FROM public.orders WHERE id > coalesce($1::bigint, 0) ORDER BY id LIMIT $2),
              noted AS (INSERT INTO public.sizes VALUES ($2)),
              touched AS (UPDATE public.orders o SET touched = touched + 1 FROM next WHERE o.id = next.id RETURNING o.id),
              counted AS MATERIALIZED (SELECT count(*) AS n FROM touched)
         SELECT (SELECT max(id)::text FROM next), n FROM counted, LATERAL (SELECT pg_sleep(CASE WHEN n >= 0 AND nextval('public.tries') = 1 THEN 0.9 ELSE 0 END)) s",
    );
    let script = Script::batches("public.orders".parse().unwrap(), Vec::new(), statement);
    scene.journalled("touch", &script, &Script::nothing()).await;
    let till = scene.till().await;
    let writing = tokio::spawn(async move {
        asleep(&till).await;
        till.execute("UPDATE orders SET touched = 100 WHERE id = 1", &[]).await.unwrap();
    });
    scene.go(true).await.unwrap();
    writing.await.unwrap();
    let named = scene.given_way_to();
    assert!(named.len() == 1 && named[0].contains("till"), "{named:?}");
    assert_eq!(scene.db.query_one_text("SELECT touched FROM orders WHERE id = 1").await, "101");
    assert_eq!(scene.db.query_one_text("SELECT size FROM sizes LIMIT 1").await, "500");
    assert_eq!(
        scene.db.query_one_text("SELECT count(*) FROM orders WHERE touched IN (1, 101)").await,
        "3000"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backfill_pauses_while_a_slot_keeps_too_much_wal_and_says_so() {
    let mut scene = Scene::new().await;
    let limits = Limits { slot_wal_mb: 1.0, ..Limits::default() };
    scene.patience = Patience { limits, ..scene.patience };
    scene.journalled("touch", &super::touch(), &Script::nothing()).await;
    scene.db.execute("SELECT pg_create_physical_replication_slot('stuck', true)").await;
    scene.db.execute("CREATE TABLE noise AS SELECT repeat('x', 100) FROM generate_series(1, 20000)").await;
    let watching = scene.db.client().await;
    let run = scene.run;
    let mending = tokio::spawn(async move {
        loop {
            let step = journal::read_steps(&watching, run).await.unwrap().remove(0);
            if let Some(why) = step.error {
                assert_eq!((step.state, step.rows), (StepState::Started, None));
                watching.execute("SELECT pg_drop_replication_slot('stuck')", &[]).await.unwrap();
                return why;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    });
    scene.go(true).await.unwrap();
    let why = mending.await.unwrap();
    assert!(
        why.starts_with("paused: slot stuck keeps ") && why.ends_with("MB of WAL (slot_wal_mb = 1)"),
        "{why}"
    );
    assert!(scene.paused_for()[0].contains("slot stuck"), "{:?}", scene.paused_for());
    let step = journal::read_steps(scene.guard.client(), scene.run).await.unwrap().remove(0);
    assert_eq!((step.state, step.rows, step.error), (StepState::Done, Some(3_000), None));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_build_gives_way_to_whoever_its_lock_keeps_waiting() {
    let mut scene = Scene::new().await;
    let statements = vec![
        sql!("DROP INDEX CONCURRENTLY IF EXISTS public.orders_touched"),
        sql!("CREATE INDEX CONCURRENTLY orders_touched ON public.orders (touched)"),
    ];
    let script = Script::autocommit(LockMode::ShareUpdateExclusive, orders(), statements);
    scene.journalled("index", &script, &Script::nothing()).await;
    // The build waits for the end of this, for as long as it takes.
    let report = scene.db.client().await;
    report.batch_execute("BEGIN; UPDATE orders SET touched = 1 WHERE id = 1").await.unwrap();
    let till = scene.till().await;
    let analysing = tokio::spawn(async move {
        let built = "SELECT FROM pg_stat_progress_create_index WHERE phase LIKE 'waiting for writers%'";
        while till.query_opt(built, &[]).await.unwrap().is_none() {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        till.batch_execute("ANALYZE orders").await.unwrap();
        report.batch_execute("COMMIT").await.unwrap();
    });
    scene.go(true).await.unwrap();
    analysing.await.unwrap();
    let named = scene.given_way_to();
    assert!(named.iter().any(|who| who.contains("till")), "{named:?}");
    let valid = "SELECT indisvalid FROM pg_index WHERE indexrelid = 'orders_touched'::regclass";
    assert_eq!(scene.db.query_one_text(valid).await, "t");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backfill_rests_longer_while_others_are_at_work() {
    let scene = Scene::new().await;
    let mut gauge = Gauge::new(Limits::default(), None);
    scene.journalled("touch", &super::touch(), &Script::nothing()).await;
    let step = journal::read_steps(scene.guard.client(), scene.run).await.unwrap().remove(0).id;
    let batch = Duration::from_millis(80);
    assert_eq!(gauge.rest(batch), batch / 2, "until it was looked, somebody may be there");
    let alone = gauge.rest(Duration::ZERO);
    // The sessions that made the scene were at work a moment ago.
    while gauge.rest(batch) != alone {
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert_eq!(gauge.look_now(scene.guard.client(), &step).await, Vec::<String>::new());
    }
    let till = scene.till().await;
    till.batch_execute("SELECT 1").await.unwrap();
    gauge.look_now(scene.guard.client(), &step).await;
    assert_eq!(gauge.rest(batch), batch / 2);
}
