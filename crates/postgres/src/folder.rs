//! The layout of a data folder: `cluster/` (what PostgreSQL calls the data directory), `password`, `log`, `socket/`
//! and `lock`, side by side.

use std::{
    env,
    fs::{self, File, TryLockError},
    hash::{DefaultHasher, Hash, Hasher},
    io::{Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use crate::{PostgresError, account::Account, error::Naming};

/// Longest socket path that both Linux (108 with the NUL) and macOS (104) take.
const SOCKET_PATH_MAX: usize = 103;
const LOCK: &str = "lock";
const SOCKET_NAME: &str = "/.s.PGSQL.65535.lock";

/// Where the demo keeps its database when the user does not say.
///
/// # Errors
/// When the user has no home folder.
pub fn default_data_dir() -> Result<PathBuf, PostgresError> {
    if rustix::process::geteuid().is_root() {
        // /root is closed to the unprivileged user that PostgreSQL runs under.
        return Ok(PathBuf::from("/var/lib/bastide"));
    }
    let set = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    default_below(set("XDG_DATA_HOME"), set("HOME"), cfg!(target_os = "macos"))
}

fn default_below(
    data: Option<PathBuf>,
    home: Option<PathBuf>,
    macos: bool,
) -> Result<PathBuf, PostgresError> {
    // The specification says to ignore a relative XDG_DATA_HOME.
    if let Some(data) = data.filter(|data| data.is_absolute()) {
        return Ok(data.join("bastide"));
    }
    let below = if macos { "Library/Application Support/bastide" } else { ".local/share/bastide" };
    home.map(|home| home.join(below)).ok_or(PostgresError::NoDataHome)
}

#[derive(Clone, Debug)]
pub(crate) struct Folder {
    pub(crate) root: PathBuf,
}

impl Folder {
    pub(crate) fn new(root: &Path) -> Result<Self, PostgresError> {
        Ok(Self { root: std::path::absolute(root).naming("find", root)? })
    }

    pub(crate) fn cluster(&self) -> PathBuf {
        self.root.join("cluster")
    }

    pub(crate) fn password(&self) -> PathBuf {
        self.root.join("password")
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.root.join("log")
    }

    /// In the data folder, or, where that path is too long for a socket, in a folder of its own under /tmp.
    pub(crate) fn socket(&self) -> PathBuf {
        let inside = self.root.join("socket");
        if inside.as_os_str().len() + SOCKET_NAME.len() <= SOCKET_PATH_MAX {
            return inside;
        }
        let mut hasher = DefaultHasher::new();
        self.root.hash(&mut hasher);
        PathBuf::from(format!("/tmp/bastide-{:016x}", hasher.finish()))
    }

    /// Refuses a folder with somebody else's files in it: as root we would give it away to another user.
    pub(crate) fn check_ours(&self) -> Result<(), PostgresError> {
        let entries = match fs::read_dir(&self.root) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            entries => entries.naming("read", &self.root)?,
        };
        if self.root.join(LOCK).exists() || entries.count() == 0 {
            return Ok(());
        }
        Err(PostgresError::NotOurs { folder: self.root.clone() })
    }

    /// Holds the folder against another Bastide until the file is dropped, also by a crash.
    pub(crate) fn hold(&self, account: &Account) -> Result<File, PostgresError> {
        let path = self.root.join(LOCK);
        let file =
            File::options().create(true).truncate(false).write(true).open(&path).naming("open", &path)?;
        account.hand_over(&path)?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(TryLockError::WouldBlock) => Err(PostgresError::Held { folder: self.root.clone() }),
            Err(TryLockError::Error(source)) => Err(PostgresError::Io { doing: "lock", path, source }),
        }
    }

    /// The major version that made the cluster, `None` where there is no cluster yet.
    pub(crate) fn cluster_major(&self) -> Option<u32> {
        fs::read_to_string(self.cluster().join("PG_VERSION")).ok()?.trim().parse().ok()
    }

    /// The last lines of the server's log, for error messages.
    pub(crate) fn log_tail(&self) -> String {
        const BYTES: u64 = 8 * 1024;
        const LINES: usize = 15;
        let read = || -> std::io::Result<String> {
            let mut file = File::open(self.log())?;
            let length = file.metadata()?.len();
            file.seek(SeekFrom::Start(length.saturating_sub(BYTES)))?;
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes)?;
            Ok(String::from_utf8_lossy(&bytes).into_owned())
        };
        let text = read().unwrap_or_else(|error| format!("(the log cannot be read: {error})"));
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(LINES)..].join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_goes_where_the_platform_keeps_data() {
        let some = |path: &str| Some(PathBuf::from(path));
        let below =
            |data, home, macos| default_below(data, home, macos).map(|path| path.display().to_string());
        assert_eq!(below(None, some("/home/ann"), false).unwrap(), "/home/ann/.local/share/bastide");
        assert_eq!(below(some("/data"), some("/home/ann"), false).unwrap(), "/data/bastide");
        assert_eq!(below(some("data"), some("/home/ann"), false).unwrap(), "/home/ann/.local/share/bastide");
        assert_eq!(
            below(None, some("/Users/ann"), true).unwrap(),
            "/Users/ann/Library/Application Support/bastide"
        );
        assert!(below(None, None, false).unwrap_err().to_string().contains("--data-dir"));
    }

    #[test]
    fn a_long_folder_gets_its_socket_elsewhere() {
        let short = Folder::new(Path::new("/var/lib/bastide")).unwrap();
        assert_eq!(short.socket(), Path::new("/var/lib/bastide/socket"));
        let long = Folder::new(Path::new(&format!("/var/{}", "x".repeat(100)))).unwrap();
        assert!(long.socket().starts_with("/tmp"));
    }

    #[test]
    fn a_folder_is_held_by_one() {
        let root = tempfile::tempdir().unwrap();
        let folder = Folder::new(root.path()).unwrap();
        let held = folder.hold(&Account::Own).unwrap();
        assert!(matches!(folder.hold(&Account::Own), Err(PostgresError::Held { .. })));
        drop(held);
        folder.hold(&Account::Own).unwrap();
    }
}
