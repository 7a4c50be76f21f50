//! The last hand on every response: request id, error body, security headers, one line in the log.

use std::{any::Any, time::Instant};

use axum::{
    Json,
    extract::Request,
    http::{HeaderMap, HeaderName, HeaderValue, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use uuid::Uuid;

use crate::{
    asked::Asked,
    code::Code,
    limits::{RATE_LIMIT, RATE_LIMIT_POLICY},
    pages,
    problem::Problem,
};

pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Nothing but our own style sheets: no script anywhere, so there is nothing for a hostile product name to start.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

const SECURITY_HEADERS: [(HeaderName, &str); 7] = [
    (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "same-origin"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=(), payment=()"),
];

/// What an answer that becomes a problem keeps of its own.
const KEPT_HEADERS: [HeaderName; 6] = [
    header::ALLOW,
    header::ETAG,
    header::RETRY_AFTER,
    header::WWW_AUTHENTICATE,
    RATE_LIMIT,
    RATE_LIMIT_POLICY,
];

pub(crate) async fn finish(mut request: Request, next: Next) -> Response {
    let began = Instant::now();
    let id = request_id(request.headers());
    let wants_html = !request.uri().path().starts_with("/api/") && accepts_html(request.headers());
    let asked = Asked::of(&request, &id);
    request.extensions_mut().insert(asked.clone());

    let mut response = next.run(request).await;
    let status = response.status();
    let problem = response.extensions_mut().remove::<Problem>();
    if let Some(problem) = problem.or_else(|| unexplained(&response).then(|| Problem::of_status(status))) {
        response = render(&problem, &id, wants_html, response.headers());
    }

    let headers = response.headers_mut();
    for (name, value) in SECURITY_HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    if let Ok(value) = HeaderValue::from_str(&id) {
        headers.insert(REQUEST_ID, value);
    }
    tracing::info!(
        request_id = %id,
        method = %asked.method,
        route = %asked.route,
        status = status.as_u16(),
        ms = began.elapsed().as_millis(),
        "request"
    );
    response
}

/// A handler that panicked answers like any other defect of ours.
pub(crate) fn panicked(_: Box<dyn Any + Send + 'static>) -> Response {
    tracing::error!("a handler panicked");
    Problem::of(Code::Internal).into_response()
}

fn render(problem: &Problem, id: &str, wants_html: bool, old: &HeaderMap) -> Response {
    let mut response = if wants_html {
        (problem.status(), pages::problem(problem, id)).into_response()
    } else {
        let mut response = (problem.status(), Json(problem.sent(id))).into_response();
        response
            .headers_mut()
            .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        response
    };
    for name in KEPT_HEADERS {
        if let Some(value) = old.get(&name) {
            response.headers_mut().insert(name, value.clone());
        }
    }
    response
}

/// An error the framework answered with plain text or nothing. Our own pages with an error status are HTML, and a stored refusal is a
/// problem already.
fn unexplained(response: &Response) -> bool {
    let kind = response.headers().get(header::CONTENT_TYPE).map(|kind| kind.as_bytes());
    let ours = kind
        .is_some_and(|kind| kind.starts_with(b"text/html") || kind.starts_with(b"application/problem+json"));
    (response.status().is_client_error() || response.status().is_server_error()) && !ours
}

/// The caller's own id when it is harmless, so that traces join; else a new one.
fn request_id(headers: &HeaderMap) -> String {
    let given = headers.get(REQUEST_ID).and_then(|value| value.to_str().ok()).filter(|id| {
        (1..=64).contains(&id.len())
            && id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
    });
    given.map_or_else(|| Uuid::now_v7().to_string(), str::to_owned)
}

pub(crate) fn accepts_html(headers: &HeaderMap) -> bool {
    headers
        .get(header::ACCEPT)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|accept| accept.contains("text/html"))
}
