//! What the API says of itself: its document, and what each code of a problem means.

use std::sync::LazyLock;

use axum::{
    Json,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use bastide_commerce::Example;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};

use crate::{
    code::Code,
    contract::{Document, Routes, get},
    finish::accepts_html,
    pages,
    path::At,
    problem::Problem,
};

static DOCUMENT: LazyLock<Document> = LazyLock::new(|| Document::of(&super::described()));

/// It changes with the server only; a client asks again whether it did.
const CACHE: HeaderValue = HeaderValue::from_static("public, max-age=300");

pub(crate) fn document() -> &'static Document {
    &DOCUMENT
}

pub(super) fn routes() -> Routes {
    let object = json!({ "type": "object" });
    let text = json!({ "type": "string" });
    Routes::of("reference", "What the API says of itself.")
        .with(
            get("/openapi.json", "get_document", "This document", openapi)
                .reads(&header::IF_NONE_MATCH, "An ETag of before.", &text)
                .answers_with(
                    StatusCode::OK,
                    "OpenAPI 3.1.",
                    "application/json",
                    &object,
                    &json!({ "openapi": "3.1.0" }),
                )
                .answers_empty(StatusCode::NOT_MODIFIED, "It is as it was."),
        )
        .with(
            get("/problems/{code}", "get_problem", "What a code of a problem means", problem)
                .answers::<Meaning>(
                    StatusCode::OK,
                    "Its status, title and meaning; a page for who accepts one.",
                )
                .answers_with(StatusCode::OK, "", "text/html", &text, &json!("<!DOCTYPE html>")),
        )
}

async fn openapi(headers: HeaderMap) -> Response {
    let known = [(header::ETAG, document().etag.clone()), (header::CACHE_CONTROL, CACHE)];
    if headers.get(header::IF_NONE_MATCH).is_some_and(|value| value == document().etag) {
        return (StatusCode::NOT_MODIFIED, known).into_response();
    }
    let kind = [(header::CONTENT_TYPE, "application/json")];
    (known, kind, document().json.clone()).into_response()
}

#[derive(Serialize, ToSchema)]
struct Meaning {
    code: &'static str,
    status: u16,
    title: &'static str,
    meaning: &'static str,
}

impl Example for Meaning {
    fn example() -> Value {
        json!(Self::of(Code::NotFound))
    }
}

impl Meaning {
    fn of(code: Code) -> Self {
        let (title, meaning) = (code.title(), code.meaning());
        Self { code: code.name(), status: code.status().as_u16(), title, meaning }
    }
}

#[derive(Deserialize, IntoParams)]
struct Named {
    /// A problem's `code`.
    code: String,
}

async fn problem(At(named): At<Named>, headers: HeaderMap) -> Result<Response, Problem> {
    let code = Code::named(&named.code).ok_or_else(Problem::not_found)?;
    Ok(if accepts_html(&headers) {
        pages::meaning(code).into_response()
    } else {
        Json(Meaning::of(code)).into_response()
    })
}
