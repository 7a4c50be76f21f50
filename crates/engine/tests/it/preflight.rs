//! What is found before a run begins, and a login whose rights are taken away in the middle of one.

use bastide_connect::Target;
use bastide_engine::{EngineError, Event, MigrationGuard, RunState, migrate, resume, status};
use bastide_plan::Phase;
use bastide_testkit::server_with;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
};

use crate::scene::{SHOP, Scene, config, place};

fn notices(scene: &Scene) -> Vec<String> {
    let events = scene.events.lock().unwrap();
    let notices = events.iter().filter_map(|event| match event {
        Event::Notice { text } => Some(text.clone()),
        _ => None,
    });
    notices.collect()
}

/// Passes everything on but what a pooler keeps to itself: the options of the start-up packet.
async fn without_options(server: u16) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let length = client.read_u32().await.unwrap() as usize;
            let mut packet = vec![0; length - 4];
            client.read_exact(&mut packet).await.unwrap();
            let (version, parameters) = packet.split_at(4);
            let words: Vec<&[u8]> = parameters.split(|byte| *byte == 0).collect();
            let kept = words.chunks(2).filter(|pair| pair[0] != b"options").flatten();
            let body = [version, &kept.copied().collect::<Vec<_>>().join(&0)[..]].concat();
            let mut upstream = TcpStream::connect(("127.0.0.1", server)).await.unwrap();
            upstream.write_u32(u32::try_from(body.len() + 4).unwrap()).await.unwrap();
            upstream.write_all(&body).await.unwrap();
            tokio::spawn(async move { copy_bidirectional(&mut client, &mut upstream).await });
        }
    });
    port
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pooler_is_told_from_a_server() {
    let scene = Scene::new().await;
    let server = scene.server.postgres().port();
    let port = without_options(server).await;
    let url = scene.db.url().replace(&format!(":{server}/"), &format!(":{port}/")) + "?sslmode=disable";
    // What goes through it works as such.
    Target::parse(&url).unwrap().connect("test").await.unwrap();
    let Err(error) = MigrationGuard::acquire(&Target::parse(&url).unwrap()).await else {
        panic!("it got the lock")
    };
    assert!(matches!(error, EngineError::Pooled { .. }), "{error}");
    assert_eq!(error.exit_code(), 3);
    assert!(error.to_string().contains(&format!("127.0.0.1:{port} is a pooler")), "{error}");
    MigrationGuard::acquire(&scene.place().target).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn more_tables_than_the_server_can_lock_are_refused_before_anything_changes() {
    let server = server_with(&[("max_locks_per_transaction", "10"), ("max_connections", "12")]).await;
    let db = server.database("shop").await;
    db.execute(SHOP).await;
    for _ in 0..3 {
        db.execute("DO $$ BEGIN FOR i IN 1..50 LOOP EXECUTE format('CREATE TABLE t%s_%s ()', i, (SELECT count(*) FROM pg_class)); END LOOP; END $$").await;
    }
    let scene = Scene::on(server, db, config());
    let options = scene.options().await;
    let error = scene.migrate(&options).await.unwrap_err();
    assert_eq!(error.exit_code(), 3, "{error}");
    let said = error.to_string();
    assert!(
        said.starts_with("pg_dump locks all 154 tables at once")
            && said.contains("max_locks_per_transaction to 1"),
        "{said}"
    );
    assert!(status(&scene.place().target, None).await.is_err(), "it had begun");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_be_in_the_way_is_named() {
    let server = server_with(&[("wal_level", "logical"), ("max_connections", "10")]).await;
    let db = server.database("shop").await;
    db.execute(SHOP).await;
    db.execute("SELECT pg_create_logical_replication_slot('unread', 'pgoutput')").await;
    db.execute("ALTER DATABASE shop SET statement_timeout = '20ms'; ALTER ROLE postgres SET idle_session_timeout = '900ms'").await;
    let scene = Scene::on(server, db, config());
    let mut options = scene.options().await;
    options.until = Some(Phase::Preflight);
    scene.migrate(&options).await.unwrap();
    let told = notices(&scene);
    for what in [
        "replication slot unread is inactive",
        "statement_timeout=20ms is preset for the database",
        "idle_session_timeout=900ms is preset for role postgres",
    ] {
        assert!(told.iter().any(|notice| notice.contains(what)), "{what}: {told:?}");
    }
    // And overridden: fingerprints, the dump and its restore take longer than either.
    assert_eq!(scene.resume().await.unwrap().run.state, RunState::PendingCutover);
}

/// Runs `statement` in the moment in which the listener hears of it.
fn at_once(url: &str, statement: &'static str) {
    let target = Target::parse(url).unwrap();
    let doing = async move { target.connect("test").await.unwrap().batch_execute(statement).await.unwrap() };
    let runtime = || tokio::runtime::Runtime::new().unwrap().block_on(doing);
    std::thread::scope(|scope| scope.spawn(runtime).join().unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_loses_its_rights_stops_and_goes_on_when_it_has_them_back() {
    let scene = Scene::new().await;
    let before = scene.snapshot().await;
    scene.db.execute("CREATE ROLE mover LOGIN SUPERUSER PASSWORD 'sesame'").await;
    let mover = place(&scene.db.url_as("mover", "sesame"), scene.state_dir.path());
    let mut options = scene.options().await;
    options.place = mover.clone();
    options.plan = bastide_engine::make_plan(&mover.target, &scene.config, &|_| {}).await.unwrap();
    let url = scene.db.url();
    let listener = move |event: &Event| {
        if matches!(event, Event::PhaseStarted { phase: Phase::Policies, .. }) {
            at_once(&url, "ALTER ROLE mover NOSUPERUSER");
        }
    };
    let error = migrate(&options, &listener).await.unwrap_err();
    assert!(
        matches!(&error, EngineError::Stopped { cause } if matches!(**cause, EngineError::MayNot { .. })),
        "{error}"
    );
    assert_eq!(error.exit_code(), 4);
    let said = error.to_string();
    assert!(
        said.contains("mover may not migrate database shop")
            && said.contains(r#"ALTER ROLE "mover" SUPERUSER"#),
        "{said}"
    );
    assert!(said.contains("rls resume") && said.contains("rls rollback"), "{said}");
    let error = resume(&mover, None, None, &|_| {}).await.unwrap_err();
    assert!(matches!(error, EngineError::MayNot { .. }), "{error}");
    scene.db.execute("ALTER ROLE mover SUPERUSER").await;
    let outcome = resume(&mover, None, None, &|_| {}).await.unwrap();
    assert_eq!(outcome.run.state, RunState::PendingCutover);
    bastide_engine::rollback(&mover, None, None, &|_| {}).await.unwrap();
    scene.db.execute("REASSIGN OWNED BY mover TO postgres; DROP ROLE mover").await;
    scene.assert_as(&before).await;
}
