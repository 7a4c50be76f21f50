//! Each mode against a real server, with somebody else's locks in the way, and with the connection cut.

mod deference;

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use bastide_connect::Target;
use bastide_plan::{Phase, Script};
use bastide_sql::{LockMode, Sql, sql};
use bastide_testkit::{Database, Server};
use tokio_postgres::types::Json;
use uuid::Uuid;

use super::{Patience, Runner};
use crate::{
    BackupChoice, EngineError, Event, MigrationGuard, StepEnded, StepOutcome, StepState, bootstrap, journal,
    test_plan::empty_plan,
};

struct Scene {
    server: Option<Server>,
    db: Database,
    guard: MigrationGuard,
    run: Uuid,
    patience: Patience,
    events: Arc<Mutex<Vec<Event>>>,
}

impl Scene {
    async fn new() -> Self {
        let server = bastide_testkit::server().await;
        let db = server.database("shop").await;
        db.execute("CREATE TABLE orders (id bigint PRIMARY KEY, touched int NOT NULL DEFAULT 0); INSERT INTO orders SELECT generate_series(1, 3000)").await;
        let mut guard = MigrationGuard::acquire(&Target::parse(&db.url()).unwrap()).await.unwrap();
        let plan = empty_plan(&mut guard).await;
        let run = Uuid::now_v7();
        bootstrap::begin(&mut guard, run, &plan, &BackupChoice::List).await.unwrap();
        let patience = Patience { tries: 40, total: Duration::from_secs(20), ..Patience::default() };
        Self { server: Some(server), db, guard, run, patience, events: Arc::default() }
    }

    async fn journalled(&self, step: &str, forward: &Script, inverse: &Script) {
        self.guard
            .client()
            .execute(
                "INSERT INTO bastide.journal (run_id, step, ordinal, phase, state, text, forward, inverse) VALUES ($1, $2, 0, $3, 'planned', $2, $4, $5)",
                &[&self.run, &step, &Phase::Assignment.name(), &Json(forward), &Json(inverse)],
            )
            .await
            .unwrap();
    }

    async fn go(&mut self, forward: bool) -> Result<(), EngineError> {
        let step = journal::read_steps(self.guard.client(), self.run).await.unwrap().remove(0);
        let events = self.events.clone();
        let listener = move |event: &Event| events.lock().unwrap().push(event.clone());
        let mut runner = Runner::new(&mut self.guard, self.run, self.patience, &listener);
        if forward { runner.forward(&step).await } else { runner.undo(&step).await }
    }

    async fn state(&self) -> StepState {
        journal::read_steps(self.guard.client(), self.run).await.unwrap().remove(0).state
    }

    fn ended(&self) -> Vec<StepEnded> {
        let events = self.events.lock().unwrap();
        let ended = events.iter().filter_map(|event| match event {
            Event::StepEnded(end) => Some(end.clone()),
            _ => None,
        });
        ended.collect()
    }

    fn blockers(&self) -> Vec<String> {
        let events = self.events.lock().unwrap();
        let named = events.iter().filter_map(|event| match event {
            Event::Waiting { blocked_by, .. } => Some(blocked_by.clone()),
            _ => None,
        });
        named.flatten().collect()
    }
}

fn orders() -> Vec<bastide_sql::QualifiedName> {
    vec!["public.orders".parse().unwrap()]
}

fn add_column() -> Script {
    let statement = sql!("ALTER TABLE public.orders ADD COLUMN tenant_id int");
    Script::transaction(LockMode::AccessExclusive, orders(), vec![statement])
}

fn drop_column() -> Script {
    let statement = sql!("ALTER TABLE public.orders DROP COLUMN tenant_id");
    Script::transaction(LockMode::AccessExclusive, orders(), vec![statement])
}

const COLUMNS: &str = "SELECT count(*)::text FROM information_schema.columns WHERE table_schema = 'public' AND table_name = 'orders'";

