//! Rows that no tenant may keep leave the live tables, with what depends on them, for `bastide.held`.

use bastide_sql::{QualifiedName, Sql};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldAside {
    /// Computes the rows and moves them, children first.
    pub script: Vec<Sql>,
    pub restore: Vec<Sql>,
    pub tables: Vec<QualifiedName>,
    /// What the step is about, for its id: usually `quarantine`.
    pub name: String,
}
