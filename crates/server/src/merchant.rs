//! The one place where a request becomes a merchant's: path = credential = `X-Tenant-ID` = tenant context.
//!
//! [`Shop`] is a visitor at an open storefront, [`Team`] somebody of the merchant's team with a permission. Handlers get their [`TenantId`] from one of
//! these two and from nowhere else. Whatever does not agree is 404, the same as a merchant that does not exist, counted and recorded.

use std::{fmt::Display, marker::PhantomData};

use axum::{
    extract::{FromRequestParts, RawPathParams},
    http::{HeaderMap, HeaderName, request::Parts},
};
use bastide_commerce::{
    queries::{audit, merchants, users},
    rows::{CrossingKind, Merchant},
};
use bastide_tenancy::TenantId;
use serde_json::json;
use uuid::Uuid;

use crate::{
    app::App,
    asked::Asked,
    code::Code,
    contract::{Draft, Input, RolesOf},
    permission::{Permission, Role},
    problem::Problem,
    session::Session,
};

const TENANT_HEADER: HeaderName = HeaderName::from_static("x-tenant-id");
/// A slug is a DNS label at heart; far beyond that there is nothing to look up.
const MAX_SLUG_BYTES: usize = 200;

/// An open storefront and its visitor.
pub(crate) struct Shop {
    pub(crate) merchant: Merchant,
    pub(crate) tenant: TenantId,
}

/// A merchant, and somebody of its team who may do what `P` names.
pub(crate) struct Team<P> {
    pub(crate) merchant: Merchant,
    pub(crate) tenant: TenantId,
    /// Whose idempotency keys these are, and who did it.
    pub(crate) user: Uuid,
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
        Ok(Team { merchant: self.merchant, tenant: self.tenant, user: self.user, may: PhantomData })
    }
}

impl<P> Team<P> {
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
            actor_kind: "user",
            action,
            entity: action.split('.').next().unwrap_or(action),
            entity_id: id.to_string(),
            fields,
            request_id: &asked.request_id,
        }
    }
}

impl FromRequestParts<App> for Shop {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let slug = slug(parts).await?;
        let merchant = by_slug(app, &slug).await?.filter(Merchant::is_open).ok_or_else(Problem::not_found)?;
        let Ok(asked) = Asked::from_request_parts(parts, app).await;
        // A storefront needs no credential; one that is sent must be right all the same.
        let session = Session::from_bearer(app, &parts.headers);
        check_header(app, &parts.headers, &merchant, session.as_ref().ok().and_then(Option::as_ref), &asked)?;
        if let Some(session) = session? {
            Member::of_session(app, session, &slug, &asked).await?;
        }
        Ok(Self { tenant: tenant(&merchant)?, merchant })
    }
}

impl<P: Permission> FromRequestParts<App> for Team<P> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let session =
            Session::from_bearer(app, &parts.headers)?.ok_or_else(|| Problem::of(Code::Unauthenticated))?;
        let (slug, Ok(asked)) = (slug(parts).await?, Asked::from_request_parts(parts, app).await);
        let member = Member::of_session(app, session, &slug, &asked).await?;
        check_header(app, &parts.headers, &member.merchant, Some(&session), &asked)?;
        member.may()
    }
}

impl Input for Shop {
    fn describe(draft: &mut Draft) {
        names_merchant(draft);
        draft.secured(None);
        draft.secured(Some("session"));
        draft.may_refuse(&[Code::InvalidToken, Code::Forbidden, Code::NotFound]);
    }
}

impl<P: Permission> Input for Team<P> {
    fn describe(draft: &mut Draft) {
        names_merchant(draft);
        draft.secured(Some("session"));
        draft.may_refuse(&[Code::Unauthenticated, Code::InvalidToken, Code::Forbidden, Code::NotFound]);
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
    session: Option<&Session>,
    asked: &Asked,
) -> Result<(), Problem> {
    let id = merchant.id.to_string();
    let agrees =
        |value: &[u8]| value == merchant.slug.as_bytes() || value.eq_ignore_ascii_case(id.as_bytes());
    if headers.get_all(TENANT_HEADER).iter().all(|value| agrees(value.as_bytes())) {
        return Ok(());
    }
    app.crossed(CrossingKind::Header, session.map(|session| session.user), Some(merchant.id), asked);
    Err(Problem::not_found())
}

fn tenant(merchant: &Merchant) -> Result<TenantId, Problem> {
    merchant.tenant().map_err(|_| Problem::not_found())
}
