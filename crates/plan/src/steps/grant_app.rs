//! What the application's login may do with one object.

use bastide_sql::{Ident, QualifiedName};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrantApp {
    pub object: GrantObject,
    /// SELECT, INSERT, …
    pub privileges: Vec<String>,
    pub role: Ident,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GrantObject {
    Schema(Ident),
    Table(QualifiedName),
    Sequence(QualifiedName),
}
