//! The tenant column, added without a scan or a rewrite.

use bastide_catalog::TypeName;
use bastide_sql::{Ident, QualifiedName};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddTenantColumn {
    pub table: QualifiedName,
    pub column: Ident,
    pub type_name: TypeName,
    /// NOT NULL DEFAULT this, which PostgreSQL keeps once for all rows there are.
    pub constant: Option<String>,
}
