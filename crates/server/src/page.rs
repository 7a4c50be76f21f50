//! Pages of a list: `limit`, `cursor`, and the envelope they come in.

use axum::{
    extract::{FromRequestParts, Query},
    http::{StatusCode, request::Parts},
};
use bastide_commerce::queries::Page;
use bastide_tenancy::TenantId;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{app::App, problem::Problem};

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
        let Query(raw) = Query::<Raw>::try_from_uri(&parts.uri)
            .map_err(|_| Problem::of_status(StatusCode::BAD_REQUEST))?;
        let limit = match raw.limit {
            None => DEFAULT_LIMIT,
            Some(text) => clamped(&text)
                .ok_or_else(|| Problem::field("limit", "must be a whole number from 1 to 100"))?,
        };
        Ok(Self { limit, cursor: raw.cursor.filter(|cursor| !cursor.is_empty()) })
    }
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
        position.map(Some).ok_or_else(|| {
            Problem::new(
                StatusCode::BAD_REQUEST,
                "invalid_cursor",
                "The cursor is not one of this list; start again without it.",
            )
        })
    }
}

/// `{data, page: {next_cursor, has_more}}`
#[derive(Serialize)]
pub(crate) struct Listing<T> {
    data: Vec<T>,
    page: PageInfo,
}

#[derive(Serialize)]
struct PageInfo {
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
        Ok(Self { data: page.rows, page: PageInfo { next_cursor, has_more: page.has_more } })
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
    let payload = serde_json::to_vec(&position(last))
        .map_err(|_| Problem::of_status(StatusCode::INTERNAL_SERVER_ERROR))?;
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
