//! The moment of cutover for one table: no legacy policy, the strict one for everybody, FORCE.

use bastide_catalog::TypeName;
use bastide_sql::{Ident, QualifiedName};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CloseTable {
    pub table: QualifiedName,
    pub column: Ident,
    pub type_name: TypeName,
    pub app_role: Ident,
    pub legacy_roles: Vec<Ident>,
}
