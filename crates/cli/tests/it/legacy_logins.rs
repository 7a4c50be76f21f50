//! Cutover, for each kind of legacy login: the tables' owner, a superuser, and one that has grants and nothing else.

use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
};

use bastide_testkit::{Database, Server, diff, server};
use tokio_postgres::Client;

use crate::bastide::Bastide;

const SHOP: &str = "
CREATE ROLE keeper LOGIN PASSWORD 'keeper'; CREATE ROLE admin LOGIN SUPERUSER PASSWORD 'admin'; CREATE ROLE seller LOGIN PASSWORD 'seller';
GRANT CREATE ON SCHEMA public TO keeper;
SET ROLE keeper;
CREATE TABLE merchants (id int PRIMARY KEY, name text NOT NULL);
CREATE TABLE customers (id int PRIMARY KEY, merchant_id int NOT NULL REFERENCES merchants);
CREATE TABLE orders (id int PRIMARY KEY, customer_id int NOT NULL REFERENCES customers);
CREATE TABLE lines (order_id int REFERENCES orders, n int, PRIMARY KEY (order_id, n));
CREATE TABLE marks (order_id int, n int, mark text, FOREIGN KEY (order_id, n) REFERENCES lines, PRIMARY KEY (order_id, n, mark));
CREATE TABLE rates (id int PRIMARY KEY, rate int);
CREATE MATERIALIZED VIEW own_counts AS SELECT count(*) AS n FROM orders;
GRANT SELECT, INSERT, UPDATE, DELETE ON merchants, customers, orders, lines, marks TO seller;
GRANT SELECT ON own_counts TO seller WITH GRANT OPTION;
RESET ROLE;
INSERT INTO merchants VALUES (1, 'one'), (2, 'two');
INSERT INTO customers SELECT i, 1 + i % 2 FROM generate_series(1, 10) i;
INSERT INTO orders SELECT i, 1 + i % 10 FROM generate_series(1, 100) i;
INSERT INTO lines SELECT i, n FROM generate_series(1, 100) i, generate_series(1, 3) n;
INSERT INTO marks SELECT i, 1, 'new' FROM generate_series(1, 100) i;
CREATE MATERIALIZED VIEW copies AS SELECT id, customer_id FROM orders; GRANT SELECT ON copies TO seller, keeper;
GRANT SELECT (id) ON copies TO seller WITH GRANT OPTION;
CREATE VIEW rated AS SELECT o.id, r.rate FROM orders o LEFT JOIN rates r USING (id); GRANT SELECT ON rated TO seller;
REFRESH MATERIALIZED VIEW own_counts;
CREATE FUNCTION count_orders() RETURNS bigint LANGUAGE sql SECURITY DEFINER RETURN (SELECT count(*) FROM orders);
";

const MIGRATE: &[&str] = &[
    "rls",
    "migrate",
    "--yes",
    "--no-backup",
    "--i-have-a-backup",
    "--accept-defaults",
    "--tenant-root",
    "public.merchants",
];

async fn shop() -> (Server, Database, Bastide) {
    let server = server().await;
    let db = server.database("shop").await;
    db.execute(SHOP).await;
    let bastide = Bastide::on(db.url());
    (server, db, bastide)
}

async fn number(client: &Client, query: &str) -> i64 {
    client.query_one(query, &[]).await.unwrap_or_else(|error| panic!("{query}: {error:?}")).get(0)
}

/// The SQLSTATE it is refused with.
async fn refused(client: &Client, statement: &str) -> String {
    let error = client.batch_execute(statement).await.expect_err(statement);
    error.code().unwrap_or_else(|| panic!("{statement}: {error:?}")).code().to_owned()
}

async fn as_app(db: &Database, tenant: Option<&str>) -> String {
    let context = tenant
        .map(|tenant| format!("DO $$ BEGIN PERFORM bastide.set_tenant('{tenant}'); END $$;"))
        .unwrap_or_default();
    let all =
        format!("BEGIN; SET LOCAL ROLE bastide_app; {context} SELECT count(*)::text FROM lines; ROLLBACK");
    db.query_one_text(&all).await
}

