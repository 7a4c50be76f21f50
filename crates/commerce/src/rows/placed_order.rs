//! An order as its buyer sees it.

use bastide_tenancy::Row;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use time::OffsetDateTime;
use utoipa::ToSchema;

use super::Columns;
use crate::{Error, Example, Money, order_state::OrderState};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct PlacedOrder {
    /// Unique in its shop; it says nothing of how many there are.
    pub number: String,
    pub status: OrderState,
    pub email: String,
    pub lines: Vec<PlacedLine>,
    pub subtotal: Money,
    pub shipping: Money,
    pub tax: Money,
    pub total: Money,
    pub paid: Money,
    pub refunded: Money,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub placed_at: OffsetDateTime,
}

/// As it was bought, whatever became of the product.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PlacedLine {
    pub title: String,
    pub sku: String,
    pub quantity: i32,
    pub unit_price: Money,
    pub total: Money,
}

impl Example for PlacedOrder {
    fn example() -> Value {
        let money = |amount: i64| json!({ "amount": amount, "currency": "EUR" });
        json!({
            "number": "7K3QD-X0M2V",
            "status": "pending",
            "email": "ann@example.test",
            "lines": [{
                "title": "Lagoon net, Small", "sku": "NET-S", "quantity": 2, "unit_price": money(1999), "total": money(3998)
            }],
            "subtotal": money(3998), "shipping": money(0), "tax": money(0), "total": money(3998),
            "paid": money(0), "refunded": money(0),
            "placed_at": "2025-01-01T00:30:00Z"
        })
    }
}

impl TryFrom<&Row> for PlacedOrder {
    type Error = Error;

    fn try_from(row: &Row) -> Result<Self, Error> {
        let columns = Columns { entity: "order", row };
        let status: String = columns.get("status")?;
        let currency: String = columns.get("currency")?;
        let money = |column| -> Result<Money, Error> {
            Ok(Money { amount: columns.get(column)?, currency: currency.clone() })
        };
        Ok(Self {
            number: columns.get("number")?,
            status: OrderState::named(&status).ok_or_else(|| columns.wrong("status"))?,
            email: columns.get("email")?,
            lines: columns.json("lines")?,
            subtotal: money("subtotal_cents")?,
            shipping: money("shipping_cents")?,
            tax: money("tax_cents")?,
            total: money("total_cents")?,
            paid: money("paid_cents")?,
            refunded: money("refunded_cents")?,
            placed_at: columns.get("placed_at")?,
        })
    }
}
