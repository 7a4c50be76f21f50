//! The check that proved NOT NULL, no longer needed. Never in one ALTER with SET NOT NULL: that scans.

use bastide_sql::{Ident, QualifiedName};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DropCheck {
    pub table: QualifiedName,
    pub column: Ident,
    pub name: Ident,
}
