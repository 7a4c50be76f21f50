//! Death inside one step that commits many times, or that is many statements: settling links, holding rows aside, bringing
//! in keys; on the way there and on the way back.
//!
//! A trigger on the table where each chunk is written down ends its own server process at the chunk that is asked for: what
//! was committed before stays, the rest of it is gone. Bastide then goes on by itself, or dies where it learns of the loss.

use std::collections::BTreeMap;

use bastide_engine::{RunState, resume, rollback, status, validate_rows};
use bastide_plan::{Config, Declarations, GivenKey, GivenKeys, Phase, Rule};

use crate::{
    kill::{a_victim, tell, victim_dies},
    scene::{Scene, config},
};

/// Where a step writes its chunks down, and what it is called.
const SETTLE: (&str, &str) = ("changed", "settle_links:crossing");
const HOLD: (&str, &str) = ("held", "hold_aside:crossing");
const GIVE: (&str, &str) = ("given", "give_keys:tag owners");

const DONE: &str = "SELECT (SELECT string_agg(what || ' ' || n, ', ' ORDER BY what) FROM (SELECT what, count(*) n FROM bastide.changed WHERE undone_at IS NULL GROUP BY 1) c)
  || '; ' || (SELECT string_agg(relation || ' ' || n, ', ' ORDER BY relation) FROM (SELECT relation, count(*) n FROM bastide.held WHERE restored_at IS NULL GROUP BY 1) h)";
const ALL_DONE: &str =
    "cut 700, made 700, moved 1400, redirected 700; \"public\".\"parcels\" 700, \"public\".\"shipments\" 700";

async fn scene() -> Scene {
    let server = bastide_testkit::server().await;
    let db = server.database("chunks").await;
    db.execute(include_str!("between_commits.sql")).await;
    let answers = [
        ("boundary:public.merchants", "accept"),
        ("link:public.orders:orders_customer_id_fkey", "copy"),
        ("link:public.returns:returns_order_id_fkey", "move"),
        ("link:public.visits:visits_branch_id_fkey", "cut"),
    ];
    let keys = (1..=5_300).map(|id| GivenKey {
        line: id + 1,
        key: vec![id.to_string()],
        tenant: (id % 2 + 1).to_string(),
    });
    let rule = Rule {
        name: "tag owners".to_owned(),
        table: "public.tags".parse().unwrap(),
        when: None,
        tenant: None,
        column: None,
        tenants: BTreeMap::new(),
        csv: Some("tags.csv".to_owned()),
        csv_sha256: None,
        keys: Some(GivenKeys { columns: vec![bastide_sql::Ident::constant("id")], rows: keys.collect() }),
    };
    let config = Config {
        answers: answers.map(|(id, answer)| (id.to_owned(), answer.to_owned())).into(),
        declared: Declarations { rules: vec![rule], ..Declarations::default() },
        ..config()
    };
    Scene::on(server, db, config)
}

/// A run that goes as far as `until`, or to where cutover is next.
async fn begun(scene: &Scene, until: Option<Phase>) {
    let mut options = scene.options().await;
    (options.until, options.backup) = (until, bastide_engine::without_backup("a test", "in code"));
    scene.migrate(&options).await.unwrap();
}

/// The server process that writes into `table` for the `nth` time from now does `what` before it commits.
async fn at_chunk(scene: &Scene, table: &str, event: &str, nth: u32, what: &str) {
    let body = format!("IF pg_catalog.nextval('bastide.chunk') = {nth} THEN {what}; END IF; RETURN NULL;");
    scene
        .db
        .execute(&format!(
            "CREATE SEQUENCE IF NOT EXISTS bastide.chunk;
             SELECT setval('bastide.chunk', 1, false);
             CREATE OR REPLACE FUNCTION bastide.at_chunk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} END $$;
             CREATE OR REPLACE TRIGGER at_chunk AFTER {event} ON bastide.{table} FOR EACH STATEMENT EXECUTE FUNCTION bastide.at_chunk();
             ALTER TABLE bastide.{table} ENABLE ALWAYS TRIGGER at_chunk"
        ))
        .await;
}

async fn dies_at(scene: &Scene, table: &str, event: &str, nth: u32) {
    let dies = "PERFORM pg_terminate_backend(pg_backend_pid()); PERFORM pg_sleep(60)";
    at_chunk(scene, table, event, nth, dies).await;
}

fn killed_in(scene: &Scene, step: &str, back: bool) -> bool {
    victim_dies(scene, back, &[("BASTIDE_FAULT", &format!("after_loss:{step}"))])
}

async fn state(scene: &Scene) -> RunState {
    status(&scene.place().target, None).await.unwrap().0.state
}

async fn proved(scene: &Scene) {
    assert_eq!(state(scene).await, RunState::CutOver);
    assert_eq!(scene.db.query_one_text(DONE).await, ALL_DONE);
    let verdict = validate_rows(&scene.place().target, None, false, &|_| {}).await.unwrap();
    assert_eq!(verdict.failures().count(), 0, "{verdict:#?}");
}

