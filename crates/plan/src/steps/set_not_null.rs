//! NOT NULL without a scan: the server accepts a validated check as proof.

use bastide_sql::{Ident, QualifiedName};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetNotNull {
    pub table: QualifiedName,
    pub column: Ident,
}
