//! The only way to a connection that may change something: it holds the database's advisory lock, and its session is
//! set so that nothing filters, reorders or reformats what it reads.

use std::time::Duration;

use bastide_connect::{ConnectError, Connected, Target};
use bastide_sql::{Literal, Sql, sql};
use tokio_postgres::{Client, error::SqlState};
use uuid::Uuid;

use crate::{EngineError, ServerSaid};

/// One constant for every version of Bastide: two runs must meet. ("bastide" in ASCII.)
const LOCK: i64 = 0x0062_6173_7469_6465;

/// A killed run's backend may live a moment longer than the run.
const LINGERING: Duration = Duration::from_secs(3);

/// A server that was killed needs a while to recover.
const RECOVERY: Duration = Duration::from_secs(45);

/// Proof that no other run changes this database, and the connection to change it through.
pub struct MigrationGuard {
    target: Target,
    client: Connected,
    database: String,
    login: String,
    backend: i32,
    run: Option<Uuid>,
}

impl MigrationGuard {
    /// Connects as the migrating login and takes the lock.
    ///
    /// # Errors
    /// When the server cannot be reached, is too old, the login has not the rights, or another run holds the lock
    /// ([`EngineError::Busy`] names it).
    pub async fn acquire(target: &Target) -> Result<Self, EngineError> {
        let (client, database, login) = open(target).await?;
        let backend = backend(&client).await?;
        let guard = Self { target: target.clone(), client, database, login, backend, run: None };
        guard.settle().await?;
        Ok(guard)
    }

    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// For what opens transactions of its own (reading the catalog, the survey).
    #[must_use]
    pub fn client_mut(&mut self) -> &mut Client {
        &mut self.client
    }

    #[must_use]
    pub fn target(&self) -> &Target {
        &self.target
    }

    #[must_use]
    pub fn database(&self) -> &str {
        &self.database
    }

    #[must_use]
    pub fn login(&self) -> &str {
        &self.login
    }

    /// The server process behind [`Self::client`].
    pub(crate) fn backend(&self) -> i32 {
        self.backend
    }

    /// From here on this session's scripts belong to `run`.
    pub(crate) async fn begin(&mut self, run: Uuid) -> Result<(), EngineError> {
        self.run = Some(run);
        self.settle().await
    }

