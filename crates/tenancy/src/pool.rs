//! The pool: its connections never leave this crate.

use std::{borrow::Cow, sync::Arc, time::Duration};

use bastide_connect::Target;
use bastide_sql::sql;
use deadpool::{
    Runtime,
    managed::{Pool, PoolError, TimeoutType, Timeouts},
};
use futures_util::future::{join, join4};
use tokio_postgres::{Row, error::SqlState};

use crate::{
    Error, Kind, Lookup, Parameters, Query, SealKeys, TenantId, TenantTx, bound,
    connector::Connector,
    gate::Gate,
    lease::Lease,
    seal::{self, Sealer},
};

/// Serving connections of the application's login.
#[derive(Clone)]
pub struct TenantPool {
    pool: Pool<Connector>,
    config: PoolConfig,
    sealer: Option<Arc<Sealer>>,
    gate: Gate,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolConfig {
    /// Connections at most.
    pub size: usize,
    /// How long a request may wait for one before it gets [`Error::Busy`].
    pub wait: Duration,
    pub connect: Duration,
    /// Told to the server as `statement_timeout`; half as much again ends the wait on our side, should the server not answer.
    pub statement: Duration,
    /// The address is that of a transaction-mode pooler: statements are sent unnamed, and time-outs with BEGIN.
    pub transaction_pooler: bool,
    /// Of a database that takes sealed tenant contexts only.
    pub seal_keys: Option<SealKeys>,
}

impl Default for PoolConfig {
    fn default() -> Self {
        Self {
            size: 16,
            wait: Duration::from_secs(2),
            connect: Duration::from_secs(5),
            statement: Duration::from_secs(5),
            transaction_pooler: false,
            seal_keys: None,
        }
    }
}

/// Not a [`Query`] made by `new`: this is the one statement that may set the context.
const SET_TENANT: Query = Query { sql: "SELECT bastide.set_tenant($1)", parameters: &[Kind::Text] };

/// DISCARD ALL but for the plans, which hold nothing of anybody's and would have to be made anew each time. ROLLBACK first: the rest
/// would be undone with a transaction that was left open.
const CLEAN: &str = "ROLLBACK; CLOSE ALL; SET SESSION AUTHORIZATION DEFAULT; RESET ALL; DEALLOCATE ALL; UNLISTEN *; \
    SELECT pg_catalog.pg_advisory_unlock_all(); DISCARD TEMP; DISCARD SEQUENCES";

impl TenantPool {
    /// Connects with the application's login and makes sure that row-level security binds it.
    ///
    /// # Errors
    /// [`Error::Unbound`] when it does not, with one sentence of why; [`Error::Connect`] when there is no connection.
    pub async fn connect(target: &Target, config: PoolConfig) -> Result<Self, Error> {
        let mut pool = Self { pool: build(target, &config)?, config, sealer: None, gate: Gate::default() };
        pool.check_bound().await?;
        pool.sealer = pool.check_sealed().await?.map(Arc::new);
        Ok(pool)
    }

    /// The same check again, on a connection of the pool: for a running server, since somebody may alter the login or a
    /// table meanwhile.
    ///
    /// # Errors
    /// As [`TenantPool::connect`].
    pub async fn check_bound(&self) -> Result<(), Error> {
        let lease = self.lease(None).await?;
        within(self.config.statement * 4, bound::check(&lease)).await?;
        lease.settle();
        Ok(())
    }

    /// Keys that were rotated, for contexts from now on. Of no use to a database that takes plain ones.
    pub fn use_seal_keys(&self, keys: SealKeys) {
        if let Some(sealer) = &self.sealer {
            sealer.replace(keys);
        }
    }

    /// Whether the database takes sealed contexts, whether there is a key for them, and whether it knows that key.
    async fn check_sealed(&self) -> Result<Option<Sealer>, Error> {
        let lease = self.lease(None).await?;
        let sealer =
            within(self.config.our_deadline(), seal::check(&lease, self.config.seal_keys.as_ref())).await?;
        lease.settle();
        Ok(sealer)
    }

