//! Who is signed in: a short-lived, signed statement of the server's own. What it allows is asked anew on each request.

use axum::http::{HeaderMap, header};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{app::App, code::Code, problem::Problem};

const PURPOSE: &str = "bastide session v1";
/// `__Host-`: only over TLS (or to localhost), only to this very host, for all its paths.
pub(crate) const COOKIE: &str = "__Host-bastide_session";

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Session {
    pub(crate) user: Uuid,
    /// When the sign-in named a merchant, the session holds for no other.
    pub(crate) merchant: Option<Uuid>,
    /// Unix seconds.
    expires: i64,
}

impl Session {
    pub(crate) fn new(app: &App, user: Uuid, merchant: Option<Uuid>) -> Self {
        let lifetime = i64::try_from(app.config().session_lifetime.as_secs()).unwrap_or(i64::MAX);
        Self { user, merchant, expires: now().saturating_add(lifetime) }
    }

    pub(crate) fn token(&self, app: &App) -> Result<String, Problem> {
        let payload = serde_json::to_vec(self).map_err(|_| Problem::of(Code::Internal))?;
        Ok(app.config().session_key.seal(PURPOSE, &payload))
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
        let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        let token = cookies.flat_map(|line| line.split(';')).find_map(|pair| {
            let (name, value) = pair.trim().split_once('=')?;
            (name == COOKIE).then_some(value)
        })?;
        Self::verify(app, token)
    }

    fn verify(app: &App, token: &str) -> Option<Self> {
        let payload = app.config().session_key.open(PURPOSE, token)?;
        let session: Self = serde_json::from_slice(&payload).ok()?;
        (session.expires > now()).then_some(session)
    }
}

fn now() -> i64 {
    OffsetDateTime::now_utc().unix_timestamp()
}
