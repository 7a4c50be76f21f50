//! Who operates the platform: whoever has the token `BASTIDE_OPS_TOKEN`. Nobody's session is one, whatever its role.

use axum::{
    extract::FromRequestParts,
    http::{header, request::Parts},
};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use crate::{
    app::App,
    code::Code,
    contract::{Draft, Input},
    problem::Problem,
};

/// The operators' bearer token, as a hash.
#[derive(Clone)]
pub struct OpsToken([u8; 32]);

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "BASTIDE_OPS_TOKEN has {0} bytes; give it at least 32 random ones, for example from `openssl rand -hex 32`"
)]
pub struct WeakToken(usize);

impl OpsToken {
    /// # Errors
    /// When the text is too short to be a secret.
    pub fn from_text(text: &str) -> Result<Self, WeakToken> {
        let text = text.trim();
        if text.len() < 32 {
            return Err(WeakToken(text.len()));
        }
        Ok(Self(Sha256::digest(text.as_bytes()).into()))
    }

    fn is(&self, given: &str) -> bool {
        let tag = Self::mac(&self.0).finalize().into_bytes();
        // Compares in constant time.
        Self::mac(&Sha256::digest(given.as_bytes()).into()).verify_slice(&tag).is_ok()
    }

    fn mac(key: &[u8; 32]) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
        mac.update(b"bastide operator v1");
        mac
    }
}

impl std::fmt::Debug for OpsToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OpsToken(…)")
    }
}

/// The request is an operator's. Where no token was set, the address does not exist.
pub(crate) struct Operator;

impl FromRequestParts<App> for Operator {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let token = app.config().ops_token.as_ref().ok_or_else(Problem::not_found)?;
        let mut values = parts.headers.get_all(header::AUTHORIZATION).iter();
        let given = values.next().ok_or_else(Problem::no_operator)?;
        let given = given.to_str().ok().and_then(|text| text.split_once(' '));
        let right = given
            .is_some_and(|(scheme, given)| scheme.eq_ignore_ascii_case("bearer") && token.is(given.trim()));
        if right && values.next().is_none() { Ok(Self) } else { Err(Problem::no_operator()) }
    }
}

impl Input for Operator {
    fn describe(draft: &mut Draft) {
        draft.secured(Some("operator"));
        draft.may_refuse(&[Code::Unauthenticated, Code::NotFound]);
    }
}