/// Ends the session, and waits until the server has seen that.
async fn leave(db: &Database, client: Client, login: &str) {
    drop(client);
    let there = format!("SELECT count(*)::text FROM pg_stat_activity WHERE usename = '{login}'");
    while db.query_one_text(&there).await != "0" {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

/// What ends for a login at cutover, and comes back.
struct Ends<'a> {
    login: &'a str,
    /// What it may read besides the tables, and no longer then.
    closed: &'a [&'a str],
}

async fn there_and_back(ends: Ends<'_>) {
    let Ends { login, closed } = ends;
    let (_server, db, bastide) = shop().await;
    let (dump, columns) = (db.schema_dump().await, db.columns().await);
    let rows = db.fingerprints_of(&columns).await;
    let migrated = bastide.run(MIGRATE).expect(0);
    assert!(!migrated.stderr.contains("foresaw"), "{}", migrated.stderr);

    let legacy = db.client_as(login, login).await;
    legacy.batch_execute("SET application_name = 'till'").await.unwrap();
    assert_eq!(number(&legacy, "SELECT count(*) FROM lines").await, 300);
    for query in closed {
        assert_eq!(number(&legacy, query).await, 100, "{query}");
    }
    legacy.batch_execute("INSERT INTO lines VALUES (1, 4); DELETE FROM lines WHERE n = 4").await.unwrap();
    assert_eq!(as_app(&db, None).await, "0", "the new application is bound already");
    assert_eq!(as_app(&db, Some("1")).await, "150");

    // An order goes to another merchant's customer, and all that hangs from it with it.
    legacy.batch_execute("UPDATE orders SET customer_id = 2 WHERE id = 2").await.unwrap();
    let whose = async |order: i32| {
        let below = format!(
            "SELECT string_agg(DISTINCT tenant_id::text, ' ') FROM (SELECT tenant_id FROM orders WHERE id = {order} UNION ALL SELECT tenant_id FROM lines WHERE order_id = {order} UNION ALL SELECT tenant_id FROM marks WHERE order_id = {order}) x"
        );
        db.query_one_text(&below).await
    };
    assert_eq!(whose(2).await, "1");
    // So does a customer, by the shop's own column.
    legacy.batch_execute("UPDATE customers SET merchant_id = 2 WHERE id = 4").await.unwrap();
    assert_eq!(whose(3).await, "2");
    bastide.run(&["legacy", "validate"]).expect(0);

    // It is still there, so nothing happens but that it is named.
    let stopped = bastide.run(&["rls", "cutover", "--watch", "0.6", "--yes"]).expect(2);
    assert!(
        stopped.stdout.contains(&format!("login {login} is in use: 1 session(s) of till")),
        "{}",
        stopped.stdout
    );
    assert!(stopped.stdout.contains("can have been missed"), "{}", stopped.stdout);
    assert!(stopped.stderr.contains("--in-use"), "{}", stopped.stderr);
    let seen = bastide.run(&["rls", "cutover", "--watch", "0", "--yes", "--format", "json"]).expect(2).json();
    assert_eq!(seen["logins"][0]["login"], login);
    assert_eq!(seen["logins"][0]["applications"][0], "till");
    assert!(seen["logins"][0]["last_statement"].is_string(), "{seen:#}");
    assert_eq!(bastide.run(&["rls", "status", "--format", "json"]).json()["state"], "pending_cutover");
    assert_eq!(number(&legacy, "SELECT count(*) FROM lines").await, 300);

    let cut = bastide.run(&["rls", "cutover", "--watch", "0", "--yes", "--in-use"]).expect(0);
    assert!(cut.stderr.contains("count_orders() runs as postgres"), "{}", cut.stderr);
    assert!(!cut.stderr.contains("foresaw"), "{}", cut.stderr);
    assert!(cut.stdout.contains(" 0 held aside"), "{}", cut.stdout);
    assert_eq!(number(&legacy, "SELECT count(*) FROM lines").await, 0, "no context, no rows");
    assert_eq!(refused(&legacy, "INSERT INTO lines VALUES (1, 9)").await, "42501");
    for query in closed {
        assert_eq!(refused(&legacy, query).await, "42501", "{query}");
    }
    bastide.run(&["rls", "validate"]).expect(0);

    bastide.run(&["rls", "rollback", "--yes"]).expect(0);
    assert_eq!(number(&legacy, "SELECT count(*) FROM lines").await, 300);
    for query in closed {
        assert_eq!(number(&legacy, query).await, 100, "{query}");
    }
    assert_eq!(db.schema_dump().await, dump, "the schema is as it was");
    legacy
        .batch_execute("UPDATE orders SET customer_id = 3 WHERE id = 2; UPDATE customers SET merchant_id = 1 WHERE id = 4")
        .await
        .unwrap();
    let after = db.fingerprints_of(&columns).await;
    assert_eq!(after, rows, "{}", diff(&rows, &after));

    leave(&db, legacy, login).await;
    bastide.run(MIGRATE).expect(0);
    bastide.run(&["rls", "cutover", "--watch", "0.3", "--yes"]).expect(0);
    finished(&bastide);
    let legacy = db.client_as(login, login).await;
    assert_eq!(number(&legacy, "SELECT count(*) FROM lines").await, 0);
}

