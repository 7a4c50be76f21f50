//! Sessions that go on: opened with a sign-in, continued by a refresh token that is used once, over when an old one comes back.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue, header};
use bastide_commerce::{
    queries::sessions::{self, NewSession},
    rows::Rotation,
};
use uuid::Uuid;

use crate::{
    app::App,
    client::Client,
    code::Code,
    problem::Problem,
    secret::{self, Secret},
    session::{self, Session},
};

const KIND: &str = "rt";
const COOKIE: &str = "__Host-bastide_refresh";
/// How long a token is taken once more, should the answer to it have been lost on its way.
const GRACE: Duration = Duration::from_secs(10);

/// What a client goes on with.
pub(crate) struct Open {
    pub(crate) session: Session,
    pub(crate) refresh: Secret,
}

impl Open {
    pub(crate) async fn begin(
        app: &App,
        client: &Client,
        user: Uuid,
        merchant: Option<Uuid>,
    ) -> Result<Self, Problem> {
        let (id, refresh) = (Uuid::now_v7(), Secret::new(KIND));
        let new = NewSession {
            id,
            user,
            merchant,
            token_hash: &refresh.hash(),
            lifetime: app.config().session_lifetime,
            address: &client.address(),
            agent: &client.agent,
        };
        sessions::issue(app.pool(), &new).await?;
        Ok(Self { session: Session::new(app, id, user, merchant), refresh })
    }

    /// Changes a refresh token for the next.
    pub(crate) async fn go_on(app: &App, given: &str) -> Result<Self, Problem> {
        let over = || Problem::of(Code::InvalidToken);
        let given = secret::hash_of(KIND, given).ok_or_else(over)?;
        let refresh = Secret::new(KIND);
        match sessions::rotate(app.pool(), &given, &refresh.hash(), GRACE).await? {
            Rotation::Changed { session, user, merchant } => {
                Ok(Self { session: Session::new(app, session, user, merchant), refresh })
            }
            Rotation::Reused { session, user } => {
                app.telemetry().reused.increment(1);
                tracing::warn!(%session, %user, "a refresh token came back after its use; its session is over");
                Err(over())
            }
            Rotation::Over => Err(over()),
        }
    }

    /// Both cookies.
    pub(crate) fn cookies(self, app: &App) -> Result<HeaderMap, Problem> {
        let config = app.config();
        let mut headers = HeaderMap::new();
        set(&mut headers, session::COOKIE, &self.session.token(app)?, config.access_lifetime)?;
        set(&mut headers, COOKIE, &self.refresh.into_text(), config.session_lifetime)?;
        Ok(headers)
    }
}

/// The refresh token of a browser.
pub(crate) fn from_cookie(headers: &HeaderMap) -> Option<&str> {
    session::cookie(headers, COOKIE)
}

/// Takes both cookies away.
pub(crate) fn no_cookies() -> Result<HeaderMap, Problem> {
    let mut headers = HeaderMap::new();
    set(&mut headers, session::COOKIE, "", Duration::ZERO)?;
    set(&mut headers, COOKIE, "", Duration::ZERO)?;
    Ok(headers)
}

/// Ends the session that a token is of, whichever of its tokens it is.
pub(crate) async fn end(app: &App, given: &str) -> Result<(), Problem> {
    if let Some(hash) = secret::hash_of(KIND, given) {
        sessions::revoke_by_token(app.pool(), &hash).await?;
    }
    Ok(())
}

fn set(headers: &mut HeaderMap, name: &str, value: &str, age: Duration) -> Result<(), Problem> {
    let age = age.as_secs();
    let cookie = format!("{name}={value}; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age={age}");
    let cookie = HeaderValue::from_str(&cookie).map_err(|_| Problem::of(Code::Internal))?;
    headers.append(header::SET_COOKIE, cookie);
    Ok(())
}
