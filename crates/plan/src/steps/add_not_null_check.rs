//! `CHECK (… IS NOT NULL) NOT VALID`: binds new rows at once, scans nothing.

use bastide_sql::{Ident, QualifiedName};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddNotNullCheck {
    pub table: QualifiedName,
    pub column: Ident,
    pub name: Ident,
}
