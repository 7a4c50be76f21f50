//! The application's login: LOGIN, bound by row security, owner of nothing. Its password is set by the engine, outside the journal.

use bastide_sql::Ident;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreateAppRole {
    pub role: Ident,
    pub database: Ident,
}
