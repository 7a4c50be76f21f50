//! The application: what every handler shares, its router, and its life from listener to shutdown.

use std::{
    collections::BTreeMap,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{Router, extract::DefaultBodyLimit, http::StatusCode, middleware};
use bastide_commerce::rows::{Crossing, CrossingKind};
use bastide_tenancy::{Standing, TenantPool};
use serde::Serialize;
use time::OffsetDateTime;
use tokio::{net::TcpListener, sync::oneshot};
use tower_http::{catch_panic::CatchPanicLayer, timeout::TimeoutLayer};

use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    asked::Asked,
    audit::{self, Audit},
    feed::Feed,
    finish,
    limits::{self, Limiter, Limits},
    lookout::Lookout,
    media::MediaStore,
    operator::OpsToken,
    password::Passwords,
    routes,
    seal::SessionKey,
    telemetry::Telemetry,
    throttle::Throttle,
};

#[derive(Clone)]
pub struct App {
    inner: Arc<Inner>,
}

struct Inner {
    pool: TenantPool,
    config: AppConfig,
    passwords: Passwords,
    migration_feed: Feed,
    mismatches: Mutex<BTreeMap<CrossingKind, u64>>,
    audit: Audit,
    lookout: Lookout,
    telemetry: Telemetry,
    limiter: Limiter,
}

#[derive(Clone, Debug)]
pub struct AppConfig {
    /// Signs sessions and cursors. Servers behind one address need the same; a random one ends with the process.
    pub session_key: SessionKey,
    /// Of a token for requests: how long a session that was ended can still be used.
    pub access_lifetime: Duration,
    /// Of a session, however often its refresh token is changed for the next.
    pub session_lifetime: Duration,
    pub throttle: Throttle,
    /// From the request's head to the response's.
    pub request_timeout: Duration,
    /// Bytes of a request body.
    pub body_limit: usize,
    /// From a request's head to the end of its body.
    pub body_timeout: Duration,
    /// Password verifications at a time; each takes some 20 MiB and a core.
    pub password_checks: usize,
    /// Clients that listen to the migration's state at a time; more are told to come again.
    pub migration_listeners: usize,
    /// How often the database is asked for it while any does.
    pub migration_interval: Duration,
    /// What operators show at `/metrics` and `/api/v1/system/isolation`; without it both are not there.
    pub ops_token: Option<OpsToken>,
    /// How often the watch looks whether tenants are kept apart.
    pub watch_interval: Duration,
    /// How much anybody may ask for.
    pub limits: Limits,
    /// Refused crossings that are recorded in a minute at most; the rest is counted.
    pub crossings_per_minute: u32,
    /// Where pictures of products are kept; without it they are neither taken nor shown.
    pub media: Option<Arc<dyn MediaStore>>,
    /// How long open requests may go on after shutdown was asked for.
    pub grace: Duration,
}

impl Default for AppConfig {
    fn default() -> Self {
        Self {
            session_key: SessionKey::random(),
            access_lifetime: Duration::from_secs(10 * 60),
            session_lifetime: Duration::from_secs(30 * 24 * 60 * 60),
            throttle: Throttle::default(),
            request_timeout: Duration::from_secs(15),
            body_limit: 64 * 1024,
            body_timeout: Duration::from_secs(10),
            password_checks: std::thread::available_parallelism().map_or(1, usize::from),
            migration_listeners: 64,
            migration_interval: Duration::from_secs(1),
            ops_token: None,
            watch_interval: Duration::from_secs(60),
            limits: Limits::default(),
            crossings_per_minute: 240,
            media: None,
            grace: Duration::from_secs(10),
        }
    }
}

/// Requests whose parts named different merchants, since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Mismatches {
    /// The credential belongs to another merchant than the path names.
    pub credential: u64,
    /// `X-Tenant-ID` names another merchant than the path.
    pub header: u64,
    /// The right password, for a merchant that is not one's own.
    pub sign_in: u64,
}

impl App {
    #[must_use]
    pub fn new(pool: TenantPool, config: AppConfig) -> Self {
        let passwords = Passwords::new(config.password_checks);
        let migration_feed = Feed::new(config.migration_listeners, config.migration_interval);
        let limiter = Limiter::new(&config.limits);
        let (lookout, audit) = (Lookout::new(&pool), Audit::new(config.crossings_per_minute));
        Self {
            inner: Arc::new(Inner {
                pool,
                config,
                passwords,
                migration_feed,
                mismatches: Mutex::default(),
                audit,
                lookout,
                telemetry: Telemetry::new(),
                limiter,
            }),
        }
    }

