//! JSON bodies: the one way a handler reads one. Size, time and depth are bounded before anything is made of it; every problem names its field.

mod faults;
mod node;

use std::time::Duration;

use axum::{
    body::{self, Bytes},
    extract::{FromRequest, Request},
    http::{HeaderMap, header},
};
use bastide_commerce::Example;
use serde::de::DeserializeOwned;
use utoipa::ToSchema;

pub(crate) use faults::{Faults, Validate};
pub(crate) use node::Fault;

use crate::{
    app::App,
    code::Code,
    contract::{Draft, Input},
    problem::{FieldError, Place, Problem},
};

/// Deeper than any body of ours, and shallow enough for every reader on the way.
const MAX_DEPTH: usize = 16;

/// A body of the type, valid.
pub(crate) struct Body<T>(pub(crate) T);

/// What can be sent: described, read and checked. `T` must refuse fields it does not know (`deny_unknown_fields`); a test sees to it.
pub(crate) trait Sendable: DeserializeOwned + Validate + ToSchema + Example {}

impl<T: DeserializeOwned + Validate + ToSchema + Example> Sendable for T {}

impl<T: Sendable> FromRequest<App> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        read(&bytes(request, app).await?).map(Self)
    }
}

impl<T: Sendable> Input for Body<T> {
    fn describe(draft: &mut Draft) {
        draft.takes::<T>();
        draft.may_refuse(&[
            Code::MalformedJson,
            Code::TooDeep,
            Code::BodyTimeout,
            Code::TooLarge,
            Code::UnsupportedMediaType,
            Code::Invalid,
        ]);
    }
}

/// The whole body, when it says it is JSON and is there in time.
pub(crate) async fn bytes(request: Request, app: &App) -> Result<Bytes, Problem> {
    if !is_json(request.headers()) {
        return Err(Problem::of(Code::UnsupportedMediaType));
    }
    let (limit, patience): (usize, Duration) = (app.config().body_limit, app.config().body_timeout);
    let whole = tokio::time::timeout(patience, body::to_bytes(request.into_body(), limit));
    let whole = whole.await.map_err(|_| Problem::of(Code::BodyTimeout))?;
    whole.map_err(|error| {
        let too_large = std::error::Error::source(&error)
            .is_some_and(|source| source.is::<http_body_util::LengthLimitError>());
        Problem::of(if too_large { Code::TooLarge } else { Code::BadRequest })
    })
}

pub(crate) fn read<T: DeserializeOwned + Validate>(bytes: &[u8]) -> Result<T, Problem> {
    if depth(bytes) > MAX_DEPTH {
        return Err(Problem::of(Code::TooDeep));
    }
    let node: node::Node = serde_json::from_slice(bytes).map_err(|error| {
        let place = format!("The body is not JSON: line {}, column {}.", error.line(), error.column());
        Problem::new(Code::MalformedJson, place)
    })?;
    let value = T::deserialize(node).map_err(|fault| Problem::fields(vec![fault.into()]))?;
    let mut faults = Faults::of(Place::Body);
    value.validate(&mut faults);
    faults.none().map(|()| value)
}

/// `application/json`, or another name for the same syntax.
fn is_json(headers: &HeaderMap) -> bool {
    let Some(kind) = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()) else {
        return false;
    };
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    kind == "application/json" || (kind.starts_with("application/") && kind.ends_with("+json"))
}

