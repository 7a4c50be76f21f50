//! Something bought.

use bastide_tenancy::Row;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use time::OffsetDateTime;
use utoipa::ToSchema;

use super::Columns;
use crate::{Error, Example, Money};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Order {
    pub id: i64,
    /// Of the merchant's own series.
    pub number: String,
    pub status: String,
    pub total: Money,
    pub customer: Option<Customer>,
    #[serde(with = "time::serde::rfc3339")]
    pub placed_at: OffsetDateTime,
}

/// Who bought it, as far as this tenant may know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Customer {
    pub id: i64,
    pub name: Option<String>,
    pub email: Option<String>,
}

/// Where a page of orders ends: newest first, and the id settles equal times.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderPosition {
    #[serde(with = "time::serde::rfc3339")]
    pub placed_at: OffsetDateTime,
    pub id: i64,
}

impl Order {
    #[must_use]
    pub fn position(&self) -> OrderPosition {
        OrderPosition { placed_at: self.placed_at, id: self.id }
    }
}

impl Example for Order {
    fn example() -> Value {
        json!({
            "id": 60,
            "number": "L-60",
            "status": "paid",
            "total": { "amount": 6000, "currency": "EUR" },
            "customer": { "id": 1, "name": "Ada Lovelace", "email": "ada@example.test" },
            "placed_at": "2025-01-01T00:30:00Z"
        })
    }
}

impl TryFrom<&Row> for Order {
    type Error = Error;

    fn try_from(row: &Row) -> Result<Self, Error> {
        let columns = Columns { entity: "order", row };
        let customer = match columns.get::<Option<i64>>("customer_id")? {
            Some(id) => Some(Customer {
                id,
                name: columns.get("customer_name")?,
                email: columns.get("customer_email")?,
            }),
            None => None,
        };
        Ok(Self {
            id: columns.get("id")?,
            number: columns.get("number")?,
            status: columns.get("status")?,
            total: Money { amount: columns.get("total_cents")?, currency: columns.get("currency")? },
            customer,
            placed_at: columns.get("placed_at")?,
        })
    }
}
