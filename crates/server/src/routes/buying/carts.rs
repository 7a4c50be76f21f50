//! `/api/v1/storefront/{merchant}/carts`
//!
//! A cart holds no stock: what is in many carts is sold to whoever buys first, and nobody empties a shop by filling carts.

use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use bastide_commerce::{
    Example,
    queries::carts::{self, CartKey},
    rows::{Cart, PlacedOrder},
};
use bastide_tenancy::TenantTx;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::token::{CartPath, CartToken, KIND};
use crate::{
    app::App,
    body::{Body, Faults, Validate},
    code::{Code, FieldCode},
    contract::{Routes, delete, get, post, put},
    merchant::Shop,
    path::At,
    problem::Problem,
    secret::Secret,
};

const MOST_OF_ONE: i32 = 999;

pub(super) fn routes() -> Routes {
    Routes::of("buying", "A cart, a checkout, and the order it became.")
        .with(
            post(
                "/api/v1/storefront/{merchant}/carts",
                "create_cart",
                "An empty cart, and its token",
                create,
            )
            .answers::<NewCart>(StatusCode::CREATED, "It, and the token that is needed for all else."),
        )
        .with(get(
            "/api/v1/storefront/{merchant}/carts/{cart}",
            "get_cart",
            "A cart, at the prices there are now",
            read,
        ))
        .with(
            put(
                "/api/v1/storefront/{merchant}/carts/{cart}/lines/{variant}",
                "set_cart_line",
                "So many of a variant, whatever there were",
                set_line,
            )
            .refuses(&[Code::CartOrdered, Code::LimitReached]),
        )
        .with(
            delete(
                "/api/v1/storefront/{merchant}/carts/{cart}/lines/{variant}",
                "remove_cart_line",
                "None of a variant",
                remove_line,
            )
            .refuses(&[Code::CartOrdered]),
        )
        .with(get(
            "/api/v1/storefront/{merchant}/carts/{cart}/order",
            "get_order_of_cart",
            "The order a cart became",
            order,
        ))
}

#[derive(Serialize, ToSchema)]
struct NewCart {
    id: Uuid,
    /// Send it as `X-Cart-Token`. It is told this once.
    token: String,
}

impl Example for NewCart {
    fn example() -> Value {
        json!({ "id": "7b1c5a52-5d0e-4f3a-9d0c-2f4b6a8c0e11", "token": "ct_x2m0v7k3qd" })
    }
}

#[derive(Debug, Deserialize, IntoParams)]
struct LinePath {
    /// The cart's.
    cart: Uuid,
    /// The variant's.
    variant: i64,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Quantity {
    #[schema(minimum = 1, maximum = 999)]
    quantity: i32,
}

impl Example for Quantity {
    fn example() -> Value {
        json!({ "quantity": 2 })
    }
}

impl Validate for Quantity {
    fn validate(&self, faults: &mut Faults) {
        let fits = (1..=MOST_OF_ONE).contains(&self.quantity);
        faults.check("/quantity", fits, FieldCode::OutOfRange, "must be from 1 to 999");
    }
}

async fn create(State(app): State<App>, shop: Shop) -> Result<Response, Problem> {
    let token = Secret::new(KIND);
    let key = CartKey { id: Uuid::new_v4(), token_hash: token.hash() };
    let mut tx = app.pool().begin(&shop.tenant).await?;
    carts::make(&mut tx, &key).await?;
    tx.commit().await?;
    Ok((StatusCode::CREATED, Json(NewCart { id: key.id, token: token.into_text() })).into_response())
}

async fn read(
    State(app): State<App>,
    shop: Shop,
    At(at): At<CartPath>,
    token: CartToken,
) -> Result<Json<Cart>, Problem> {
    let cart = carts::get(app.pool(), &shop.tenant, &at.key(token), &shop.merchant.currency).await?;
    cart.map(Json).ok_or_else(Problem::not_found)
}

async fn set_line(
    State(app): State<App>,
    shop: Shop,
    At(at): At<LinePath>,
    token: CartToken,
    Body(sent): Body<Quantity>,
) -> Result<Json<Cart>, Problem> {
    let key = CartPath::of(at.cart).key(token);
    let currency = &shop.merchant.currency;
    let mut tx = app.pool().begin(&shop.tenant).await?;
    let set = async {
        let cart = changeable(&mut tx, &key, currency).await?;
        let is_new = cart.lines.iter().all(|line| line.variant_id != at.variant);
        if is_new && cart.lines.len() >= carts::MOST {
            return Err(Problem::of(Code::LimitReached));
        }
        let set = carts::set_line(&mut tx, key.id, at.variant, sent.quantity).await?;
        set.then_some(()).ok_or_else(Problem::not_found)
    };
    let set = set.await;
    changed(tx, set, &key, currency).await
}

async fn remove_line(
    State(app): State<App>,
    shop: Shop,
    At(at): At<LinePath>,
    token: CartToken,
) -> Result<Json<Cart>, Problem> {
    let key = CartPath::of(at.cart).key(token);
    let currency = &shop.merchant.currency;
    let mut tx = app.pool().begin(&shop.tenant).await?;
    let removed = async {
        changeable(&mut tx, &key, currency).await?;
        let removed = carts::remove_line(&mut tx, key.id, at.variant).await?;
        removed.then_some(()).ok_or_else(Problem::not_found)
    };
    let removed = removed.await;
    changed(tx, removed, &key, currency).await
}

async fn order(
    State(app): State<App>,
    shop: Shop,
    At(at): At<CartPath>,
    token: CartToken,
) -> Result<Json<PlacedOrder>, Problem> {
    let order = carts::order(app.pool(), &shop.tenant, &at.key(token)).await?;
    order.map(Json).ok_or_else(Problem::not_found)
}

/// Locked, so that of two who fill it both do, and nobody while it is bought.
async fn changeable(tx: &mut TenantTx, key: &CartKey, currency: &str) -> Result<Cart, Problem> {
    if !carts::lock(tx, key).await? {
        return Err(Problem::not_found());
    }
    let cart = carts::get_in(tx, key, currency).await?.ok_or_else(Problem::not_found)?;
    if cart.ordered { Err(Problem::of(Code::CartOrdered)) } else { Ok(cart) }
}

/// The cart as it is by now. A refusal is rolled back: a transaction that is only dropped costs its connection, and whoever guesses at carts
/// could so have all of them closed.
async fn changed(
    mut tx: TenantTx,
    outcome: Result<(), Problem>,
    key: &CartKey,
    currency: &str,
) -> Result<Json<Cart>, Problem> {
    if let Err(problem) = outcome {
        tx.rollback().await?;
        return Err(problem);
    }
    let cart = carts::get_in(&mut tx, key, currency).await?.ok_or_else(Problem::not_found)?;
    tx.commit().await?;
    Ok(Json(cart))
}
