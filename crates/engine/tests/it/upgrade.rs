//! `legacy upgrade`, run again: on rows that came since, on none, on a run that is elsewhere; killed at every place; and
//! the way back from each.

use bastide_engine::{EngineError, RunState, Upgraded, migrate, upgrade_again, without_backup};
use bastide_plan::Phase;

use crate::{
    kill::victim_dies,
    scene::{Scene, config, same_schema},
};

/// A root that takes no quarantine tenant, so that a row may stay without one: a reused column, an added one, a key of
/// two columns, a table without a key, partitions, names that need quotes, a trigger that must not fire.
const SHOP: &str = r#"
CREATE TABLE merchants (id int PRIMARY KEY CHECK (id > 0), slug text NOT NULL UNIQUE);
CREATE TABLE customers (id int PRIMARY KEY, merchant_id int REFERENCES merchants, email text NOT NULL, seen int NOT NULL DEFAULT 0);
CREATE TABLE "Orders" (id int PRIMARY KEY, "customerId" int REFERENCES customers, total numeric(10,2));
CREATE TABLE lines (order_id int REFERENCES "Orders", n int, what text, PRIMARY KEY (order_id, n));
CREATE TABLE visits ("Who" int REFERENCES customers, at timestamptz);
CREATE TABLE events (id int, at date, order_id int REFERENCES "Orders", PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
CREATE TABLE events_2025 PARTITION OF events FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE FUNCTION seen() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.seen := NEW.seen + 1; RETURN NEW; END';
CREATE TRIGGER seen BEFORE UPDATE ON customers FOR EACH ROW EXECUTE FUNCTION seen();
INSERT INTO merchants VALUES (1, 'one'), (2, 'two');
INSERT INTO customers SELECT i, CASE WHEN i <= 5 THEN i % 2 + 1 END, 'c' || i FROM generate_series(1, 6) i;
INSERT INTO "Orders" SELECT i, i % 5 + 1, i FROM generate_series(1, 40) i;
INSERT INTO lines SELECT i, 1 FROM generate_series(1, 40) i;
INSERT INTO visits SELECT i % 5 + 1, '2025-03-01' FROM generate_series(1, 20) i;
INSERT INTO events SELECT i, '2025-02-01', i FROM generate_series(1, 40) i;
"#;

/// Rows that came in with triggers asleep, and one whose customer nobody knew before it came.
const ORPHANS: &str = r#"
SET session_replication_role = replica;
INSERT INTO "Orders" VALUES (100, 3, 1);
INSERT INTO lines VALUES (100, 1, 'late');
INSERT INTO visits VALUES (4, '2025-04-01');
INSERT INTO events VALUES (100, '2025-04-01', 100);
UPDATE customers SET merchant_id = NULL WHERE id = 5;
UPDATE "Orders" SET "customerId" = 2, tenant_id = NULL WHERE id = 40;
SET session_replication_role = origin;
"#;

const TAKE_BACK: &str = r#"
SET session_replication_role = replica;
DELETE FROM events WHERE id = 100; DELETE FROM lines WHERE order_id = 100; DELETE FROM "Orders" WHERE id = 100; DELETE FROM visits WHERE at = '2025-04-01';
UPDATE customers SET merchant_id = 2 WHERE id = 5; UPDATE "Orders" SET "customerId" = 1 WHERE id = 40;
SET session_replication_role = origin;
"#;

async fn shop() -> Scene {
    let server = bastide_testkit::server().await;
    let db = server.database("shop").await;
    db.execute(SHOP).await;
    Scene::on(server, db, config())
}

async fn upgraded() -> Scene {
    let scene = shop().await;
    upgrade(&scene).await;
    scene
}

async fn upgrade(scene: &Scene) {
    let mut options = scene.options().await;
    assert!(options.plan.quarantine.is_none());
    (options.until, options.backup) = (Some(Phase::Assignment), without_backup("a test", "in code"));
    let outcome = migrate(&options, &|_| {}).await.unwrap();
    assert_eq!(outcome.run.state, RunState::Upgraded);
}

async fn again(scene: &Scene) -> Result<Upgraded, EngineError> {
    upgrade_again(&scene.place(), &|_| {}).await
}

const ASSIGNED: &str = "SELECT string_agg(concat_ws(' ', relation, key, tenant, rule), E'\n' ORDER BY relation, key::text, tenant) FROM bastide.assignment";
const OPEN: &str = "SELECT (SELECT string_agg(id::text, ',' ORDER BY id) FROM customers WHERE merchant_id IS NULL) || (SELECT count(*) FROM \"Orders\" WHERE tenant_id IS NULL) || (SELECT count(*) FROM lines WHERE tenant_id IS NULL) || (SELECT count(*) FROM visits WHERE tenant_id IS NULL) || (SELECT count(*) FROM events WHERE tenant_id IS NULL)";

#[tokio::test(flavor = "multi_thread")]
async fn it_finds_what_came_since_and_touches_nothing_else() {
    let scene = shop().await;
    let before = scene.snapshot().await;
    upgrade(&scene).await;
    let whole = scene.db.fingerprints().await;
    // Again on what is whole: one customer is nobody's, and nothing is written anew, not even about him.
    let nothing = again(&scene).await.unwrap();
    let assigned = scene.db.query_one_text(ASSIGNED).await;
    again(&scene).await.unwrap();
    assert_eq!((nothing.open_before, nothing.open, nothing.went_on), (1, 1, false));
    assert_eq!(nothing.outcome.run.state, RunState::Upgraded);
    assert_eq!(scene.db.query_one_text(ASSIGNED).await, assigned);
    assert_eq!(scene.db.fingerprints().await, whole);

    scene.db.execute(ORPHANS).await;
    assert_eq!(scene.db.query_one_text(OPEN).await, "5,62111");
    let versions = "SELECT string_agg(concat_ws(' ', id, xmin), ',' ORDER BY id) FROM \"Orders\" WHERE id NOT IN (40, 100)";
    let untouched = scene.db.query_one_text(versions).await;
    let found = again(&scene).await.unwrap();
    assert_eq!((found.open_before, found.open), (7, 1));
    assert_eq!(scene.db.query_one_text(OPEN).await, "60000");
    assert_eq!(scene.db.query_one_text(versions).await, untouched, "only orphans are written");
    // By what is true now, not by what was recorded: order 40 changed hands, and his orders say whose customer 5 is.
    assert_eq!(scene.db.query_one_text("SELECT tenant_id::text FROM \"Orders\" WHERE id = 40").await, "1");
    assert_eq!(
        scene.db.query_one_text("SELECT concat_ws(' ', merchant_id, seen) FROM customers WHERE id = 5").await,
        "2 0"
    );
    let once = again(&scene).await.unwrap();
    assert_eq!((once.open_before, once.open), (1, 1));

    // On, and all the way back.
    assert_eq!(scene.resume().await.unwrap().run.state, RunState::PendingCutover);
    let refused = again(&scene).await.unwrap_err();
    assert!(matches!(refused, EngineError::Migrated { .. }) && refused.exit_code() == 2, "{refused}");
    scene.rollback(None).await.unwrap();
    scene.db.execute(TAKE_BACK).await;
    scene.assert_as(&before).await;
    assert!(matches!(again(&scene).await.unwrap_err(), EngineError::NoRun));
}

#[tokio::test(flavor = "multi_thread")]
async fn where_no_row_can_be_without_a_tenant_there_is_nothing_to_do() {
    let scene = Scene::small().await;
    let before = scene.snapshot().await;
    let mut options = scene.options().await;
    options.until = Some(Phase::Assignment);
    scene.migrate(&options).await.unwrap();
    let nothing = again(&scene).await.unwrap();
    assert_eq!((nothing.open_before, nothing.open, nothing.quarantined), (0, 0, 1));
    // A second migration is no way on.
    let refused = scene.migrate(&options).await.unwrap_err();
    assert!(
        refused.to_string().contains("upgraded") && refused.to_string().contains("rls resume"),
        "{refused}"
    );
    scene.rollback(None).await.unwrap();
    scene.assert_as(&before).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schema_that_changed_since_is_named() {
    let scene = shop().await;
    let before = scene.snapshot().await;
    upgrade(&scene).await;
    let left = scene.db.schema_dump().await;
    scene.db.execute("ALTER TABLE lines ADD COLUMN late text").await;
    let stale = again(&scene).await.unwrap_err();
    assert_eq!(stale.exit_code(), 2);
    assert!(
        stale.to_string().contains("public.lines") && stale.to_string().contains("legacy rollback"),
        "{stale}"
    );
    scene.db.execute("ALTER TABLE lines DROP COLUMN late").await;
    same_schema(&left, &scene.db.schema_dump().await);
    again(&scene).await.unwrap();
    // What was further on and came back is upgraded, too.
    scene.resume().await.unwrap();
    let undone = scene.rollback(Some(Phase::Assignment)).await.unwrap();
    assert_eq!(undone.run.state, RunState::Upgraded);
    again(&scene).await.unwrap();
    scene.rollback(None).await.unwrap();
    scene.assert_as(&before).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_stopped_before_goes_on_to_the_end_of_assignment() {
    let scene = shop().await;
    let mut options = scene.options().await;
    options.until = Some(Phase::Analysis);
    migrate(&options, &|_| {}).await.unwrap();
    let found = again(&scene).await.unwrap();
    assert!(found.went_on);
    assert_eq!(found.outcome.run.state, RunState::Upgraded);
    scene.resume().await.unwrap();
    scene.rollback(Some(Phase::Policies)).await.unwrap();
    let refused = again(&scene).await.unwrap_err();
    assert!(refused.exit_code() == 4 && refused.to_string().contains("rls resume"), "{refused}");
}

/// Every place that a second upgrade passes.
fn places(scene: &Scene) -> Vec<String> {
    let log = scene.state_dir.path().join("places");
    let set = [("BASTIDE_FAULT_LOG", log.to_str().unwrap()), ("BASTIDE_TEST_AGAIN", "1")];
    assert!(!victim_dies(scene, false, &set));
    let places = std::fs::read_to_string(&log).expect("the feature `fault` is on");
    places.lines().map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_anywhere_it_goes_on() {
    let scene = upgraded().await;
    scene.db.execute(ORPHANS).await;
    let places = places(&scene);
    assert!(places.len() > 20, "{places:?}");
    for place in &places {
        scene.db.execute(TAKE_BACK).await;
        scene.db.execute(ORPHANS).await;
        let set = [("BASTIDE_FAULT", place.as_str()), ("BASTIDE_TEST_AGAIN", "1")];
        assert!(victim_dies(&scene, false, &set), "nobody came by {place}");
        let found = again(&scene).await.unwrap_or_else(|error| panic!("after {place}: {error}"));
        assert_eq!(found.outcome.run.state, RunState::Upgraded, "after {place}");
        assert_eq!(scene.db.query_one_text(OPEN).await, "60000", "after {place}");
    }
    assert_eq!(scene.resume().await.unwrap().run.state, RunState::PendingCutover);
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_anywhere_it_rolls_back() {
    let scene = shop().await;
    let before = scene.snapshot().await;
    upgrade(&scene).await;
    scene.db.execute(ORPHANS).await;
    for place in places(&scene) {
        if scene
            .db
            .query_one_text("SELECT count(*)::text FROM pg_trigger WHERE tgname = '~bastide_tenant'")
            .await
            == "0"
        {
            upgrade(&scene).await;
        }
        scene.db.execute(TAKE_BACK).await;
        scene.db.execute(ORPHANS).await;
        let set = [("BASTIDE_FAULT", place.as_str()), ("BASTIDE_TEST_AGAIN", "1")];
        assert!(victim_dies(&scene, false, &set), "nobody came by {place}");
        scene.rollback(None).await.unwrap_or_else(|error| panic!("after {place}: {error}"));
        scene.db.execute(TAKE_BACK).await;
        scene.assert_as(&before).await;
    }
}