    /// What `set_tenant` is to be called with.
    fn context<'a>(&self, tenant: &'a TenantId) -> Cow<'a, str> {
        match &self.sealer {
            Some(sealer) => Cow::Owned(sealer.token(tenant)),
            None => Cow::Borrowed(tenant.as_str()),
        }
    }

    /// Reads as `tenant`, in one round trip and a READ ONLY transaction. Tried once more when the connection turns out to be lost.
    ///
    /// # Errors
    /// As [`Error`] tells them apart.
    pub async fn read(
        &self,
        tenant: &TenantId,
        query: &Query,
        parameters: Parameters<'_>,
    ) -> Result<Vec<Row>, Error> {
        match self.read_once(tenant, query, parameters).await {
            Err(error) if error.worth_another_connection() => {
                tracing::debug!(%error, "reading again on another connection");
                self.read_once(tenant, query, parameters).await
            }
            outcome => outcome,
        }
    }

    async fn read_once(
        &self,
        tenant: &TenantId,
        query: &Query,
        parameters: Parameters<'_>,
    ) -> Result<Vec<Row>, Error> {
        check_count(query, parameters)?;
        let lease = self.lease(Some(tenant)).await?;
        let token = self.context(tenant);
        let (begin, context, rows, commit) = within(self.config.our_deadline(), async {
            let (set_tenant, statement) = (lease.ready(&SET_TENANT).await?, lease.ready(query).await?);
            let begin = self.begin_text(true);
            // Each future sends when it is first polled, and `join4` polls in this order: four messages, one flush. Should the context
            // be refused, the transaction has failed and the query can only fail, too.
            Ok(join4(
                lease.batch_execute(&begin),
                lease.rows(&set_tenant, &SET_TENANT, &[&token.as_ref()]),
                lease.rows(&statement, query, parameters),
                lease.batch_execute("COMMIT"),
            )
            .await)
        })
        .await?;
        let rows = begin
            .map_err(Error::from)
            .and_then(|()| context.map_err(context_error))
            .and_then(|_| rows.map_err(Error::from));
        // Only an answered COMMIT proves that nothing is left open; and a stale statement must not be met again.
        if commit.is_ok() && !rows.as_ref().is_err_and(Error::worth_another_connection) {
            lease.settle();
        }
        let rows = rows?;
        commit?;
        Ok(rows)
    }

    /// Opens a transaction as `tenant`, for work that reads, decides and writes.
    ///
    /// # Errors
    /// As [`Error`] tells them apart.
    pub async fn begin(&self, tenant: &TenantId) -> Result<TenantTx, Error> {
        let lease = self.lease(Some(tenant)).await?;
        let token = self.context(tenant);
        let outcome = within(self.config.our_deadline(), async {
            let set_tenant = lease.ready(&SET_TENANT).await?;
            let begin = self.begin_text(false);
            let (begin, context) =
                join(lease.batch_execute(&begin), lease.rows(&set_tenant, &SET_TENANT, &[&token.as_ref()]))
                    .await;
            begin?;
            if let Err(error) = context {
                lease.batch_execute("ROLLBACK").await?;
                return Ok(Err(context_error(error)));
            }
            Ok(Ok(()))
        })
        .await?;
        match outcome {
            Ok(()) => Ok(TenantTx::new(lease, tenant.clone(), self.config.our_deadline())),
            Err(error) => {
                lease.settle();
                Err(error)
            }
        }
    }

    /// Calls a named look-up, without any context.
    ///
    /// # Errors
    /// As [`Error`] tells them apart.
    pub async fn lookup(&self, lookup: &Lookup, parameters: Parameters<'_>) -> Result<Vec<Row>, Error> {
        match self.lookup_once(lookup, parameters).await {
            Err(error) if error.worth_another_connection() => self.lookup_once(lookup, parameters).await,
            outcome => outcome,
        }
    }

    async fn lookup_once(&self, lookup: &Lookup, parameters: Parameters<'_>) -> Result<Vec<Row>, Error> {
        let query = &lookup.0;
        check_count(query, parameters)?;
        let lease = self.lease(None).await?;
        let rows = within(self.config.our_deadline(), async {
            let ready = lease.ready(query).await?;
            Ok(lease.rows(&ready, query, parameters).await?)
        })
        .await?;
        lease.settle();
        Ok(rows)
    }

    /// Asks the server for nothing: is it there?
    ///
    /// # Errors
    /// When it is not, or no connection is free in time.
    pub async fn ping(&self) -> Result<(), Error> {
        let lease = self.lease(None).await?;
        within(self.config.our_deadline(), async { Ok(lease.batch_execute("").await?) }).await?;
        lease.settle();
        Ok(())
    }

    /// Parses and plans a statement without running it: for the test that every serving query has.
    ///
    /// # Errors
    /// When the server does not accept it.
    pub async fn prepare(&self, query: &Query) -> Result<(), Error> {
        let lease = self.lease(None).await?;
        let types: Vec<_> = query.parameters.iter().map(|kind| kind.postgres()).collect();
        let statement =
            within(self.config.our_deadline(), async { Ok(lease.prepare_typed(query.sql, &types).await?) })
                .await?;
        if statement.params().len() != query.parameters.len() {
            return Err(Error::Mismatch(format!(
                "the statement takes {} parameters, {} are declared",
                statement.params().len(),
                query.parameters.len()
            )));
        }
        lease.settle();
        Ok(())
    }

    /// As [`TenantPool::prepare`].
    ///
    /// # Errors
    /// When the server does not accept it.
    pub async fn prepare_lookup(&self, lookup: &Lookup) -> Result<(), Error> {
        self.prepare(&lookup.0).await
    }

    /// Stops lending and closes what is idle.
    pub fn close(&self) {
        self.pool.close();
    }

    /// The same connections past a gate that nobody shuts, and the gate of this pool: for the watch.
    pub(crate) fn beside_the_gate(&self) -> (Self, Gate) {
        (Self { gate: Gate::default(), ..self.clone() }, self.gate.clone())
    }

    #[expect(clippy::disallowed_methods, reason = "the one place that lends")]
    pub(crate) async fn lease(&self, tenant: Option<&TenantId>) -> Result<Lease, Error> {
        self.gate.pass()?;
        let mut object = self.pool.get().await.map_err(|error| match error {
            PoolError::Timeout(TimeoutType::Wait) => Error::Busy,
            PoolError::Backend(error) => Error::Connect(error),
            other => Error::Unreachable(other.to_string()),
        })?;
        // It may have been shut while this request stood in line.
        self.gate.pass()?;
        let Some(tenant) = tenant.filter(|_| self.sealer.is_some()) else {
            return Ok(Lease::new(object, !self.config.transaction_pooler && self.sealer.is_none()));
        };
        let before = object.tenant.replace(tenant.clone());
        let lease = Lease::new(object, false);
        // What one tenant's statements left in the session (settings, cursors, prepared statements) waits for no other tenant. Through a
        // transaction pooler that session may be anybody's.
        if before.is_some_and(|before| before != *tenant) && !self.config.transaction_pooler {
            within(self.config.our_deadline(), async { Ok(lease.batch_execute(CLEAN).await?) }).await?;
        }
        Ok(lease)
    }

    fn begin_text(&self, read_only: bool) -> String {
        let begin = if read_only { sql!("BEGIN READ ONLY") } else { sql!("BEGIN") };
        if !self.config.transaction_pooler {
            return begin.as_str().to_owned();
        }
        sql!("{}; SET LOCAL statement_timeout = {}", begin, milliseconds(self.config.statement))
            .as_str()
            .to_owned()
    }
}

