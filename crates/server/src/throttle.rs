//! Tries that are counted, per account and per network, before anything is worked out: whoever tries too often waits.

use std::time::Duration;

use axum::http::{HeaderValue, header};
use bastide_commerce::queries::attempts::{self, Limit};

use crate::{app::App, client::Client, code::Code, problem::Problem};

/// How often signing in may fail, and be tried at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Throttle {
    /// Failures at one account, from wherever. A sign-in that succeeds begins anew.
    pub per_account: u32,
    /// Tries from one address (of IPv6: one /64 network), at whatever account.
    pub per_address: u32,
    /// From the first try that is counted; how long one waits at most.
    pub window: Duration,
}

impl Default for Throttle {
    fn default() -> Self {
        Self { per_account: 10, per_address: 100, window: Duration::from_secs(15 * 60) }
    }
}

/// One more try at an account, which need not exist: the same is counted, and the same answered.
pub(crate) async fn at_account(app: &App, client: &Client, kind: &str, account: &str) -> Result<(), Problem> {
    let Throttle { per_account, per_address, window } = app.config().throttle;
    let (account, network) = (subject(kind, account), format!("{kind} from {}", client.network()));
    count(app, &network, Limit { most: per_address, within: window }).await?;
    count(app, &account, Limit { most: per_account, within: window }).await
}

/// One more try that names no account.
pub(crate) async fn from_address(app: &App, client: &Client, kind: &str) -> Result<(), Problem> {
    let Throttle { per_address, window, .. } = app.config().throttle;
    count(app, &format!("{kind} from {}", client.network()), Limit { most: per_address, within: window })
        .await
}

pub(crate) async fn succeeded(app: &App, kind: &str, account: &str) -> Result<(), Problem> {
    Ok(attempts::forget(app.pool(), &subject(kind, account)).await?)
}

fn subject(kind: &str, account: &str) -> String {
    format!("{kind} at {}", account.to_lowercase())
}

async fn count(app: &App, subject: &str, limit: Limit) -> Result<(), Problem> {
    let Some(wait) = attempts::count(app.pool(), subject, limit).await? else { return Ok(()) };
    app.telemetry().throttled.increment(1);
    Err(Problem::of(Code::RateLimited).with_header(header::RETRY_AFTER, HeaderValue::from(wait.as_secs())))
}
