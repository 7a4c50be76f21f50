//! Every reason for which there is no connection, against a real server: its own variant, a next step, no password.

use std::{process::Command, time::Duration};

use bastide_connect::{ConnectError, Target};
use bastide_testkit::{Database, Server, server};

const SECRET: &str = "s3cret-p4ssword";

async fn shop() -> (Server, Database) {
    let server = server().await;
    let db = server.database("shop").await;
    db.execute(&format!("CREATE ROLE app LOGIN PASSWORD '{SECRET}'")).await;
    (server, db)
}

async fn refused(url: &str) -> ConnectError {
    let target = Target::parse(url).unwrap();
    assert!(!format!("{target:?} {target}").contains(SECRET));
    let Err(error) = target.connect("test").await else { panic!("connected to {target}") };
    let told = format!("{error} {error:?}");
    assert!(!told.contains(SECRET), "{told}");
    error
}

#[tokio::test]
async fn a_connection_works_by_tcp_and_by_socket_in_every_form() {
    let (server, db) = shop().await;
    let postgres = server.postgres();
    let (port, socket, password) = (postgres.port(), postgres.socket_dir().display(), postgres.password());
    let encoded = socket.to_string().replace('/', "%2F");
    for url in [
        db.url(),
        format!("host=127.0.0.1 port={port} user=postgres password='{password}' dbname=shop"),
        format!("host={socket} port={port} user=postgres password={password} dbname=shop sslmode=require"),
        format!("postgresql://postgres:{password}@{encoded}:{port}/shop"),
        format!("postgresql:///shop?host={socket}&port={port}&user=postgres&password={password}"),
    ] {
        let connected = Target::parse(&url).unwrap().connect("bastide test").await.unwrap();
        let row = connected
            .query_one("SELECT current_database()::text, current_setting('application_name')", &[])
            .await;
        let row = row.unwrap();
        assert_eq!((row.get(0), row.get(1)), ("shop", "bastide test"));
        assert_eq!(connected.server_major(), postgres.installation().version().major);
        connected.close().await;
    }
}

#[tokio::test]
async fn as_another_user_and_to_another_database() {
    let (server, db) = shop().await;
    let target = Target::parse(&db.url()).unwrap();
    let connected =
        target.with_user("app", Some(SECRET)).with_database("postgres").connect("test").await.unwrap();
    let row = connected.query_one("SELECT current_user::text, current_database()::text", &[]).await.unwrap();
    assert_eq!((row.get(0), row.get(1)), ("app", "postgres"));
    // The same for child processes: no option on the command line.
    let psql = server.postgres().installation().tool("psql");
    let environment = target.with_user("app", Some(SECRET)).libpq_environment();
    let output =
        Command::new(psql).args(["-XAtc", "SELECT current_user"]).envs(environment).output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "app\n");
}

#[tokio::test]
async fn passwords() {
    let (server, db) = shop().await;
    let error = refused(&db.url_as("app", "wrong")).await;
    assert!(matches!(&error, ConnectError::WrongPassword { user, .. } if user == "app"), "{error}");
    let error = refused(&db.url_as("nobody at all", SECRET)).await;
    assert!(matches!(&error, ConnectError::WrongPassword { .. }), "{error}");
    let error = refused(&format!("postgresql://app@127.0.0.1:{}/shop", server.postgres().port())).await;
    assert!(matches!(&error, ConnectError::NoPassword { .. }), "{error}");
    assert!(error.to_string().contains("PGPASSWORD"));
}

#[tokio::test]
async fn rights() {
    let (server, db) = shop().await;
    let url = db.url_as("app", SECRET);
    let error = refused(&Target::parse(&url).map(|_| url.replace("/shop", "/shoop")).unwrap()).await;
    assert!(
        matches!(&error, ConnectError::NoSuchDatabase { database, .. } if database == "shoop"),
        "{error}"
    );
    assert!(error.to_string().contains("psql -l") && error.to_string().contains("createdb shoop"));

    db.execute("REVOKE CONNECT ON DATABASE shop FROM PUBLIC").await;
    let error = refused(&url).await;
    assert!(matches!(error, ConnectError::NoConnectPrivilege { .. }), "{error}");
    db.execute("GRANT CONNECT ON DATABASE shop TO app; ALTER ROLE app CONNECTION LIMIT 0").await;
    let error = refused(&url).await;
    assert!(matches!(error, ConnectError::TooMany { .. }), "{error}");
    db.execute("ALTER ROLE app NOLOGIN CONNECTION LIMIT -1").await;
    let error = refused(&url).await;
    assert!(matches!(error, ConnectError::NotAllowed { .. }), "{error}");

    let hba = server.postgres().data_dir().join("cluster/pg_hba.conf");
    let rules = std::fs::read_to_string(&hba).unwrap();
    std::fs::write(&hba, format!("host all app all reject\n{rules}")).unwrap();
    db.execute("ALTER ROLE app LOGIN; SELECT pg_reload_conf()").await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    let error = refused(&url).await;
    assert!(
        matches!(error, ConnectError::NotAllowed { .. }) && error.to_string().contains("pg_hba.conf"),
        "{error}"
    );
}

#[tokio::test]
async fn servers_that_are_away_or_going() {
    let (mut server, db) = shop().await;
    let url = db.url();
    // A smart shutdown waits for us and lets nobody else in.
    let stays = Target::parse(&url).unwrap().connect("test").await.unwrap();
    let pid = server.postgres().pid().unwrap().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    tokio::time::sleep(Duration::from_millis(200)).await;
    let error = refused(&url).await;
    assert!(matches!(error, ConnectError::Starting { .. }), "{error}");
    stays.close().await;
    server.crash();
    let error = refused(&url).await;
    assert!(matches!(error, ConnectError::Unreachable { .. }), "{error}");
    let error = refused("postgresql://app:x@no-such-host.invalid/shop").await;
    assert!(error.to_string().contains("no-such-host.invalid:5432"), "{error}");
    assert!(matches!(error, ConnectError::Unreachable { .. }), "{error}");
}

#[tokio::test]
async fn things_that_are_not_postgres() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let error = refused(&format!("postgresql://app:{SECRET}@127.0.0.1:{port}/shop?connect_timeout=1")).await;
    assert!(matches!(error, ConnectError::NoAnswer { seconds: 1, .. }), "{error}");
    let answering = std::thread::spawn(move || {
        use std::io::{Read, Write};
        for _ in 0..2 {
            let (mut stream, _) = silent.accept().unwrap();
            let mut request = [0; 8];
            stream.read_exact(&mut request).unwrap();
            stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
        }
    });
    let error = refused(&format!("postgresql://app:{SECRET}@127.0.0.1:{port}/shop?sslmode=disable")).await;
    assert!(matches!(error, ConnectError::NotPostgres { .. } | ConnectError::Unreachable { .. }), "{error}");
    drop(answering);
}

#[tokio::test]
async fn tls_is_not_offered() {
    let (_server, db) = shop().await;
    let error = refused(&format!("{}?sslmode=require", db.url_as("app", SECRET))).await;
    assert!(matches!(error, ConnectError::Tls { .. }) && error.to_string().contains("ssl = on"), "{error}");
    Target::parse(&format!("{}?sslmode=prefer", db.url())).unwrap().connect("test").await.unwrap();
}

#[test]
fn a_bad_url_says_how_one_looks() {
    let error = Target::parse("mysql://a:b@c").unwrap_err();
    assert!(matches!(error, ConnectError::BadUrl(_)));
    assert!(
        error.to_string().ends_with("write it as postgresql://user:password@host:5432/database"),
        "{error}"
    );
}