#[tokio::test(flavor = "multi_thread")]
async fn a_short_step_is_done_undone_and_done_again() {
    let mut scene = Scene::new().await;
    scene.journalled("add", &add_column(), &drop_column()).await;
    let before = scene.db.schema_dump().await;
    for _ in 0..2 {
        scene.go(true).await.unwrap();
        assert_eq!(scene.state().await, StepState::Done);
        assert_eq!(scene.db.query_one_text(COLUMNS).await, "3");
        scene.go(false).await.unwrap();
        assert_eq!(scene.state().await, StepState::Undone);
        assert_eq!(scene.db.schema_dump().await, before);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_fails_changes_nothing_and_says_why() {
    let mut scene = Scene::new().await;
    let mut script = add_column();
    script.statements.push(sql!("SELECT 1/0"));
    scene.journalled("add", &script, &drop_column()).await;
    let error = scene.go(true).await.unwrap_err();
    insta::assert_snapshot!(error, @"`add` failed: division by zero (22012)");
    assert_eq!(scene.state().await, StepState::Failed);
    assert_eq!(scene.db.query_one_text(COLUMNS).await, "2");
    // Nothing was committed, so nothing is undone.
    scene.go(false).await.unwrap();
    assert_eq!(scene.state().await, StepState::Undone);
    let ended = scene.ended();
    let told: Vec<_> = ended.iter().map(|end| (end.outcome, end.attempts, end.error.is_some())).collect();
    assert_eq!(told, [(StepOutcome::Failed, 1, true), (StepOutcome::Undone, 0, false)], "a line for each");
}

#[tokio::test(flavor = "multi_thread")]
async fn somebodys_lock_is_waited_for_named_and_outlived() {
    let mut scene = Scene::new().await;
    scene.journalled("add", &add_column(), &drop_column()).await;
    let other = scene.db.client().await;
    other.batch_execute("SET application_name = 'reporting'; BEGIN; SELECT count(*) FROM orders WHERE touched::text <> 'secret'").await.unwrap();
    let release = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(700)).await;
        other.batch_execute("COMMIT").await.unwrap();
    });
    // Whoever comes while we wait must not wait long behind us.
    let writer = scene.db.client().await;
    let slowest = tokio::spawn(async move {
        let mut slowest = Duration::ZERO;
        for id in 1..40 {
            let begun = Instant::now();
            writer
                .execute("UPDATE orders SET touched = touched WHERE id = $1", &[&i64::from(id)])
                .await
                .unwrap();
            slowest = slowest.max(begun.elapsed());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        slowest
    });
    scene.go(true).await.unwrap();
    release.await.unwrap();
    let slowest = slowest.await.unwrap();
    assert!(slowest < Duration::from_millis(600), "a writer waited {slowest:?} behind us");
    let blockers = scene.blockers();
    assert!(blockers.iter().any(|who| who.contains("reporting") && who.contains("pid ")), "{blockers:?}");
    assert!(
        !blockers.iter().any(|who| who.contains("secret")),
        "values of other people's queries: {blockers:?}"
    );
    assert_eq!(scene.state().await, StepState::Done);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_that_is_never_had_stops_with_the_blockers_name() {
    let mut scene = Scene::new().await;
    scene.patience = Patience { tries: 4, total: Duration::from_secs(20), ..Patience::default() };
    scene.journalled("add", &add_column(), &drop_column()).await;
    let other = scene.db.client().await;
    other
        .batch_execute("SET application_name = 'nightly dump'; BEGIN; LOCK TABLE orders IN ACCESS SHARE MODE")
        .await
        .unwrap();
    let error = scene.go(true).await.unwrap_err();
    assert_eq!(error.exit_code(), 4);
    let said = error.to_string();
    assert!(said.contains("4 tries") && said.contains("nightly dump"), "{said}");
    drop(other);
    // The next try, by whoever resumes, succeeds.
    scene.go(true).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn outside_a_transaction_the_whole_list_may_run_again() {
    let mut scene = Scene::new().await;
    let forward = Script::autocommit(
        LockMode::ShareUpdateExclusive,
        orders(),
        vec![
            sql!("DROP INDEX CONCURRENTLY IF EXISTS public.orders_touched"),
            sql!("CREATE INDEX CONCURRENTLY orders_touched ON public.orders (touched)"),
        ],
    );
    let inverse = Script::autocommit(
        LockMode::ShareUpdateExclusive,
        orders(),
        vec![sql!("DROP INDEX CONCURRENTLY IF EXISTS public.orders_touched")],
    );
    scene.journalled("index", &forward, &inverse).await;
    scene.go(true).await.unwrap();
    assert_eq!(
        scene
            .db
            .query_one_text("SELECT count(*)::text FROM pg_indexes WHERE indexname = 'orders_touched'")
            .await,
        "1"
    );
    let timeout =
        scene.guard.client().query_one("SELECT current_setting('lock_timeout')", &[]).await.unwrap();
    assert_eq!(timeout.get::<_, String>(0), "50ms", "the session's settings are put back");
    scene.go(false).await.unwrap();
    assert_eq!(
        scene
            .db
            .query_one_text("SELECT count(*)::text FROM pg_indexes WHERE indexname = 'orders_touched'")
            .await,
        "0"
    );
}

/// Adds one to every row, in order of the key, exactly once each.
fn touch() -> Script {
    let statement = Sql::trusted(
        "WITH next AS (SELECT id FROM public.orders WHERE id > coalesce($1::bigint, 0) ORDER BY id LIMIT $2),
              touched AS (UPDATE public.orders o SET touched = touched + 1 FROM next WHERE o.id = next.id RETURNING o.id)
         SELECT (SELECT max(id)::text FROM next), (SELECT count(*) FROM touched)",
    );
    Script::batches(
        "public.orders".parse().unwrap(),
        vec![sql!("SET LOCAL session_replication_role = replica")],
        statement,
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_touch_every_row_once_though_the_connection_is_cut() {
    let mut scene = Scene::new().await;
    scene.db.execute("INSERT INTO orders SELECT generate_series(3001, 60000)").await;
    scene.journalled("touch", &touch(), &Script::nothing()).await;
    let killer = scene.db.client().await;
    let killing = tokio::spawn(async move {
        let mut cut = 0;
        for _ in 0..3 {
            tokio::time::sleep(Duration::from_millis(120)).await;
            cut += killer.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'bastide'", &[]).await.unwrap();
        }
        cut
    });
    scene.go(true).await.unwrap();
    assert!(killing.await.unwrap() > 0);
    let counted = scene
        .db
        .query_one_text("SELECT min(touched) || ' ' || max(touched) || ' ' || count(*) FROM orders")
        .await;
    assert_eq!(counted, "1 1 60000");
    // The connection may have been cut once more after the step.
    if scene.guard.client().is_closed() {
        scene.guard.reconnect().await.unwrap();
    }
    let step = journal::read_steps(scene.guard.client(), scene.run).await.unwrap().remove(0);
    assert_eq!((step.state, step.rows, step.cursor), (StepState::Done, Some(60_000), None));
    assert!(step.attempts > 1, "the step never noticed");
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_touch_every_row_once_though_the_server_dies_with_commits_that_had_not_reached_the_disk() {
    let mut scene = Scene::new().await;
    for statement in [
        "INSERT INTO orders SELECT generate_series(3001, 60000)",
        "ALTER SYSTEM SET wal_writer_delay = '10s'",
        "ALTER SYSTEM SET wal_writer_flush_after = '1GB'",
        "SELECT pg_reload_conf()",
    ] {
        scene.db.execute(statement).await;
    }
    scene.journalled("touch", &touch(), &Script::nothing()).await;
    let mut server = scene.server.take().unwrap();
    let events = scene.events.clone();
    let batches = move || {
        let progress = |event: &&Event| matches!(event, Event::Progress { .. });
        events.lock().unwrap().iter().filter(progress).count()
    };
    let dying = tokio::spawn(async move {
        while batches() < 3 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        server.crash();
        server.restart().await;
        server
    });
    scene.go(true).await.unwrap();
    scene.server = Some(dying.await.unwrap());
    let counted = scene
        .db
        .query_one_text("SELECT min(touched) || ' ' || max(touched) || ' ' || count(*) FROM orders")
        .await;
    assert_eq!(counted, "1 1 60000");
    if scene.guard.client().is_closed() {
        scene.guard.reconnect().await.unwrap();
    }
    let step = journal::read_steps(scene.guard.client(), scene.run).await.unwrap().remove(0);
    assert_eq!((step.state, step.rows, step.cursor), (StepState::Done, Some(60_000), None));
    let done = scene
        .events
        .lock()
        .unwrap()
        .iter()
        .filter_map(|event| match event {
            Event::Progress { done, .. } => Some(*done),
            _ => None,
        })
        .max();
    assert!(done > Some(60_000), "no batch was lost, so none was done again: {done:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_run_is_turned_away_and_told_by_whom() {
    let scene = Scene::new().await;
    let second = MigrationGuard::acquire(&Target::parse(&scene.db.url()).unwrap()).await;
    let error = second.err().expect("the lock is held");
    assert_eq!(error.exit_code(), 5);
    assert!(error.to_string().contains("pid ") && error.to_string().contains("bastide"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_without_the_rights_is_told_which() {
    let server = bastide_testkit::server().await;
    let db = server.database("shop").await;
    db.execute("CREATE ROLE shop LOGIN PASSWORD 'shop'").await;
    let error = MigrationGuard::acquire(&Target::parse(&db.url_as("shop", "shop")).unwrap())
        .await
        .err()
        .expect("refused");
    assert_eq!(error.exit_code(), 3);
    assert!(error.to_string().contains("ALTER ROLE \"shop\" SUPERUSER"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn bootstrap_is_taken_back_and_made_again_over_its_history() {
    let mut scene = Scene::new().await;
    let roles = "SELECT count(*)::text FROM pg_roles WHERE rolname = 'bastide_owner'";
    assert_eq!(
        scene
            .db
            .query_one_text(
                "SELECT pg_get_userbyid(relowner) FROM pg_class WHERE oid = 'bastide.journal'::regclass"
            )
            .await,
        "bastide_owner"
    );
    assert_eq!(bootstrap::undo(&mut scene.guard).await.unwrap(), None);
    assert_eq!(scene.db.query_one_text(roles).await, "0");
    assert_eq!(bootstrap::undo(&mut scene.guard).await.unwrap(), None, "safe to repeat");
    let plan = empty_plan(&mut scene.guard).await;
    bootstrap::begin(&mut scene.guard, Uuid::now_v7(), &plan, &BackupChoice::List).await.unwrap();
    assert_eq!(scene.db.query_one_text("SELECT count(*)::text FROM bastide.run").await, "2");
    assert_eq!(
        scene
            .db
            .query_one_text(
                "SELECT pg_get_userbyid(relowner) FROM pg_class WHERE oid = 'bastide.journal'::regclass"
            )
            .await,
        "bastide_owner"
    );
}
