//! A server for one test.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    path::{Path, PathBuf},
};

use bastide_postgres::Installation;

use crate::{
    Database,
    cache::{Cache, RunFolder},
};

/// Durability off: a test's server has to survive the death of its processes, never that of the machine.
const SETTINGS: &[(&str, &str)] = &[
    ("fsync", "off"),
    ("full_page_writes", "off"),
    ("shared_buffers", "32MB"),
    ("max_connections", "60"),
    ("max_wal_size", "256MB"),
    ("autovacuum", "off"),
    ("jit", "off"),
    ("log_min_messages", "warning"),
];
/// Passwords go over loopback as they are: SCRAM's 4096 rounds, not optimised in a test build, would be most of the time
/// that a connection takes.
const INITDB: &[&str] = &["--wal-segsize=1", "--no-sync", "--auth-host=password"];

/// A PostgreSQL of this test's own. Dropping it stops it and removes its folder.
pub struct Server {
    postgres: bastide_postgres::Server,
    _folder: RunFolder,
}

/// Starts an empty server.
///
/// # Panics
/// When PostgreSQL is not installed or does not start.
pub async fn server() -> Server {
    server_with(&[]).await
}

/// Starts an empty server with settings of its own, such as `("wal_level", "logical")`.
///
/// # Panics
/// As [`server()`].
pub async fn server_with(settings: &[(&str, &str)]) -> Server {
    let installation = Installation::find().unwrap_or_else(|error| panic!("{error}"));
    let cache = Cache::open();
    let template = base(&cache, &installation).await;
    Server::copied(&cache, &template, installation, settings).await
}

/// Starts a server whose database `name` was filled by `load`, once, and copied since.
///
/// `version` is whatever decides the content, such as the text of the fixture: when it changes, `load` runs anew.
///
/// # Panics
/// As [`server()`], and when `load` does.
pub async fn template(
    name: &str,
    version: impl AsRef<[u8]>,
    load: impl AsyncFnOnce(&Database),
) -> (Server, Database) {
    let installation = Installation::find().unwrap_or_else(|error| panic!("{error}"));
    let cache = Cache::open();
    let base = base(&cache, &installation).await;
    let key = key(name, &installation, version.as_ref());
    let template = cache.template(&key, async |folder| {
        let mut server = Server::copied(&cache, &base, installation.clone(), &[]).await;
        load(&server.database(name).await).await;
        server.postgres.stop().unwrap_or_else(|error| panic!("{error}"));
        let moved = std::fs::rename(server.postgres.data_dir(), folder);
        moved.unwrap_or_else(|error| panic!("cannot create {}: {error}", folder.display()));
    });
    let server = Server::copied(&cache, &template.await, installation, &[]).await;
    let database = server.existing(name);
    (server, database)
}

async fn base(cache: &Cache, installation: &Installation) -> PathBuf {
    cache
        .template(&key("base", installation, b""), async |folder| {
            let builder = bastide_postgres::Server::builder(installation.clone());
            let started = builder
                .data_dir(folder)
                .initdb_options(INITDB.iter().copied())
                .settings(SETTINGS.iter().copied())
                .start();
            let mut server = started.await.unwrap_or_else(|error| panic!("{error}"));
            server.stop().unwrap_or_else(|error| panic!("{error}"));
        })
        .await
}

impl Server {
    async fn copied(
        cache: &Cache,
        template: &Path,
        installation: Installation,
        further: &[(&str, &str)],
    ) -> Self {
        let folder = cache.copy(template).await;
        let builder = bastide_postgres::Server::builder(installation).data_dir(&folder.data);
        // The last one given wins.
        let builder = builder.settings(SETTINGS.iter().copied()).settings(further.iter().copied());
        let postgres = builder.start().await.unwrap_or_else(|error| panic!("{error}"));
        Self { postgres, _folder: folder }
    }

    /// A new, empty database.
    ///
    /// # Panics
    /// When it exists already.
    pub async fn database(&self, name: &str) -> Database {
        self.existing("postgres").create(name, None).await;
        self.existing(name)
    }

    /// A new database with everything that is in `original`, to which nobody may be connected.
    ///
    /// # Panics
    /// When it exists already, or `original` stays in use.
    pub async fn copy_of(&self, original: &Database, name: &str) -> Database {
        self.existing("postgres").create(name, Some(original.name())).await;
        self.existing(name)
    }

    /// A database that is there already, such as `postgres`.
    #[must_use]
    pub fn existing(&self, name: &str) -> Database {
        Database::new(&self.postgres, name)
    }

    /// The server underneath: its port, its socket, its binaries.
    #[must_use]
    pub fn postgres(&self) -> &bastide_postgres::Server {
        &self.postgres
    }

    /// Ends every process of the server at once, without a checkpoint, as a power cut of the database alone.
    ///
    /// # Panics
    /// When they do not end.
    pub fn crash(&mut self) {
        self.postgres.crash().unwrap_or_else(|error| panic!("{error}"));
    }

    /// Starts it again after [`crash`](Self::crash), on the same port: URLs stay valid.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn restart(&mut self) {
        self.postgres.restart().await.unwrap_or_else(|error| panic!("{error}"));
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Its data goes next, so there is nothing to write back.
        if let Err(error) = self.postgres.crash() {
            assert!(std::thread::panicking(), "{error}");
        }
    }
}

/// Names a template by all that decides what is in it.
fn key(name: &str, installation: &Installation, version: &[u8]) -> String {
    let mut hasher = DefaultHasher::new();
    (installation.bin(), SETTINGS, INITDB, version).hash(&mut hasher);
    let name: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    format!("{name}-{}-{:016x}", installation.version(), hasher.finish())
}
