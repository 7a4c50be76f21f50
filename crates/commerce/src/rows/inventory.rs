//! How much there is of a variant, and why.

use bastide_tenancy::Row;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use super::Columns;
use crate::{Error, Example};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct StockLevel {
    pub variant_id: i64,
    pub sku: String,
    /// The product's name, and the variant's title where it has one.
    pub name: String,
    pub on_hand: i64,
    /// By carts whose time is not up.
    pub reserved: i64,
    /// What can still be sold: never less than 0.
    pub available: i64,
    /// False: sold without counting.
    pub tracked: bool,
    #[serde(skip)]
    pub version: i64,
}

/// Where a page of levels ends: by variant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LevelPosition {
    pub variant_id: i64,
}

impl StockLevel {
    #[must_use]
    pub fn position(&self) -> LevelPosition {
        LevelPosition { variant_id: self.variant_id }
    }
}

impl Example for StockLevel {
    fn example() -> Value {
        json!({
            "variant_id": 7,
            "sku": "NET-S",
            "name": "Lagoon net, Small",
            "on_hand": 12,
            "reserved": 2,
            "available": 10,
            "tracked": true
        })
    }
}

impl TryFrom<&Row> for StockLevel {
    type Error = Error;

    fn try_from(row: &Row) -> Result<Self, Error> {
        let columns = Columns { entity: "stock level", row };
        let (on_hand, reserved): (i64, i64) = (columns.get("on_hand")?, columns.get("reserved")?);
        Ok(Self {
            variant_id: columns.get("variant_id")?,
            sku: columns.get("sku")?,
            name: columns.get("name")?,
            on_hand,
            reserved,
            available: on_hand.saturating_sub(reserved).max(0),
            tracked: columns.get("tracked")?,
            version: columns.get("version")?,
        })
    }
}

/// One change of a level.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct StockAdjustment {
    pub id: i64,
    pub delta: i64,
    /// Afterwards.
    pub on_hand: i64,
    pub reason: String,
    pub note: String,
    /// Who of the team; null when the shop itself did, by a sale.
    pub actor: Option<Uuid>,
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
}

/// Where a page of the history ends: newest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdjustmentPosition {
    pub id: i64,
}

impl StockAdjustment {
    #[must_use]
    pub fn position(&self) -> AdjustmentPosition {
        AdjustmentPosition { id: self.id }
    }
}

impl Example for StockAdjustment {
    fn example() -> Value {
        json!({
            "id": 31,
            "delta": -2,
            "on_hand": 12,
            "reason": "damaged",
            "note": "Wet on arrival.",
            "actor": "11111111-0000-4000-8000-000000000001",
            "at": "2025-01-01T00:30:00Z"
        })
    }
}

impl TryFrom<&Row> for StockAdjustment {
    type Error = Error;

    fn try_from(row: &Row) -> Result<Self, Error> {
        let columns = Columns { entity: "stock adjustment", row };
        Ok(Self {
            id: columns.get("id")?,
            delta: columns.get("delta")?,
            on_hand: columns.get("on_hand")?,
            reason: columns.get("reason")?,
            note: columns.get("note")?,
            actor: columns.get("actor")?,
            at: columns.get("at")?,
        })
    }
}

/// Why somebody of the team changes a level. Sales and returns are recorded by orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    Received,
    Counted,
    Damaged,
    Lost,
    Returned,
    Correction,
    Other,
}

impl Reason {
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Received => "received",
            Self::Counted => "counted",
            Self::Damaged => "damaged",
            Self::Lost => "lost",
            Self::Returned => "returned",
            Self::Correction => "correction",
            Self::Other => "other",
        }
    }
}
