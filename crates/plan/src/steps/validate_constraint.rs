//! Proves a NOT VALID constraint over the rows there are, while others read and write.

use bastide_sql::{Ident, QualifiedName};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ValidateConstraint {
    pub table: QualifiedName,
    pub name: Ident,
    /// For a foreign key.
    pub referenced: Option<QualifiedName>,
}
