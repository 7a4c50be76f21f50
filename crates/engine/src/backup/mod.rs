//! The backup: `pg_dump` from an exported snapshot, in which the fingerprints are taken, too; and the proof that it can
//! be read back.

mod folder;
mod jobs;
mod manifest;
mod restored;

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use bastide_connect::Target;
use bastide_sql::{Ident, QualifiedName};
use time::OffsetDateTime;
use tokio_postgres::{GenericClient, Transaction};

pub use self::manifest::{Manifest, check_backup};
pub(crate) use self::restored::drop_scratch;
use self::{folder::Partial, manifest::Contents};
use crate::{
    BackupChoice, BackupRecord, EngineError, MigrationGuard, fault,
    fingerprint::{self, Before, TableBefore},
    tools,
};

type Say<'a> = &'a (dyn Fn(&str) + Send + Sync);

/// Each lets whoever wants a table exclusively have it first.
const TRIES: u32 = 5;

/// What only one run at a time writes for, since it holds the database's lock; so whoever else has it, is orphaned.
const APPLICATION: &str = "bastide run's backup";

/// Dump and fingerprints of one and the same snapshot.
///
/// # Errors
/// When either cannot be taken, or the backup cannot be read back. What was begun of it is then removed; but for one that
/// is found not to be whole, which stays for inspection until the next run.
pub(crate) async fn take(
    guard: &mut MigrationGuard,
    state_dir: &Path,
    choice: &BackupChoice,
    schema: &str,
    say: Say<'_>,
) -> Result<(Option<BackupRecord>, Before), EngineError> {
    end_orphans(guard.target()).await?;
    for told in folder::clear(state_dir)? {
        say(&told);
    }
    if matches!(choice, BackupChoice::None(_)) {
        say("no backup, as asked; fingerprints of every table");
        return Ok((None, insisting(guard, None, schema, say).await?.before));
    }
    let pg_dump = tools::find("pg_dump", guard).await?;
    let partial = Partial::new(state_dir, guard.database(), &stamp(guard).await?)?;
    let jobs = jobs::free(guard).await?;
    say(&format!("backup ({jobs} at a time) and fingerprints, from one snapshot"));
    let dump = Dump { pg_dump, folder: partial.dump(), jobs };
    let taken = match insisting(guard, Some(&dump), schema, say).await {
        Ok(taken) => taken,
        Err(error) => {
            partial.discard()?;
            return Err(error);
        }
    };
    fault::point("after_dump", "backup");
    let files = manifest::files(&dump.folder).await?;
    let bytes = files.iter().map(|file| file.bytes).sum();
    let whole = Whole { taken: &taken, dump: &dump.folder, jobs };
    let verified = match whole.verify(guard, choice, say).await {
        Ok(verified) => verified,
        Err(error) => {
            tracing::warn!(path = %partial.path().display(), "the backup that failed verification is kept until the next run");
            return Err(error);
        }
    };
    let tables: Vec<TableBefore> = taken.dumped().cloned().collect();
    let record = BackupRecord {
        path: partial.whole().display().to_string(),
        bytes,
        verified: verified.to_owned(),
        tables: tables.len() as u64,
        rows: Some(tables.iter().map(|table| table.rows.unsigned_abs()).sum()),
        snapshot_seconds: Some(taken.held.as_secs_f64()),
    };
    let contents = Contents { verified, taken: &taken, tables, files };
    manifest::write(guard, partial.path(), contents).await?;
    fault::point("before_complete", "backup");
    partial.complete()?;
    Ok((Some(record), taken.before))
}

/// What one snapshot gave.
struct Taken {
    before: Before,
    /// Their rows are the extension's, but for those that it has marked to be dumped.
    of_extensions: BTreeSet<QualifiedName>,
    large_objects: i64,
    at: OffsetDateTime,
    held: Duration,
}

impl Taken {
    fn dumped(&self) -> impl Iterator<Item = &TableBefore> {
        self.before.tables.iter().filter(|table| !self.of_extensions.contains(&table.table))
    }
}

struct Dump {
    pg_dump: PathBuf,
    folder: PathBuf,
    jobs: usize,
}

