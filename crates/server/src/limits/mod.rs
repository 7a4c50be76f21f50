//! How much anybody may ask for: a bucket for each caller, for each merchant, and for sign-ins from one address. In this process only, and in
//! bounded memory; two servers allow twice as much.
//!
//! Every answer says what is left (`RateLimit`, `RateLimit-Policy` as in draft-ietf-httpapi-ratelimit-headers-10). A merchant's bucket is
//! found by the path, before anybody knows whether there is such a merchant, so that it tells nothing.

mod bucket;
mod caller;

use std::time::Duration;

use axum::{
    extract::{MatchedPath, RawPathParams, Request, State},
    http::{HeaderName, HeaderValue, Method, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

use crate::{app::App, code::Code, problem::Problem};
use bucket::{Buckets, Left};
use caller::Caller;

pub(crate) const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
pub(crate) const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// So many requests at once, given back evenly over the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    pub requests: u32,
    pub per: Duration,
}

/// Without a quota there is no limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Of somebody who is signed in, wherever they are; of all others, by their address (IPv6: its /64).
    pub caller: Option<Quota>,
    /// Of all who ask for one merchant.
    pub merchant: Option<Quota>,
    /// Of sign-ins from one address, beside the caller's.
    pub sign_in: Option<Quota>,
    /// Proxies before this server that each add an address to `X-Forwarded-For`. With none the header is anybody's and is not read.
    pub trusted_proxies: usize,
}

impl Default for Limits {
    fn default() -> Self {
        let a_minute = |requests| Some(Quota { requests, per: Duration::from_secs(60) });
        Self { caller: a_minute(1200), merchant: a_minute(12_000), sign_in: a_minute(60), trusted_proxies: 0 }
    }
}

impl Limits {
    #[must_use]
    pub fn none() -> Self {
        Self { caller: None, merchant: None, sign_in: None, trusted_proxies: 0 }
    }
}

/// The buckets of one application.
pub(crate) struct Limiter {
    caller: Option<Buckets<Caller>>,
    merchant: Option<Buckets<String>>,
    sign_in: Option<Buckets<Caller>>,
    trusted_proxies: usize,
}

/// A health check must not be told to wait.
pub(crate) const UNLIMITED: [&str; 3] = ["/healthz", "/readyz", "/metrics"];

/// Longer ones name nobody; they are the caller's affair alone.
const MAX_NAME_BYTES: usize = 200;

impl Limiter {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            caller: limits.caller.map(|quota| Buckets::new("caller", quota)),
            merchant: limits.merchant.map(|quota| Buckets::new("merchant", quota)),
            sign_in: limits.sign_in.map(|quota| Buckets::new("sign-in", quota)),
            trusted_proxies: limits.trusted_proxies,
        }
    }

    /// Takes one from each bucket that applies. The merchant's is left alone by whoever has nothing left in their own: one who is refused
    /// must not use up what others have.
    fn take(&self, caller: Caller, address: Option<Caller>, merchant: Option<String>) -> Vec<Left> {
        let own = [
            self.caller.as_ref().map(|buckets| buckets.take(caller)),
            self.sign_in.as_ref().zip(address).map(|(buckets, address)| buckets.take(address)),
        ];
        let mut taken: Vec<Left> = own.into_iter().flatten().collect();
        if taken.iter().all(|left| left.wait.is_none()) {
            taken.extend(self.merchant.as_ref().zip(merchant).map(|(buckets, name)| buckets.take(name)));
        }
        taken
    }
}

pub(crate) async fn check(State(app): State<App>, request: Request, next: Next) -> Response {
    let template = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    if template.as_deref().is_some_and(|template| UNLIMITED.contains(&template)) {
        return next.run(request).await;
    }
    let limiter = app.limiter();
    let (mut parts, body) = request.into_parts();
    let address = Caller::address(&parts, limiter.trusted_proxies);
    let caller = Caller::signed_in(&app, &parts.headers).unwrap_or_else(|| address.clone());
    let signs_in = parts.method == Method::POST && template.is_some_and(|template| is_sign_in(&template));
    let merchant = merchant(&mut parts).await;
    let left = limiter.take(caller, signs_in.then_some(address), merchant);
    let wait = left.iter().filter_map(|left| left.wait).max();
    let mut response = match wait {
        None => next.run(Request::from_parts(parts, body)).await,
        Some(wait) => {
            let seconds = HeaderValue::from(seconds(wait).max(1));
            Problem::of(Code::RateLimited).with_header(header::RETRY_AFTER, seconds).into_response()
        }
    };
    let list = |show: fn(&Left) -> String| left.iter().map(show).collect::<Vec<_>>().join(", ");
    for (name, text) in [(RATE_LIMIT, list(Left::shown)), (RATE_LIMIT_POLICY, list(Left::policy))] {
        if let Ok(value) = HeaderValue::from_str(&text)
            && !left.is_empty()
        {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

/// Where a password is tried: the API's, and the form of the office.
fn is_sign_in(template: &str) -> bool {
    template.starts_with("/api/v1/auth/") || template == "/store/{merchant}"
}

async fn merchant(parts: &mut axum::http::request::Parts) -> Option<String> {
    use axum::extract::FromRequestParts;
    let params = RawPathParams::from_request_parts(parts, &()).await.ok()?;
    let slug = params.iter().find(|(name, _)| *name == "merchant").map(|(_, slug)| slug.to_owned());
    slug.filter(|slug| slug.len() <= MAX_NAME_BYTES)
}

/// Rounded up: who comes back when told must not be too early.
fn seconds(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}
