//! How far the newest run is.

use bastide_tenancy::Row;
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;

use super::Columns;
use crate::Error;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct MigrationStatus {
    pub state: String,
    pub phase: String,
    pub steps_done: i64,
    pub steps_total: i64,
    #[serde(with = "time::serde::rfc3339")]
    pub started_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339::option")]
    pub ended_at: Option<OffsetDateTime>,
}

impl TryFrom<&Row> for MigrationStatus {
    type Error = Error;

    fn try_from(row: &Row) -> Result<Self, Error> {
        let columns = Columns { entity: "migration status", row };
        Ok(Self {
            state: columns.get("state")?,
            phase: columns.get("phase")?,
            steps_done: columns.get("steps_done")?,
            steps_total: columns.get("steps_total")?,
            started_at: columns.get("started_at")?,
            ended_at: columns.get("ended_at")?,
        })
    }
}
