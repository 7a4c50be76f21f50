//! Row security on: strict for the application's login, unchanged for the legacy logins until cutover.

use bastide_catalog::TypeName;
use bastide_sql::{Ident, QualifiedName};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProtectTable {
    pub table: QualifiedName,
    pub column: Ident,
    pub type_name: TypeName,
    pub app_role: Ident,
    /// Non-owner roles with privileges of their own on the table.
    pub legacy_roles: Vec<Ident>,
}
