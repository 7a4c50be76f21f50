//! Something to buy.

use bastide_tenancy::Row;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use time::OffsetDateTime;
use utoipa::ToSchema;

use super::Columns;
use crate::{Error, Example, Money};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Product {
    pub id: i64,
    pub name: String,
    pub slug: String,
    pub description: Option<String>,
    /// The lowest of its variants.
    pub price: Money,
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
}

/// Where a page of products ends: newest first, and ids grow with time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProductPosition {
    pub id: i64,
}

impl Product {
    #[must_use]
    pub fn position(&self) -> ProductPosition {
        ProductPosition { id: self.id }
    }
}

impl Example for Product {
    fn example() -> Value {
        json!({
            "id": 49,
            "name": "Lagoon net 49",
            "slug": "net-49",
            "description": "Knotted by hand.",
            "price": { "amount": 1049, "currency": "EUR" },
            "created_at": "2025-01-01T00:30:00Z"
        })
    }
}

impl TryFrom<&Row> for Product {
    type Error = Error;

    fn try_from(row: &Row) -> Result<Self, Error> {
        let columns = Columns { entity: "product", row };
        Ok(Self {
            id: columns.get("id")?,
            name: columns.get("name")?,
            slug: columns.get("slug")?,
            description: columns.get("description")?,
            price: Money { amount: columns.get("from_cents")?, currency: columns.get("from_currency")? },
            created_at: columns.get("created_at")?,
        })
    }
}
