//! `/api/v1/tenants`: signing up, and the name of a shop in addresses.

use axum::{
    Json,
    extract::{FromRequestParts, Query, State},
    http::{HeaderMap, StatusCode, request::Parts},
    response::{IntoResponse, Response},
};
use bastide_commerce::{
    Example,
    queries::{
        audit::{self, Entry},
        team,
        tenants::{self, NewMerchant, NewUser, NotMade},
    },
    rows::MerchantMembership,
    subdomain::{self, SlugFault},
};
use bastide_tenancy::TenantId;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;
use uuid::Uuid;

use super::auth::{MAX_EMAIL_BYTES, SignedIn, membership, signed_in};
use crate::{
    app::App,
    asked::Asked,
    body::{Body, Faults, Validate},
    client::{self, Client},
    code::{Code, FieldCode},
    contract::{Draft, Input, Routes, get, post},
    merchant::Team,
    password,
    permission::RenameMerchant,
    problem::{FieldError, Place, Problem},
    refresh::Open,
    session::Session,
    throttle,
};

const MAX_SUGGESTIONS: usize = 3;

pub(super) fn routes() -> Routes {
    Routes::of("tenants", "Merchants that begin.")
        .with(
            post("/api/v1/tenants", "create_tenant", "Sign up: a merchant, its owner and its shop", create)
                .answers::<SignedUp>(StatusCode::CREATED, "They are there.")
                .refuses(&[Code::RateLimited]),
        )
        .with(get(
            "/api/v1/tenants/check-subdomain",
            "check_subdomain",
            "Whether a slug can be had, and what else could be",
            check,
        ))
        .with(
            post(
                "/api/v1/admin/{merchant}/rename",
                "update_slug",
                "Give the merchant another slug; the one before leads to it, of ten at most",
                rename,
            )
            .refuses(&[Code::LimitReached]),
        )
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SignUp {
    /// Of the merchant.
    name: String,
    /// Of the merchant in addresses: a-z, 0-9 and hyphens, 3 to 63 characters.
    slug: String,
    /// ISO 4217.
    currency: String,
    /// Left out by whoever is signed in: the merchant is theirs.
    owner: Option<NewOwner>,
    /// For browsers: the tokens are set as cookies that no script can read, and are not in the answer.
    #[serde(default)]
    cookies: bool,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewOwner {
    name: String,
    email: String,
    /// 12 characters at least.
    #[schema(format = Password)]
    password: String,
}

impl Validate for SignUp {
    fn validate(&self, faults: &mut Faults) {
        faults.text("/name", &self.name, 1..=100);
        check_slug(faults, "/slug", &self.slug);
        let is_currency =
            self.currency.len() == 3 && self.currency.bytes().all(|byte| byte.is_ascii_uppercase());
        faults.check("/currency", is_currency, FieldCode::Malformed, "must be three capital letters");
        if let Some(owner) = &self.owner {
            faults.text("/owner/name", &owner.name, 1..=100);
            check_email(faults, "/owner/email", &owner.email);
            password::check_new(faults, "/owner/password", &owner.password);
        }
    }
}

impl Example for SignUp {
    fn example() -> Value {
        json!({
            "name": "Lagoon & Sons",
            "slug": "lagoon",
            "currency": "EUR",
            "owner": { "name": "Ada", "email": "ada@lagoon.test", "password": "correct horse battery staple" }
        })
    }
}

/// Something at a host: what else it must be, only a letter to it can tell.
pub(super) fn check_email(faults: &mut Faults, pointer: &str, email: &str) {
    let parts = email.split_once('@');
    let fine = parts.is_some_and(|(local, host)| {
        !local.is_empty()
            && host.contains('.')
            && !host.starts_with('.')
            && !host.ends_with('.')
            && !host.contains('@')
    });
    let plain = !email.chars().any(|c| c.is_control() || c.is_whitespace());
    faults.check(pointer, fine && plain, FieldCode::Malformed, "must be an e-mail address");
    faults.check(pointer, email.len() <= MAX_EMAIL_BYTES, FieldCode::TooLong, "must have at most 254 bytes");
}

fn check_slug(faults: &mut Faults, pointer: &str, slug: &str) {
    let (code, message) = match subdomain::check(slug) {
        Ok(()) => return,
        Err(SlugFault::TooShort) => (FieldCode::TooShort, "must have at least 3 characters"),
        Err(SlugFault::TooLong) => (FieldCode::TooLong, "must have at most 63 characters"),
        Err(SlugFault::Malformed) => (FieldCode::Malformed, "must be a-z, 0-9 and single hyphens within"),
        Err(SlugFault::Reserved) => (FieldCode::Taken, "is, or looks like, a word the platform needs"),
    };
    faults.add(pointer, code, message);
}

#[derive(Serialize, ToSchema)]
struct SignedUp {
    merchant: MerchantMembership,
    /// Of an owner that is new.
    #[serde(skip_serializing_if = "Option::is_none")]
    signed_in: Option<SignedIn>,
}

impl Example for SignedUp {
    fn example() -> Value {
        json!({ "merchant": membership(), "signed_in": SignedIn::example() })
    }
}

/// Whoever is signed in, or nobody.
pub(super) struct Maybe(pub(super) Option<Session>);

impl FromRequestParts<App> for Maybe {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        Session::of_request(app, parts).map(Self)
    }
}

impl Input for Maybe {
    fn describe(draft: &mut Draft) {
        draft.secured(None);
        draft.secured(Some("session"));
        draft.secured(Some("browser"));
        draft.may_refuse(&[Code::InvalidToken, Code::CrossSite]);
    }
}

async fn create(
    State(app): State<App>,
    asked: Asked,
    client: Client,
    Maybe(session): Maybe,
    headers: HeaderMap,
    Body(sent): Body<SignUp>,
) -> Result<Response, Problem> {
    if sent.cookies {
        client::demand_own_site(&headers)?;
    }
    let field =
        |pointer, code, message| Problem::fields(vec![FieldError::new(Place::Body, pointer, code, message)]);
    match (&session, &sent.owner) {
        (None, None) => {
            return Err(field("/owner", FieldCode::Required, "is missing, and nobody is signed in"));
        }
        (Some(_), Some(_)) => {
            return Err(field("/owner", FieldCode::Unknown, "you are signed in: it is you"));
        }
        _ => {}
    }
    throttle::from_address(&app, &client, "sign-up").await?;
    let id = Uuid::now_v7();
    let tenant = TenantId::new(id.to_string()).map_err(|_| Problem::of(Code::Internal))?;
    let user = session.map_or_else(Uuid::now_v7, |session| session.user);
    // Before the transaction: it holds a connection.
    let owner = match sent.owner {
        Some(owner) => {
            let hash = app.passwords().hash(owner.password).await?;
            Some((owner.name, owner.email.to_lowercase(), hash))
        }
        None => None,
    };

    let mut tx = app.pool().begin(&tenant).await?;
    if let Some((name, email, hash)) = &owner {
        let new = NewUser { id: user, email, name, password_hash: hash };
        if !tenants::create_user(&mut tx, &new).await? {
            tx.rollback().await?;
            return Err(field(
                "/owner/email",
                FieldCode::Taken,
                "somebody has an account with it; sign in first",
            ));
        }
    }
    let new = NewMerchant { slug: &sent.slug, name: &sent.name, currency: &sent.currency };
    if let Err(error) = tenants::make(&mut tx, &new).await {
        tx.rollback().await?;
        return Err(not_made(error));
    }
    team::add(&mut tx, user, "owner").await?;
    let entry = Entry {
        actor: user,
        actor_kind: "user",
        action: "merchant.create",
        entity: "merchant",
        entity_id: id.to_string(),
        fields: &["name", "slug", "currency"],
        request_id: &asked.request_id,
    };
    audit::record(&mut tx, &entry).await?;
    tx.commit().await?;

    let merchant = MerchantMembership { id, slug: sent.slug, name: sent.name, role: "owner".to_owned() };
    let (headers, signed_in) = match owner {
        Some(_) => {
            let open = Open::begin(&app, &client, user, None).await?;
            let (headers, answer) = signed_in(&app, open, vec![merchant.clone()], sent.cookies)?;
            (headers, Some(answer))
        }
        None => (HeaderMap::new(), None),
    };
    Ok((StatusCode::CREATED, headers, Json(SignedUp { merchant, signed_in })).into_response())
}

fn not_made(error: NotMade) -> Problem {
    let (pointer, code, message) = match error {
        NotMade::SlugTaken => ("/slug", FieldCode::Taken, "is another merchant's, or was"),
        NotMade::UnknownCurrency => ("/currency", FieldCode::UnknownValue, "is no currency of this platform"),
        NotMade::SlugsKept => return Problem::of(Code::LimitReached),
        NotMade::Failed(error) => return error.into(),
    };
    Problem::fields(vec![FieldError::new(Place::Body, pointer, code, message)])
}

/// `?slug=`
struct Wanted(String);

#[derive(Deserialize)]
struct Raw {
    slug: Option<String>,
}

impl FromRequestParts<App> for Wanted {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Problem> {
        let Query(raw) = Query::<Raw>::try_from_uri(&parts.uri).map_err(|_| Problem::of(Code::BadRequest))?;
        let missing = || FieldError::new(Place::Query, "/slug", FieldCode::Required, "is missing");
        raw.slug.map(Self).ok_or_else(|| Problem::fields(vec![missing()]))
    }
}

impl Input for Wanted {
    fn describe(draft: &mut Draft) {
        let text = json!({ "type": "string", "example": "lagoon" });
        draft.parameter("query", "slug", true, "What one would like to have.", &text);
        draft.may_refuse(&[Code::BadRequest, Code::Invalid]);
    }
}

#[derive(Serialize, ToSchema)]
struct Checked {
    slug: String,
    available: bool,
    /// Why not: the code of a field, as a sign-up would be answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "taken")]
    reason: Option<FieldCode>,
    /// Slugs like it that nobody has; three at most.
    suggestions: Vec<String>,
}

impl Example for Checked {
    fn example() -> Value {
        json!({ "slug": "lagoon", "available": false, "reason": "taken", "suggestions": ["lagoon-shop", "lagoon-store"] })
    }
}

/// Nothing is kept for who asks: whoever signs up first has it.
async fn check(State(app): State<App>, Wanted(slug): Wanted) -> Result<Json<Checked>, Problem> {
    let slug: String = slug.chars().take(200).collect();
    let fault = subdomain::check(&slug).err();
    let mut asked_for = subdomain::suggestions(&slug);
    if fault.is_none() {
        asked_for.push(slug.clone());
    }
    let taken = tenants::slugs_taken(app.pool(), &asked_for).await?;
    let reason = match fault {
        Some(SlugFault::TooShort) => Some(FieldCode::TooShort),
        Some(SlugFault::TooLong) => Some(FieldCode::TooLong),
        Some(SlugFault::Malformed) => Some(FieldCode::Malformed),
        Some(SlugFault::Reserved) => Some(FieldCode::Taken),
        None => taken.contains(&slug).then_some(FieldCode::Taken),
    };
    let mut suggestions = asked_for;
    suggestions.retain(|suggestion| *suggestion != slug && !taken.contains(suggestion));
    suggestions.truncate(if reason.is_some() { MAX_SUGGESTIONS } else { 0 });
    Ok(Json(Checked { available: reason.is_none(), reason, suggestions, slug }))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewSlug {
    slug: String,
}

impl Validate for NewSlug {
    fn validate(&self, faults: &mut Faults) {
        check_slug(faults, "/slug", &self.slug);
    }
}

impl Example for NewSlug {
    fn example() -> Value {
        json!({ "slug": "lagoon-and-sons" })
    }
}

async fn rename(
    State(app): State<App>,
    team: Team<RenameMerchant>,
    asked: Asked,
    Body(sent): Body<NewSlug>,
) -> Result<Json<NewSlugGiven>, Problem> {
    let mut tx = app.pool().begin(&team.tenant).await?;
    if let Err(problem) = team.still(&mut tx).await {
        tx.rollback().await?;
        return Err(problem);
    }
    if let Err(error) = tenants::rename(&mut tx, &sent.slug).await {
        tx.rollback().await?;
        return Err(not_made(error));
    }
    audit::record(&mut tx, &team.did(&asked, "merchant.rename", team.merchant.id, &["slug"])).await?;
    tx.commit().await?;
    Ok(Json(NewSlugGiven { before: team.merchant.slug, slug: sent.slug }))
}

#[derive(Serialize, ToSchema)]
struct NewSlugGiven {
    slug: String,
    /// It leads to the other from now on, and is nobody else's.
    before: String,
}

impl Example for NewSlugGiven {
    fn example() -> Value {
        json!({ "slug": "lagoon-and-sons", "before": "lagoon" })
    }
}