/// Each process commits one chunk and dies in the next; the last one is through. Then the way back dies at every statement.
async fn goes_on((table, step): (&str, &str), at_least: u32) {
    let scene = scene().await;
    let before = scene.snapshot().await;
    begun(&scene, None).await;
    let (mut on, mut back) = (0, 0);
    loop {
        dies_at(&scene, table, "INSERT", 2).await;
        if !killed_in(&scene, step, false) {
            break;
        }
        on += 1;
    }
    proved(&scene).await;
    loop {
        dies_at(&scene, table, "UPDATE", back + 1).await;
        if !killed_in(&scene, step, true) {
            break;
        }
        back += 1;
    }
    tell(&format!("{step}: {on} kills going on, {back} going back"));
    assert!(on >= at_least && back >= 1, "{on} and {back}");
    assert_eq!(state(&scene).await, RunState::RolledBack);
    scene.assert_as(&before).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn settling_links_goes_on_from_every_commit() {
    goes_on(SETTLE, 8).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn holding_rows_aside_goes_on_from_every_commit() {
    goes_on(HOLD, 3).await;
}

/// From a fresh run each time: killed in one chunk after the other, and rolled back.
async fn is_taken_back((table, step): (&str, &str), at_least: u32) {
    let scene = scene().await;
    let before = scene.snapshot().await;
    let mut kills = 0;
    loop {
        begun(&scene, None).await;
        dies_at(&scene, table, "INSERT", kills + 1).await;
        let killed = killed_in(&scene, step, false);
        rollback(&scene.place(), None, None, &|_| {})
            .await
            .unwrap_or_else(|error| panic!("killed in chunk {}: {error}", kills + 1));
        scene.assert_as(&before).await;
        if !killed {
            break;
        }
        kills += 1;
    }
    tell(&format!("{step}: {kills} kills, each rolled back"));
    assert!(kills >= at_least, "{kills}");
}

#[tokio::test(flavor = "multi_thread")]
async fn settling_links_is_taken_back_from_every_commit() {
    is_taken_back(SETTLE, 10).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn holding_rows_aside_is_taken_back_from_every_commit() {
    is_taken_back(HOLD, 4).await;
}

/// Several statements in one transaction: of a killed one nothing is there.
#[tokio::test(flavor = "multi_thread")]
async fn bringing_in_keys_is_all_or_nothing() {
    const GIVEN: &str = "SELECT count(*) FROM bastide.given";
    let (table, step) = GIVE;
    let scene = scene().await;
    let before = scene.snapshot().await;
    for goes_on in [true, false] {
        begun(&scene, Some(Phase::Preflight)).await;
        for nth in [1, 2] {
            dies_at(&scene, table, "INSERT", nth).await;
            assert!(killed_in(&scene, step, false));
            assert_eq!(scene.db.query_one_text(GIVEN).await, "0");
        }
        if goes_on {
            assert!(!victim_dies(&scene, false, &[]));
            assert_eq!(scene.db.query_one_text(GIVEN).await, "5300");
            proved(&scene).await;
            dies_at(&scene, table, "DELETE", 1).await;
            assert!(killed_in(&scene, step, true));
            assert_eq!(state(&scene).await, RunState::RollingBack);
        }
        rollback(&scene.place(), None, None, &|_| {}).await.unwrap();
        scene.assert_as(&before).await;
    }
}

/// Whoever only loses the connection needs nobody to go on.
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_connection_between_commits_is_made_good() {
    let scene = scene().await;
    let before = scene.snapshot().await;
    begun(&scene, None).await;
    for (table, _) in [SETTLE, HOLD] {
        dies_at(&scene, table, "INSERT", 2).await;
    }
    // One count for both tables: what settles loses its connection, what holds aside comes after that.
    scene.cutover().await.unwrap();
    proved(&scene).await;
    dies_at(&scene, HOLD.0, "UPDATE", 2).await;
    scene.rollback(None).await.unwrap();
    scene.assert_as(&before).await;
}

/// `kill -9` reaches Bastide, not the server: the statement that it left behind goes on to its end, and nobody disturbs it.
#[tokio::test(flavor = "multi_thread")]
async fn a_statement_that_outlives_its_run_disturbs_nothing() {
    const WAITS: &str = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'advisory' AND application_name = 'bastide'";
    let scene = scene().await;
    let before = scene.snapshot().await;
    for goes_on in [true, false] {
        begun(&scene, None).await;
        let door = scene.db.client().await;
        door.batch_execute("SELECT pg_advisory_lock(7)").await.unwrap();
        at_chunk(&scene, SETTLE.0, "INSERT", 3, "PERFORM pg_advisory_xact_lock(7)").await;
        let mut victim = a_victim(&scene, false, &[]).spawn().unwrap();
        while scene.db.query_one_text(WAITS).await == "0" {
            assert!(victim.try_wait().unwrap().is_none(), "it came to its end");
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        victim.kill().unwrap();
        victim.wait().unwrap();
        door.batch_execute("SELECT pg_advisory_unlock(7)").await.unwrap();
        if goes_on {
            resume(&scene.place(), None, None, &|_| {}).await.unwrap();
            proved(&scene).await;
        }
        rollback(&scene.place(), None, None, &|_| {}).await.unwrap();
        scene.assert_as(&before).await;
    }
}
