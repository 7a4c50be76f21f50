//! A real PgBouncer in transaction mode, for one login.

use std::{
    net::{TcpListener, TcpStream},
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use crate::{Database, Server};

/// Ended by its own id when the test is done.
pub struct PgBouncer {
    child: Child,
    port: u16,
    login: String,
    _folder: tempfile::TempDir,
}

impl PgBouncer {
    /// A pool of one connection, so that each transaction gets what the one before it left.
    ///
    /// # Panics
    /// When PgBouncer is not installed, or does not answer.
    #[must_use]
    pub fn before(server: &Server, role: &str, password: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder for temporary files");
        let write = |name: &str, text: &str| {
            let file = folder.path().join(name);
            std::fs::write(&file, text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
            file
        };
        // It refuses to run as root, and must read its files as whom it becomes.
        let open = std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755));
        open.unwrap_or_else(|error| panic!("{}: {error}", folder.path().display()));
        let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let port = free.unwrap_or_else(|error| panic!("no free port: {error}")).port();
        let users = write("users.txt", &format!("\"{role}\" \"{password}\"\n"));
        let settings = write(
            "pgbouncer.ini",
            &format!(
                "[databases]\n* = host=127.0.0.1 port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
                 unix_socket_dir =\nauth_type = plain\nauth_file = {}\npool_mode = transaction\ndefault_pool_size = 1\n",
                server.postgres().port(),
                users.display()
            ),
        );
        let mut command = Command::new(program());
        if rustix::process::geteuid().is_root() {
            command.args(["-u", "nobody"]);
        }
        let log = std::fs::File::create(folder.path().join("log")).expect("a log in a folder of its own");
        let child = command.arg("-v").arg(&settings).stdout(Stdio::null()).stderr(log).spawn();
        let child = child.unwrap_or_else(|error| panic!("pgbouncer does not start: {error}"));
        let pooler = Self { child, port, login: format!("{role}:{password}"), _folder: folder };
        let until = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            let log = std::fs::read_to_string(settings.with_file_name("log")).unwrap_or_default();
            assert!(Instant::now() < until, "pgbouncer does not answer:\n{log}");
            std::thread::sleep(Duration::from_millis(20));
        }
        pooler
    }

    #[must_use]
    pub fn url(&self, database: &Database) -> String {
        format!("postgresql://{}@127.0.0.1:{}/{}", self.login, self.port, database.name())
    }
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