/// Steps back from whoever wants a table exclusively: a worker of `pg_dump` asks for its lock with NOWAIT and fails behind
/// such a wish, and everybody else would queue behind it for as long as our snapshot lasts.
async fn insisting(
    guard: &mut MigrationGuard,
    dump: Option<&Dump>,
    schema: &str,
    say: Say<'_>,
) -> Result<Taken, EngineError> {
    let mut jobs = dump.map_or(1, |dump| dump.jobs);
    for tried in 1.. {
        let again = match attempt(guard, dump, jobs, schema, say).await {
            Err(error @ EngineError::Tool { .. }) if jobs > 1 => error,
            Err(EngineError::Server { doing, said }) if said.passes() && tried < TRIES => {
                EngineError::Server { doing, said }
            }
            ended => return ended,
        };
        say(&format!("{again}; once more, from a new snapshot and one table at a time"));
        // Workers would ask with NOWAIT again; a single pg_dump waits.
        jobs = 1;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    unreachable!("the last try returns what came of it")
}

async fn attempt(
    guard: &mut MigrationGuard,
    dump: Option<&Dump>,
    jobs: usize,
    schema: &str,
    say: Say<'_>,
) -> Result<Taken, EngineError> {
    let doing = "opening the snapshot of the backup";
    let target = guard.target().clone();
    let transaction = guard
        .client_mut()
        .build_transaction()
        .isolation_level(tokio_postgres::IsolationLevel::RepeatableRead)
        .read_only(true)
        .start()
        .await
        .map_err(EngineError::server(doing))?;
    let begun = Instant::now();
    let opened = open(&transaction).await.map_err(EngineError::server(doing))?;
    let dumping = async {
        match dump {
            Some(dump) => dump.run(&target, &opened.snapshot, jobs).await,
            None => Ok(()),
        }
    };
    let both = async { tokio::try_join!(dumping, fingerprint::take(&transaction, schema.to_owned())) };
    let came = tokio::select! {
        came = both => came,
        never = ageing(begun, say) => match never {},
    };
    let before = match came {
        Ok(((), before)) => before,
        Err(error) => {
            // Nobody is to wait for a fingerprint that nobody waits for.
            if let Err(also) = let_go(&target, opened.backend).await {
                tracing::debug!(%also, "the rest of the failed backup could not be ended");
            }
            drop(transaction);
            if let Some(dump) = dump {
                folder::emptied(&dump.folder)?;
            }
            return Err(error);
        }
    };
    let of_extensions = of_extensions(&transaction).await?;
    transaction.commit().await.map_err(EngineError::server(doing))?;
    let held = begun.elapsed();
    Ok(Taken { before, of_extensions, large_objects: opened.large_objects, at: opened.at, held })
}

struct Opened {
    snapshot: String,
    at: OffsetDateTime,
    large_objects: i64,
    backend: i32,
}

async fn open(transaction: &Transaction<'_>) -> Result<Opened, tokio_postgres::Error> {
    // Longer than a step's, and shorter than deadlock_timeout: the one to give up is never somebody else.
    transaction.batch_execute("SET LOCAL lock_timeout = '500ms'").await?;
    let row = transaction
        .query_one(
            "SELECT pg_export_snapshot(), now(), (SELECT count(*) FROM pg_largeobject_metadata), pg_backend_pid()",
            &[],
        )
        .await?;
    Ok(Opened {
        snapshot: row.try_get(0)?,
        at: row.try_get(1)?,
        large_objects: row.try_get(2)?,
        backend: row.try_get(3)?,
    })
}

impl Dump {
    async fn run(&self, target: &Target, snapshot: &str, jobs: usize) -> Result<(), EngineError> {
        // No --enable-row-security: pg_dump then fails where row security would filter what it reads.
        let arguments = [
            "--format=directory".to_owned(),
            format!("--jobs={jobs}"),
            "--exclude-schema=bastide".to_owned(),
            "--lock-wait-timeout=30s".to_owned(),
            format!("--snapshot={snapshot}"),
            format!("--file={}", self.folder.display()),
        ];
        tools::run_as("pg_dump", &self.pg_dump, &unhindered(target), APPLICATION, &arguments).await.map(drop)
    }
}

/// What a role or a database presets must neither end nor bend what the client programs do.
fn unhindered(target: &Target) -> Target {
    target.with_options(
        "-c default_transaction_read_only=off -c statement_timeout=0 -c idle_in_transaction_session_timeout=0 \
         -c idle_session_timeout=0",
    )
}

/// A snapshot keeps vacuum from removing what died since; whoever watches is told how long it has been.
async fn ageing(begun: Instant, say: Say<'_>) -> std::convert::Infallible {
    loop {
        tokio::time::sleep(Duration::from_secs(30)).await;
        say(&format!("the backup's snapshot is {} s old", begun.elapsed().as_secs()));
    }
}

async fn of_extensions(client: &impl GenericClient) -> Result<BTreeSet<QualifiedName>, EngineError> {
    let reading = "reading which tables belong to extensions";
    let rows = client
        .query(
            "SELECT n.nspname::text, c.relname::text FROM pg_depend d JOIN pg_class c ON c.oid = d.objid JOIN pg_namespace n ON n.oid = c.relnamespace WHERE d.classid = 'pg_class'::regclass AND d.deptype = 'e' AND c.relkind = 'r'",
            &[],
        )
        .await
        .map_err(EngineError::server(reading))?;
    let name = |text: String| Ident::new(text).map_err(|error| EngineError::Preflight(error.to_string()));
    rows.iter()
        .map(|row| {
            let text = |at: usize| row.try_get(at).map_err(EngineError::server(reading));
            Ok(QualifiedName::new(name(text(0)?)?, name(text(1)?)?))
        })
        .collect()
}

/// Ends the query that a failed attempt left running in our own session, and what `pg_dump` left of itself: killed, it
/// cannot tell its workers.
async fn let_go(target: &Target, backend: i32) -> Result<(), EngineError> {
    let client = target.connect("bastide").await?;
    client
        .execute("SELECT pg_cancel_backend($1)", &[&backend])
        .await
        .map_err(EngineError::server("stepping back"))?;
    client.close().await;
    end_orphans(target).await
}

/// A run that was killed may have left its `pg_dump` behind, which goes on, keeps its locks, and fills the disk.
async fn end_orphans(target: &Target) -> Result<(), EngineError> {
    let doing = "ending what a killed run left of its backup";
    let client = target.connect("bastide").await?;
    client
        .execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = current_database() AND application_name = $1",
            &[&APPLICATION],
        )
        .await
        .map_err(EngineError::server(doing))?;
    client.close().await;
    Ok(())
}

