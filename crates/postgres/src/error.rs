//! What can go wrong with a private PostgreSQL, one sentence each and what to do about it.

use std::{io, path::PathBuf, time::Duration};

use crate::{MINIMUM_MAJOR, Version};

#[derive(Debug, thiserror::Error)]
pub enum PostgresError {
    #[error(
        "no PostgreSQL server binaries found (looked on PATH, asked pg_config, and in {}); install PostgreSQL \
         {MINIMUM_MAJOR} or newer: `apt-get install postgresql` on Debian and Ubuntu, `brew install postgresql@17` on macOS",
        places.join(", ")
    )]
    NotInstalled { places: Vec<String> },

    #[error("PostgreSQL {newest} in {} is the newest installed; install PostgreSQL {MINIMUM_MAJOR} or newer", bin.display())]
    TooOld { newest: Version, bin: PathBuf },

    #[error(
        "no `{tool}` of PostgreSQL {minimum} or newer found{}; install the PostgreSQL client tools of that version: \
         `apt-get install postgresql-client` on Debian and Ubuntu, `brew install libpq` on macOS",
        newest.map(|version| format!(" (the newest here is {version})")).unwrap_or_default()
    )]
    ToolMissing { tool: String, minimum: u32, newest: Option<Version> },

    #[error(
        "there is no folder to keep data in: neither XDG_DATA_HOME nor HOME is set; name one with --data-dir"
    )]
    NoDataHome,

    #[error("the data folder {} holds {found}; this PostgreSQL is {installed}; install PostgreSQL {found} or choose another data folder", folder.display())]
    OtherMajor { folder: PathBuf, found: u32, installed: Version },

    #[error("the folder {} holds other files and no database of Bastide's; choose an empty one, or one that does not exist", folder.display())]
    NotOurs { folder: PathBuf },

    #[error("the data folder {} is in use by another Bastide; stop that one first, or choose another data folder", folder.display())]
    Held { folder: PathBuf },

    #[error(
        "a PostgreSQL with pid {pid} is already running in the data folder {}{}; stop it with `kill -INT {pid}`, or choose \
         another data folder",
        folder.display(),
        port.map(|port| format!(" on port {port}")).unwrap_or_default()
    )]
    AlreadyRunning { folder: PathBuf, pid: i32, port: Option<u16> },

    #[error(
        "run as root, PostgreSQL needs an unprivileged user, and neither `postgres` nor `nobody` exists; create one with `useradd --system postgres`"
    )]
    NoAccount,

    #[error("the user `{user}`, under which PostgreSQL runs, cannot enter {}; choose a data folder outside private folders such as /root", folder.display())]
    Unreachable { user: String, folder: PathBuf },

    #[error("the data folder {} has lost its file `password`; choose another data folder, or move this one away", folder.display())]
    NoPassword { folder: PathBuf },

    #[error("the folder {} for the server's socket belongs to another user; remove it, or choose a data folder with a shorter path", folder.display())]
    SocketFolder { folder: PathBuf },

    #[error("initdb could not make the data folder {}: {}", folder.display(), output.trim())]
    Initdb { folder: PathBuf, output: String },

    #[error(
        "port {port} was taken by another program while PostgreSQL was down; start it anew to get another port"
    )]
    PortTaken { port: u16 },

    #[error("PostgreSQL stopped while it started ({status}); the end of {} says:\n{tail}", log.display())]
    Exited { status: std::process::ExitStatus, log: PathBuf, tail: String },

    #[error("PostgreSQL did not accept connections within {} s; the end of {} says:\n{tail}", waited.as_secs(), log.display())]
    NotReady { waited: Duration, log: PathBuf, tail: String },

    #[error("PostgreSQL with pid {pid} did not stop within {} s", waited.as_secs())]
    NotStopped { pid: i32, waited: Duration },

    #[error("could not {doing} {}: {source}", path.display())]
    Io { doing: &'static str, path: PathBuf, source: io::Error },
}

/// Names the file with an I/O error, which `std` does not.
pub(crate) trait Naming<T> {
    fn naming(self, doing: &'static str, path: impl Into<PathBuf>) -> Result<T, PostgresError>;
}

impl<T> Naming<T> for io::Result<T> {
    fn naming(self, doing: &'static str, path: impl Into<PathBuf>) -> Result<T, PostgresError> {
        self.map_err(|source| PostgresError::Io { doing, path: path.into(), source })
    }
}

impl<T> Naming<T> for rustix::io::Result<T> {
    fn naming(self, doing: &'static str, path: impl Into<PathBuf>) -> Result<T, PostgresError> {
        self.map_err(io::Error::from).naming(doing, path)
    }
}
