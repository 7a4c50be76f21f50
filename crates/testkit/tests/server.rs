//! Servers of one test: apart, quick, and gone afterwards.

use bastide_testkit::{server, template};

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
async fn a_template_is_loaded_once() {
    use std::sync::atomic::{AtomicU32, Ordering};
    let loads = AtomicU32::new(0);
    let version = format!("{:?}", std::time::SystemTime::now());
    for _ in 0..2 {
        let (server, db) = template("loaded-once", &version, async |db| {
            loads.fetch_add(1, Ordering::Relaxed);
            db.execute("CREATE TABLE t AS SELECT generate_series(1, 100) AS a").await;
        })
        .await;
        assert_eq!(db.query_one_text("SELECT count(*) FROM t").await, "100");
        let copy = server.copy_of(&db, "copy").await;
        assert_eq!(copy.fingerprints().await, db.fingerprints().await);
    }
    assert_eq!(loads.into_inner(), 1);
}

#[tokio::test]
#[should_panic(expected = "ERROR 42P01: relation \"nowhere\" does not exist")]
async fn a_failing_statement_shows_the_servers_words() {
    let server = server().await;
    server.database("shop").await.execute("SELECT * FROM nowhere").await;
}
