//! The PostgreSQL that is measured on, and its databases: each is made once and cloned for every run.

use std::{
    fs::{self, DirBuilder, File, TryLockError},
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use bastide_connect::Target;
use bastide_postgres::{Installation, Server};
use bastide_sql::{Ident, Sql, sql};

use crate::shown;

pub(crate) struct Bench {
    server: Option<Server>,
    maintenance: Target,
    state: PathBuf,
    /// Ours to remove; the lock goes with the process, so that the next one can clear away what a killed one left.
    folder: Option<(PathBuf, File)>,
}

impl Bench {
    /// Starts a server in `folder`, which is made, and removed by [`remove`](Self::remove).
    pub(crate) async fn start(
        folder: &Path,
        settings: &[(&'static str, &'static str)],
    ) -> anyhow::Result<Self> {
        let lock = claim(folder)?;
        let data = folder.join("postgres");
        bastide_postgres::stop_running(&data)?;
        clear(folder)?;
        let state = folder.join("state");
        DirBuilder::new().mode(0o700).create(&state).with_context(|| shown(&state))?;
        let installation = Installation::find()?;
        let started =
            Server::builder(installation).data_dir(&data).settings(settings.iter().copied()).start();
        let started = started.await;
        let server = match started {
            Ok(server) => server,
            Err(error) => {
                fs::remove_dir_all(folder).with_context(|| shown(folder))?;
                return Err(error.into());
            }
        };
        let maintenance = Target::parse(&server.url("postgres"))?;
        Ok(Self { server: Some(server), maintenance, state, folder: Some((folder.to_owned(), lock)) })
    }

    /// On a server that somebody else stops.
    #[cfg(test)]
    pub(crate) fn on(server: &Server, state: &Path) -> Self {
        let maintenance = Target::parse(&server.url("postgres")).unwrap();
        Self { server: None, maintenance, state: state.to_owned(), folder: None }
    }

    pub(crate) fn maintenance(&self) -> &Target {
        &self.maintenance
    }

    /// Where a run keeps its files.
    pub(crate) fn state(&self) -> &Path {
        &self.state
    }

    /// An empty database.
    pub(crate) async fn create(&self, name: &'static str) -> anyhow::Result<Target> {
        self.one_by_one(&[sql!("CREATE DATABASE {}", Ident::constant(name))]).await?;
        Ok(self.maintenance.with_database(name))
    }

    /// A copy of `template`, with statistics, its pages as good as read and everything written out.
    pub(crate) async fn clone(&self, template: &'static str, name: &'static str) -> anyhow::Result<Target> {
        let (clone, original) = (Ident::constant(name), Ident::constant(template));
        // By files: by default every page goes through the write-ahead log.
        let create = sql!("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy", clone, original);
        self.one_by_one(&[create]).await?;
        let target = self.maintenance.with_database(name);
        let client = target.connect("bastide bench").await?;
        client.batch_execute("VACUUM (ANALYZE)").await?;
        client.batch_execute("CHECKPOINT").await?;
        client.close().await;
        Ok(target)
    }

    pub(crate) async fn drop(&self, name: &'static str) -> anyhow::Result<()> {
        self.one_by_one(&[sql!("DROP DATABASE IF EXISTS {} WITH (FORCE)", Ident::constant(name))]).await
    }

    /// The roles of runs whose databases are gone.
    pub(crate) async fn drop_roles(&self) -> anyhow::Result<()> {
        // A run that was not cut over lent it a parameter, which is the whole cluster's.
        let lent = sql!(
            "DO $$ BEGIN IF to_regrole('bastide_owner') IS NOT NULL THEN DROP OWNED BY bastide_owner; END IF; END $$"
        );
        let (app, owner) = (Ident::constant("bastide_app"), Ident::constant("bastide_owner"));
        self.one_by_one(&[lent, sql!("DROP ROLE IF EXISTS {}, {}", app, owner)]).await
    }

    /// DROP and CREATE DATABASE refuse to run in a transaction.
    async fn one_by_one(&self, statements: &[Sql]) -> anyhow::Result<()> {
        let client = self.maintenance.connect("bastide bench").await?;
        for statement in statements {
            client.batch_execute(statement.as_str()).await.with_context(|| statement.as_str().to_owned())?;
        }
        client.close().await;
        Ok(())
    }

    /// Stops the server and removes its folder.
    pub(crate) fn remove(&mut self) -> anyhow::Result<()> {
        if let Some(mut server) = self.server.take() {
            // Its data goes next, so there is nothing to write back.
            server.crash()?;
        }
        if let Some((folder, _lock)) = self.folder.take() {
            fs::remove_dir_all(&folder).with_context(|| format!("removing {}", shown(&folder)))?;
        }
        Ok(())
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        if let Err(error) = self.remove() {
            crate::say(&format!("{error:#}"));
        }
    }
}

/// Makes the folder and holds it; refuses one with somebody else's files in it.
fn claim(folder: &Path) -> anyhow::Result<File> {
    let path = shown(folder);
    DirBuilder::new().recursive(true).mode(0o755).create(folder).with_context(|| path.clone())?;
    let found = fs::symlink_metadata(folder).with_context(|| path.clone())?;
    if !found.is_dir() || found.uid() != rustix::process::geteuid().as_raw() {
        bail!("{path} belongs to somebody else; name another folder with --data-dir");
    }
    let lock = folder.join("bastide-bench.lock");
    let empty = fs::read_dir(folder).with_context(|| path.clone())?.next().is_none();
    if !empty && !lock.exists() {
        bail!(
            "{path} holds something that no bench made; name a folder that is new or empty with --data-dir"
        );
    }
    let file = File::options().create(true).truncate(false).write(true).open(&lock);
    let file = file.with_context(|| shown(&lock))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            bail!("another bench is running in {path}; wait for it, or name another folder with --data-dir")
        }
        Err(TryLockError::Error(error)) => Err(error).with_context(|| shown(&lock)),
    }
}

/// What a killed bench left.
fn clear(folder: &Path) -> anyhow::Result<()> {
    for left in ["postgres", "state"].map(|name| folder.join(name)) {
        if left.exists() {
            fs::remove_dir_all(&left).with_context(|| format!("removing {}", shown(&left)))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_held_by_one_and_never_somebody_elses() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("bench");
        let held = claim(&folder).unwrap();
        assert!(claim(&folder).unwrap_err().to_string().contains("another bench is running"));
        drop(held);
        fs::create_dir(folder.join("postgres")).unwrap();
        let again = claim(&folder).unwrap();
        clear(&folder).unwrap();
        assert!(!folder.join("postgres").exists());
        drop(again);
        let theirs = parent.path().join("theirs");
        fs::create_dir(&theirs).unwrap();
        fs::write(theirs.join("thesis.txt"), "").unwrap();
        assert!(claim(&theirs).unwrap_err().to_string().contains("no bench made"));
        assert!(theirs.join("thesis.txt").exists());
    }
}