    #[must_use]
    pub fn mismatches(&self) -> Mismatches {
        let counts = self.inner.mismatches.lock().unwrap_or_else(PoisonError::into_inner);
        let of = |kind| counts.get(&kind).copied().unwrap_or(0);
        Mismatches {
            credential: of(CrossingKind::Credential),
            header: of(CrossingKind::Header),
            sign_in: of(CrossingKind::SignIn),
        }
    }

    /// Looks once whether tenants are kept apart, and serves or stops serving accordingly. [`serve`] does so before the first request and
    /// every [`AppConfig::watch_interval`].
    pub async fn look(&self) -> Standing {
        self.inner.lookout.look(&self.inner.telemetry).await
    }

    /// Writes the refused crossings that wait. [`serve`] does so every second and at its end.
    pub async fn record_crossings(&self) {
        loop {
            let written = self.inner.audit.write(&self.inner.pool).await;
            self.inner.telemetry.recorded.increment(written.recorded);
            self.inner.telemetry.dropped.increment(written.dropped);
            if !written.more {
                return;
            }
        }
    }

    /// Every route, with limits and error pages around them.
    pub fn router(&self) -> Router {
        self.around(routes::all())
    }

    pub(crate) fn around(&self, routes: Router<Self>) -> Router {
        let config = &self.inner.config;
        routes
            .layer(DefaultBodyLimit::max(config.body_limit))
            .layer(middleware::from_fn_with_state(self.clone(), limits::check))
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

    pub(crate) fn lookout(&self) -> &Lookout {
        &self.inner.lookout
    }

    pub(crate) fn limiter(&self) -> &Limiter {
        &self.inner.limiter
    }

    pub(crate) fn audit(&self) -> &Audit {
        &self.inner.audit
    }

    pub(crate) fn telemetry(&self) -> &Telemetry {
        &self.inner.telemetry
    }

    /// Counts a refused crossing and leaves it to be recorded. Waits for nothing, so that an answer takes as long as any other 404.
    pub(crate) fn crossed(
        &self,
        kind: CrossingKind,
        who: Option<Uuid>,
        merchant: Option<Uuid>,
        asked: &Asked,
    ) {
        *self.inner.mismatches.lock().unwrap_or_else(PoisonError::into_inner).entry(kind).or_default() += 1;
        self.inner.telemetry.mismatches(kind).increment(1);
        let crossing = Crossing {
            at: OffsetDateTime::now_utc(),
            kind,
            who,
            method: asked.method.clone(),
            route: asked.route.clone(),
            merchant,
            request_id: asked.request_id.clone(),
        };
        if !self.inner.audit.push(crossing) {
            self.inner.telemetry.dropped.increment(1);
        }
        tracing::warn!(kind = kind.name(), request_id = %asked.request_id, "a request was refused at another merchant");
    }

    async fn watch(&self) {
        loop {
            tokio::time::sleep(self.config().watch_interval).await;
            self.look().await;
        }
    }

    async fn keep_record(&self) {
        loop {
            tokio::time::sleep(audit::INTERVAL).await;
            self.record_crossings().await;
        }
    }
}

/// Serves until `shutdown` completes, then lets open requests end, for [`AppConfig::grace`] at most. The first request is answered after
/// the watch's first look; a breach in it keeps the server up and refusing, so that operators can ask it why.
///
/// # Errors
/// When the listener fails.
pub async fn serve(
    listener: TcpListener,
    app: App,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    app.look().await;
    let (watcher, recorder) = (app.clone(), app.clone());
    let watch = tokio::spawn(async move { watcher.watch().await });
    let record = tokio::spawn(async move { recorder.keep_record().await });
    let (asked, when_asked) = oneshot::channel::<()>();
    let grace = app.config().grace;
    let listened = app.clone();
    let router = app.router().into_make_service_with_connect_info::<SocketAddr>();
    let server = axum::serve(listener, router).with_graceful_shutdown(async move {
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
    watch.abort();
    record.abort();
    if tokio::time::timeout(audit::INTERVAL * 2, app.record_crossings()).await.is_err() {
        tracing::warn!("the last refused crossings could not be recorded in time");
    }
    app.pool().close();
    outcome
}
