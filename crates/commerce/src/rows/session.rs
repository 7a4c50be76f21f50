//! What somebody has open: a session, and what became of a refresh token.

use bastide_tenancy::Row;
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use super::Columns;
use crate::Error;

/// A session as its owner sees it: where and when, and nothing to sign in with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Session)]
pub struct OpenSession {
    pub id: Uuid,
    /// It is for this merchant alone; null: wherever one works.
    pub merchant_id: Option<Uuid>,
    /// Where the sign-in came from.
    #[schema(example = "192.0.2.7")]
    pub address: String,
    /// What the client called itself.
    #[schema(example = "Mozilla/5.0")]
    pub agent: String,
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    /// When its refresh token was last changed.
    #[serde(with = "time::serde::rfc3339")]
    pub used_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    pub expires_at: OffsetDateTime,
}

impl TryFrom<&Row> for OpenSession {
    type Error = Error;

    fn try_from(row: &Row) -> Result<Self, Error> {
        let columns = Columns { entity: "session", row };
        Ok(Self {
            id: columns.get("id")?,
            merchant_id: columns.get("merchant_id")?,
            address: columns.get("address")?,
            agent: columns.get("agent")?,
            created_at: columns.get("created_at")?,
            used_at: columns.get("used_at")?,
            expires_at: columns.get("expires_at")?,
        })
    }
}

/// What became of a refresh token that was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rotation {
    /// It was changed for the next one.
    Changed { session: Uuid, user: Uuid, merchant: Option<Uuid> },
    /// It had been used before: two have it, and the session is over.
    Reused { session: Uuid, user: Uuid },
    /// The session is over, or nobody ever had such a token.
    Over,
}

impl TryFrom<&Row> for Rotation {
    type Error = Error;

    fn try_from(row: &Row) -> Result<Self, Error> {
        let columns = Columns { entity: "rotation", row };
        let outcome: String = columns.get("outcome")?;
        Ok(match outcome.as_str() {
            "changed" => Self::Changed {
                session: columns.get("session_id")?,
                user: columns.get("user_id")?,
                merchant: columns.get("merchant_id")?,
            },
            "reused" => Self::Reused { session: columns.get("session_id")?, user: columns.get("user_id")? },
            _ => Self::Over,
        })
    }
}
