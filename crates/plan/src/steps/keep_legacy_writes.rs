//! Until cutover, rows that legacy statements write get their tenant from the rows they reference.

use bastide_catalog::TypeName;
use bastide_sql::{Ident, QualifiedName};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeepLegacyWrites {
    pub table: QualifiedName,
    pub column: Ident,
    pub type_name: TypeName,
    /// A legacy column: what a legacy statement writes there itself is never overridden.
    pub reused: bool,
    /// Foreign keys to scoped tables, any of which may say whose the row is.
    pub parents: Vec<TenantSource>,
    /// Receives what no parent settles; `None`: such a row keeps NULL until cutover.
    pub quarantine: Option<String>,
}

/// A reference that a row can learn its tenant from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TenantSource {
    pub columns: Vec<Ident>,
    pub parent: QualifiedName,
    pub parent_columns: Vec<Ident>,
    pub parent_tenant: Ident,
}
