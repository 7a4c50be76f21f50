//! Through a real PgBouncer in transaction mode: the same cells, the same answers.

use std::{
    net::{TcpListener, TcpStream},
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use bastide_connect::Target;
use bastide_testkit::{Database, Server};
use bastide_verify::{App, Cell, Options, Probe, verify};

use super::{PASSWORD, not_held, open, sound, verdict};

/// Ended by its own id when the test is done.
struct PgBouncer {
    child: Child,
    port: u16,
    _folder: tempfile::TempDir,
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        let ended = self.child.kill().and_then(|()| self.child.wait());
        assert!(ended.is_ok() || std::thread::panicking(), "{ended:?}");
    }
}

fn program() -> PathBuf {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let places = std::env::split_paths(&paths).chain(["/usr/sbin".into(), "/usr/local/sbin".into()]);
    let found = places.map(|place| place.join("pgbouncer")).find(|file| file.is_file());
    found.expect("pgbouncer is not installed: `./x test` installs it, or `apt-get install pgbouncer`")
}

/// A pool of one connection, so that each request gets what the one before it left.
fn pgbouncer(server: &Server) -> PgBouncer {
    let folder = tempfile::tempdir().unwrap();
    // It refuses to run as root, and must read its files as whom it becomes.
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let users = folder.path().join("users.txt");
    std::fs::write(&users, format!("\"bastide_app\" \"{PASSWORD}\"\n")).unwrap();
    let settings = folder.path().join("pgbouncer.ini");
    std::fs::write(
        &settings,
        format!(
            "[databases]\n* = host=127.0.0.1 port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
             unix_socket_dir =\nauth_type = plain\nauth_file = {}\npool_mode = transaction\ndefault_pool_size = 1\n",
            server.postgres().port(),
            users.display()
        ),
    )
    .unwrap();
    let mut command = Command::new(program());
    if is_root() {
        command.args(["-u", "nobody"]);
    }
    let log = std::fs::File::create(folder.path().join("log")).unwrap();
    let child = command.arg("-v").arg(&settings).stdout(Stdio::null()).stderr(log).spawn().unwrap();
    let pooler = PgBouncer { child, port, _folder: folder };
    let until = Instant::now() + Duration::from_secs(20);
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        let log = std::fs::read_to_string(settings.with_file_name("log")).unwrap_or_default();
        assert!(Instant::now() < until, "pgbouncer does not answer:\n{log}");
        std::thread::sleep(Duration::from_millis(20));
    }
    pooler
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output().unwrap();
    String::from_utf8_lossy(&id.stdout).trim() == "0"
}

fn through(pooler: &PgBouncer, db: &Database) -> Target {
    let url = format!("postgresql://bastide_app:{PASSWORD}@127.0.0.1:{}/{}", pooler.port, db.name());
    Target::parse(&url).unwrap()
}

#[tokio::test]
async fn through_a_pooler_nothing_is_untested_that_was_not_before() {
    let (server, db) = sound().await;
    let direct = verdict(&db, Options::default()).await;
    assert!(!direct.pooler);
    let pooler = pgbouncer(&server);
    let login = through(&pooler, &db);
    // Twice: what the first leaves in the pooler's connections must not be in the second's way.
    for _ in 0..2 {
        let mut owner = db.client().await;
        let pooled = verify(&mut owner, App::Login(&login), Options::default()).await.unwrap();
        assert!(pooled.pooler && pooled.own_login);
        assert_eq!(not_held(&pooled), Vec::<&Probe>::new());
        assert!(pooled.isolated(), "{:?}", open(&pooled));
        let cells = |probes: &[Probe]| probes.iter().map(|probe| probe.cell.clone()).collect::<Vec<Cell>>();
        assert_eq!(cells(&pooled.probes), cells(&direct.probes));
    }
}

#[tokio::test]
async fn through_a_pooler_a_context_that_outlives_its_transaction_is_seen() {
    let (server, db) = sound().await;
    db.execute(
        "CREATE OR REPLACE FUNCTION bastide.set_tenant(v text) RETURNS void LANGUAGE sql VOLATILE
         BEGIN ATOMIC SELECT set_config('bastide.tenant', v, false); END",
    )
    .await;
    let pooler = pgbouncer(&server);
    let login = through(&pooler, &db);
    let mut owner = db.client().await;
    let verdict = verify(&mut owner, App::Login(&login), Options::default()).await.unwrap();
    let returned = |probe: &&Probe| probe.cell.context.as_str() == "after_return";
    assert!(verdict.breaches().any(|probe| returned(&probe)), "{:?}", verdict.breaches().count());
}
