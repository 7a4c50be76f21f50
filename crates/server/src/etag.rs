//! Versions on the wire: strong ETags, `If-Match` on writes, `If-None-Match` on reads.
//!
//! A writer's [`Version`] comes from [`IfMatch`] and goes into the update's WHERE: a race that was lost is 412, never a lost update.

use std::fmt::Display;

use axum::{
    Json,
    extract::FromRequestParts,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use bastide_commerce::{Changed, Example, Version};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use crate::{
    code::Code,
    contract::{Draft, Input, Output},
    problem::Problem,
};

/// The ETag of one version of one entity. Made of what identifies it, so that no other entity's ever matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ETag {
    /// Without the version.
    whose: String,
    version: i64,
}

impl ETag {
    /// `entity` is a word of ours; of `id`, letters, digits and `-` are all there is.
    pub(crate) fn new(entity: &'static str, id: impl Display, version: i64) -> Self {
        Self { whose: format!("{entity}-{id}"), version }
    }

    fn value(&self) -> HeaderValue {
        let text = format!("\"{}.{}\"", self.whose, self.version);
        HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("\"\""))
    }
}

/// `If-Match`, without which nothing is written over.
pub(crate) struct IfMatch(Vec<String>);

impl IfMatch {
    /// The version of the entity that the caller read.
    pub(crate) fn version(&self, entity: &'static str, id: impl Display) -> Result<Version, Problem> {
        if self.0.iter().any(|tag| tag == "*") {
            return Ok(Version::Any);
        }
        let whose = ETag::new(entity, id, 0).whose;
        let mut versions = self.0.iter().filter_map(|tag| {
            // A weak one (`W/"…"`) is never equal here.
            let tag = tag.strip_prefix('"')?.strip_suffix('"')?;
            let (of, version) = tag.rsplit_once('.')?;
            (of == whose).then(|| version.parse().ok())?
        });
        match (versions.next(), versions.next()) {
            (None, _) => Ok(Version::Never),
            (Some(version), None) => Ok(Version::Exactly(version)),
            (Some(_), Some(_)) => {
                Err(Problem::new(Code::BadRequest, "If-Match names several versions of one thing; name one."))
            }
        }
    }
}

/// What a write made, or why it made nothing: 404, or 412 with the ETag that is there.
pub(crate) fn written<T>(changed: Changed<T>, entity: &'static str, id: impl Display) -> Result<T, Problem> {
    match changed {
        Changed::Now(row) => Ok(row),
        Changed::Gone => Err(Problem::not_found()),
        Changed::Stale { current } => {
            let current = ETag::new(entity, id, current).value();
            Err(Problem::of(Code::StaleVersion).with_header(header::ETAG, current))
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let tags = tags(&parts.headers, &header::IF_MATCH);
        if tags.is_empty() { Err(Problem::of(Code::IfMatchRequired)) } else { Ok(Self(tags)) }
    }
}

impl Input for IfMatch {
    fn describe(draft: &mut Draft) {
        let about = "The ETag that was read, or `*` to write over whatever is there.";
        draft.parameter("header", "If-Match", true, about, &json!({ "type": "string" }));
        draft.may_refuse(&[Code::BadRequest, Code::StaleVersion, Code::IfMatchRequired]);
    }
}

/// `If-None-Match`, of who has read it before.
pub(crate) struct IfNoneMatch(Vec<String>);

impl<S: Send + Sync> FromRequestParts<S> for IfNoneMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Ok(Self(tags(&parts.headers, &header::IF_NONE_MATCH)))
    }
}

impl Input for IfNoneMatch {
    fn describe(draft: &mut Draft) {
        let about = "ETags that were read: 304 when it still has one of them.";
        draft.parameter("header", "If-None-Match", false, about, &json!({ "type": "string" }));
        draft.answers_empty(StatusCode::NOT_MODIFIED, "It is as it was.");
    }
}

impl IfNoneMatch {
    /// Compares weakly, as reads do.
    fn knows(&self, etag: &HeaderValue) -> bool {
        self.0
            .iter()
            .any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag).as_bytes() == etag.as_bytes())
    }
}

/// A body with its ETag.
pub(crate) struct Tagged<T> {
    etag: ETag,
    body: T,
}

impl<T: Serialize> Tagged<T> {
    pub(crate) fn new(etag: ETag, body: T) -> Self {
        Self { etag, body }
    }

    /// 304 for who has it already.
    pub(crate) fn unless_known(self, known: &IfNoneMatch) -> Response {
        if known.knows(&self.etag.value()) {
            return (StatusCode::NOT_MODIFIED, [(header::ETAG, self.etag.value())]).into_response();
        }
        self.into_response()
    }
}

impl<T: Serialize> IntoResponse for Tagged<T> {
    fn into_response(self) -> Response {
        // Kept by nobody between: it is a merchant's.
        let headers = [
            (header::ETAG, self.etag.value()),
            (header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache")),
        ];
        (headers, Json(self.body)).into_response()
    }
}

impl<T: ToSchema + Example> Output for Tagged<T> {
    fn describe(draft: &mut Draft) {
        draft.answers::<T>(StatusCode::OK, "Done.");
        draft.answers_header(&header::ETAG, "For If-Match and If-None-Match.");
    }
}

/// Entity tags of a list header, in all its lines. A comma within quotes belongs to the tag.
fn tags(headers: &HeaderMap, name: &HeaderName) -> Vec<String> {
    let lines = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    let mut tags = Vec::new();
    for line in lines {
        let (mut tag, mut quoted) = (String::new(), false);
        for c in line.chars() {
            quoted ^= c == '"';
            if c == ',' && !quoted {
                tags.push(std::mem::take(&mut tag));
            } else {
                tag.push(c);
            }
        }
        tags.push(tag);
    }
    tags.iter().map(|tag| tag.trim().to_owned()).filter(|tag| !tag.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn if_match(text: &'static str) -> IfMatch {
        let headers = HeaderMap::from_iter([(header::IF_MATCH, HeaderValue::from_static(text))]);
        IfMatch(tags(&headers, &header::IF_MATCH))
    }

    #[test]
    fn only_the_strong_tag_of_the_same_thing_names_its_version() {
        let version = |text| if_match(text).version("product", 17).map_err(|problem| problem.code);
        assert_eq!(ETag::new("product", 17, 3).value(), "\"product-17.3\"");
        assert_eq!(version("\"product-17.3\""), Ok(Version::Exactly(3)));
        assert_eq!(version("*"), Ok(Version::Any));
        assert_eq!(version("\"a,b\", \"product-17.3\""), Ok(Version::Exactly(3)));
        assert_eq!(version("\"product-17.3\", \"product-17.4\""), Err(Code::BadRequest));
        for other in [
            "\"product-1.73\"",
            "\"order-17.3\"",
            "W/\"product-17.3\"",
            "product-17.3",
            "\"product-17.3",
            "\"product-17.x\"",
            "\"product-17.99999999999999999999\"",
        ] {
            assert_eq!(version(other), Ok(Version::Never), "{other}");
        }
    }
}
