//! `POST /api/v1/storefront/{merchant}/carts/{cart}/checkout`: price, stock, order and payment, all of it or none.
//!
//! Paid by hand as yet: on delivery, or by transfer. Nobody outside is asked, so one transaction is all there is; where a provider comes in, and
//! in which order, is at the head of `bastide_commerce::payment`.
//!
//! Round trips to the database: one for the merchant, one for the cart before its key is claimed (whose token is wrong must not be told a
//! stored answer), then in one transaction two for the claim, two for cart and prices, three for the stock, one for all that is written, one
//! to read it, one to store the answer, and the commit.

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
    response::Response,
};
use bastide_commerce::{
    Example, Money, is_country,
    order_state::Terms,
    payment::Reference,
    queries::{
        carts,
        checkout::{self, Buyer, Placed, Priced},
        inventory::Shortage,
    },
    rows::PlacedOrder,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::{
    super::tenants::check_email,
    token::{CartPath, CartToken},
};
use crate::{
    app::App,
    body::{Faults, Validate},
    code::{Code, FieldCode},
    contract::{Routes, post},
    idempotency::{Caller, Claimed, Once},
    merchant::Shop,
    path::At,
    problem::{FieldError, Place, Problem},
};

pub(super) fn routes() -> Routes {
    Routes::of("buying", "A cart, a checkout, and the order it became.").with(
        post(
            "/api/v1/storefront/{merchant}/carts/{cart}/checkout",
            "create_order_of_cart",
            "Buy a cart",
            buy,
        )
        .answers::<PlacedOrder>(StatusCode::CREATED, "It is ordered.")
        .refuses(&[
            Code::CartEmpty,
            Code::CartOrdered,
            Code::OffSale,
            Code::OutOfStock,
            Code::PriceChanged,
            Code::Busy,
        ]),
    )
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Checkout {
    #[schema(max_length = 254)]
    email: String,
    #[schema(min_length = 1, max_length = 200)]
    name: String,
    shipping_address: Address,
    /// The same as the other when it is not sent.
    billing_address: Option<Address>,
    payment: Method,
    /// What the buyer was shown, and agrees to: when it costs something else by now, nothing is ordered.
    total: Money,
}

#[derive(Clone, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Address {
    #[schema(min_length = 1, max_length = 200)]
    name: String,
    #[schema(min_length = 1, max_length = 200)]
    line1: String,
    #[serde(default)]
    #[schema(max_length = 200)]
    line2: String,
    #[schema(min_length = 1, max_length = 100)]
    city: String,
    #[serde(default)]
    #[schema(max_length = 100)]
    region: String,
    /// Not every country has them.
    #[serde(default)]
    #[schema(max_length = 20)]
    postcode: String,
    /// ISO 3166-1, alpha-2.
    #[schema(pattern = "^[A-Z]{2}$")]
    country: String,
    #[serde(default)]
    #[schema(max_length = 40)]
    phone: String,
}

#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Method {
    BankTransfer,
    CashOnDelivery,
}

impl Method {
    fn terms(self) -> Terms {
        match self {
            Self::BankTransfer => Terms::InAdvance,
            Self::CashOnDelivery => Terms::OnDelivery,
        }
    }
}

impl Example for Checkout {
    fn example() -> Value {
        json!({
            "email": "ann@example.test",
            "name": "Ann",
            "shipping_address": { "name": "Ann", "line1": "1 Quay", "city": "Brest", "postcode": "29200", "country": "FR" },
            "billing_address": null,
            "payment": "bank_transfer",
            "total": { "amount": 3998, "currency": "EUR" }
        })
    }
}

impl Validate for Checkout {
    fn validate(&self, faults: &mut Faults) {
        check_email(faults, "/email", &self.email);
        faults.text("/name", &self.name, 1..=200);
        self.shipping_address.check(faults, "/shipping_address");
        if let Some(address) = &self.billing_address {
            address.check(faults, "/billing_address");
        }
    }
}

