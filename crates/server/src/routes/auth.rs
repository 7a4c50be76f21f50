//! `/api/v1/auth/merchant`

use axum::{Json, extract::State};
use bastide_commerce::{
    Example,
    queries::{merchants, users},
    rows::{CrossingKind, MerchantMembership},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::{
    app::App,
    asked::Asked,
    body::{Body, Faults, Validate},
    code::Code,
    contract::{Routes, post},
    problem::Problem,
    session::Session,
};

/// RFC 5321 allows 254 bytes for an address.
const MAX_EMAIL_BYTES: usize = 254;

pub(super) fn routes() -> Routes {
    Routes::of("auth", "Signing in.").with(
        post("/api/v1/auth/merchant/login", "sign_in", "Sign in to the office", login)
            .refuses(&[Code::InvalidCredentials]),
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

#[derive(Serialize, ToSchema)]
pub(crate) struct SignedIn {
    /// Opaque.
    token: String,
    #[schema(example = "Bearer")]
    token_type: &'static str,
    /// Seconds.
    expires_in: u64,
    /// Where one works, by name.
    merchants: Vec<MerchantMembership>,
}

impl Example for SignedIn {
    fn example() -> Value {
        json!({
            "token": "eyJ1c2VyIjoi.c2lnbmVk",
            "token_type": "Bearer",
            "expires_in": 1800,
            "merchants": [{
                "id": "aaaaaaaa-0000-4000-8000-000000000001",
                "slug": "lagoon",
                "name": "Lagoon & Sons",
                "role": "owner"
            }]
        })
    }
}

async fn login(
    State(app): State<App>,
    asked: Asked,
    Body(sent): Body<Credentials>,
) -> Result<Json<SignedIn>, Problem> {
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
    let login =
        login.filter(|login| right && login.active).ok_or_else(|| Problem::of(Code::InvalidCredentials))?;

    let mut merchants = merchants::of_user(app.pool(), login.user_id).await?;
    if let Some(slug) = merchant {
        merchants.retain(|merchant| merchant.slug == slug);
        let Some(only) = merchants.first() else {
            // Not looked up whether there is such a merchant: the answer would take longer.
            app.crossed(CrossingKind::SignIn, Some(login.user_id), None, asked);
            return Err(Problem::of(Code::InvalidCredentials));
        };
        return Ok((Session::new(app, login.user_id, Some(only.id)), merchants));
    }
    Ok((Session::new(app, login.user_id, None), merchants))
}
