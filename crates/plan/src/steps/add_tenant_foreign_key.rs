//! A reference that cannot leave its tenant. NOT VALID at first; on a partitioned table per leaf, then attached.

use bastide_catalog::Action;
use bastide_sql::{Ident, QualifiedName};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddTenantForeignKey {
    pub table: QualifiedName,
    pub name: Ident,
    pub columns: Vec<Ident>,
    pub references: QualifiedName,
    pub referenced_columns: Vec<Ident>,
    pub on_update: Action,
    pub on_delete: Action,
    pub on_delete_columns: Vec<Ident>,
    pub deferrable: bool,
    pub initially_deferred: bool,
    pub leaves: Vec<(QualifiedName, Ident)>,
}