async fn stamp(guard: &MigrationGuard) -> Result<String, EngineError> {
    guard
        .client()
        .query_one("SELECT to_char(clock_timestamp(), 'YYYYMMDD-HH24MISS-MS')", &[])
        .await
        .and_then(|row| row.try_get(0))
        .map_err(EngineError::server("asking for the time"))
}

/// A dump that ended well, to be read back.
struct Whole<'a> {
    taken: &'a Taken,
    dump: &'a Path,
    jobs: usize,
}

impl Whole<'_> {
    /// Its list of contents, or every row of it; says which.
    async fn verify(
        &self,
        guard: &MigrationGuard,
        choice: &BackupChoice,
        say: Say<'_>,
    ) -> Result<&'static str, EngineError> {
        say("reading the backup's contents");
        let pg_restore = tools::find("pg_restore", guard).await?;
        let arguments = ["--list".to_owned(), self.dump.display().to_string()];
        let listing = tools::run("pg_restore", &pg_restore, guard.target(), &arguments).await?;
        let missing = missing(&listing, self.taken.dumped());
        if !missing.is_empty() {
            return Err(self.bad(format!("it has no rows of {}", missing.join(", "))));
        }
        if *choice != BackupChoice::Restore {
            return Ok("list");
        }
        say("restoring the backup and comparing its rows");
        self.restored(guard, &pg_restore, &listing).await?;
        Ok("restore")
    }

    fn bad(&self, what: String) -> EngineError {
        EngineError::BadBackup { path: self.dump.to_owned(), what }
    }
}

/// Tables whose data the list of contents does not name.
fn missing<'a>(listing: &str, tables: impl Iterator<Item = &'a TableBefore>) -> Vec<String> {
    let entries: BTreeSet<&str> = listing
        .lines()
        .filter_map(|line| line.split_once(" TABLE DATA "))
        // `schema table owner`
        .filter_map(|(_, rest)| rest.rsplit_once(' ').map(|(table, _)| table))
        .collect();
    tables
        // An owner or a table may hold spaces, so the entry only has to begin with the table.
        .filter(|table| {
            let name = format!("{} {}", table.table.schema.as_str(), table.table.name.as_str());
            !entries.iter().any(|entry| *entry == name || entry.starts_with(&format!("{name} ")))
        })
        .map(|table| table.table.to_string())
        .collect()
}

#[cfg(test)]
mod tests;
