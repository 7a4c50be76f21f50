//! What a team sends to make or change something of its catalogue. A field of a change that is not sent stays as it is.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::{
    Example, Money,
    rows::{ProductOption, ProductStatus, Reason, VariantStatus},
};

#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProductDraft {
    #[schema(min_length = 1, max_length = 200)]
    pub name: String,
    /// In addresses. Made of the name when it is not sent.
    #[schema(pattern = "^[a-z0-9]+(-[a-z0-9]+)*$", max_length = 100)]
    pub slug: Option<String>,
    #[serde(default)]
    #[schema(max_length = 20_000)]
    pub description: String,
    #[serde(default = "draft")]
    pub status: ProductStatus,
    pub category_id: Option<i64>,
    #[serde(default)]
    #[schema(max_items = 5)]
    pub options: Vec<ProductOption>,
    /// At least one.
    #[schema(min_items = 1, max_items = 100)]
    pub variants: Vec<VariantDraft>,
}

fn draft() -> ProductStatus {
    ProductStatus::Draft
}

#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct VariantDraft {
    #[schema(min_length = 1, max_length = 64, pattern = "^[!-~]+$")]
    pub sku: String,
    #[serde(default)]
    #[schema(max_length = 200)]
    pub title: String,
    /// In the merchant's currency.
    pub price: Money,
    /// One value for each option of the product.
    #[serde(default)]
    pub options: BTreeMap<String, String>,
    /// What there is of it. Without, none until somebody says.
    #[serde(default)]
    #[schema(minimum = 0, maximum = 1_000_000_000)]
    pub on_hand: i64,
}

#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProductChange {
    #[schema(min_length = 1, max_length = 200)]
    pub name: Option<String>,
    /// The old one leads to the new one from now on.
    #[schema(pattern = "^[a-z0-9]+(-[a-z0-9]+)*$", max_length = 100)]
    pub slug: Option<String>,
    #[schema(max_length = 20_000)]
    pub description: Option<String>,
    pub status: Option<ProductStatus>,
    /// Null: none.
    #[serde(default, deserialize_with = "even_null")]
    #[schema(value_type = Option<i64>)]
    pub category_id: Option<Option<i64>>,
    /// All of them anew; every variant must still have a value for each.
    #[schema(max_items = 5)]
    pub options: Option<Vec<ProductOption>>,
}

#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct VariantChange {
    #[schema(min_length = 1, max_length = 64, pattern = "^[!-~]+$")]
    pub sku: Option<String>,
    #[schema(max_length = 200)]
    pub title: Option<String>,
    pub price: Option<Money>,
    pub options: Option<BTreeMap<String, String>>,
    #[schema(minimum = 0, maximum = 10_000)]
    pub position: Option<i32>,
    pub status: Option<VariantStatus>,
}

#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CategoryDraft {
    #[schema(min_length = 1, max_length = 120)]
    pub name: String,
    /// Without: at the top.
    pub parent_id: Option<i64>,
    #[serde(default)]
    #[schema(minimum = 0, maximum = 10_000)]
    pub position: i32,
}

#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CategoryChange {
    #[schema(min_length = 1, max_length = 120)]
    pub name: Option<String>,
    /// With all below it. Null: to the top.
    #[serde(default, deserialize_with = "even_null")]
    #[schema(value_type = Option<i64>)]
    pub parent_id: Option<Option<i64>>,
    #[schema(minimum = 0, maximum = 10_000)]
    pub position: Option<i32>,
}

#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PictureChange {
    #[schema(max_length = 500)]
    pub alt: Option<String>,
    #[schema(minimum = 0, maximum = 10_000)]
    pub position: Option<i32>,
}

impl Example for PictureChange {
    fn example() -> Value {
        json!({ "alt": "The net in the water", "position": 0 })
    }
}

/// More or less of it.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Adjustment {
    /// Negative: fewer. Not 0.
    #[schema(minimum = -1_000_000_000, maximum = 1_000_000_000)]
    pub delta: i64,
    pub reason: Reason,
    #[serde(default)]
    #[schema(max_length = 500)]
    pub note: String,
}

/// As it was counted.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Count {
    #[schema(minimum = 0, maximum = 1_000_000_000)]
    pub on_hand: i64,
    /// False: sell it without counting. Without: count it from now on.
    #[serde(default = "yes")]
    pub tracked: bool,
    pub reason: Reason,
    #[serde(default)]
    #[schema(max_length = 500)]
    pub note: String,
}

fn yes() -> bool {
    true
}

/// Null is a value, and something else than nothing.
fn even_null<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<i64>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

impl Example for ProductDraft {
    fn example() -> Value {
        json!({
            "name": "Lagoon net",
            "description": "Knotted by hand.",
            "status": "active",
            "options": [{ "name": "Size", "values": ["S", "M"] }],
            "variants": [
                { "sku": "NET-S", "title": "Small", "price": { "amount": 1049, "currency": "EUR" }, "options": { "Size": "S" }, "on_hand": 12 },
                { "sku": "NET-M", "title": "Medium", "price": { "amount": 1249, "currency": "EUR" }, "options": { "Size": "M" } }
            ]
        })
    }
}

impl Example for VariantDraft {
    fn example() -> Value {
        json!({ "sku": "NET-L", "title": "Large", "price": { "amount": 1449, "currency": "EUR" }, "options": { "Size": "M" } })
    }
}

impl Example for ProductChange {
    fn example() -> Value {
        json!({ "name": "Lagoon net", "slug": "lagoon-net", "category_id": null })
    }
}

impl Example for VariantChange {
    fn example() -> Value {
        json!({ "price": { "amount": 999, "currency": "EUR" } })
    }
}

impl Example for CategoryDraft {
    fn example() -> Value {
        json!({ "name": "Nets", "parent_id": 1 })
    }
}

impl Example for CategoryChange {
    fn example() -> Value {
        json!({ "name": "Nets and ropes", "parent_id": null })
    }
}

impl Example for Adjustment {
    fn example() -> Value {
        json!({ "delta": -2, "reason": "damaged", "note": "Wet on arrival." })
    }
}

impl Example for Count {
    fn example() -> Value {
        json!({ "on_hand": 12, "reason": "counted" })
    }
}
