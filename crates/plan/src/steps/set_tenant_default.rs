//! New rows take the tenant of the context.

use bastide_catalog::TypeName;
use bastide_sql::{Ident, QualifiedName, Sql};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetTenantDefault {
    pub table: QualifiedName,
    pub column: Ident,
    pub type_name: TypeName,
    /// Used where there is no context: the one tenant of a new root, until cutover.
    pub constant: Option<String>,
    pub previous: Option<Sql>,
}
