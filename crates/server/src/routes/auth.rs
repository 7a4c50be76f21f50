//! `POST /api/v1/auth/merchant/login`

use axum::{Json, extract::State, extract::rejection::JsonRejection};
use bastide_commerce::{
    queries::{merchants, users},
    rows::{CrossingKind, MerchantMembership},
};
use serde::{Deserialize, Serialize};

use crate::{app::App, asked::Asked, problem::Problem, session::Session};

/// RFC 5321 allows 254 bytes for an address.
const MAX_EMAIL_BYTES: usize = 254;

#[derive(Deserialize)]
pub(crate) struct Credentials {
    email: String,
    password: String,
    /// A slug: the session is then for this merchant alone.
    merchant: Option<String>,
}

#[derive(Serialize)]
pub(crate) struct SignedIn {
    token: String,
    token_type: &'static str,
    /// Seconds.
    expires_in: u64,
    merchants: Vec<MerchantMembership>,
}

pub(crate) async fn login(
    State(app): State<App>,
    asked: Asked,
    body: Result<Json<Credentials>, JsonRejection>,
) -> Result<Json<SignedIn>, Problem> {
    let Json(sent) = body.map_err(|rejection| Problem::of_status(rejection.status()))?;
    let (session, merchants) =
        sign_in(&app, &asked, &sent.email, sent.password, sent.merchant.as_deref()).await?;
    Ok(Json(SignedIn {
        token: session.token(&app)?,
        token_type: "Bearer",
        expires_in: app.config().session_lifetime.as_secs(),
        merchants,
    }))
}

/// One answer to everything that is wrong, after the same work: unknown address, wrong password, switched-off account, foreign merchant.
pub(crate) async fn sign_in(
    app: &App,
    asked: &Asked,
    email: &str,
    password: String,
    merchant: Option<&str>,
) -> Result<(Session, Vec<MerchantMembership>), Problem> {
    let email = email.trim();
    let askable = !email.is_empty() && email.len() <= MAX_EMAIL_BYTES && !email.chars().any(char::is_control);
    let login = if askable { users::login_by_email(app.pool(), email).await? } else { None };
    let stored = login.as_ref().and_then(|login| login.password_hash.clone());
    let right = app.passwords().verify(password, stored).await?;
    let login = login.filter(|login| right && login.active).ok_or_else(Problem::wrong_login)?;

    let mut merchants = merchants::of_user(app.pool(), login.user_id).await?;
    if let Some(slug) = merchant {
        merchants.retain(|merchant| merchant.slug == slug);
        let Some(only) = merchants.first() else {
            // Not looked up whether there is such a merchant: the answer would take longer.
            app.crossed(CrossingKind::SignIn, Some(login.user_id), None, asked);
            return Err(Problem::wrong_login());
        };
        return Ok((Session::new(app, login.user_id, Some(only.id)), merchants));
    }
    Ok((Session::new(app, login.user_id, None), merchants))
}
