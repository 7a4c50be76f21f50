//! `X-Cart-Token`: the proof that a cart is one's own. Whoever made the cart has it, in clear nobody else; the API takes no cookies here.
//!
//! A wrong token, one of another cart and none at all are what a cart that does not exist is: 404.

use axum::{
    extract::FromRequestParts,
    http::{HeaderName, request::Parts},
};
use bastide_commerce::queries::carts::CartKey;
use serde::Deserialize;
use serde_json::json;
use utoipa::IntoParams;
use uuid::Uuid;

use crate::{
    app::App,
    code::Code,
    contract::{Draft, Input},
    problem::Problem,
    secret,
};

const TOKEN: HeaderName = HeaderName::from_static("x-cart-token");
/// How tokens of carts begin.
pub(super) const KIND: &str = "ct";

#[derive(Debug, Deserialize, IntoParams)]
pub(super) struct CartPath {
    /// The cart's.
    cart: Uuid,
}

impl CartPath {
    pub(super) fn of(cart: Uuid) -> Self {
        Self { cart }
    }

    pub(super) fn key(&self, token: CartToken) -> CartKey {
        CartKey { id: self.cart, token_hash: token.0 }
    }
}

/// Hashed already.
pub(super) struct CartToken(String);

impl FromRequestParts<App> for CartToken {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Problem> {
        let mut sent = parts.headers.get_all(TOKEN).iter();
        let token = sent.next().and_then(|value| value.to_str().ok()).filter(|_| sent.next().is_none());
        let hash = token.and_then(|token| secret::hash_of(KIND, token));
        hash.map(Self).ok_or_else(Problem::not_found)
    }
}

impl Input for CartToken {
    fn describe(draft: &mut Draft) {
        let about = "The `token` that came when the cart was made.";
        draft.parameter(
            "header",
            "X-Cart-Token",
            true,
            about,
            &json!({ "type": "string", "maxLength": 128 }),
        );
        draft.may_refuse(&[Code::NotFound]);
    }
}
