//! What is sold: one of a product's variants, with its SKU and its price.

use std::collections::BTreeMap;

use bastide_tenancy::Row;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::Columns;
use crate::{Error, Example, Money};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Variant {
    pub id: i64,
    /// The merchant's own, and unique among theirs.
    pub sku: String,
    /// Empty where a product has one variant only.
    pub title: String,
    pub price: Money,
    /// Variants are shown in this order.
    pub position: i32,
    /// One value for each of the product's options, by the option's name.
    pub options: BTreeMap<String, String>,
    pub status: VariantStatus,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum VariantStatus {
    Active,
    /// Not for sale any more.
    Archived,
}

impl VariantStatus {
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Archived => "archived",
        }
    }
}

/// A variant with its version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionedVariant {
    pub variant: Variant,
    pub product_id: i64,
    pub version: i64,
}

impl Example for Variant {
    fn example() -> Value {
        json!({
            "id": 7,
            "sku": "NET-S",
            "title": "Small",
            "price": { "amount": 1049, "currency": "EUR" },
            "position": 0,
            "options": { "Size": "S" },
            "status": "active"
        })
    }
}

impl TryFrom<&Row> for VersionedVariant {
    type Error = Error;

    fn try_from(row: &Row) -> Result<Self, Error> {
        let columns = Columns { entity: "variant", row };
        Ok(Self {
            variant: columns.json("variant")?,
            product_id: columns.get("product_id")?,
            version: columns.get("version")?,
        })
    }
}
