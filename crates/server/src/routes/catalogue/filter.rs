//! What lists are narrowed to, from the query.

use axum::{
    extract::{FromRequestParts, Query},
    http::request::Parts,
};
use bastide_commerce::{queries::catalogue::Filter, rows::ProductStatus};
use serde::Deserialize;
use serde_json::json;

use crate::{
    code::{Code, FieldCode},
    contract::{Draft, Input},
    problem::{FieldError, Place, Problem},
};

/// A text that is looked for.
pub(super) const LONGEST_TEXT: usize = 200;

/// Of products, by their team.
pub(super) struct Narrowed(pub(super) Filter);

#[derive(Deserialize)]
struct RawProducts {
    status: Option<String>,
    category: Option<String>,
    q: Option<String>,
}

impl<S: Send + Sync> FromRequestParts<S> for Narrowed {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let Query(raw) =
            Query::<RawProducts>::try_from_uri(&parts.uri).map_err(|_| Problem::of(Code::BadRequest))?;
        let status = raw.status.map(|text| {
            ProductStatus::named(&text).ok_or_else(|| {
                wrong("/status", FieldCode::UnknownValue, "must be one of draft, active, archived")
            })
        });
        Ok(Self(Filter {
            status: status.transpose()?,
            category_id: whole("/category", raw.category.as_deref())?,
            text: text("/q", raw.q)?,
        }))
    }
}

impl Input for Narrowed {
    fn describe(draft: &mut Draft) {
        let statuses: Vec<&str> = ProductStatus::ALL.iter().map(|status| status.name()).collect();
        let status = json!({ "type": "string", "enum": statuses });
        draft.parameter("query", "status", false, "Only these.", &status);
        let id = json!({ "type": "integer", "format": "int64" });
        draft.parameter("query", "category", false, "Only what is in this category itself.", &id);
        let text = json!({ "type": "string", "maxLength": LONGEST_TEXT });
        draft.parameter("query", "q", false, "In the name or a SKU, whatever the case.", &text);
        draft.may_refuse(&[Code::BadRequest, Code::Invalid]);
    }
}

/// Of stock levels.
pub(super) struct Below(pub(super) Option<i64>);

#[derive(Deserialize)]
struct RawBelow {
    below: Option<String>,
}

impl<S: Send + Sync> FromRequestParts<S> for Below {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let Query(raw) =
            Query::<RawBelow>::try_from_uri(&parts.uri).map_err(|_| Problem::of(Code::BadRequest))?;
        Ok(Self(whole("/below", raw.below.as_deref())?))
    }
}

impl Input for Below {
    fn describe(draft: &mut Draft) {
        let about = "Only what is counted and of which less than this can still be sold.";
        draft.parameter("query", "below", false, about, &json!({ "type": "integer", "format": "int64" }));
        draft.may_refuse(&[Code::BadRequest, Code::Invalid]);
    }
}

/// What becomes of what a deleted category holds.
pub(super) struct Contents {
    pub(super) move_up: bool,
}

#[derive(Deserialize)]
struct RawContents {
    contents: Option<String>,
}

impl<S: Send + Sync> FromRequestParts<S> for Contents {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let Query(raw) =
            Query::<RawContents>::try_from_uri(&parts.uri).map_err(|_| Problem::of(Code::BadRequest))?;
        match raw.contents.as_deref() {
            None | Some("refuse") => Ok(Self { move_up: false }),
            Some("move_up") => Ok(Self { move_up: true }),
            Some(_) => Err(wrong("/contents", FieldCode::UnknownValue, "must be one of refuse, move_up")),
        }
    }
}

impl Input for Contents {
    fn describe(draft: &mut Draft) {
        let about = "Whether a category that is not empty stays, or what it holds moves up to its parent.";
        let schema = json!({ "type": "string", "enum": ["refuse", "move_up"], "default": "refuse" });
        draft.parameter("query", "contents", false, about, &schema);
        draft.may_refuse(&[Code::BadRequest, Code::Invalid]);
    }
}

pub(super) fn wrong(pointer: &'static str, code: FieldCode, message: &'static str) -> Problem {
    Problem::fields(vec![FieldError::new(Place::Query, pointer, code, message)])
}

pub(super) fn whole(pointer: &'static str, text: Option<&str>) -> Result<Option<i64>, Problem> {
    let read =
        |text: &str| text.parse().map_err(|_| wrong(pointer, FieldCode::Malformed, "must be a whole number"));
    text.map(read).transpose()
}

/// Blank is none.
pub(super) fn text(pointer: &'static str, text: Option<String>) -> Result<Option<String>, Problem> {
    let Some(text) = text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    if text.chars().count() > LONGEST_TEXT {
        return Err(wrong(pointer, FieldCode::TooLong, "must have at most 200 characters"));
    }
    if text.chars().any(char::is_control) {
        return Err(wrong(pointer, FieldCode::Malformed, "must not hold control characters"));
    }
    Ok(Some(text))
}