/// It says what it discards before it asks, and without an answer discards nothing.
fn finished(bastide: &Bastide) {
    let told = bastide.run(&["rls", "finish"]).expect(2);
    assert!(told.stderr.contains("journal entries"), "{}", told.stderr);
    assert!(told.stderr.contains("`bastide rls rollback` is no longer possible"), "{}", told.stderr);
    let told = bastide.run(&["rls", "finish", "--format", "json"]).expect(2).json();
    assert!(told["journal_entries"].as_i64().unwrap() > 30, "{told:#}");
    assert_eq!(told["rows_with_evidence"], 500, "{told:#}");
    assert!(told["bytes"].as_i64().unwrap() > 0, "{told:#}");
    let done = bastide.run(&["rls", "finish", "--yes", "--format", "json"]).expect(0).json();
    assert_eq!(done["state"], "finished", "{done:#}");
    assert_eq!(done["discarded"]["journal_entries"], told["journal_entries"]);
    assert!(bastide.run(&["rls", "rollback", "--yes"]).code != 0);
}

#[tokio::test]
async fn the_owner_is_bound_by_force() {
    there_and_back(Ends {
        login: "keeper",
        closed: &["SELECT n FROM own_counts", "SELECT count(id) FROM copies"],
    })
    .await;
}

#[tokio::test]
async fn a_login_with_grants_alone_is_bound_and_reads_no_copy_either() {
    let closed = ["SELECT n FROM own_counts", "SELECT count(id) FROM copies", "SELECT count(*) FROM rated"];
    there_and_back(Ends { login: "seller", closed: &closed }).await;
}

