//! Somebody who logs in.

use bastide_tenancy::Row;
use uuid::Uuid;

use super::Columns;
use crate::Error;

/// What verifying a password takes. Not `Serialize`, and its `Debug` hides the hash: it must not leave the server.
#[derive(Clone)]
pub struct Login {
    pub user_id: Uuid,
    /// A PHC string.
    pub password_hash: Option<String>,
    pub active: bool,
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Login")
            .field("user_id", &self.user_id)
            .field("active", &self.active)
            .finish_non_exhaustive()
    }
}

impl TryFrom<&Row> for Login {
    type Error = Error;

    fn try_from(row: &Row) -> Result<Self, Error> {
        let columns = Columns { entity: "login", row };
        Ok(Self {
            user_id: columns.get("user_id")?,
            password_hash: columns.get("password_hash")?,
            active: columns.get("active")?,
        })
    }
}
