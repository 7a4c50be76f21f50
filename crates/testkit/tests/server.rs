//! Servers of one test: apart, quick, and gone afterwards.

use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
};

use bastide_testkit::{Database, server, server_with, template};

#[tokio::test]
async fn a_database_is_fresh_and_answers() {
    let server = server().await;
    let db = server.database("My shop/1").await;
    db.execute("CREATE TABLE t (a int, b text); INSERT INTO t VALUES (1, NULL), (2, 'x')").await;
    assert_eq!(db.query_one_text("SELECT count(*) FROM t").await, "2");
    assert_eq!(db.query_rows("SELECT * FROM t ORDER BY a").await, ["1|", "2|x"]);
    assert_eq!(
        server.database("other").await.query_rows("SELECT relname FROM pg_class WHERE relname = 't'").await,
        [""; 0]
    );
}

#[tokio::test]
async fn servers_share_nothing_and_leave_nothing() {
    let (one, two) = tokio::join!(server(), server());
    one.database("a").await.execute("CREATE ROLE shopkeeper").await;
    let there =
        two.existing("postgres").query_rows("SELECT 1 FROM pg_roles WHERE rolname = 'shopkeeper'").await;
    assert!(there.is_empty());
    let (folder, port) = (one.postgres().data_dir().to_owned(), one.postgres().port());
    drop(one);
    assert!(!folder.exists());
    assert!(std::net::TcpStream::connect(("127.0.0.1", port)).is_err());
}

#[tokio::test]
async fn a_role_gets_in_by_its_own_password_only() {
    let server = server().await;
    let db = server.database("shop").await;
    db.execute("CREATE ROLE \"the app\" LOGIN PASSWORD 'p@ss:/word'").await;
    let client = db.client_as("the app", "p@ss:/word").await;
    let row = client.query_one("SELECT current_user::text", &[]).await.unwrap();
    assert_eq!(row.get::<_, &str>(0), "the app");
    let (client, connection) =
        tokio_postgres::connect(&db.url_as("the app", "p@ss:/word"), tokio_postgres::NoTls).await.unwrap();
    drop(client);
    connection.await.unwrap();
    assert!(tokio_postgres::connect(&db.url_as("the app", "wrong"), tokio_postgres::NoTls).await.is_err());
}

#[tokio::test]
async fn what_was_committed_outlives_a_crash() {
    let mut server = server().await;
    let db = server.database("shop").await;
    db.execute("CREATE TABLE t (a int); INSERT INTO t VALUES (1)").await;
    let client = db.client().await;
    client.batch_execute("BEGIN; INSERT INTO t VALUES (2)").await.unwrap();
    server.crash();
    assert!(client.batch_execute("COMMIT").await.is_err());
    server.restart().await;
    assert_eq!(db.query_rows("SELECT a FROM t").await, ["1"]);
}

#[tokio::test]
async fn a_template_is_loaded_once_and_copied() {
    let loads = AtomicU32::new(0);
    let load = async |db: &Database| {
        loads.fetch_add(1, Ordering::Relaxed);
        db.execute("CREATE TABLE t AS SELECT generate_series(1, 100) AS a").await;
    };
    let (server, db) = template("testkit", "100 rows", load).await;
    let copy = server.copy_of(&db, "copy").await;
    db.execute("DELETE FROM t WHERE a > 50").await;
    assert_eq!(copy.query_one_text("SELECT count(*) FROM t").await, "100");

    let before = loads.load(Ordering::Relaxed);
    let (_other, fresh) = template("testkit", "100 rows", load).await;
    assert_eq!((loads.into_inner(), fresh.fingerprints().await), (before, copy.fingerprints().await));
}

#[tokio::test]
async fn settings_of_ones_own_win() {
    let server = server_with(&[("wal_level", "logical"), ("max_connections", "7")]).await;
    let db = server.existing("postgres");
    assert_eq!(db.query_one_text("SHOW wal_level").await, "logical");
    assert_eq!(db.query_one_text("SHOW max_connections").await, "7");
}

const VICTIM: &str = "BASTIDE_TESTKIT_VICTIM";

/// Only alive when the next test starts it in a process of its own.
#[tokio::test]
async fn victim() {
    if std::env::var_os(VICTIM).is_none() {
        return;
    }
    let server = server().await;
    let postgres = server.postgres();
    let told = format!("\nVICTIM {} {}\n", postgres.pid().unwrap(), postgres.data_dir().display());
    std::io::stdout().write_all(told.as_bytes()).unwrap();
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn what_a_killed_test_left_is_cleared_away() {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "victim", "--nocapture"]).env(VICTIM, "1").stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let line = lines.find_map(|line| line.strip_prefix("VICTIM ").map(str::to_owned)).unwrap();
    let (pid, folder) = line.split_once(' ').unwrap();
    // A process that nobody has waited for yet is dead, though `kill -0` finds it.
    let alive = |pid: &str| {
        let state = Command::new("ps").args(["-o", "stat=", "-p", pid]).output().unwrap().stdout;
        !state.is_empty() && !state.starts_with(b"Z")
    };
    assert!(alive(pid), "the server runs");
    child.kill().unwrap();
    child.wait().unwrap();

    drop(server().await);
    assert!(!Path::new(folder).exists());
    assert!(!alive(pid));
}

#[tokio::test]
#[should_panic(expected = "ERROR 42P01: relation \"nowhere\" does not exist")]
async fn a_failing_statement_shows_the_servers_words() {
    let server = server().await;
    server.database("shop").await.execute("SELECT * FROM nowhere").await;
}
