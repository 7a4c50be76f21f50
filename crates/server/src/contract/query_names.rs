//! A query parameter nobody asked for is refused: a mistyped filter must not answer with everything.

use std::sync::Arc;

use axum::{
    extract::{Query, Request},
    middleware::Next,
    response::{IntoResponse, Response},
};

use crate::{
    code::FieldCode,
    problem::{FieldError, Place, Problem},
};

pub(super) async fn check(known: Arc<[String]>, request: Request, next: Next) -> Response {
    // What cannot be read at all is the handler's to refuse.
    let sent = Query::<Vec<(String, String)>>::try_from_uri(request.uri());
    let unknown: Vec<FieldError> = sent
        .iter()
        .flat_map(|query| &query.0)
        .filter(|(name, _)| !known.contains(name))
        .map(|(name, _)| {
            FieldError::new(Place::Query, pointer(name), FieldCode::Unknown, "there is no such parameter")
        })
        .collect();
    if unknown.is_empty() { next.run(request).await } else { Problem::fields(unknown).into_response() }
}

/// RFC 6901, of one step; a name that goes on for ever is cut.
fn pointer(name: &str) -> String {
    let shown: String = name.chars().take(64).collect();
    format!("/{}", shown.replace('~', "~0").replace('/', "~1"))
}
