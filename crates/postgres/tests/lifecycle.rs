//! A private server from its first start to its last, and everything that can be in the way.

use std::{
    fs,
    net::TcpListener,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use bastide_postgres::{Installation, PostgresError, Server, running, stop_running};
use tokio_postgres::{Client, Config, NoTls};

const FAST: [(&str, &str); 3] = [("fsync", "off"), ("shared_buffers", "16MB"), ("max_connections", "10")];

/// A folder that PostgreSQL's user may pass through, removed with the value.
fn scratch() -> tempfile::TempDir {
    tempfile::Builder::new().permissions(fs::Permissions::from_mode(0o755)).tempdir().unwrap()
}

async fn start(folder: &Path) -> Result<Server, PostgresError> {
    Server::builder(Installation::find()?)
        .data_dir(folder)
        .initdb_options(["--no-sync"])
        .settings(FAST)
        .start()
        .await
}

async fn refused(folder: &Path) -> PostgresError {
    match start(folder).await {
        Ok(_) => panic!("it started"),
        Err(error) => error,
    }
}

async fn client(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

async fn text(client: &Client, query: &str) -> String {
    client.query_one(query, &[]).await.unwrap().get(0)
}

fn ps(column: &str, pid: u32) -> String {
    let output = Command::new("ps").args(["-o", column, "-p", &pid.to_string()]).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[tokio::test]
async fn a_first_start_is_private_and_a_second_finds_the_data() {
    let scratch = scratch();
    let folder = scratch.path().join("new/data");
    let mut server = start(&folder).await.unwrap();
    let pid = server.pid().unwrap();

    let first = client(&server.url("postgres")).await;
    assert_eq!(text(&first, "SHOW server_encoding").await, "UTF8");
    assert_eq!(
        text(&first, "SELECT datcollate::text FROM pg_database WHERE datname = 'postgres'").await,
        "C.UTF-8"
    );
    assert_eq!(text(&first, "SHOW listen_addresses").await, "127.0.0.1");
    first.batch_execute("CREATE TABLE kept AS SELECT 1 AS a").await.unwrap();

    assert_eq!(ps("pgid=", pid), pid.to_string(), "Ctrl-C at the terminal would reach the server");
    assert_ne!(ps("user=", pid), "root");
    let mode = fs::metadata(folder.join("password")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let hint = server.psql_hint("postgres");
    assert!(hint.contains("psql -h 127.0.0.1") && !hint.contains(server.password()), "{hint}");
    let output =
        Command::new("sh").arg("-c").arg(format!("{hint} -XAtc 'SELECT a FROM kept'")).output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "1\n");

    let port = server.port();
    server.stop().unwrap();
    assert!(running(&folder).unwrap().is_none() && server.pid().is_none());
    server.restart().await.unwrap();
    assert_eq!(server.port(), port);
    drop(server);
    assert!(running(&folder).unwrap().is_none());

    let again = start(&folder).await.unwrap();
    let kept: i32 =
        client(&again.url("postgres")).await.query_one("SELECT a FROM kept", &[]).await.unwrap().get(0);
    assert_eq!(kept, 1);
}

#[tokio::test]
async fn nobody_gets_in_without_the_password() {
    let scratch = scratch();
    let server = start(&scratch.path().join("data")).await.unwrap();
    let socket = server.socket_dir().to_str().unwrap().to_owned();
    for host in ["127.0.0.1", &socket] {
        let mut config = Config::new();
        config.host(host).port(server.port()).user("postgres").dbname("postgres");
        assert!(config.connect(NoTls).await.is_err(), "no password over {host}");
        let Err(error) = config.password("wrong").connect(NoTls).await else {
            panic!("a wrong password over {host}")
        };
        assert_eq!(error.code().unwrap().code(), "28P01");
        let right = config.password(server.password()).connect(NoTls).await;
        assert!(right.is_ok(), "the right password over {host}");
    }
}

#[tokio::test]
async fn a_stale_pid_file_does_not_matter() {
    let scratch = scratch();
    let folder = scratch.path().join("data");
    drop(start(&folder).await.unwrap());
    // A dead process; then one that lives and is something else: this test.
    let dead = Command::new("true").spawn().map(|mut child| (child.id(), child.wait())).unwrap().0;
    for pid in [dead, std::process::id()] {
        let cluster = folder.join("cluster");
        let content = format!("{pid}\n{}\n1700000000\n5999\n/tmp\n127.0.0.1\n", cluster.display());
        fs::write(cluster.join("postmaster.pid"), content).unwrap();
        assert_eq!(running(&folder).unwrap(), None);
        drop(start(&folder).await.unwrap());
    }
}

#[tokio::test]
async fn a_crash_loses_nothing_that_was_committed() {
    let scratch = scratch();
    let mut server = start(&scratch.path().join("data")).await.unwrap();
    let before = client(&server.url("postgres")).await;
    before.batch_execute("CREATE TABLE kept AS SELECT generate_series(1, 1000) AS a").await.unwrap();
    server.crash().unwrap();
    assert!(before.batch_execute("SELECT 1").await.is_err());
    server.restart().await.unwrap();
    assert_eq!(text(&client(&server.url("postgres")).await, "SELECT count(*)::text FROM kept").await, "1000");
}

#[tokio::test]
async fn one_folder_has_one_server() {
    let scratch = scratch();
    let folder = scratch.path().join("data");
    let server = start(&folder).await.unwrap();
    let error = refused(&folder).await;
    assert!(matches!(error, PostgresError::Held { .. }), "{error}");

    // As after the death of the Bastide that started it: its lock is gone, its server is not.
    fs::remove_file(folder.join("lock")).unwrap();
    fs::write(folder.join("lock"), "").unwrap();
    let (pid, port) = (server.pid().unwrap(), server.port());
    let error = refused(&folder).await;
    assert!(
        matches!(error, PostgresError::AlreadyRunning { port: Some(found), .. } if found == port),
        "{error}"
    );
    assert!(error.to_string().contains(&format!("kill -INT {pid}")), "{error}");
    assert_eq!(running(&folder).unwrap().unwrap().pid.to_string(), pid.to_string());
    stop_running(&folder).unwrap();
    start(&folder).await.unwrap();
    drop(server);
}

#[tokio::test]
async fn a_start_that_fails_shows_the_log() {
    let scratch = scratch();
    let folder = scratch.path().join("data");
    let builder =
        Server::builder(Installation::find().unwrap()).data_dir(&folder).initdb_options(["--no-sync"]);
    let Err(error) = builder.settings([("shared_buffers", "lots")]).start().await else {
        panic!("it started")
    };
    assert!(matches!(error, PostgresError::Exited { .. }), "{error}");
    assert!(error.to_string().contains(r#"invalid value for parameter "shared_buffers": "lots""#), "{error}");
    start(&folder).await.unwrap();

    fs::write(folder.join("cluster/PG_VERSION"), "11\n").unwrap();
    let error = refused(&folder).await;
    assert!(matches!(error, PostgresError::OtherMajor { found: 11, .. }), "{error}");
}

#[tokio::test]
async fn a_failing_initdb_leaves_nothing_that_looks_usable() {
    let scratch = scratch();
    let folder = scratch.path().join("data");
    let builder = Server::builder(Installation::find().unwrap()).data_dir(&folder);
    let Err(error) = builder.initdb_options(["--wal-segsize=3"]).start().await else { panic!("it started") };
    assert!(
        matches!(error, PostgresError::Initdb { .. }) && error.to_string().contains("wal-segsize"),
        "{error}"
    );
    assert!(!folder.join("cluster").exists());
    start(&folder).await.unwrap();
}

#[tokio::test]
async fn a_port_taken_meanwhile_is_named() {
    let scratch = scratch();
    let mut server = start(&scratch.path().join("data")).await.unwrap();
    server.stop().unwrap();
    let taken = TcpListener::bind(("127.0.0.1", server.port())).unwrap();
    let error = server.restart().await.unwrap_err();
    assert!(matches!(error, PostgresError::PortTaken { port } if port == server.port()), "{error}");
    drop(taken);
    server.restart().await.unwrap();
}

#[tokio::test]
async fn other_peoples_folders_are_left_alone() {
    let scratch = scratch();
    fs::write(scratch.path().join("thesis.txt"), "").unwrap();
    let before = fs::metadata(scratch.path()).unwrap();
    let error = refused(scratch.path()).await;
    assert!(matches!(error, PostgresError::NotOurs { .. }), "{error}");
    let after = fs::metadata(scratch.path()).unwrap();
    let owner = std::os::unix::fs::MetadataExt::uid;
    assert_eq!((owner(&before), before.permissions()), (owner(&after), after.permissions()));
}

#[tokio::test]
async fn a_folder_its_user_cannot_enter_is_named() {
    // Only root starts PostgreSQL as somebody else.
    if ps("user=", std::process::id()) != "root" {
        return;
    }
    let private = tempfile::Builder::new().permissions(fs::Permissions::from_mode(0o700)).tempdir().unwrap();
    let folder: PathBuf = private.path().join("data");
    let error = refused(&folder).await;
    assert!(matches!(error, PostgresError::Unreachable { .. }), "{error}");
}

#[tokio::test]
async fn a_long_path_has_its_socket_elsewhere() {
    let scratch = scratch();
    let server = start(&scratch.path().join("x".repeat(100))).await.unwrap();
    let socket = server.socket_dir().to_owned();
    assert!(socket.starts_with("/tmp") && socket.is_dir());
    let mut config = Config::new();
    config.host(socket.to_str().unwrap()).port(server.port()).user("postgres").password(server.password());
    assert!(config.connect(NoTls).await.is_ok());
    drop(server);
    assert!(!socket.exists());
}
