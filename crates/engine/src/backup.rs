//! The backup: `pg_dump` from an exported snapshot, in which the fingerprints are taken, too; and the proof that it can
//! be read back.

use std::{collections::BTreeSet, path::Path, path::PathBuf};

use bastide_sql::{Ident, sql};
use rustix::fs::statvfs;

use crate::{
    BackupChoice, BackupRecord, EngineError, MigrationGuard,
    app_login::private_folder,
    fingerprint::{self, Before},
    tools,
};

/// Refuses before anything is changed when the state directory has no room. A dump is compressed, so half of the
/// database's size is plenty.
pub(crate) async fn room(guard: &MigrationGuard, state_dir: &Path) -> Result<(), EngineError> {
    private_folder(state_dir)?;
    let bytes: i64 = guard
        .client()
        .query_one("SELECT pg_database_size(current_database())", &[])
        .await
        .and_then(|row| row.try_get(0))
        .map_err(EngineError::server("asking for the database's size"))?;
    let disk = statvfs(state_dir).map_err(|error| EngineError::file(state_dir)(error.into()))?;
    let (need, free) = (u64::try_from(bytes).unwrap_or(0) / 2, disk.f_bavail.saturating_mul(disk.f_frsize));
    if need <= free {
        return Ok(());
    }
    Err(EngineError::Preflight(format!(
        "the backup may need {} MB and {} has {} MB free; name another place with --state-dir, or go without with --no-backup",
        need >> 20,
        state_dir.display(),
        free >> 20
    )))
}

/// Dump and fingerprints of one and the same snapshot.
pub(crate) async fn take(
    guard: &mut MigrationGuard,
    state_dir: &Path,
    choice: BackupChoice,
    schema: String,
) -> Result<(Option<BackupRecord>, Before), EngineError> {
    let doing = "opening the snapshot of the backup";
    let dump = match choice {
        BackupChoice::None => None,
        BackupChoice::List | BackupChoice::Restore => {
            Some((tools::find("pg_dump", guard).await?, file(guard, state_dir).await?))
        }
    };
    let target = guard.target().clone();
    let transaction = guard
        .client_mut()
        .build_transaction()
        .isolation_level(tokio_postgres::IsolationLevel::RepeatableRead)
        .read_only(true)
        .start()
        .await
        .map_err(EngineError::server(doing))?;
    let snapshot: String = transaction
        .query_one("SELECT pg_export_snapshot()", &[])
        .await
        .and_then(|row| row.try_get(0))
        .map_err(EngineError::server(doing))?;
    let dumping = async {
        let Some((pg_dump, path)) = &dump else { return Ok(()) };
        let arguments = [
            "--format=custom".to_owned(),
            "--exclude-schema=bastide".to_owned(),
            "--lock-wait-timeout=30s".to_owned(),
            format!("--snapshot={snapshot}"),
            format!("--file={}", path.display()),
        ];
        tools::run("pg_dump", pg_dump, &target, &arguments).await.map(drop)
    };
    let (dumped, before) = tokio::join!(dumping, fingerprint::take(&transaction, schema));
    dumped?;
    let before = before?;
    transaction.commit().await.map_err(EngineError::server(doing))?;
    let Some((_, path)) = dump else { return Ok((None, before)) };
    let bytes = std::fs::metadata(&path).map_err(EngineError::file(&path))?.len();
    let record = BackupRecord {
        path: path.display().to_string(),
        bytes,
        verified: String::new(),
        tables: before.tables.len() as u64,
        rows: None,
    };
    Ok((Some(record), before))
}

/// A new, private file, made before `pg_dump` would make it readable for others.
async fn file(guard: &MigrationGuard, state_dir: &Path) -> Result<PathBuf, EngineError> {
    let stamp: String = guard
        .client()
        .query_one("SELECT to_char(clock_timestamp(), 'YYYYMMDD-HH24MISS-MS')", &[])
        .await
        .and_then(|row| row.try_get(0))
        .map_err(EngineError::server("asking for the time"))?;
    let folder = state_dir.join("backups");
    private_folder(state_dir)?;
    private_folder(&folder)?;
    let name: String = guard
        .database()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' })
        .collect();
    let path = folder.join(format!("{name}-{stamp}.dump"));
    use std::os::unix::fs::OpenOptionsExt;
    std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path)
        .map_err(EngineError::file(&path))?;
    Ok(path)
}

