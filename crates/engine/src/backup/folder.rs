//! Where a backup lies: `<state-dir>/backups/<database>-<time>/`, the dump in `dump/`, what is in it in `manifest.json`.
//!
//! Until it is whole and verified the folder's name ends in `.partial`, and whoever writes it holds a lock on it. The
//! system lets go of that when they die, which tells a killed run's leftover from another run's work.

use std::{
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
};

use crate::{EngineError, app_login::private_folder};

const UNFINISHED: &str = "partial";

pub(super) struct Partial {
    path: PathBuf,
    whole: PathBuf,
    /// Held for as long as this lives.
    _lock: File,
}

impl Partial {
    /// A new, private folder.
    pub(super) fn new(state_dir: &Path, database: &str, stamp: &str) -> Result<Self, EngineError> {
        let name: String =
            database.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' }).collect();
        let folder = state_dir.join("backups");
        private_folder(&folder)?;
        let whole = folder.join(format!("{name}-{stamp}"));
        let path = folder.join(format!("{name}-{stamp}.{UNFINISHED}"));
        private_folder(&path)?;
        let lock = File::open(&path).map_err(EngineError::file(&path))?;
        match lock.try_lock() {
            // Without locks (some network file systems) a leftover is named instead of removed.
            Ok(()) | Err(TryLockError::Error(_)) => Ok(Self { path, whole, _lock: lock }),
            Err(TryLockError::WouldBlock) => {
                Err(EngineError::file(&path)(io::Error::from(io::ErrorKind::AlreadyExists)))
            }
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn dump(&self) -> PathBuf {
        self.path.join("dump")
    }

    pub(super) fn whole(&self) -> &Path {
        &self.whole
    }

    /// From here on it is a backup. `pg_dump` has synced its own files.
    pub(super) fn complete(self) -> Result<(), EngineError> {
        synced(&self.path)?;
        fs::rename(&self.path, &self.whole).map_err(EngineError::file(&self.whole))?;
        self.whole.parent().map_or(Ok(()), synced)
    }

    pub(super) fn discard(self) -> Result<(), EngineError> {
        emptied(&self.path)
    }
}

fn synced(folder: &Path) -> Result<(), EngineError> {
    File::open(folder).and_then(|open| open.sync_all()).map_err(EngineError::file(folder))
}

pub(super) fn emptied(folder: &Path) -> Result<(), EngineError> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(EngineError::file(folder)(error)),
        _ => Ok(()),
    }
}

/// Frees what dead runs left half-written; says what was freed, and names what could not be told from a run's work.
pub(super) fn clear(state_dir: &Path) -> Result<Vec<String>, EngineError> {
    let folder = state_dir.join("backups");
    let entries = match fs::read_dir(&folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(EngineError::file(&folder))?,
    };
    let mut told = Vec::new();
    for entry in entries {
        let path = entry.map_err(EngineError::file(&folder))?.path();
        if path.extension().is_none_or(|extension| extension != UNFINISHED) {
            continue;
        }
        let lock = File::open(&path).map_err(EngineError::file(&path))?;
        match lock.try_lock() {
            Ok(()) => {
                emptied(&path)?;
                told.push(format!("removed {}, which a run left unfinished", path.display()));
            }
            // Somebody is at it.
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(error)) => told.push(format!(
                "{} is an unfinished backup; remove it unless another run is writing it ({error})",
                path.display()
            )),
        }
    }
    Ok(told)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn what_a_dead_run_left_is_freed_and_what_a_live_one_writes_is_not() {
        let state = tempfile::tempdir().unwrap();
        let dead = Partial::new(state.path(), "shop", "1").unwrap();
        fs::create_dir(dead.dump()).unwrap();
        fs::write(dead.dump().join("1.dat.gz"), "half").unwrap();
        let (left, _) = (dead.path().to_owned(), drop(dead));
        let live = Partial::new(state.path(), "my shop", "1").unwrap();
        assert_eq!(live.path().file_name().unwrap(), "my-shop-1.partial");
        let told = clear(state.path()).unwrap();
        assert_eq!(told, [format!("removed {}, which a run left unfinished", left.display())]);
        assert!(!left.exists() && live.path().exists());
        let mode = fs::metadata(live.path()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        let whole = live.whole().to_owned();
        live.complete().unwrap();
        assert_eq!(clear(state.path()).unwrap(), Vec::<String>::new());
        assert!(whole.exists());
    }
}
