//! A row of the root that the plan makes; user triggers do not fire for it.

use bastide_catalog::TypeName;
use bastide_sql::{Ident, QualifiedName};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddTenant {
    pub root: QualifiedName,
    pub key: Ident,
    pub key_type: TypeName,
    pub id: String,
    /// Every other column that must be given, as text to be cast to its type.
    pub values: Vec<(Ident, TypeName, String)>,
    pub quarantine: bool,
}
