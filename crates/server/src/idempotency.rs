//! An act that is done once, however often it is sent: its key is claimed, its work done and its answer stored in one transaction.
//!
//! [`Once`] takes the request; [`Once::claim`] gives an [`Act`] to whoever comes first and the stored answer to everybody after. The act
//! holds the transaction, and ends it only together with its answer.

use axum::{
    body::Body as Bytes,
    extract::{FromRequest, FromRequestParts, Request},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use bastide_commerce::{
    queries::idempotency::{self, Claim},
    rows::StoredAnswer,
};
use bastide_tenancy::{TenantId, TenantTx};
use serde::Serialize;
use serde_json::json;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::{
    app::App,
    asked::Asked,
    body::{self, Body, Sendable},
    code::{Code, FieldCode},
    contract::{Draft, Input},
    problem::{FieldError, Place, Problem},
};

const KEY: HeaderName = HeaderName::from_static("idempotency-key");
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
const MAX_KEY_BYTES: usize = 255;
/// What an answer has beside its body.
const STORED_HEADERS: [HeaderName; 3] = [header::CONTENT_TYPE, header::LOCATION, header::ETAG];

/// A body, and the key under which it is worked on once.
pub(crate) struct Once<T> {
    sent: T,
    key: String,
    fingerprint: String,
    asked: Asked,
}

/// Whose keys: those of two callers never meet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Caller(String);

impl Caller {
    /// `kind` is a word of ours: `user`, `customer`, `cart`.
    pub(crate) fn new(kind: &'static str, id: Uuid) -> Self {
        Self(format!("{kind}:{id}"))
    }
}

pub(crate) enum Claimed<T> {
    /// Do it, and end with [`Act::done`] or [`Act::refused`].
    First(Box<Act>, T),
    /// It was done before.
    Again(Response),
}

/// An act under way. Dropping it undoes its work and forgets the key.
#[must_use = "an act that is dropped is undone"]
pub(crate) struct Act {
    tx: TenantTx,
    act: idempotency::Act,
    #[cfg_attr(not(test), allow(dead_code, reason = "checkout is the first to refuse for good"))]
    request_id: String,
}

impl<T> Once<T> {
    pub(crate) async fn claim(
        self,
        app: &App,
        tenant: &TenantId,
        caller: &Caller,
    ) -> Result<Claimed<T>, Problem> {
        let act = idempotency::Act {
            caller: caller.0.clone(),
            route: format!("{} {}", self.asked.method, self.asked.route),
            key: self.key,
            fingerprint: self.fingerprint,
        };
        let mut tx = app.pool().begin(tenant).await?;
        let refused = match idempotency::claim(&mut tx, &act).await? {
            Claim::New => {
                let act = Act { tx, act, request_id: self.asked.request_id };
                return Ok(Claimed::First(Box::new(act), self.sent));
            }
            Claim::Answered(stored) => {
                tx.rollback().await?;
                let mut response = respond(&stored);
                response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
                return Ok(Claimed::Again(response));
            }
            Claim::Reused => Code::IdempotencyKeyReused,
            Claim::InFlight => Code::IdempotencyInFlight,
        };
        tx.rollback().await?;
        Err(Problem::of(refused))
    }
}

impl Act {
    pub(crate) fn tx(&mut self) -> &mut TenantTx {
        &mut self.tx
    }

    /// Commits the work together with its answer.
    pub(crate) async fn done<T: Serialize>(
        self,
        status: StatusCode,
        headers: HeaderMap,
        body: &T,
    ) -> Result<Response, Problem> {
        self.end(status, headers, "application/json", body).await
    }

    /// Commits a refusal that is the outcome of the work, such as a payment that was declined: whoever asks again is told the same.
    /// What must not be kept is refused by returning the problem instead.
    #[cfg_attr(not(test), allow(dead_code, reason = "checkout is the first to refuse for good"))]
    pub(crate) async fn refused(self, problem: &Problem) -> Result<Response, Problem> {
        let request_id = self.request_id.clone();
        let sent = problem.sent(&request_id);
        self.end(problem.status(), HeaderMap::new(), "application/problem+json", &sent).await
    }

    async fn end<T: Serialize>(
        mut self,
        status: StatusCode,
        mut headers: HeaderMap,
        kind: &'static str,
        body: &T,
    ) -> Result<Response, Problem> {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        let kept = STORED_HEADERS.iter().filter_map(|name| {
            let value = headers.get(name)?.to_str().ok()?;
            Some((name.as_str().to_owned(), value.to_owned()))
        });
        let answer = StoredAnswer {
            status: i32::from(status.as_u16()),
            headers: kept.collect(),
            body: serde_json::to_string(body).map_err(|_| Problem::of(Code::Internal))?,
        };
        idempotency::store(&mut self.tx, &self.act, &answer).await?;
        self.tx.commit().await?;
        Ok(respond(&answer))
    }
}

/// The same bytes the first time and each time after.
fn respond(answer: &StoredAnswer) -> Response {
    let status = u16::try_from(answer.status).ok().and_then(|status| StatusCode::from_u16(status).ok());
    let mut response = (status.unwrap_or(StatusCode::OK), Bytes::from(answer.body.clone())).into_response();
    for (name, value) in &answer.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

impl<T: Sendable> FromRequest<App> for Once<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        let key = key(request.headers())?;
        let (mut parts, body) = request.into_parts();
        let Ok(asked) = Asked::from_request_parts(&mut parts, app).await;
        let mut hash = Sha256::new();
        // Neither a method nor a target holds a space.
        hash.update(format!("{} {} ", parts.method, parts.uri));
        let bytes = body::bytes(Request::from_parts(parts, body), app).await?;
        hash.update(&bytes);
        let fingerprint = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Self { sent: body::read(&bytes)?, key, fingerprint, asked })
    }
}

fn key(headers: &HeaderMap) -> Result<String, Problem> {
    let mut values = headers.get_all(KEY).iter();
    let value = values.next().ok_or_else(|| Problem::of(Code::IdempotencyKeyRequired))?;
    let key = value.to_str().ok().filter(|key| {
        (1..=MAX_KEY_BYTES).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic())
    });
    match (key, values.next()) {
        (Some(key), None) => Ok(key.to_owned()),
        _ => {
            let fault = FieldError::new(
                Place::Header,
                "/idempotency-key",
                FieldCode::Malformed,
                "must be 1 to 255 visible ASCII characters, sent once",
            );
            Err(Problem::of(Code::IdempotencyKeyInvalid).naming(vec![fault]))
        }
    }
}

impl<T: Sendable> Input for Once<T> {
    fn describe(draft: &mut Draft) {
        let about =
            "Of your own making, the same for every retry of this one act. The answer is kept for 24 hours.";
        let schema =
            json!({ "type": "string", "minLength": 1, "maxLength": MAX_KEY_BYTES, "pattern": "^[!-~]+$" });
        draft.parameter("header", "Idempotency-Key", true, about, &schema);
        Body::<T>::describe(draft);
        draft.answers_header(&REPLAYED, "`true` when this is the answer to the same request before.");
        draft.may_refuse(&[
            Code::IdempotencyKeyRequired,
            Code::IdempotencyKeyInvalid,
            Code::IdempotencyInFlight,
            Code::IdempotencyKeyReused,
        ]);
    }
}
