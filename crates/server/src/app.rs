//! The application: what every handler shares, its router, and its life from listener to shutdown.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::{Router, extract::DefaultBodyLimit, http::StatusCode, middleware};
use bastide_tenancy::TenantPool;
use tokio::{net::TcpListener, sync::oneshot};
use tower_http::{catch_panic::CatchPanicLayer, timeout::TimeoutLayer};

use crate::{feed::Feed, finish, password::Passwords, routes, seal::SessionKey};

#[derive(Clone)]
pub struct App {
    inner: Arc<Inner>,
}

struct Inner {
    pool: TenantPool,
    config: AppConfig,
    passwords: Passwords,
    migration_feed: Feed,
    mismatched_credentials: AtomicU64,
    mismatched_headers: AtomicU64,
}

#[derive(Clone, Debug)]
pub struct AppConfig {
    /// Signs sessions and cursors. Servers behind one address need the same; a random one ends with the process.
    pub session_key: SessionKey,
    pub session_lifetime: Duration,
    /// From the request's head to the response's.
    pub request_timeout: Duration,
    /// Bytes of a request body.
    pub body_limit: usize,
    /// Password verifications at a time; each takes some 20 MiB and a core.
    pub password_checks: usize,
    /// Clients that listen to the migration's state at a time; more are told to come again.
    pub migration_listeners: usize,
    /// How often the database is asked for it while any does.
    pub migration_interval: Duration,
    /// How long open requests may go on after shutdown was asked for.
    pub grace: Duration,
}

impl Default for AppConfig {
    fn default() -> Self {
        Self {
            session_key: SessionKey::random(),
            session_lifetime: Duration::from_secs(30 * 60),
            request_timeout: Duration::from_secs(15),
            body_limit: 64 * 1024,
            password_checks: std::thread::available_parallelism().map_or(1, usize::from),
            migration_listeners: 64,
            migration_interval: Duration::from_secs(1),
            grace: Duration::from_secs(10),
        }
    }
}

/// Requests whose parts named different merchants, since the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mismatches {
    /// The credential belongs to another merchant than the path names.
    pub credential: u64,
    /// `X-Tenant-ID` names another merchant than the path.
    pub header: u64,
}

impl App {
    #[must_use]
    pub fn new(pool: TenantPool, config: AppConfig) -> Self {
        let passwords = Passwords::new(config.password_checks);
        let migration_feed = Feed::new(config.migration_listeners, config.migration_interval);
        let (mismatched_credentials, mismatched_headers) = (AtomicU64::new(0), AtomicU64::new(0));
        Self {
            inner: Arc::new(Inner {
                pool,
                config,
                passwords,
                migration_feed,
                mismatched_credentials,
                mismatched_headers,
            }),
        }
    }

    #[must_use]
    pub fn mismatches(&self) -> Mismatches {
        Mismatches {
            credential: self.inner.mismatched_credentials.load(Ordering::Relaxed),
            header: self.inner.mismatched_headers.load(Ordering::Relaxed),
        }
    }

    /// Every route, with limits and error pages around them.
    pub fn router(&self) -> Router {
        let config = &self.inner.config;
        routes::all()
            .layer(DefaultBodyLimit::max(config.body_limit))
            .layer(TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, config.request_timeout))
            .layer(CatchPanicLayer::custom(finish::panicked))
            .layer(middleware::from_fn(finish::finish))
            .with_state(self.clone())
    }

    pub(crate) fn pool(&self) -> &TenantPool {
        &self.inner.pool
    }

    pub(crate) fn config(&self) -> &AppConfig {
        &self.inner.config
    }

    pub(crate) fn passwords(&self) -> &Passwords {
        &self.inner.passwords
    }

    pub(crate) fn migration_feed(&self) -> &Feed {
        &self.inner.migration_feed
    }

    pub(crate) fn count_credential_mismatch(&self) {
        self.inner.mismatched_credentials.fetch_add(1, Ordering::Relaxed);
        tracing::warn!("a credential of one merchant was used at another");
    }

    pub(crate) fn count_header_mismatch(&self) {
        self.inner.mismatched_headers.fetch_add(1, Ordering::Relaxed);
        tracing::warn!("X-Tenant-ID and the path name different merchants");
    }
}

/// Serves until `shutdown` completes, then lets open requests end, for [`AppConfig::grace`] at most.
///
/// # Errors
/// When the listener fails.
pub async fn serve(
    listener: TcpListener,
    app: App,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let (asked, when_asked) = oneshot::channel::<()>();
    let grace = app.config().grace;
    let listened = app.clone();
    let server = axum::serve(listener, app.router()).with_graceful_shutdown(async move {
        shutdown.await;
        // A stream has no end of its own that one could wait for.
        listened.migration_feed().stop();
        drop(asked);
    });
    let outcome = tokio::select! {
        outcome = async { server.await } => outcome,
        () = async {
            // Closing the channel is the signal; nothing is ever sent.
            drop(when_asked.await);
            tokio::time::sleep(grace).await;
        } => {
            tracing::warn!("some requests did not end in time and were dropped");
            Ok(())
        }
    };
    app.pool().close();
    outcome
}
