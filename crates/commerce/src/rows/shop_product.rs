//! A product as a visitor of the shop sees it.

use bastide_tenancy::Row;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use utoipa::ToSchema;

use super::{Columns, Picture, ProductOption};
use crate::{Error, Example, Money};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ShopProduct {
    pub id: i64,
    pub name: String,
    pub slug: String,
    pub description: String,
    pub category_id: Option<i64>,
    pub options: Vec<ProductOption>,
    /// Those on sale, in their order.
    pub variants: Vec<ShopVariant>,
    /// Its pictures, in their order.
    pub media: Vec<Picture>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ShopVariant {
    pub id: i64,
    pub sku: String,
    pub title: String,
    pub price: Money,
    /// One value for each of the product's options, by the option's name.
    pub options: BTreeMap<String, String>,
    /// Whether one can be bought now. How many there are is the merchant's business.
    pub available: bool,
}

impl Example for ShopProduct {
    fn example() -> Value {
        json!({
            "id": 49,
            "name": "Lagoon net",
            "slug": "lagoon-net",
            "description": "Knotted by hand.",
            "category_id": 3,
            "options": [{ "name": "Size", "values": ["S", "M"] }],
            "variants": [{
                "id": 7,
                "sku": "NET-S",
                "title": "Small",
                "price": { "amount": 1049, "currency": "EUR" },
                "options": { "Size": "S" },
                "available": true
            }],
            "media": [Picture::example()]
        })
    }
}

impl TryFrom<&Row> for ShopProduct {
    type Error = Error;

    fn try_from(row: &Row) -> Result<Self, Error> {
        let columns = Columns { entity: "product", row };
        Ok(Self {
            id: columns.get("id")?,
            name: columns.get("name")?,
            slug: columns.get("slug")?,
            description: columns.get("description")?,
            category_id: columns.get("category_id")?,
            options: columns.json("options")?,
            variants: columns.json("variants")?,
            media: columns.json("media")?,
        })
    }
}