/// Reads the backup back: its list of contents, or every row of it.
pub(crate) async fn verify(
    guard: &MigrationGuard,
    record: &mut BackupRecord,
    before: &Before,
    choice: BackupChoice,
) -> Result<(), EngineError> {
    let path = PathBuf::from(&record.path);
    let pg_restore = tools::find("pg_restore", guard).await?;
    let listing =
        tools::run("pg_restore", &pg_restore, guard.target(), &["--list".to_owned(), record.path.clone()])
            .await?;
    let missing = missing(&listing, before);
    if !missing.is_empty() {
        let what = format!("it has no rows of {}", missing.join(", "));
        return Err(EngineError::BadBackup { path, what });
    }
    record.verified = "list".to_owned();
    if choice == BackupChoice::Restore {
        restored(guard, &pg_restore, &path, before).await?;
        record.verified = "restore".to_owned();
    }
    record.rows = Some(before.tables.iter().map(|table| u64::try_from(table.rows).unwrap_or(0)).sum());
    Ok(())
}

/// Tables whose data the list of contents does not name.
fn missing(listing: &str, before: &Before) -> Vec<String> {
    let entries: BTreeSet<&str> = listing
        .lines()
        .filter_map(|line| line.split_once(" TABLE DATA "))
        // `schema table owner`
        .filter_map(|(_, rest)| rest.rsplit_once(' ').map(|(table, _)| table))
        .collect();
    before
        .tables
        .iter()
        // An owner or a table may hold spaces, so the entry only has to begin with the table.
        .filter(|table| {
            let name = format!("{} {}", table.table.schema.as_str(), table.table.name.as_str());
            !entries.iter().any(|entry| *entry == name || entry.starts_with(&format!("{name} ")))
        })
        .map(|table| table.table.to_string())
        .collect()
}

/// Restores into a scratch database of the same server, counts, and drops it, whatever came of it.
async fn restored(
    guard: &MigrationGuard,
    pg_restore: &PathBuf,
    path: &Path,
    before: &Before,
) -> Result<(), EngineError> {
    drop_scratch(guard).await?;
    let scratch = scratch(guard).await?;
    let doing = "making the scratch database that the backup is restored into";
    let create = sql!("CREATE DATABASE {} TEMPLATE template0", scratch);
    guard.client().batch_execute(create.as_str()).await.map_err(EngineError::server(doing))?;
    let outcome = counted(guard, pg_restore, path, &scratch, before).await;
    drop_scratch(guard).await?;
    outcome
}

/// Also for what a killed run left behind.
pub(crate) async fn drop_scratch(guard: &MigrationGuard) -> Result<(), EngineError> {
    let drop = sql!("DROP DATABASE IF EXISTS {} WITH (FORCE)", scratch(guard).await?);
    guard
        .client()
        .batch_execute(drop.as_str())
        .await
        .map_err(EngineError::server("dropping the scratch database"))
}

/// One per database, and the lock lets one run at a time use it.
async fn scratch(guard: &MigrationGuard) -> Result<Ident, EngineError> {
    let oid: u32 = guard
        .client()
        .query_one("SELECT oid FROM pg_database WHERE datname = current_database()", &[])
        .await
        .and_then(|row| row.try_get(0))
        .map_err(EngineError::server("naming the scratch database"))?;
    Ok(Ident::derived("bastide_verify_", &oid.to_string()))
}

async fn counted(
    guard: &MigrationGuard,
    pg_restore: &PathBuf,
    path: &Path,
    scratch: &Ident,
    before: &Before,
) -> Result<(), EngineError> {
    let target = guard.target().with_database(scratch.as_str());
    let arguments = [
        "--exit-on-error".to_owned(),
        "--no-owner".to_owned(),
        "--no-privileges".to_owned(),
        "--no-publications".to_owned(),
        "--no-subscriptions".to_owned(),
        format!("--dbname={}", scratch.as_str()),
        path.display().to_string(),
    ];
    tools::run("pg_restore", pg_restore, &target, &arguments).await?;
    let client = target.connect("bastide").await?;
    for table in &before.tables {
        let count = sql!("SELECT count(*) FROM ONLY {}", table.table);
        let rows: i64 = client
            .query_one(count.as_str(), &[])
            .await
            .and_then(|row| row.try_get(0))
            .map_err(EngineError::server("counting the restored rows"))?;
        if rows != table.rows {
            let what = format!("{} has {rows} rows in it and had {}", table.table, table.rows);
            return Err(EngineError::BadBackup { path: path.to_owned(), what });
        }
    }
    Ok(())
}
