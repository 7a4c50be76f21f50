//! Who is signed in: a short-lived, signed statement of the server's own. What it allows is asked anew on each request.
//!
//! It belongs to a session in the database, which a [`refresh`](crate::refresh) token goes on with. A session that was ended is refused when its
//! statement ends, at the latest.

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, Method, header, request::Parts},
};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{
    app::App,
    client,
    code::Code,
    contract::{Draft, Input},
    problem::Problem,
};

const PURPOSE: &str = "bastide session v2";
/// `__Host-`: only over TLS (or to localhost), only to this very host, for all its paths.
pub(crate) const COOKIE: &str = "__Host-bastide_session";

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Session {
    pub(crate) id: Uuid,
    pub(crate) user: Uuid,
    /// When the sign-in named a merchant, the session holds for no other.
    pub(crate) merchant: Option<Uuid>,
    /// Unix seconds.
    expires: i64,
}

impl Session {
    pub(crate) fn new(app: &App, id: Uuid, user: Uuid, merchant: Option<Uuid>) -> Self {
        let lifetime = i64::try_from(app.config().access_lifetime.as_secs()).unwrap_or(i64::MAX);
        Self { id, user, merchant, expires: now().saturating_add(lifetime) }
    }

    pub(crate) fn token(&self, app: &App) -> Result<String, Problem> {
        let payload = serde_json::to_vec(self).map_err(|_| Problem::of(Code::Internal))?;
        Ok(app.config().session_key.seal(PURPOSE, &payload))
    }

    /// From a bearer token, or else from a browser's cookie, under which writes must come from this very site.
    pub(crate) fn of_request(app: &App, parts: &Parts) -> Result<Option<Self>, Problem> {
        if parts.headers.contains_key(header::AUTHORIZATION) {
            return Self::from_bearer(app, &parts.headers);
        }
        let Some(token) = cookie(&parts.headers, COOKIE) else { return Ok(None) };
        if ![Method::GET, Method::HEAD].contains(&parts.method) {
            client::demand_own_site(&parts.headers)?;
        }
        Self::verify(app, token).map(Some).ok_or_else(|| Problem::of(Code::InvalidToken))
    }

    /// From a bearer token.
    pub(crate) fn from_bearer(app: &App, headers: &HeaderMap) -> Result<Option<Self>, Problem> {
        let mut values = headers.get_all(header::AUTHORIZATION).iter();
        let Some(value) = values.next() else { return Ok(None) };
        if values.next().is_some() {
            return Err(Problem::of(Code::InvalidToken));
        }
        let token = value.to_str().ok().and_then(|text| {
            let (scheme, token) = text.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
        });
        token
            .and_then(|token| Self::verify(app, token))
            .map(Some)
            .ok_or_else(|| Problem::of(Code::InvalidToken))
    }

    /// From the cookie of a page; a stale one is as good as none.
    pub(crate) fn from_cookie(app: &App, headers: &HeaderMap) -> Option<Self> {
        Self::verify(app, cookie(headers, COOKIE)?)
    }

    fn verify(app: &App, token: &str) -> Option<Self> {
        let payload = app.config().session_key.open(PURPOSE, token)?;
        let session: Self = serde_json::from_slice(&payload).ok()?;
        (session.expires > now()).then_some(session)
    }
}

/// Somebody who is signed in, wherever they work.
impl FromRequestParts<App> for Session {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        Self::of_request(app, parts)?.ok_or_else(|| Problem::of(Code::Unauthenticated))
    }
}

impl Input for Session {
    fn describe(draft: &mut Draft) {
        draft.secured(Some("session"));
        draft.secured(Some("browser"));
        draft.may_refuse(&[Code::Unauthenticated, Code::InvalidToken, Code::CrossSite]);
    }
}

pub(crate) fn cookie<'a>(headers: &'a HeaderMap, wanted: &str) -> Option<&'a str> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    cookies.flat_map(|line| line.split(';')).find_map(|pair| {
        let (name, value) = pair.trim().split_once('=')?;
        (name == wanted).then_some(value)
    })
}

fn now() -> i64 {
    OffsetDateTime::now_utc().unix_timestamp()
}
