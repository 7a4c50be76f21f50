//! What went wrong, as RFC 9457 has it.

use std::borrow::Cow;

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use bastide_tenancy::Error as Door;
use serde::Serialize;

/// An error on its way out. Rendered by [`finish`](crate::finish), which knows the request's id and what the client reads.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    pub(crate) status: StatusCode,
    /// Stable; programs decide by it.
    pub(crate) code: &'static str,
    /// One sentence for people.
    pub(crate) detail: Cow<'static, str>,
    pub(crate) errors: Vec<FieldError>,
}

#[derive(Clone, Debug, Serialize)]
pub(crate) struct FieldError {
    pub(crate) field: &'static str,
    pub(crate) message: Cow<'static, str>,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { status, code, detail: detail.into(), errors: Vec::new() }
    }

    /// Also for everything of another merchant: there must be no difference.
    pub(crate) fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", "There is nothing here.")
    }

    pub(crate) fn no_credential() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthenticated", "Sign in first: send a bearer token.")
    }

    pub(crate) fn bad_credential() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "invalid_token",
            "The token is not valid, or no longer; sign in again.",
        )
    }

    pub(crate) fn no_operator() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthenticated", "This is for operators: send their token.")
    }

    pub(crate) fn wrong_login() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "invalid_credentials", "E-mail address or password is wrong.")
    }

    pub(crate) fn forbidden() -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", "Your role in this team does not allow that.")
    }

    pub(crate) fn busy() -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "busy", "Too much at once; try again in a moment.")
    }

    pub(crate) fn field(field: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            errors: vec![FieldError { field, message: message.into() }],
            ..Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", "Some of what was sent cannot be used.")
        }
    }

    /// For answers that the framework gave by itself.
    pub(crate) fn of_status(status: StatusCode) -> Self {
        let (code, detail) = match status {
            StatusCode::BAD_REQUEST => ("bad_request", "The request cannot be read."),
            StatusCode::NOT_FOUND => return Self::not_found(),
            StatusCode::METHOD_NOT_ALLOWED => {
                ("method_not_allowed", "This address does not take that method.")
            }
            StatusCode::PAYLOAD_TOO_LARGE => ("too_large", "The request body is too large."),
            StatusCode::UNSUPPORTED_MEDIA_TYPE => {
                ("unsupported_media_type", "Send JSON: Content-Type: application/json.")
            }
            StatusCode::UNPROCESSABLE_ENTITY => ("invalid", "Some of what was sent cannot be used."),
            StatusCode::SERVICE_UNAVAILABLE => ("timeout", "That took too long; try again in a moment."),
            status if status.is_client_error() => ("bad_request", "The request cannot be used."),
            _ => ("internal", "Something went wrong on our side."),
        };
        Self::new(status, code, detail)
    }
}

impl From<bastide_commerce::Error> for Problem {
    fn from(error: bastide_commerce::Error) -> Self {
        let unavailable =
            |code, detail: &'static str| Self::new(StatusCode::SERVICE_UNAVAILABLE, code, detail);
        match &error {
            bastide_commerce::Error::Door(Door::MalformedTenant) => Self::not_found(),
            bastide_commerce::Error::Door(Door::NotIsolated) => {
                unavailable("not_isolated", "Nothing is served at the moment, for safety; operators know.")
            }
            bastide_commerce::Error::Door(Door::Busy) => Self::busy(),
            bastide_commerce::Error::Door(Door::Deadline) => {
                unavailable("timeout", "That took too long; try again in a moment.")
            }
            bastide_commerce::Error::Door(Door::Seal) => {
                tracing::error!(%error, "no tenant can be acted for");
                unavailable(
                    "tenant_context_refused",
                    "No merchant can be reached at the moment; try again soon.",
                )
            }
            bastide_commerce::Error::Door(Door::Unreachable(_) | Door::Connect(_)) => {
                tracing::error!(%error, "no database");
                unavailable("database_unavailable", "The database is away; try again in a moment.")
            }
            _ => {
                tracing::error!(%error, "a query failed");
                Self::of_status(StatusCode::INTERNAL_SERVER_ERROR)
            }
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        if self.status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response.extensions_mut().insert(self);
        response
    }
}