impl PoolConfig {
    /// The server is to give up first, so that a slow statement costs an error and not a connection.
    pub(crate) fn our_deadline(&self) -> Duration {
        self.statement + self.statement / 2
    }
}

impl std::fmt::Debug for TenantPool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TenantPool").field("config", &self.config).finish_non_exhaustive()
    }
}

/// A server that stays silent ends in [`Error::Deadline`]; the lease is dropped with the future, and its connection closed.
pub(crate) async fn within<T>(
    limit: Duration,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    tokio::time::timeout(limit, work).await.unwrap_or(Err(Error::Deadline))
}

/// The driver panics on a wrong number of parameters.
fn check_count(query: &Query, parameters: Parameters<'_>) -> Result<(), Error> {
    if query.parameters.len() == parameters.len() {
        return Ok(());
    }
    Err(Error::Mismatch(format!("{} parameters for {}", parameters.len(), query.parameters.len())))
}

/// Class 22 (data exception) while the context is set: the text is no value of the root key's type.
fn context_error(error: tokio_postgres::Error) -> Error {
    match error.code() {
        Some(code) if code.code().starts_with("22") || *code == SqlState::CHECK_VIOLATION => {
            Error::MalformedTenant
        }
        _ => Error::from(error),
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn build(target: &Target, config: &PoolConfig) -> Result<Pool<Connector>, Error> {
    let target = if config.transaction_pooler {
        target.clone()
    } else {
        // The check interval makes the server give up a statement whose client is gone, so that requests dropped in
        // a hurry cannot pile up work behind the pool's back.
        let options = sql!(
            "-c statement_timeout={} -c idle_in_transaction_session_timeout={} -c client_connection_check_interval=1000",
            milliseconds(config.statement),
            milliseconds(config.our_deadline() * 4)
        );
        target.with_options(options.as_str())
    };
    Pool::builder(Connector { target })
        .max_size(config.size)
        .timeouts(Timeouts { wait: Some(config.wait), create: Some(config.connect), recycle: None })
        .runtime(Runtime::Tokio1)
        .build()
        .map_err(|error| Error::Configuration(error.to_string()))
}
