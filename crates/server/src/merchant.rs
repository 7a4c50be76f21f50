//! The one place where a request becomes a merchant's: path = credential = `X-Tenant-ID` = tenant context.
//!
//! [`Shop`] is a visitor at an open storefront, [`Team`] somebody of the merchant's team with a permission. Handlers get their [`TenantId`] from one of
//! these two and from nowhere else. Whatever does not agree is 404, the same as a merchant that does not exist, counted and recorded.

use std::{fmt::Display, marker::PhantomData};

use axum::{
    extract::{FromRequestParts, MatchedPath, RawPathParams},
    http::{HeaderMap, HeaderName, Method, StatusCode, header, request::Parts},
    response::{IntoResponse, Redirect, Response},
};
use bastide_commerce::{
    queries::{api_keys, audit, merchants, team, tenants, users},
    rows::{CrossingKind, KeyAccess, Merchant},
};
use bastide_tenancy::{TenantId, TenantTx};
use serde_json::json;
use uuid::Uuid;

use crate::{
    app::App,
    asked::Asked,
    code::Code,
    contract::{Draft, Input, RolesOf},
    permission::{Permission, Role},
    problem::Problem,
    secret,
    session::Session,
};

const TENANT_HEADER: HeaderName = HeaderName::from_static("x-tenant-id");
/// A slug is a DNS label at heart; far beyond that there is nothing to look up.
const MAX_SLUG_BYTES: usize = 200;

/// How keys begin: what anybody may see, and what nobody else may.
pub(crate) const KEY_KINDS: [&str; 2] = ["pk", "sk"];

/// An open storefront and its visitor.
pub(crate) struct Shop {
    pub(crate) merchant: Merchant,
    pub(crate) tenant: TenantId,
}

/// A merchant, and somebody of its team who may do what `P` names.
pub(crate) struct Team<P> {
    pub(crate) merchant: Merchant,
    pub(crate) tenant: TenantId,
    /// Whose idempotency keys these are, and who did it: a user, or an API key.
    pub(crate) user: Uuid,
    actor_kind: &'static str,
    /// None of a key.
    role: Option<Role>,
    may: PhantomData<P>,
}

/// A merchant, and somebody of its team, whatever the role.
pub(crate) struct Member {
    merchant: Merchant,
    tenant: TenantId,
    user: Uuid,
    role: Role,
}

impl Member {
    /// A session's place at a merchant. All questions are asked whatever the answers, so that a merchant one may not see takes as
    /// long as one there is not.
    pub(crate) async fn of_session(
        app: &App,
        session: Session,
        slug: &str,
        asked: &Asked,
    ) -> Result<Self, Problem> {
        let merchant = by_slug(app, slug).await?.filter(|merchant| !merchant.is_closed());
        let wanted = merchant.as_ref().map_or(Uuid::nil(), |merchant| merchant.id);
        let role = users::membership(app.pool(), session.user, wanted).await?;
        let merchant = merchant.ok_or_else(Problem::not_found)?;
        let role = role.filter(|_| session.merchant.is_none_or(|only| only == merchant.id));
        let Some(role) = role else {
            app.crossed(CrossingKind::Credential, Some(session.user), Some(merchant.id), asked);
            return Err(Problem::not_found());
        };
        Ok(Self {
            tenant: tenant(&merchant)?,
            merchant,
            user: session.user,
            role: Role::named(&role).ok_or_else(|| Problem::of(Code::Forbidden))?,
        })
    }

    pub(crate) fn may<P: Permission>(self) -> Result<Team<P>, Problem> {
        if !P::ROLES.contains(&self.role) {
            return Err(Problem::of(Code::Forbidden));
        }
        Ok(Team {
            merchant: self.merchant,
            tenant: self.tenant,
            user: self.user,
            actor_kind: "user",
            role: Some(self.role),
            may: PhantomData,
        })
    }
}

impl<P> Team<P> {
    /// The role of a person, for acts that a key cannot be given.
    pub(crate) fn role(&self) -> Result<Role, Problem> {
        self.role.ok_or_else(|| Problem::of(Code::Forbidden))
    }

    /// The role, asked again in the transaction that goes by it, where it then stays what it is: a request may be held open for longer than
    /// somebody is in the team.
    pub(crate) async fn still(&self, tx: &mut TenantTx) -> Result<Role, Problem> {
        let now = team::role(tx, self.user).await?;
        self.unchanged(now.as_deref())
    }

