//! Pages of a list: `limit`, `cursor`, and the envelope they come in.

use std::borrow::Cow;

use axum::{
    extract::{FromRequestParts, Query},
    http::request::Parts,
};
use bastide_commerce::{Example, queries::Page};
use bastide_tenancy::TenantId;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{ArrayBuilder, ObjectBuilder, Ref, RefOr, Schema},
};

use crate::{
    app::App,
    code::{Code, FieldCode},
    contract::{Draft, Input},
    problem::{FieldError, Place, Problem},
};

const DEFAULT_LIMIT: u16 = 20;
const MAX_LIMIT: u16 = 100;

/// What the request asks for. The cursor is opened by [`PageRequest::after`], which knows whose it must be.
pub(crate) struct PageRequest {
    pub(crate) limit: u16,
    cursor: Option<String>,
}

#[derive(Deserialize)]
struct Raw {
    limit: Option<String>,
    cursor: Option<String>,
}

impl<S: Send + Sync> FromRequestParts<S> for PageRequest {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let Query(raw) = Query::<Raw>::try_from_uri(&parts.uri).map_err(|_| Problem::of(Code::BadRequest))?;
        let limit = match raw.limit {
            None => DEFAULT_LIMIT,
            Some(text) => clamped(&text).ok_or_else(not_a_limit)?,
        };
        Ok(Self { limit, cursor: raw.cursor.filter(|cursor| !cursor.is_empty()) })
    }
}

fn not_a_limit() -> Problem {
    let message = "must be a whole number from 1 to 100";
    Problem::fields(vec![FieldError::new(Place::Query, "/limit", FieldCode::Malformed, message)])
}

/// A number out of range means the nearest end; what is no whole number means nothing.
fn clamped(text: &str) -> Option<u16> {
    let number = text.parse::<i64>().ok()?;
    u16::try_from(number.clamp(1, i64::from(MAX_LIMIT))).ok()
}

impl PageRequest {
    /// The position the cursor was made from, when it was made here, for this list of this tenant.
    pub(crate) fn after<P: DeserializeOwned>(
        &self,
        app: &App,
        list: &str,
        tenant: &TenantId,
    ) -> Result<Option<P>, Problem> {
        let Some(cursor) = &self.cursor else { return Ok(None) };
        let payload = app.config().session_key.open(&purpose(list, tenant), cursor);
        let position = payload.and_then(|payload| serde_json::from_slice(&payload).ok());
        position.map(Some).ok_or_else(|| Problem::of(Code::InvalidCursor))
    }
}

impl Input for PageRequest {
    fn describe(draft: &mut Draft) {
        let limit =
            json!({ "type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT });
        draft.parameter(
            "query",
            "limit",
            false,
            "Rows at most; what is out of range means the nearest end.",
            &limit,
        );
        let cursor = "`page.next_cursor` of the page before. Of this list and this merchant only.";
        draft.parameter("query", "cursor", false, cursor, &json!({ "type": "string" }));
        draft.may_refuse(&[Code::BadRequest, Code::InvalidCursor, Code::Invalid]);
    }
}

/// `{data, page: {next_cursor, has_more}}`
#[derive(Serialize)]
pub(crate) struct Listing<T> {
    data: Vec<T>,
    page: PageInfo,
}

#[derive(Serialize, ToSchema)]
struct PageInfo {
    /// Opaque, and null on the last page.
    next_cursor: Option<String>,
    has_more: bool,
}

impl<T> Listing<T> {
    pub(crate) fn new<P: Serialize>(
        app: &App,
        list: &str,
        tenant: &TenantId,
        page: Page<T>,
        position: impl Fn(&T) -> P,
    ) -> Result<Self, Problem> {
        let next_cursor = next_cursor(app, list, tenant, &page, position)?;
        Ok(Self::ending(page, next_cursor))
    }

    /// With a cursor that was made before.
    pub(crate) fn ending(page: Page<T>, next_cursor: Option<String>) -> Self {
        Self { data: page.rows, page: PageInfo { next_cursor, has_more: page.has_more } }
    }
}

impl<T: ToSchema> PartialSchema for Listing<T> {
    fn schema() -> RefOr<Schema> {
        let row = Ref::from_schema_name(T::name());
        ObjectBuilder::new()
            .property("data", ArrayBuilder::new().items(row))
            .property("page", Ref::from_schema_name(PageInfo::name()))
            .required("data")
            .required("page")
            .into()
    }
}

impl<T: ToSchema> ToSchema for Listing<T> {
    fn name() -> Cow<'static, str> {
        format!("{}List", T::name()).into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((T::name().into_owned(), T::schema()));
        schemas.push((PageInfo::name().into_owned(), PageInfo::schema()));
        T::schemas(schemas);
    }
}

impl<T: Example> Example for Listing<T> {
    fn example() -> Value {
        json!({ "data": [T::example()], "page": { "next_cursor": null, "has_more": false } })
    }
}

pub(crate) fn next_cursor<T, P: Serialize>(
    app: &App,
    list: &str,
    tenant: &TenantId,
    page: &Page<T>,
    position: impl Fn(&T) -> P,
) -> Result<Option<String>, Problem> {
    let Some(last) = page.rows.last().filter(|_| page.has_more) else { return Ok(None) };
    let payload = serde_json::to_vec(&position(last)).map_err(|_| Problem::of(Code::Internal))?;
    Ok(Some(app.config().session_key.seal(&purpose(list, tenant), &payload)))
}

fn purpose(list: &str, tenant: &TenantId) -> String {
    format!("cursor {list} {tenant}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_clamped_and_nonsense_is_not_a_limit() {
        assert_eq!(
            [clamped("0"), clamped("-5"), clamped("7"), clamped("100000")],
            [Some(1), Some(1), Some(7), Some(100)]
        );
        for text in ["", "ten", "1.5", "1e2", "99999999999999999999", "5 "] {
            assert_eq!(clamped(text), None, "{text}");
        }
    }
}
