//! What a request may be remembered by: its id, its method and its route's template. Never its path, which may hold anything.

use std::convert::Infallible;

use axum::{
    extract::{FromRequestParts, MatchedPath, Request},
    http::request::Parts,
};

#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) request_id: String,
    pub(crate) method: String,
    pub(crate) route: String,
}

impl Asked {
    pub(crate) fn of(request: &Request, request_id: &str) -> Self {
        let route = request.extensions().get::<MatchedPath>().map_or("none", MatchedPath::as_str);
        Self {
            request_id: request_id.to_owned(),
            method: request.method().to_string(),
            route: route.to_owned(),
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Asked {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        // Put there by `finish`, which is around every route.
        Ok(parts.extensions.get().cloned().unwrap_or_else(|| Self {
            request_id: "none".to_owned(),
            method: parts.method.to_string(),
            route: "none".to_owned(),
        }))
    }
}
