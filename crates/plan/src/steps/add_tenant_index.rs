//! A tenant-leading index for the queries that policies filter.

use bastide_sql::{Ident, QualifiedName};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddTenantIndex {
    pub table: QualifiedName,
    pub name: Ident,
    pub columns: Vec<Ident>,
    pub leaves: Vec<(QualifiedName, Ident)>,
}
