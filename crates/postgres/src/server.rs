//! A running server, from start to stop.

use std::{
    fs::{self, File},
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, ExitStatus},
    time::{Duration, Instant},
};

use rustix::process::Signal;
use tokio_postgres::{NoTls, error::SqlState};

use crate::{
    Installation, PostgresError,
    account::Account,
    error::Naming,
    folder::Folder,
    initdb::initdb,
    pidfile::{remove_stale, running_in, signal},
};

const SUPERUSER: &str = "postgres";
const POLL: Duration = Duration::from_millis(5);
/// Crash recovery after a large load may take a while; anything longer is stuck.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// A fast stop writes a checkpoint first.
const STOP_WITHIN: Duration = Duration::from_secs(30);
const QUIT_WITHIN: Duration = Duration::from_secs(5);
/// How often a port is picked again when another program took it between pick and start.
const PORT_TRIES: u32 = 5;

/// How to start a [`Server`].
#[derive(Clone, Debug)]
pub struct ServerBuilder {
    installation: Installation,
    data_dir: PathBuf,
    settings: Vec<(String, String)>,
    initdb_options: Vec<String>,
}

impl ServerBuilder {
    /// The folder that keeps the cluster, its password, its log and its socket; made when it does not exist.
    /// [`default_data_dir`](crate::default_data_dir) is the user's.
    #[must_use]
    pub fn data_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.data_dir = folder.into();
        self
    }

    /// Server settings, as in postgresql.conf.
    #[must_use]
    pub fn settings<N: Into<String>, V: Into<String>>(
        mut self,
        settings: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        self.settings.extend(settings.into_iter().map(|(name, value)| (name.into(), value.into())));
        self
    }

    /// Further arguments of `initdb`, such as `--wal-segsize=1`.
    #[must_use]
    pub fn initdb_options<O: Into<String>>(mut self, options: impl IntoIterator<Item = O>) -> Self {
        self.initdb_options.extend(options.into_iter().map(Into::into));
        self
    }

    /// Makes the cluster when there is none, starts the server and waits until it answers.
    ///
    /// # Errors
    /// When the folder is another server's or another version's, or PostgreSQL does not come up; the message then has
    /// the end of its log.
    pub async fn start(self) -> Result<Server, PostgresError> {
        let account = Account::unprivileged()?;
        let folder = Folder::new(&self.data_dir)?;
        folder.check_ours()?;
        account.make_folder(&folder.root)?;
        let held = folder.hold(&account)?;
        match folder.cluster_major() {
            None => initdb(&self.installation, &folder, &account, &self.initdb_options).await?,
            Some(found) if found != self.installation.version().major => {
                let installed = self.installation.version();
                return Err(PostgresError::OtherMajor { folder: folder.root, found, installed });
            }
            Some(_) if !folder.password().exists() => {
                return Err(PostgresError::NoPassword { folder: folder.root });
            }
            Some(_) => {}
        }
        let password = fs::read_to_string(folder.password()).naming("read", folder.password())?;
        let socket = folder.socket();
        let mut server = Server {
            installation: self.installation,
            settings: self.settings,
            account,
            folder,
            socket,
            password: password.trim().to_owned(),
            port: 0,
            child: None,
            _held: held,
        };
        for _ in 1..PORT_TRIES {
            server.port = free_port()?;
            match server.launch().await {
                Err(PostgresError::PortTaken { .. }) => {}
                result => return result.map(|()| server),
            }
        }
        server.port = free_port()?;
        server.launch().await.map(|()| server)
    }
}

/// A private PostgreSQL. Dropping it stops it.
pub struct Server {
    installation: Installation,
    settings: Vec<(String, String)>,
    account: Account,
    folder: Folder,
    socket: PathBuf,
    password: String,
    port: u16,
    child: Option<Child>,
    _held: File,
}

impl Server {
    #[must_use]
    pub fn builder(installation: Installation) -> ServerBuilder {
        ServerBuilder {
            installation,
            data_dir: PathBuf::new(),
            settings: Vec::new(),
            initdb_options: Vec::new(),
        }
    }

    #[must_use]
    pub fn installation(&self) -> &Installation {
        &self.installation
    }

    /// On 127.0.0.1. Stays the same over [`restart`](Self::restart).
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    #[must_use]
    pub fn socket_dir(&self) -> &Path {
        &self.socket
    }

    #[must_use]
    pub fn data_dir(&self) -> &Path {
        &self.folder.root
    }

    /// Of the superuser `postgres`. Hexadecimal digits only.
    #[must_use]
    pub fn password(&self) -> &str {
        &self.password
    }

