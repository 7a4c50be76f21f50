//! What a backup says of itself: where its rows come from, what they come to, and what each of its files has to be.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;

use super::Taken;
use crate::{EngineError, MigrationGuard, fingerprint::TableBefore};

/// Bumped when an older binary could misread it.
const FORMAT: u32 = 1;
const NAME: &str = "manifest.json";

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Manifest {
    pub format: u32,
    /// Version of the binary that took it.
    pub bastide: String,
    pub database: String,
    pub system_identifier: Option<String>,
    pub server_version: String,
    /// When the snapshot was taken that all rows are of.
    #[serde(with = "time::serde::rfc3339")]
    pub snapshot_at: OffsetDateTime,
    /// `list` or `restore`.
    pub verified: String,
    pub large_objects: u64,
    pub rows: u64,
    pub bytes: u64,
    tables: Vec<TableBefore>,
    files: Vec<Dumped>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Dumped {
    name: String,
    pub(super) bytes: u64,
    sha256: String,
}

pub(super) struct Contents<'a> {
    pub(super) verified: &'static str,
    pub(super) taken: &'a Taken,
    pub(super) tables: Vec<TableBefore>,
    pub(super) files: Vec<Dumped>,
}

/// Whether a backup's files are, byte for byte, those that were written; reads all of them.
///
/// # Errors
/// [`EngineError::BadBackup`] names the first file that is not; so it does a folder that is no backup.
pub fn check_backup(folder: &Path) -> Result<Manifest, EngineError> {
    let bad = |what: String| EngineError::BadBackup { path: folder.to_owned(), what };
    let text = fs::read_to_string(folder.join(NAME)).map_err(|error| bad(format!("{NAME}: {error}")))?;
    let manifest: Manifest = serde_json::from_str(&text).map_err(|error| bad(format!("{NAME}: {error}")))?;
    if manifest.format > FORMAT {
        return Err(bad(format!("it was taken by Bastide {}, which is newer than this", manifest.bastide)));
    }
    let there = read(&folder.join("dump"))?;
    for file in &manifest.files {
        match there.iter().find(|found| found.name == file.name) {
            None => return Err(bad(format!("dump/{} is missing", file.name))),
            Some(found) if found != file => {
                return Err(bad(format!("dump/{} is not what was written", file.name)));
            }
            Some(_) => {}
        }
    }
    Ok(manifest)
}

/// Makes the dump's files private, too, and says what each is.
pub(super) async fn files(dump: &Path) -> Result<Vec<Dumped>, EngineError> {
    let dump = dump.to_owned();
    let reading = move || {
        for path in paths(&dump)? {
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600))
                .map_err(EngineError::file(&path))?;
        }
        read(&dump)
    };
    let read = tokio::task::spawn_blocking(reading).await;
    read.unwrap_or_else(|panicked| std::panic::resume_unwind(panicked.into_panic()))
}

/// Last of all that is written of a backup.
pub(super) async fn write(
    guard: &MigrationGuard,
    folder: &Path,
    contents: Contents<'_>,
) -> Result<(), EngineError> {
    let reading = "reading which database this is";
    let row = guard
        .client()
        .query_one(
            "SELECT current_setting('server_version'), (SELECT system_identifier::text FROM pg_control_system())",
            &[],
        )
        .await
        .map_err(EngineError::server(reading))?;
    let Contents { verified, taken, tables, files } = contents;
    let manifest = Manifest {
        format: FORMAT,
        bastide: env!("CARGO_PKG_VERSION").to_owned(),
        database: guard.database().to_owned(),
        server_version: row.try_get(0).map_err(EngineError::server(reading))?,
        system_identifier: row.try_get(1).map_err(EngineError::server(reading))?,
        snapshot_at: taken.at,
        verified: verified.to_owned(),
        large_objects: taken.large_objects.unsigned_abs(),
        rows: tables.iter().map(|table| table.rows.unsigned_abs()).sum(),
        bytes: files.iter().map(|file| file.bytes).sum(),
        tables,
        files,
    };
    let path = folder.join(NAME);
    let text = serde_json::to_string_pretty(&manifest)
        .map_err(|error| EngineError::BadBackup { path: path.clone(), what: error.to_string() })?;
    fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path)
        .and_then(|mut open| open.write_all(text.as_bytes()).and_then(|()| open.sync_all()))
        .map_err(EngineError::file(&path))
}

fn read(dump: &Path) -> Result<Vec<Dumped>, EngineError> {
    let one = |path: &PathBuf| -> Result<Dumped, EngineError> {
        let (bytes, sha256) = hash(path).map_err(EngineError::file(path))?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Dumped { name, bytes, sha256 })
    };
    paths(dump)?.iter().map(one).collect()
}

/// A dump's folder has no folders in it.
fn paths(dump: &Path) -> Result<Vec<PathBuf>, EngineError> {
    let listed = fs::read_dir(dump).and_then(|entries| {
        entries.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<Vec<_>>>()
    });
    let mut paths = listed.map_err(EngineError::file(dump))?;
    paths.sort();
    Ok(paths)
}

fn hash(path: &Path) -> io::Result<(u64, String)> {
    let (mut file, mut hasher, mut bytes) = (File::open(path)?, Sha256::new(), 0);
    let mut buffer = vec![0; 1 << 16];
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        bytes += read as u64;
        hasher.update(&buffer[..read]);
    }
    let hash: Vec<String> = hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok((bytes, hash.concat()))
}