    /// The role, when it is by now what it was when the request came.
    pub(crate) fn unchanged(&self, now: Option<&str>) -> Result<Role, Problem> {
        let before = self.role()?;
        match now.and_then(Role::named) {
            Some(now) if now == before => Ok(now),
            Some(_) => Err(Problem::of(Code::Forbidden)),
            None => Err(Problem::not_found()),
        }
    }

    /// For the record of what a team changed. `action` begins with the entity: `product.update`.
    pub(crate) fn did<'a>(
        &self,
        asked: &'a Asked,
        action: &'static str,
        id: impl Display,
        fields: &'a [&'static str],
    ) -> audit::Entry<'a> {
        audit::Entry {
            actor: self.user,
            actor_kind: self.actor_kind,
            action,
            entity: action.split('.').next().unwrap_or(action),
            entity_id: id.to_string(),
            fields,
            request_id: &asked.request_id,
        }
    }
}

/// A key's place at a merchant: one of another merchant is nobody there.
async fn merchant_of_key(app: &App, key: &KeyAccess, slug: &str, asked: &Asked) -> Result<Merchant, Problem> {
    let merchant = by_slug(app, slug).await?.filter(|merchant| !merchant.is_closed());
    let merchant = merchant.ok_or_else(Problem::not_found)?;
    if merchant.id != key.merchant {
        app.crossed(CrossingKind::Credential, Some(key.id), Some(merchant.id), asked);
        return Err(Problem::not_found());
    }
    Ok(merchant)
}

impl FromRequestParts<App> for Shop {
    /// A slug that was given up leads on; else it is a problem.
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Response> {
        let problem = match Self::visited(parts, app).await {
            Ok(shop) => return Ok(shop),
            Err(problem) => problem,
        };
        match moved(parts, app, &problem).await {
            Ok(Some(address)) => Err(Redirect::permanent(&address).into_response()),
            Ok(None) => Err(problem.into_response()),
            Err(problem) => Err(problem.into_response()),
        }
    }
}

impl Shop {
    async fn visited(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let slug = slug(parts).await?;
        let merchant = by_slug(app, &slug).await?.filter(Merchant::is_open).ok_or_else(Problem::not_found)?;
        let Ok(asked) = Asked::from_request_parts(parts, app).await;
        // A storefront needs no credential; one that is sent must be right all the same.
        if let Some(key) = key(app, &parts.headers).await? {
            let merchant = merchant_of_key(app, &key, &slug, &asked).await?;
            check_header(app, &parts.headers, &merchant, Some(key.id), &asked)?;
            return Ok(Self { tenant: tenant(&merchant)?, merchant });
        }
        let session = Session::from_bearer(app, &parts.headers);
        let who = session.as_ref().ok().and_then(Option::as_ref).map(|session| session.user);
        check_header(app, &parts.headers, &merchant, who, &asked)?;
        if let Some(session) = session? {
            Member::of_session(app, session, &slug, &asked).await?;
        }
        Ok(Self { tenant: tenant(&merchant)?, merchant })
    }
}

impl<P: Permission> FromRequestParts<App> for Team<P> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let (slug, Ok(asked)) = (slug(parts).await?, Asked::from_request_parts(parts, app).await);
        if let Some(key) = key(app, &parts.headers).await? {
            let merchant = merchant_of_key(app, &key, &slug, &asked).await?;
            check_header(app, &parts.headers, &merchant, Some(key.id), &asked)?;
            if !key.secret || !key.scopes.iter().any(|scope| scope == P::NAME) {
                return Err(Problem::of(Code::Forbidden));
            }
            let tenant = tenant(&merchant)?;
            return Ok(Self {
                merchant,
                tenant,
                user: key.id,
                actor_kind: "api_key",
                role: None,
                may: PhantomData,
            });
        }
        let session = Session::from_request_parts(parts, app).await?;
        let member = Member::of_session(app, session, &slug, &asked).await?;
        check_header(app, &parts.headers, &member.merchant, Some(session.user), &asked)?;
        member.may()
    }
}

impl Input for Shop {
    fn describe(draft: &mut Draft) {
        names_merchant(draft);
        draft.secured(None);
        draft.secured(Some("session"));
        draft.secured(Some("key"));
        draft.answers_empty(
            StatusCode::PERMANENT_REDIRECT,
            "The merchant has another slug by now; what is read is there.",
        );
        draft.may_refuse(&[Code::InvalidToken, Code::Forbidden, Code::NotFound]);
    }
}

