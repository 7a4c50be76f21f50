//! What went wrong, as RFC 9457 has it.

use std::borrow::Cow;

use axum::{
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use bastide_tenancy::Error as Door;
use serde::Serialize;
use utoipa::ToSchema;

use crate::code::{Code, FieldCode};

/// An error on its way out. Rendered by [`finish`](crate::finish), which knows the request's id and what the client reads.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    pub(crate) code: Code,
    /// One sentence for people.
    pub(crate) detail: Cow<'static, str>,
    pub(crate) errors: Vec<FieldError>,
    /// Beside the problem's own: `ETag`, `Retry-After`.
    headers: Vec<(HeaderName, HeaderValue)>,
}

/// What is wrong with one field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct FieldError {
    r#in: Place,
    /// RFC 6901, into the body; of a parameter or a header, its name.
    #[schema(example = "/price/amount")]
    pub(crate) pointer: String,
    #[schema(value_type = String, example = "out_of_range")]
    pub(crate) code: FieldCode,
    /// For people.
    #[schema(value_type = String, example = "must not be negative")]
    pub(crate) message: Cow<'static, str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Place {
    Body,
    Query,
    Header,
}

/// A problem as it is sent.
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct Sent<'a> {
    /// Relative to the server, which says there what the code means.
    #[schema(format = "uri-reference")]
    pub(crate) r#type: String,
    /// The same for every problem of this code.
    pub(crate) title: &'a str,
    #[schema(minimum = 400, maximum = 599)]
    pub(crate) status: u16,
    /// What programs decide by: docs/problems.md has them all.
    pub(crate) code: &'a str,
    /// One sentence about this one.
    pub(crate) detail: &'a str,
    /// One entry for each field that is wrong; empty when it is about none.
    pub(crate) errors: &'a [FieldError],
    /// The same as the header `X-Request-Id`: name it when you report a problem.
    pub(crate) request_id: &'a str,
}

impl FieldError {
    pub(crate) fn new(
        r#in: Place,
        pointer: impl Into<String>,
        code: FieldCode,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self { r#in, pointer: pointer.into(), code, message: message.into() }
    }
}

impl Problem {
    pub(crate) fn new(code: Code, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { code, detail: detail.into(), errors: Vec::new(), headers: Vec::new() }
    }

    /// With the code's own sentence.
    pub(crate) fn of(code: Code) -> Self {
        Self::new(code, code.meaning())
    }

    /// Also for everything of another merchant: there must be no difference.
    pub(crate) fn not_found() -> Self {
        Self::new(Code::NotFound, "There is nothing here.")
    }

    pub(crate) fn no_operator() -> Self {
        Self::new(Code::Unauthenticated, "This is for operators: send their token.")
    }

    pub(crate) fn naming(mut self, errors: Vec<FieldError>) -> Self {
        self.errors = errors;
        self
    }

    pub(crate) fn fields(errors: Vec<FieldError>) -> Self {
        Self::new(Code::Invalid, "Some of what was sent cannot be used.").naming(errors)
    }

    pub(crate) fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.code.status()
    }

    pub(crate) fn sent<'a>(&'a self, request_id: &'a str) -> Sent<'a> {
        Sent {
            r#type: self.code.address(),
            title: self.code.title(),
            status: self.status().as_u16(),
            code: self.code.name(),
            detail: &self.detail,
            errors: &self.errors,
            request_id,
        }
    }

    /// For answers that the framework gave by itself.
    pub(crate) fn of_status(status: StatusCode) -> Self {
        Self::of(match status {
            StatusCode::NOT_FOUND => return Self::not_found(),
            StatusCode::METHOD_NOT_ALLOWED => Code::MethodNotAllowed,
            StatusCode::REQUEST_TIMEOUT => Code::BodyTimeout,
            StatusCode::PAYLOAD_TOO_LARGE => Code::TooLarge,
            StatusCode::UNSUPPORTED_MEDIA_TYPE => Code::UnsupportedMediaType,
            StatusCode::UNPROCESSABLE_ENTITY => Code::Invalid,
            StatusCode::SERVICE_UNAVAILABLE => Code::Timeout,
            status if status.is_client_error() => Code::BadRequest,
            _ => Code::Internal,
        })
    }
}

impl From<bastide_commerce::Error> for Problem {
    fn from(error: bastide_commerce::Error) -> Self {
        match &error {
            bastide_commerce::Error::Door(Door::MalformedTenant) => Self::not_found(),
            bastide_commerce::Error::Door(Door::NotIsolated) => Self::of(Code::NotIsolated),
            bastide_commerce::Error::Door(Door::Busy) => Self::of(Code::Busy),
            bastide_commerce::Error::Door(Door::Deadline) => Self::of(Code::Timeout),
            bastide_commerce::Error::Door(Door::Seal) => {
                tracing::error!(%error, "no tenant can be acted for");
                Self::of(Code::TenantContextRefused)
            }
            bastide_commerce::Error::Door(Door::Unreachable(_) | Door::Connect(_)) => {
                tracing::error!(%error, "no database");
                Self::of(Code::DatabaseUnavailable)
            }
            // Two writers wanted the same rows in another order each; the one that was let go may come again.
            bastide_commerce::Error::Door(Door::Database(said)) if said.code == "40P01" => {
                tracing::warn!(%error, "two requests waited for each other");
                Self::of(Code::Busy)
            }
            _ => {
                tracing::error!(%error, "a query failed");
                Self::of(Code::Internal)
            }
        }
    }
}

impl From<Door> for Problem {
    fn from(error: Door) -> Self {
        bastide_commerce::Error::from(error).into()
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.status().into_response();
        let headers = response.headers_mut();
        if self.status() == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if self.status() == StatusCode::SERVICE_UNAVAILABLE || self.code == Code::IdempotencyInFlight {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        headers.extend(self.headers.clone());
        response.extensions_mut().insert(self);
        response
    }
}