impl Address {
    fn check(&self, faults: &mut Faults, under: &str) {
        let fields = [
            ("name", &self.name, 1..=200),
            ("line1", &self.line1, 1..=200),
            ("line2", &self.line2, 0..=200),
            ("city", &self.city, 1..=100),
            ("region", &self.region, 0..=100),
            ("postcode", &self.postcode, 0..=20),
            ("phone", &self.phone, 0..=40),
        ];
        for (name, text, characters) in fields {
            faults.text(&format!("{under}/{name}"), text, characters);
        }
        let message = "must be a country's two letters (ISO 3166-1)";
        faults.check(
            &format!("{under}/country"),
            is_country(&self.country),
            FieldCode::UnknownValue,
            message,
        );
    }
}

impl Checkout {
    fn buyer(&self) -> Buyer {
        let address = |address: &Address| json!(address);
        Buyer {
            email: self.email.to_lowercase(),
            name: self.name.clone(),
            shipping_address: address(&self.shipping_address),
            billing_address: address(self.billing_address.as_ref().unwrap_or(&self.shipping_address)),
        }
    }
}

async fn buy(
    State(app): State<App>,
    shop: Shop,
    At(at): At<CartPath>,
    token: CartToken,
    once: Once<Checkout>,
) -> Result<Response, Problem> {
    let (key, currency) = (at.key(token), shop.merchant.currency.as_str());
    carts::get(app.pool(), &shop.tenant, &key, currency).await?.ok_or_else(Problem::not_found)?;
    let (mut act, sent) = match once.claim(&app, &shop.tenant, &Caller::new("cart", key.id)).await? {
        Claimed::First(act, sent) => (act, sent),
        Claimed::Again(answer) => return Ok(answer),
    };
    if sent.total.currency != currency {
        let message = format!("must be {currency}, the currency of this shop");
        return Err(Problem::fields(vec![body("/total/currency", FieldCode::UnknownValue, message)]));
    }
    let cart = match checkout::price(act.tx(), &key, currency, sent.total.amount).await? {
        Priced::Ready(cart) => cart,
        Priced::Gone => return Err(Problem::not_found()),
        Priced::Ordered => return Err(Problem::of(Code::CartOrdered)),
        Priced::Empty => return Err(Problem::of(Code::CartEmpty)),
        Priced::OffSale(variants) => return Err(off_sale(&variants)),
        Priced::Changed(cart) => return Err(price_changed(&cart.total)),
    };
    let payment = checkout::Payment {
        provider: "manual",
        reference: Reference::of_checkout(key.id),
        terms: sent.payment.terms(),
        stage: "due",
    };
    let placed = checkout::place(act.tx(), &cart, &checkout::number(), &sent.buyer(), &payment).await;
    match placed.map_err(refused)? {
        Placed::Now { .. } => {}
        Placed::Short(short) => return Err(out_of_stock(&short)),
    }
    let order = carts::order_in(act.tx(), &key).await?.ok_or_else(|| Problem::of(Code::Internal))?;
    act.done(StatusCode::CREATED, HeaderMap::new(), &order).await
}

fn refused(error: bastide_commerce::Error) -> Problem {
    if error.violates(checkout::CART_KEY) {
        return Problem::of(Code::CartOrdered);
    }
    // Whoever asks again draws another.
    if error.violates(checkout::NUMBER_KEY) { Problem::of(Code::Busy) } else { error.into() }
}

fn body(pointer: impl Into<String>, code: FieldCode, message: String) -> FieldError {
    FieldError::new(Place::Body, pointer, code, message)
}

fn price_changed(total: &Money) -> Problem {
    let message = format!("is {} {} by now", total.amount, total.currency);
    Problem::of(Code::PriceChanged).naming(vec![body("/total/amount", FieldCode::OutOfRange, message)])
}

/// The pointers are into the cart.
fn off_sale(variants: &[i64]) -> Problem {
    let each = variants.iter().map(|variant| {
        body(format!("/lines/{variant}"), FieldCode::UnknownValue, "is not on sale any more".to_owned())
    });
    Problem::of(Code::OffSale).naming(each.collect())
}

fn out_of_stock(short: &[Shortage]) -> Problem {
    let each = short.iter().map(|short| {
        let message = format!("{} are wanted, and {} are left", short.wanted, short.available);
        body(format!("/lines/{}", short.variant_id), FieldCode::OutOfRange, message)
    });
    Problem::of(Code::OutOfStock).naming(each.collect())
}
