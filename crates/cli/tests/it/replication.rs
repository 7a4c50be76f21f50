//! Logical replication for real: a publisher that is migrated, subscribers that go on or stop, and a subscriber as the database
//! to migrate.

use std::time::Duration;

use bastide_testkit::{Database, Server, server_with};

use crate::bastide::Bastide;

const SHOP: &str = "CREATE TABLE shop (id integer PRIMARY KEY, name text NOT NULL);
    CREATE TABLE sale (id integer PRIMARY KEY, shop_id integer REFERENCES shop, note text);
    CREATE TABLE line (id integer PRIMARY KEY, sale integer NOT NULL REFERENCES sale);";
const ROWS: &str = "INSERT INTO shop VALUES (1, 'a'), (2, 'b'); INSERT INTO sale SELECT g, 1 + g % 2, 'x' FROM generate_series(1, 20) g;
    INSERT INTO line SELECT g, g FROM generate_series(1, 20) g";

const PLAN: [&str; 5] = ["rls", "plan", "--accept-defaults", "--tenant-root", "public.shop"];

async fn publisher(publication: &str) -> (Server, Database) {
    let server = server_with(&[("wal_level", "logical")]).await;
    let db = server.database("publisher").await;
    db.execute(SHOP).await;
    db.execute(ROWS).await;
    db.execute(publication).await;
    (server, db)
}

/// A database of the same server: its slot has to be made by hand, since making it would wait for itself.
async fn subscriber(
    server: &Server,
    publisher: &Database,
    name: &'static str,
    publication: &str,
) -> Database {
    let db = server.database(name).await;
    db.execute(SHOP).await;
    publisher.execute(&format!("SELECT pg_create_logical_replication_slot('{name}', 'pgoutput')")).await;
    let url = publisher.url();
    db.execute(&format!(
        "CREATE SUBSCRIPTION {name} CONNECTION '{url}' PUBLICATION {publication} WITH (create_slot = false)"
    ))
    .await;
    db
}

async fn until(db: &Database, query: &str, answer: &str) {
    for _ in 0..300 {
        if db.query_one_text(query).await == answer {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{query}: {} instead of {answer}", db.query_one_text(query).await);
}

/// A server stops only when its subscriptions let go.
async fn unsubscribe(db: &Database, name: &str) {
    db.execute(&format!("ALTER SUBSCRIPTION {name} DISABLE")).await;
    db.execute(&format!("ALTER SUBSCRIPTION {name} SET (slot_name = NONE)")).await;
    db.execute(&format!("DROP SUBSCRIPTION {name}")).await;
}

const COUNT: &str = "SELECT count(*)::text FROM line";
const STOPPED: &str = "SELECT (sum(apply_error_count) > 0)::text FROM pg_stat_subscription_stats";

#[tokio::test]
async fn a_subscriber_that_would_stop_is_asked_about_and_one_that_is_ready_goes_on() {
    let (server, db) = publisher("CREATE PUBLICATION feed FOR TABLE shop, sale, line; CREATE PUBLICATION picked FOR TABLE line (id, sale)").await;
    let ready = subscriber(&server, &db, "ready", "feed").await;
    let unready = subscriber(&server, &db, "unready", "feed").await;
    let picked = subscriber(&server, &db, "picked", "picked").await;
    for subscriber in [&ready, &unready, &picked] {
        until(subscriber, COUNT, "20").await;
    }
    let dump = db.schema_dump().await;
    let bastide = Bastide::on(db.url());
    let planned = bastide.run(&PLAN).expect(2);
    let said = format!("{}{}", planned.stdout, planned.stderr);
    assert!(said.contains("publication:feed"), "{said}");
    assert!(said.contains("the column tenant_id (integer) of public.line"), "{said}");
    assert!(!said.contains("publication:picked"), "a list of columns does not grow: {said}");

    let plan = bastide.path().join("plan.toml");
    let text = std::fs::read_to_string(&plan).unwrap();
    std::fs::write(&plan, text.replace("answer = \"\"", "answer = \"ready\"")).unwrap();
    bastide.run(&PLAN).expect(0);
    ready.execute("ALTER TABLE line ADD tenant_id integer").await;
    bastide.run(&["rls", "migrate", "--yes", "--plan", plan.to_str().unwrap()]).expect(0);
    db.execute("INSERT INTO line VALUES (1000, 1)").await;
    until(&ready, "SELECT count(*) || ' ' || count(tenant_id) FROM line", "21 21").await;
    until(&picked, COUNT, "21").await;
    // What the question is for.
    until(&unready, STOPPED, "true").await;
    assert_eq!(unready.query_one_text(COUNT).await, "20");

    bastide.run(&["rls", "rollback", "--yes"]).expect(0);
    assert_eq!(db.schema_dump().await, dump);
    db.execute("INSERT INTO line VALUES (1001, 1)").await;
    for subscriber in [&ready, &picked] {
        until(subscriber, COUNT, "22").await;
    }
    for (subscriber, name) in [(&ready, "ready"), (&unready, "unready"), (&picked, "picked")] {
        unsubscribe(subscriber, name).await;
    }
}

#[tokio::test]
async fn a_publication_of_all_tables_sends_ours_as_well() {
    let (server, db) = publisher("CREATE PUBLICATION everything FOR ALL TABLES").await;
    let subscriber = subscriber(&server, &db, "whole", "everything").await;
    until(&subscriber, COUNT, "20").await;
    let planned = Bastide::on(db.url()).run(&PLAN).expect(2);
    let said = format!("{}{}", planned.stdout, planned.stderr);
    assert!(said.contains("schema bastide with its tables, since it is FOR ALL TABLES"), "{said}");
    // It is so:
    subscriber.execute("ALTER TABLE line ADD tenant_id integer").await;
    db.execute(
        "CREATE SCHEMA bastide; CREATE TABLE bastide.run (id integer); INSERT INTO bastide.run VALUES (1)",
    )
    .await;
    until(&subscriber, STOPPED, "true").await;
    unsubscribe(&subscriber, "whole").await;
}

#[tokio::test]
async fn a_table_that_a_subscription_fills_is_refused() {
    let (server, theirs) = publisher("CREATE PUBLICATION feed FOR TABLE shop, sale, line").await;
    let db = subscriber(&server, &theirs, "ours", "feed").await;
    until(&db, COUNT, "20").await;
    let dump = db.schema_dump().await;
    let bastide = Bastide::on(db.url());
    let ran = bastide.run(&PLAN).expect(2);
    for words in [
        "the subscription ours writes rows to public.",
        "--exclude-table public.",
        "ALTER SUBSCRIPTION ours DISABLE",
    ] {
        assert!(ran.stderr.contains(words), "{words}: {}", ran.stderr);
    }
    assert_eq!(db.schema_dump().await, dump);
    db.execute("ALTER SUBSCRIPTION ours DISABLE").await;
    let planned = bastide.run(&PLAN).expect(0);
    let note = "the subscription ours is disabled; once it runs again";
    assert!(planned.stdout.contains(note), "{}", planned.stdout);
    unsubscribe(&db, "ours").await;
}
