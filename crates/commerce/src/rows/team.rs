//! Who works for a merchant, and who is asked to.

use bastide_tenancy::Row;
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use super::Columns;
use crate::Error;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct TeamMember {
    /// The user's.
    pub id: Uuid,
    pub name: String,
    pub email: String,
    #[schema(example = "staff")]
    pub role: String,
    /// False: the account is switched off.
    pub active: bool,
}

impl TryFrom<&Row> for TeamMember {
    type Error = Error;

    fn try_from(row: &Row) -> Result<Self, Error> {
        let columns = Columns { entity: "team member", row };
        Ok(Self {
            id: columns.get("user_id")?,
            name: columns.get("name")?,
            email: columns.get("email")?,
            role: columns.get("role")?,
            active: columns.get("active")?,
        })
    }
}

/// Open until it is accepted, taken back, or expires.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Invitation {
    pub id: Uuid,
    pub email: String,
    #[schema(example = "staff")]
    pub role: String,
    /// The user who invited.
    pub invited_by: Uuid,
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    pub expires_at: OffsetDateTime,
}

impl TryFrom<&Row> for Invitation {
    type Error = Error;

    fn try_from(row: &Row) -> Result<Self, Error> {
        let columns = Columns { entity: "invitation", row };
        Ok(Self {
            id: columns.get("id")?,
            email: columns.get("email")?,
            role: columns.get("role")?,
            invited_by: columns.get("invited_by")?,
            created_at: columns.get("created_at")?,
            expires_at: columns.get("expires_at")?,
        })
    }
}