/// How deep it nests, without making anything of it.
fn depth(bytes: &[u8]) -> usize {
    let (mut depth, mut deepest, mut in_text, mut escaped) = (0_usize, 0, false, false);
    for byte in bytes {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            b'[' | b'{' if !in_text => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' if !in_text => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

impl From<node::Fault> for FieldError {
    fn from(fault: node::Fault) -> Self {
        Self::new(Place::Body, fault.pointer, fault.code, fault.message)
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::code::FieldCode;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Offer {
        name: String,
        price: Price,
        #[serde(default)]
        tags: Vec<String>,
        kind: Option<Kind>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Price {
        amount: i64,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Kind {
        Plain,
        Cut { width: u8 },
    }

    impl Validate for Offer {
        fn validate(&self, faults: &mut Faults) {
            faults.text("/name", &self.name, 1..=10);
            faults.check(
                "/price/amount",
                self.price.amount >= 0,
                FieldCode::OutOfRange,
                "must not be negative",
            );
            for (index, tag) in self.tags.iter().enumerate() {
                faults.text(&format!("/tags/{index}"), tag, 1..=3);
            }
        }
    }

    /// Pointer and code of each fault.
    fn faults(body: &str) -> Vec<(String, &'static str)> {
        let problem = read::<Offer>(body.as_bytes()).expect_err(body);
        assert_eq!(problem.code, Code::Invalid, "{body}: {problem:?}");
        problem.errors.into_iter().map(|error| (error.pointer, error.code.name())).collect()
    }

    #[test]
    fn every_fault_of_shape_has_its_pointer_and_its_code() {
        let one =
            |body, pointer: &str, code| assert_eq!(faults(body), [(pointer.to_owned(), code)], "{body}");
        one(r#"{"price":{"amount":1}}"#, "/name", "required");
        one(r#"{"name":"a","price":{}}"#, "/price/amount", "required");
        one(r#"{"name":"a","price":{"amount":1,"x/y~z":2}}"#, "/price/x~1y~0z", "unknown");
        one(r#"{"name":"a","name":"b","price":{"amount":1}}"#, "/name", "duplicate");
        one(r#"{"name":7,"price":{"amount":1}}"#, "/name", "wrong_type");
        one(r#"{"name":"a","price":{"amount":1.5}}"#, "/price/amount", "wrong_type");
        one(r#"{"name":"a","price":{"amount":"1"}}"#, "/price/amount", "wrong_type");
        one(r#"{"name":"a","price":{"amount":9223372036854775808}}"#, "/price/amount", "out_of_range");
        one(r#"{"name":"a","price":[1]}"#, "/price", "wrong_type");
        one(r#"{"name":"a","price":null}"#, "/price", "wrong_type");
        one(r#"{"name":"a","price":{"amount":1},"tags":["x",null]}"#, "/tags/1", "wrong_type");
        one(r#"{"name":"a","price":{"amount":1},"kind":"odd"}"#, "/kind", "unknown_value");
        one(
            r#"{"name":"a","price":{"amount":1},"kind":{"cut":{"width":300}}}"#,
            "/kind/cut/width",
            "out_of_range",
        );
        one("[]", "", "wrong_type");
        one("7", "", "wrong_type");
    }

    #[test]
    fn all_that_is_out_of_bounds_is_told_at_once() {
        let found = faults(r#"{"name":"","price":{"amount":-1},"tags":["ok","long","ünï"]}"#);
        let expected = [("/name", "too_short"), ("/price/amount", "out_of_range"), ("/tags/1", "too_long")];
        assert_eq!(found, expected.map(|(pointer, code)| (pointer.to_owned(), code)));
        let offer: Offer =
            read(br#"{"name":"a","price":{"amount":1},"tags":["x"],"kind":{"cut":{"width":3}}}"#).unwrap();
        assert!(matches!(offer.kind, Some(Kind::Cut { width: 3 })));
        let plain: Offer = read(br#"{"name":"a","price":{"amount":1},"kind":"plain"}"#).unwrap();
        assert!(matches!(plain.kind, Some(Kind::Plain)));
    }

    #[test]
    fn what_is_no_json_or_nests_too_deep_is_not_read() {
        let code = |body: &str| read::<Offer>(body.as_bytes()).unwrap_err().code;
        for body in ["", "{", "{}{}", "{'a':1}", "\u{feff}{}", "nul", "[1,]", "\"\u{1}\""] {
            assert_eq!(code(body), Code::MalformedJson, "{body}");
        }
        assert_eq!(read::<Offer>(b"{\"name\":\"\xff\"}").unwrap_err().code, Code::MalformedJson);
        let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        assert_eq!(code(&nested(17)), Code::TooDeep);
        assert_eq!(code(&"[".repeat(60_000)), Code::TooDeep);
        assert_eq!(code(&nested(16)), Code::Invalid);
        assert_eq!(depth(br#"{"a":"[[[[\"[[","b":[]}"#), 2, "brackets in text are text");
    }
}