impl<P: Permission> Input for Team<P> {
    fn describe(draft: &mut Draft) {
        names_merchant(draft);
        Session::describe(draft);
        draft.secured(Some("key"));
        draft.may_refuse(&[Code::Forbidden, Code::NotFound]);
        draft.for_roles(RolesOf {
            permission: P::NAME,
            roles: P::ROLES.iter().map(|role| role.name()).collect(),
        });
    }
}

fn names_merchant(draft: &mut Draft) {
    let text = json!({ "type": "string", "maxLength": MAX_SLUG_BYTES, "example": "lagoon" });
    draft.parameter("path", "merchant", true, "The merchant's slug.", &text);
    let header = "The merchant's slug or id; must name the same merchant as the path.";
    draft.parameter("header", "X-Tenant-ID", false, header, &json!({ "type": "string" }));
}

/// Where what is read is by now, when the path names a merchant by a slug it had.
async fn moved(parts: &mut Parts, app: &App, problem: &Problem) -> Result<Option<String>, Problem> {
    if problem.code != Code::NotFound || ![Method::GET, Method::HEAD].contains(&parts.method) {
        return Ok(None);
    }
    let before = slug(parts).await?;
    // What can be no slug is not worth a question.
    if bastide_commerce::subdomain::check(&before).is_err() {
        return Ok(None);
    }
    let Some(now) = tenants::slug_after(app.pool(), &before).await? else { return Ok(None) };
    let Ok(template) = MatchedPath::from_request_parts(parts, app).await else { return Ok(None) };
    let mut path: Vec<String> = parts.uri.path().split('/').map(str::to_owned).collect();
    let at = template.as_str().split('/').position(|part| part == "{merchant}");
    let Some(at) = at.filter(|at| *at < path.len()) else { return Ok(None) };
    path[at] = now;
    let query = parts.uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    Ok(Some(path.join("/") + &query))
}

/// The path's merchant, percent-decoded. Bytes that are no text name nobody.
pub(crate) async fn slug(parts: &mut Parts) -> Result<String, Problem> {
    let params = RawPathParams::from_request_parts(parts, &()).await.map_err(|_| Problem::not_found())?;
    let slug = params.iter().find(|(name, _)| *name == "merchant").map(|(_, value)| value.to_owned());
    slug.ok_or_else(Problem::not_found)
}

async fn by_slug(app: &App, slug: &str) -> Result<Option<Merchant>, Problem> {
    // NUL cannot be stored, so it cannot be asked for either.
    if slug.is_empty() || slug.len() > MAX_SLUG_BYTES || slug.chars().any(char::is_control) {
        return Ok(None);
    }
    Ok(merchants::by_slug(app.pool(), slug).await?)
}

fn check_header(
    app: &App,
    headers: &HeaderMap,
    merchant: &Merchant,
    who: Option<Uuid>,
    asked: &Asked,
) -> Result<(), Problem> {
    let id = merchant.id.to_string();
    let agrees =
        |value: &[u8]| value == merchant.slug.as_bytes() || value.eq_ignore_ascii_case(id.as_bytes());
    if headers.get_all(TENANT_HEADER).iter().all(|value| agrees(value.as_bytes())) {
        return Ok(());
    }
    app.crossed(CrossingKind::Header, who, Some(merchant.id), asked);
    Err(Problem::not_found())
}

/// The API key that was sent as a bearer token, if it is one.
async fn key(app: &App, headers: &HeaderMap) -> Result<Option<KeyAccess>, Problem> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let given = values.next().and_then(|value| value.to_str().ok()).and_then(|text| text.split_once(' '));
    let Some((scheme, token)) = given else { return Ok(None) };
    if !scheme.eq_ignore_ascii_case("bearer") || values.next().is_some() {
        return Ok(None);
    }
    let hash = KEY_KINDS.iter().find_map(|kind| secret::hash_of(kind, token.trim()));
    let Some(hash) = hash else { return Ok(None) };
    let key = api_keys::by_hash(app.pool(), &hash).await?;
    key.map(Some).ok_or_else(|| Problem::of(Code::InvalidToken))
}

fn tenant(merchant: &Merchant) -> Result<TenantId, Problem> {
    merchant.tenant().map_err(|_| Problem::not_found())
}