    /// The server's process, while it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// A URL of `database` for the superuser, over TCP, with the password in it.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        let (password, port, database) = (&self.password, self.port, percent_encoded(database));
        format!("postgresql://{SUPERUSER}:{password}@127.0.0.1:{port}/{database}")
    }

    /// What to type to look into `database`; shows where the password is, not the password.
    #[must_use]
    pub fn psql_hint(&self, database: &str) -> String {
        let secret = shell_quoted(&self.folder.password().to_string_lossy());
        let database = shell_quoted(database);
        format!(
            r#"PGPASSWORD="$(cat {secret})" psql -h 127.0.0.1 -p {} -U {SUPERUSER} -d {database}"#,
            self.port
        )
    }

    /// Stops in order: open transactions are rolled back, a checkpoint is written.
    ///
    /// # Errors
    /// When it does not stop, even told to quit.
    pub fn stop(&mut self) -> Result<(), PostgresError> {
        self.end(Signal::INT, STOP_WITHIN)
    }

    /// Stops at once, without a checkpoint, as a crash would: the next start recovers from the write-ahead log.
    ///
    /// # Errors
    /// When it does not stop.
    pub fn crash(&mut self) -> Result<(), PostgresError> {
        self.end(Signal::QUIT, QUIT_WITHIN)
    }

    /// Starts again, on the same port, after [`stop`](Self::stop) or [`crash`](Self::crash); stops first if it runs.
    ///
    /// # Errors
    /// As [`ServerBuilder::start`]; also when the port was taken meanwhile.
    pub async fn restart(&mut self) -> Result<(), PostgresError> {
        self.stop()?;
        self.launch().await
    }

    async fn launch(&mut self) -> Result<(), PostgresError> {
        let cluster = self.folder.cluster();
        if let Some(server) = running_in(&cluster)? {
            let folder = self.folder.root.clone();
            return Err(PostgresError::AlreadyRunning { folder, pid: server.pid, port: server.port });
        }
        remove_stale(&cluster)?;
        self.account.make_socket_folder(&self.socket)?;
        let path = self.folder.log();
        let log = File::options().create(true).append(true).open(&path).naming("open", &path)?;
        self.account.hand_over(&path)?;
        let mut command = self.account.command(&self.installation.tool("postgres"));
        command.arg("-D").arg(&cluster).arg("-k").arg(&self.socket);
        command.args(["-p", &self.port.to_string(), "-c", "listen_addresses=127.0.0.1"]);
        for (name, value) in &self.settings {
            command.arg("-c").arg(format!("{name}={value}"));
        }
        command.stdout(log.try_clone().naming("open", &path)?).stderr(log);
        let child = command.spawn().naming("run", self.installation.tool("postgres"))?;
        tracing::debug!(pid = child.id(), port = self.port, folder = %cluster.display(), "started PostgreSQL");
        self.child = Some(child);
        let ready = self.wait_until_ready().await;
        if ready.is_err()
            && let Err(error) = self.crash()
        {
            tracing::warn!(%error, "a PostgreSQL that did not come up could not be stopped");
        }
        ready
    }

    async fn wait_until_ready(&mut self) -> Result<(), PostgresError> {
        let begun = Instant::now();
        let url = self.url(SUPERUSER);
        while begun.elapsed() < READY_WITHIN {
            if let Some(status) = self.exited()? {
                self.child = None;
                // Judged by the port itself: the words of the log depend on version and language.
                if TcpListener::bind((Ipv4Addr::LOCALHOST, self.port)).is_err() {
                    return Err(PostgresError::PortTaken { port: self.port });
                }
                return Err(PostgresError::Exited {
                    status,
                    log: self.folder.log(),
                    tail: self.folder.log_tail(),
                });
            }
            // The last line of the pid file turns `ready` together with the server; asking earlier only fills the log.
            if self.says_ready() && answers(&url).await {
                return Ok(());
            }
            tokio::time::sleep(POLL).await;
        }
        Err(PostgresError::NotReady {
            waited: READY_WITHIN,
            log: self.folder.log(),
            tail: self.folder.log_tail(),
        })
    }

    fn says_ready(&self) -> bool {
        fs::read_to_string(self.folder.cluster().join("postmaster.pid"))
            .is_ok_and(|text| text.lines().nth(7).is_some_and(|status| status.trim() == "ready"))
    }

    fn exited(&mut self) -> Result<Option<ExitStatus>, PostgresError> {
        let Some(child) = &mut self.child else { return Ok(None) };
        child.try_wait().naming("wait for", self.installation.tool("postgres"))
    }

    /// `how`, then SIGQUIT, then SIGKILL, each with patience. The pid cannot have gone to another process: it is our
    /// own child and stays ours until it is waited for.
    fn end(&mut self, how: Signal, patience: Duration) -> Result<(), PostgresError> {
        let Some(pid) = self.pid().and_then(|pid| i32::try_from(pid).ok()) else { return Ok(()) };
        for (how, patience) in [(how, patience), (Signal::QUIT, QUIT_WITHIN), (Signal::KILL, QUIT_WITHIN)] {
            signal(pid, how)?;
            let begun = Instant::now();
            while begun.elapsed() < patience {
                if self.exited()?.is_some() {
                    self.child = None;
                    return Ok(());
                }
                std::thread::sleep(POLL);
            }
        }
        Err(PostgresError::NotStopped { pid, waited: patience + 2 * QUIT_WITHIN })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Err(error) = self.stop() {
            tracing::warn!(%error, "the private PostgreSQL could not be stopped");
        }
        if !self.socket.starts_with(&self.folder.root)
            && let Err(error) = fs::remove_dir_all(&self.socket)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::debug!(%error, "the socket's folder could not be removed");
        }
    }
}

/// Also when it answers with a refusal: the password may have been changed.
async fn answers(url: &str) -> bool {
    match tokio_postgres::connect(url, NoTls).await {
        Ok((client, connection)) => {
            drop(client);
            connection.await.is_ok()
        }
        Err(error) => error.code().is_some_and(|code| *code != SqlState::CANNOT_CONNECT_NOW),
    }
}

fn free_port() -> Result<u16, PostgresError> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).naming("find a free port on", "127.0.0.1")?;
    Ok(listener.local_addr().naming("find a free port on", "127.0.0.1")?.port())
}

fn percent_encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

fn shell_quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._/@%+:,".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_safe_in_urls_and_shells() {
        assert_eq!(percent_encoded("My shop/1%"), "My%20shop%2F1%25");
        assert_eq!(shell_quoted("/var/lib/bastide"), "/var/lib/bastide");
        assert_eq!(shell_quoted("it's"), r"'it'\''s'");
    }
}
