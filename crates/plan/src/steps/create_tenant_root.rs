//! A new table whose rows are the tenants.

use bastide_catalog::TypeName;
use bastide_sql::{Ident, QualifiedName};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreateTenantRoot {
    pub table: QualifiedName,
    pub key: Ident,
    pub key_type: TypeName,
}