#[tokio::test]
async fn a_superuser_cannot_be_bound_and_is_asked_to_go_elsewhere() {
    let (_server, db, bastide) = shop().await;
    let dump = db.schema_dump().await;
    bastide.run(MIGRATE).expect(0);
    let legacy = db.client_as("admin", "admin").await;
    // Another session of the login that Bastide itself runs as.
    let own = db.client().await;
    own.batch_execute("SET application_name = 'old till'").await.unwrap();
    let stopped = bastide.run(&["rls", "cutover", "--watch", "0", "--yes"]).expect(2);
    assert!(
        stopped
            .stdout
            .contains("it is a superuser, which no policy can bind: give the application another login"),
        "{}",
        stopped.stdout
    );
    assert!(
        stopped.stdout.contains("login postgres is in use: 1 session(s) of old till"),
        "{}",
        stopped.stdout
    );
    assert!(stopped.stderr.contains("nothing was changed: admin is still in use"), "{}", stopped.stderr);
    let cut = bastide.run(&["rls", "cutover", "--watch", "0", "--yes", "--in-use"]).expect(0);
    assert!(cut.stderr.contains("login admin is in use"), "{}", cut.stderr);
    assert!(cut.stderr.contains("postgres is a superuser, which no policy binds"), "{}", cut.stderr);
    for client in [&legacy, &own] {
        assert_eq!(number(client, "SELECT count(*) FROM lines").await, 300, "and never is it locked out");
    }
    let logins =
        "SELECT string_agg(rolname, ' ' ORDER BY rolname) FROM pg_roles WHERE rolsuper AND rolcanlogin";
    assert_eq!(db.query_one_text(logins).await, "admin postgres");
    bastide.run(&["rls", "rollback", "--yes"]).expect(0);
    assert_eq!(db.schema_dump().await, dump, "the schema is as it was");
    assert_eq!(number(&legacy, "SELECT count(*) FROM lines").await, 300);
    leave(&db, legacy, "admin").await;
    bastide.run(MIGRATE).expect(0);
    // The login that it runs as alone stops nothing.
    bastide.run(&["rls", "cutover", "--watch", "0.3", "--yes"]).expect(0);
    finished(&bastide);
}

#[tokio::test]
async fn what_the_run_lent_a_login_does_not_pass_for_its_own() {
    let (_server, db, bastide) = shop().await;
    db.execute(
        "CREATE ROLE auditor LOGIN BYPASSRLS PASSWORD 'auditor'; CREATE ROLE guest LOGIN PASSWORD 'guest'; GRANT SELECT ON lines TO auditor",
    )
    .await;
    let file = bastide.path().join("bastide.toml");
    std::fs::write(&file, "[answers]\n\"login:seller\" = \"bypass\"\n").unwrap();
    bastide.run(&[MIGRATE, &["--config", file.to_str().unwrap()]].concat()).expect(0);
    let mut there = Vec::new();
    for login in ["auditor", "guest", "seller"] {
        there.push(db.client_as(login, login).await);
    }
    let seen = bastide.run(&["rls", "cutover", "--watch", "0", "--yes", "--format", "json"]).expect(2).json();
    let logins: Vec<_> = seen["logins"]
        .as_array()
        .unwrap()
        .iter()
        .map(|seen| format!("{} {}", seen["login"].as_str().unwrap(), seen["bound"].as_str().unwrap()))
        .collect();
    assert_eq!(logins, ["auditor bypass_rls", "seller bound"], "a guest can reach nothing");
}

#[tokio::test]
async fn whoever_interrupts_the_watch_changes_nothing() {
    let (_server, db, bastide) = shop().await;
    bastide.run(MIGRATE).expect(0);
    let pending = db.schema_dump().await;
    let mut command = bastide.command();
    command.args(["rls", "cutover", "--watch", "600", "--yes"]);
    let mut watching = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut said = String::new();
    BufReader::new(watching.stderr.take().unwrap()).read_line(&mut said).unwrap();
    assert!(said.contains("watching for 600 s"), "{said}");
    assert!(Command::new("kill").args(["-INT", &watching.id().to_string()]).status().unwrap().success());
    assert!(!watching.wait().unwrap().success());
    assert_eq!(bastide.run(&["rls", "status", "--format", "json"]).json()["state"], "pending_cutover");
    assert_eq!(db.schema_dump().await, pending);
    // A session too short for any look is counted, if not named.
    let mut command = bastide.command();
    command.args(["rls", "cutover", "--watch", "2", "--yes"]);
    let mut watching = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(watching.stderr.take().unwrap());
    let mut line = String::new();
    said.read_line(&mut line).unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(600)).await;
    for _ in 0..30 {
        drop(db.client_as("seller", "seller").await);
    }
    let rest: Vec<String> = said.lines().map_while(Result::ok).collect();
    let rest = rest.join("\n");
    let told = rest.contains("of unknown logins that no look met") || rest.contains("seller is still in use");
    assert!(told, "{rest}");
    watching.wait().unwrap();
}