    /// After a lost connection: a new one, with the lock, for the same run.
    pub(crate) async fn reconnect(&mut self) -> Result<(), EngineError> {
        let begun = tokio::time::Instant::now();
        loop {
            match open(&self.target).await {
                Ok((client, _, _)) => {
                    self.backend = backend(&client).await?;
                    self.client = client;
                    return self.settle().await;
                }
                Err(error) if begun.elapsed() >= RECOVERY => return Err(error),
                Err(EngineError::Server { .. } | EngineError::Busy { .. }) => {
                    tokio::time::sleep(Duration::from_millis(300)).await;
                }
                Err(EngineError::Connect(error)) if comes_back(&error) => {
                    tokio::time::sleep(Duration::from_millis(300)).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Whether the connection is gone, however that shows.
    pub(crate) async fn lost(&self) -> bool {
        match self.client.batch_execute("").await {
            Ok(()) => false,
            Err(error) => ServerSaid::from(error).lost(),
        }
    }

    /// True when what was asked failed because the connection was cut, and there is another now: what may be asked twice can
    /// be asked again.
    pub(crate) async fn mended<T: Sync>(
        &mut self,
        asked: &Result<T, EngineError>,
    ) -> Result<bool, EngineError> {
        let Err(cause) = asked else { return Ok(false) };
        if !self.lost().await {
            return Ok(false);
        }
        tracing::debug!(%cause, "the connection was cut; asking again");
        self.reconnect().await?;
        Ok(true)
    }

    /// The session's settings, as everything here expects them; again after a step that changed some.
    pub(crate) async fn settle(&self) -> Result<(), EngineError> {
        let run = self.run.map(|run| run.to_string()).unwrap_or_default();
        let settings: Vec<Sql> = vec![
            // A read that row security filters must fail, never pass for a full one.
            sql!("SET row_security = off"),
            sql!("SET search_path = pg_catalog"),
            sql!("SET lock_timeout = '50ms'"),
            sql!("SET statement_timeout = 0"),
            sql!("SET idle_in_transaction_session_timeout = 0"),
            // It is idle for as long as the backup is restored.
            sql!("SET idle_session_timeout = 0"),
            // From PostgreSQL 17 on.
            sql!("SELECT set_config(name, '0', false) FROM pg_settings WHERE name = 'transaction_timeout'"),
            // A generic plan of a batch may scan the whole table.
            sql!("SET plan_cache_mode = force_custom_plan"),
            // The same text for the same value, whatever the role or the database has set.
            sql!("SET DateStyle = 'ISO, YMD'"),
            sql!("SET IntervalStyle = 'postgres'"),
            sql!("SET TimeZone = 'UTC'"),
            sql!("SET bytea_output = 'hex'"),
            sql!("SET extra_float_digits = 1"),
            sql!("SET xmlbinary = 'base64'"),
            sql!("SET standard_conforming_strings = on"),
            sql!("SET check_function_bodies = on"),
            // What a role or a database presets must not turn our own writes off or on.
            sql!("SET session_replication_role = origin"),
            sql!("SET default_transaction_read_only = off"),
            sql!("SET default_transaction_isolation = 'read committed'"),
            sql!("SET default_tablespace = ''"),
            sql!("SET application_name = 'bastide'"),
            sql!("SET client_min_messages = warning"),
            sql!("SELECT set_config('bastide.held_ms', '', false)"),
            sql!("SELECT set_config('bastide.run', {}, false)", Literal::text(run)),
        ];
        self.client
            .batch_execute(&crate::message::text(&settings))
            .await
            .map_err(EngineError::server("preparing the session"))
    }
}

/// A server that recovers refuses in these ways, and no wrong password among them.
fn comes_back(error: &ConnectError) -> bool {
    matches!(
        error,
        ConnectError::Unreachable { .. }
            | ConnectError::NoAnswer { .. }
            | ConnectError::Starting { .. }
            | ConnectError::TooMany { .. }
            | ConnectError::NotPostgres { .. }
    )
}

async fn open(target: &Target) -> Result<(Connected, String, String), EngineError> {
    let client = direct(target).await?;
    let (database, login) = check_rights(&client).await?;
    lock(&client, &database).await?;
    Ok((client, database, login))
}

/// Asks with a start-up setting, which reaches a server and gets lost, or is refused, in a pooler.
async fn direct(target: &Target) -> Result<Connected, EngineError> {
    let pooled = || EngineError::Pooled { host: target.host_for_people() };
    let client = match target.with_options("-c bastide.direct=yes").connect("bastide").await {
        Err(ConnectError::Refused { code, .. }) if code == SqlState::PROTOCOL_VIOLATION.code() => {
            return Err(pooled());
        }
        connected => connected?,
    };
    let arrived: bool = client
        .query_one(
            "SELECT pg_catalog.current_setting('bastide.direct', true) IS NOT DISTINCT FROM 'yes'",
            &[],
        )
        .await
        .and_then(|row| row.try_get(0))
        .map_err(EngineError::server("asking whether a pooler is in between"))?;
    if arrived { Ok(client) } else { Err(pooled()) }
}

async fn backend(client: &Client) -> Result<i32, EngineError> {
    client
        .query_one("SELECT pg_catalog.pg_backend_pid()", &[])
        .await
        .and_then(|row| row.try_get(0))
        .map_err(EngineError::server("asking for the session's process"))
}

/// The database and the login, when that login may do what a migration does. Planning asks, too: a login that row
/// security or missing grants filter would count less than there is.
pub(crate) async fn check_rights(client: &tokio_postgres::Client) -> Result<(String, String), EngineError> {
    let asked = EngineError::server("asking for the login's rights");
    let row = client
        .query_one(
            "SELECT current_database()::text, current_user::text, r.rolsuper, pg_is_in_recovery() FROM pg_catalog.pg_roles r WHERE r.rolname = current_user",
            &[],
        )
        .await
        .map_err(asked)?;
    let wrong = |error| EngineError::server("asking for the login's rights")(error);
    let (database, login): (String, String) =
        (row.try_get(0).map_err(wrong)?, row.try_get(1).map_err(wrong)?);
    let (superuser, standby): (bool, bool) = (row.try_get(2).map_err(wrong)?, row.try_get(3).map_err(wrong)?);
    if standby {
        let missing = "the server is a standby, which takes no writes".to_owned();
        return Err(EngineError::MayNot {
            login,
            database,
            missing,
            help: "Connect to the primary".to_owned(),
        });
    }
    if !superuser {
        return Err(EngineError::MayNot {
            missing: "this release migrates as a superuser (it reads past row security, makes roles, and acts for every table's owner), and this login is none".to_owned(),
            help: format!("Connect as one, or let one run {} for the time of the migration", sql!("ALTER ROLE {} SUPERUSER", quoted(&login)?)),
            login,
            database,
        });
    }
    Ok((database, login))
}

fn quoted(name: &str) -> Result<bastide_sql::Ident, EngineError> {
    bastide_sql::Ident::new(name).map_err(|error| EngineError::Preflight(error.to_string()))
}

async fn lock(client: &Client, database: &str) -> Result<(), EngineError> {
    let begun = tokio::time::Instant::now();
    loop {
        let got: bool = client
            .query_one("SELECT pg_catalog.pg_try_advisory_lock($1)", &[&LOCK])
            .await
            .and_then(|row| row.try_get(0))
            .map_err(EngineError::server("taking the lock"))?;
        if got {
            return Ok(());
        }
        if begun.elapsed() >= LINGERING {
            return Err(EngineError::Busy { database: database.to_owned(), holder: holder(client).await });
        }
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
}

async fn holder(client: &Client) -> String {
    match holding(client).await {
        Ok(Some((_, holder))) => holder,
        Ok(None) => "a session that has just ended".to_owned(),
        Err(error) => format!("a session that could not be named ({})", ServerSaid::from(error)),
    }
}

/// The session that holds the lock of this database: its pid, and who it is.
pub(crate) async fn holding(client: &Client) -> Result<Option<(i32, String)>, tokio_postgres::Error> {
    let (high, low) = ((LOCK >> 32).to_string(), (LOCK & 0xffff_ffff).to_string());
    client
        .query_opt(
            "SELECT a.pid, format('pid %s, %s, connected since %s', a.pid, coalesce(nullif(a.application_name, ''), a.usename), to_char(a.backend_start, 'YYYY-MM-DD HH24:MI:SS TZ')) FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_stat_activity a USING (pid) WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1 AND l.classid::text = $1 AND l.objid::text = $2 AND l.database = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = current_database())",
            &[&high, &low],
        )
        .await?
        .map(|row| Ok((row.try_get(0)?, row.try_get(1)?)))
        .transpose()
}
