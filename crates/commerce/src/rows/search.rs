//! What a search says beside the products it found.

use bastide_tenancy::Row;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::Columns;
use crate::{Error, Example};

/// Where a page of found products ends, in whatever order it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SearchPosition {
    pub id: i64,
    /// Its score or price, where that is the order.
    pub number: Option<i64>,
    /// Its name, where that is.
    pub text: Option<String>,
}

/// How many of the products that were found are what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Facets {
    pub count: i64,
    /// True: there are more, and the counts are of the first thousand.
    pub at_least: bool,
    /// Prices, in minor units; null when nothing was found.
    pub lowest: Option<i64>,
    pub highest: Option<i64>,
    /// Of which one can be bought now.
    pub available: i64,
    pub categories: Vec<CategoryFacet>,
    pub options: Vec<OptionFacet>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CategoryFacet {
    pub id: i64,
    pub count: i64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OptionFacet {
    pub name: String,
    pub value: String,
    pub count: i64,
}

impl Example for Facets {
    fn example() -> Value {
        json!({
            "count": 2,
            "at_least": false,
            "lowest": 900,
            "highest": 1049,
            "available": 2,
            "categories": [{ "id": 3, "count": 2 }],
            "options": [{ "name": "Size", "value": "S", "count": 1 }]
        })
    }
}

impl TryFrom<&Row> for Facets {
    type Error = Error;

    fn try_from(row: &Row) -> Result<Self, Error> {
        Columns { entity: "facets", row }.json("facets")
    }
}
