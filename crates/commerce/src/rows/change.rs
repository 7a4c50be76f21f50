//! One line of the record of what a team changed.

use bastide_tenancy::Row;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use super::Columns;
use crate::Error;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Change {
    pub id: i64,
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// The user's or the key's id; null: the platform.
    pub actor: Option<Uuid>,
    /// `user`, `api_key` or `operator`.
    #[schema(example = "user")]
    pub actor_kind: String,
    #[schema(example = "team.set_role")]
    pub action: String,
    #[schema(example = "team")]
    pub entity: String,
    pub entity_id: String,
    /// `fields`: the names of those that were changed, without their values.
    #[schema(value_type = Object)]
    pub summary: serde_json::Value,
    /// Of the request that did it.
    pub request_id: String,
}

/// Where a page of the record ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangePosition {
    pub id: i64,
}

impl Change {
    #[must_use]
    pub fn position(&self) -> ChangePosition {
        ChangePosition { id: self.id }
    }
}

impl TryFrom<&Row> for Change {
    type Error = Error;

    fn try_from(row: &Row) -> Result<Self, Error> {
        let columns = Columns { entity: "change", row };
        Ok(Self {
            id: columns.get("id")?,
            at: columns.get("at")?,
            actor: columns.get("actor")?,
            actor_kind: columns.get("actor_kind")?,
            action: columns.get("action")?,
            entity: columns.get("entity")?,
            entity_id: columns.get("entity_id")?,
            summary: columns.get("summary")?,
            request_id: columns.get("request_id")?,
        })
    }
}

impl crate::Example for Change {
    fn example() -> serde_json::Value {
        serde_json::json!({
            "id": 7,
            "at": "2025-01-01T00:30:00Z",
            "actor": "11111111-0000-4000-8000-000000000001",
            "actor_kind": "user",
            "action": "team.set_role",
            "entity": "team",
            "entity_id": "55555555-0000-4000-8000-000000000005",
            "summary": { "fields": ["role"] },
            "request_id": "0193a1b2-7c3d-7e4f-8a9b-0c1d2e3f4a5b"
        })
    }
}
