//! A unique index led by the tenant, built CONCURRENTLY; on a partitioned table per leaf, then attached.

use bastide_sql::{Ident, QualifiedName};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddTenantKey {
    pub table: QualifiedName,
    pub name: Ident,
    pub columns: Vec<Ident>,
    /// Leaf partitions and their index names; empty for a plain table.
    pub leaves: Vec<(QualifiedName, Ident)>,
}
