//! `/api/v1/auth/merchant`

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use bastide_commerce::{
    Example,
    queries::{merchants, sessions, users},
    rows::{CrossingKind, Login, MerchantMembership, OpenSession},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::{
    app::App,
    asked::Asked,
    body::{Body, Faults, Validate},
    client::{self, Client},
    code::Code,
    contract::{Routes, delete, get, post},
    path::At,
    problem::Problem,
    refresh::{self, Open},
    session::Session,
    throttle,
};

/// RFC 5321 allows 254 bytes for an address.
pub(super) const MAX_EMAIL_BYTES: usize = 254;
/// What attempts are counted under.
const SIGN_IN: &str = "sign-in";

pub(super) fn routes() -> Routes {
    Routes::of("auth", "Signing in.")
        .with(
            post("/api/v1/auth/merchant/login", "sign_in", "Sign in to the office", login)
                .answers::<SignedIn>(StatusCode::OK, "Signed in.")
                .refuses(&[Code::InvalidCredentials, Code::CrossSite, Code::RateLimited]),
        )
        .with(
            post("/api/v1/auth/merchant/refresh", "refresh_session", "Go on with a session", go_on)
                .answers::<SignedIn>(StatusCode::OK, "The token that was sent is used up; here is the next.")
                .refuses(&[Code::Unauthenticated, Code::InvalidToken, Code::CrossSite]),
        )
        .with(
            post("/api/v1/auth/merchant/logout", "sign_out", "End the session of a refresh token", logout)
                .answers_empty(StatusCode::NO_CONTENT, "It is over, or was already.")
                .refuses(&[Code::Unauthenticated, Code::CrossSite]),
        )
        .with(get("/api/v1/auth/merchant/session", "get_session", "Who one is, and where one works", current))
        .with(get(
            "/api/v1/auth/merchant/sessions",
            "list_sessions",
            "One's open sessions, the last used first",
            list,
        ))
        .with(
            delete(
                "/api/v1/auth/merchant/sessions/{session}",
                "revoke_session",
                "End one of one's sessions",
                revoke,
            )
            .answers_empty(
                StatusCode::NO_CONTENT,
                "It is over. Its last token opens until it ends by itself.",
            ),
        )
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Credentials {
    email: String,
    #[schema(format = Password)]
    password: String,
    /// A slug: the session is then for this merchant alone.
    merchant: Option<String>,
    /// For browsers: the tokens are set as cookies that no script can read, and are not in the answer.
    #[serde(default)]
    cookies: bool,
}

/// Whatever is wrong with them is a wrong sign-in, and tells nothing more.
impl Validate for Credentials {
    fn validate(&self, _: &mut Faults) {}
}

impl Example for Credentials {
    fn example() -> Value {
        json!({ "email": "ada@lagoon.test", "password": "correct horse battery staple", "merchant": "lagoon" })
    }
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Renewal {
    /// Browsers leave it out: their cookie has it.
    refresh_token: Option<String>,
}

/// A token that is none of ours is an invalid token, whatever it looks like.
impl Validate for Renewal {
    fn validate(&self, _: &mut Faults) {}
}

impl Example for Renewal {
    fn example() -> Value {
        json!({ "refresh_token": "rt_c2lnbmVkIHdpdGggbm90aGluZywga25vd24gYnkgaGFzaA" })
    }
}

impl Renewal {
    /// The token, and whether a browser's cookie brought it.
    fn token(self, headers: &HeaderMap) -> Result<(String, bool), Problem> {
        if let Some(token) = self.refresh_token {
            return Ok((token, false));
        }
        let token = refresh::from_cookie(headers).ok_or_else(|| Problem::of(Code::Unauthenticated))?;
        client::demand_own_site(headers)?;
        Ok((token.to_owned(), true))
    }
}

#[derive(Serialize, ToSchema)]
pub(crate) struct SignedIn {
    /// Opaque; sent as a bearer token.
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
    #[schema(example = "Bearer")]
    token_type: &'static str,
    /// Seconds.
    expires_in: u64,
    /// Opaque. It is good for one `refresh`, which gives the next one; used again, it ends the session.
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<String>,
    session: Uuid,
    /// Where one works, by name.
    merchants: Vec<MerchantMembership>,
}

impl Example for SignedIn {
    fn example() -> Value {
        json!({
            "token": "u2bSw9Xk.eyJ1c2VyIjoi.c2lnbmVk",
            "token_type": "Bearer",
            "expires_in": 600,
            "refresh_token": "rt_c2lnbmVkIHdpdGggbm90aGluZywga25vd24gYnkgaGFzaA",
            "session": "0193a1b2-7c3d-7e4f-8a9b-0c1d2e3f4a5b",
            "merchants": [membership()]
        })
    }
}

pub(super) fn membership() -> Value {
    json!({
        "id": "aaaaaaaa-0000-4000-8000-000000000001",
        "slug": "lagoon",
        "name": "Lagoon & Sons",
        "role": "owner"
    })
}

/// The tokens go where the client wants them: into the answer, or into cookies.
pub(super) fn signed_in(
    app: &App,
    open: Open,
    merchants: Vec<MerchantMembership>,
    cookies: bool,
) -> Result<(HeaderMap, SignedIn), Problem> {
    let mut answer = SignedIn {
        token: None,
        token_type: "Bearer",
        expires_in: app.config().access_lifetime.as_secs(),
        refresh_token: None,
        session: open.session.id,
        merchants,
    };
    if cookies {
        return Ok((open.cookies(app)?, answer));
    }
    answer.token = Some(open.session.token(app)?);
    answer.refresh_token = Some(open.refresh.into_text());
    Ok((HeaderMap::new(), answer))
}

async fn login(
    State(app): State<App>,
    asked: Asked,
    client: Client,
    headers: HeaderMap,
    Body(sent): Body<Credentials>,
) -> Result<Response, Problem> {
    if sent.cookies {
        client::demand_own_site(&headers)?;
    }
    let (open, merchants) =
        sign_in(&app, &asked, &client, &sent.email, sent.password, sent.merchant.as_deref()).await?;
    let (headers, answer) = signed_in(&app, open, merchants, sent.cookies)?;
    Ok((headers, Json(answer)).into_response())
}

async fn go_on(
    State(app): State<App>,
    headers: HeaderMap,
    Body(sent): Body<Renewal>,
) -> Result<Response, Problem> {
    let (token, cookies) = sent.token(&headers)?;
    let open = Open::go_on(&app, &token).await?;
    let merchants = working_places(&app, &open.session).await?;
    let (headers, answer) = signed_in(&app, open, merchants, cookies)?;
    Ok((headers, Json(answer)).into_response())
}

async fn logout(
    State(app): State<App>,
    headers: HeaderMap,
    Body(sent): Body<Renewal>,
) -> Result<Response, Problem> {
    let (token, cookies) = sent.token(&headers)?;
    refresh::end(&app, &token).await?;
    let headers = if cookies { refresh::no_cookies()? } else { HeaderMap::new() };
    Ok((StatusCode::NO_CONTENT, headers).into_response())
}

#[derive(Serialize, ToSchema)]
struct Current {
    session: Uuid,
    user: Uuid,
    /// Where one works, by name.
    merchants: Vec<MerchantMembership>,
}

impl Example for Current {
    fn example() -> Value {
        json!({
            "session": "0193a1b2-7c3d-7e4f-8a9b-0c1d2e3f4a5b",
            "user": "11111111-0000-4000-8000-000000000001",
            "merchants": [membership()]
        })
    }
}

async fn current(State(app): State<App>, session: Session) -> Result<Json<Current>, Problem> {
    let merchants = working_places(&app, &session).await?;
    Ok(Json(Current { session: session.id, user: session.user, merchants }))
}

#[derive(Serialize, ToSchema)]
struct Sessions {
    /// A hundred at most.
    data: Vec<OpenSession>,
    /// The one that asked.
    current: Uuid,
}

impl Example for Sessions {
    fn example() -> Value {
        let id = "0193a1b2-7c3d-7e4f-8a9b-0c1d2e3f4a5b";
        json!({
            "data": [{
                "id": id,
                "merchant_id": null,
                "address": "192.0.2.7",
                "agent": "Mozilla/5.0",
                "created_at": "2025-01-01T00:00:00Z",
                "used_at": "2025-01-01T00:30:00Z",
                "expires_at": "2025-01-31T00:00:00Z"
            }],
            "current": id
        })
    }
}

async fn list(State(app): State<App>, session: Session) -> Result<Json<Sessions>, Problem> {
    let data = sessions::of_user(app.pool(), session.user).await?;
    Ok(Json(Sessions { data, current: session.id }))
}

#[derive(Deserialize, IntoParams)]
struct SessionPath {
    /// The session's id.
    session: Uuid,
}

async fn revoke(
    State(app): State<App>,
    session: Session,
    At(at): At<SessionPath>,
) -> Result<Response, Problem> {
    let ended = sessions::revoke(app.pool(), at.session, session.user, "by_user").await?;
    if ended { Ok(StatusCode::NO_CONTENT.into_response()) } else { Err(Problem::not_found()) }
}

/// A session for one merchant sees no other.
async fn working_places(app: &App, session: &Session) -> Result<Vec<MerchantMembership>, Problem> {
    let mut merchants = merchants::of_user(app.pool(), session.user).await?;
    merchants.retain(|merchant| session.merchant.is_none_or(|only| only == merchant.id));
    Ok(merchants)
}

/// By the address as it was sent, or else as sign-up keeps it.
async fn login_of(app: &App, email: &str) -> Result<Option<Login>, Problem> {
    let login = users::login_by_email(app.pool(), email).await?;
    let kept = email.to_lowercase();
    if login.is_some() || kept == email {
        return Ok(login);
    }
    Ok(users::login_by_email(app.pool(), &kept).await?)
}

/// One answer to everything that is wrong, after the same work: unknown address, wrong password, switched-off account, foreign merchant.
/// Who tried too often is told to wait before any of it.
pub(crate) async fn sign_in(
    app: &App,
    asked: &Asked,
    client: &Client,
    email: &str,
    password: String,
    merchant: Option<&str>,
) -> Result<(Open, Vec<MerchantMembership>), Problem> {
    let email = email.trim();
    let askable = !email.is_empty() && email.len() <= MAX_EMAIL_BYTES && !email.chars().any(char::is_control);
    let account = if askable { email } else { "" };
    throttle::at_account(app, client, SIGN_IN, account).await?;
    let login = if askable { login_of(app, email).await? } else { None };
    let stored = login.as_ref().and_then(|login| login.password_hash.clone());
    let right = app.passwords().verify(password, stored).await?;
    let login =
        login.filter(|login| right && login.active).ok_or_else(|| Problem::of(Code::InvalidCredentials))?;

    let mut merchants = merchants::of_user(app.pool(), login.user_id).await?;
    let mut only = None;
    if let Some(slug) = merchant {
        merchants.retain(|merchant| merchant.slug == slug);
        only = merchants.first().map(|merchant| merchant.id);
        if only.is_none() {
            // Not looked up whether there is such a merchant: the answer would take longer.
            app.crossed(CrossingKind::SignIn, Some(login.user_id), None, asked);
            return Err(Problem::of(Code::InvalidCredentials));
        }
    }
    throttle::succeeded(app, SIGN_IN, account).await?;
    Ok((Open::begin(app, client, login.user_id, only).await?, merchants))
}
