//! A product as its merchant's team sees it.

use bastide_tenancy::Row;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use time::OffsetDateTime;
use utoipa::ToSchema;

use super::{Columns, Picture, ProductPosition, Variant};
use crate::{Error, Example, Money};

/// One line of the list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ProductSummary {
    pub id: i64,
    pub name: String,
    pub slug: String,
    pub status: ProductStatus,
    pub category_id: Option<i64>,
    /// The lowest of its active variants; null when it has none.
    pub price_from: Option<Money>,
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    pub updated_at: OffsetDateTime,
}

/// All of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ProductDetail {
    #[serde(flatten)]
    pub summary: ProductSummary,
    pub description: String,
    pub options: Vec<ProductOption>,
    /// In their order.
    pub variants: Vec<Variant>,
    /// Its pictures, in their order.
    pub media: Vec<Picture>,
    #[serde(skip)]
    pub version: i64,
}

/// What variants differ in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProductOption {
    #[schema(min_length = 1, max_length = 60, example = "Size")]
    pub name: String,
    #[schema(min_items = 1, max_items = 100)]
    pub values: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProductStatus {
    /// Seen by the team only.
    Draft,
    /// On sale.
    Active,
    /// Not any more.
    Archived,
}

impl ProductStatus {
    pub const ALL: [Self; 3] = [Self::Draft, Self::Active, Self::Archived];

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Active => "active",
            Self::Archived => "archived",
        }
    }

    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.name() == name)
    }
}

impl ProductSummary {
    #[must_use]
    pub fn position(&self) -> ProductPosition {
        ProductPosition { id: self.id }
    }
}

impl Example for ProductSummary {
    fn example() -> Value {
        json!({
            "id": 49,
            "name": "Lagoon net",
            "slug": "lagoon-net",
            "status": "active",
            "category_id": 3,
            "price_from": { "amount": 1049, "currency": "EUR" },
            "created_at": "2025-01-01T00:30:00Z",
            "updated_at": "2025-01-01T00:30:00Z"
        })
    }
}

impl Example for ProductDetail {
    fn example() -> Value {
        let mut example = ProductSummary::example();
        example["description"] = json!("Knotted by hand.");
        example["options"] = json!([{ "name": "Size", "values": ["S", "M"] }]);
        example["variants"] = json!([Variant::example()]);
        example["media"] = json!([Picture::example()]);
        example
    }
}

impl TryFrom<&Row> for ProductSummary {
    type Error = Error;

    fn try_from(row: &Row) -> Result<Self, Error> {
        let columns = Columns { entity: "product", row };
        let status: String = columns.get("status")?;
        let price_from = match columns.get::<Option<i64>>("from_cents")? {
            Some(amount) => Some(Money { amount, currency: columns.get("from_currency")? }),
            None => None,
        };
        Ok(Self {
            id: columns.get("id")?,
            name: columns.get("name")?,
            slug: columns.get("slug")?,
            status: ProductStatus::named(&status).ok_or_else(|| columns.wrong("status"))?,
            category_id: columns.get("category_id")?,
            price_from,
            created_at: columns.get("created_at")?,
            updated_at: columns.get("updated_at")?,
        })
    }
}

impl TryFrom<&Row> for ProductDetail {
    type Error = Error;

    fn try_from(row: &Row) -> Result<Self, Error> {
        let columns = Columns { entity: "product", row };
        Ok(Self {
            summary: ProductSummary::try_from(row)?,
            description: columns.get("description")?,
            options: columns.json("options")?,
            variants: columns.json("variants")?,
            media: columns.json("media")?,
            version: columns.get("version")?,
        })
    }
}
