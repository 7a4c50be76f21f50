//! A picture of a product.

use bastide_tenancy::Row;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::Columns;
use crate::{Error, Example};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Picture {
    pub id: i64,
    /// At `/media/{merchant}/{file}`.
    pub file: String,
    pub width: i32,
    pub height: i32,
    /// What is to be seen, for those who do not see it.
    pub alt: String,
    pub position: i32,
}

impl Example for Picture {
    fn example() -> Value {
        json!({
            "id": 4,
            "file": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08.png",
            "width": 1200,
            "height": 800,
            "alt": "The net in the water",
            "position": 0
        })
    }
}

impl TryFrom<&Row> for Picture {
    type Error = Error;

    fn try_from(row: &Row) -> Result<Self, Error> {
        Columns { entity: "picture", row }.json("picture")
    }
}
