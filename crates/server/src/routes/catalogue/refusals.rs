//! What the database refuses, told as the field that was wrong.

use bastide_commerce::{
    Error, Money,
    queries::{catalogue, variants},
};

use crate::{
    code::FieldCode,
    problem::{FieldError, Place, Problem},
};

/// `sku` is where the SKU is in the body that was sent.
pub(super) fn of_product(error: Error, sku: &'static str) -> Problem {
    let known = [
        (catalogue::SLUG_KEY, "/slug", FieldCode::Taken, "is another product's"),
        (catalogue::CATEGORY_KEY, "/category_id", FieldCode::UnknownValue, "there is no such category"),
        (variants::SKU_KEY, sku, FieldCode::Taken, "is another variant's"),
    ];
    let found = known.into_iter().find(|(constraint, ..)| error.violates(constraint));
    match found {
        Some((_, pointer, code, message)) => field(pointer, code, message),
        None => error.into(),
    }
}

pub(super) fn field(
    pointer: &str,
    code: FieldCode,
    message: impl Into<std::borrow::Cow<'static, str>>,
) -> Problem {
    Problem::fields(vec![FieldError::new(Place::Body, pointer, code, message)])
}

/// A shop has one currency: carts and orders add up prices.
pub(super) fn currency<'a>(
    prices: impl IntoIterator<Item = (String, &'a Money)>,
    currency: &str,
) -> Result<(), Problem> {
    let wrong: Vec<FieldError> = prices
        .into_iter()
        .filter(|(_, price)| price.currency != currency)
        .map(|(pointer, _)| {
            let message = format!("must be {currency}, the currency of this shop");
            FieldError::new(Place::Body, format!("{pointer}/currency"), FieldCode::UnknownValue, message)
        })
        .collect();
    if wrong.is_empty() { Ok(()) } else { Err(Problem::fields(wrong)) }
}
