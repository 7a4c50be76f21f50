//! A unique index led by the tenant, built CONCURRENTLY; on a partitioned table per leaf, then attached.

use bastide_catalog::Catalog;
use bastide_sql::{Ident, QualifiedName};
use serde::{Deserialize, Serialize};

use super::indexes::NewIndex;
use crate::Script;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddTenantKey {
    pub table: QualifiedName,
    pub name: Ident,
    pub columns: Vec<Ident>,
    /// Leaf partitions and their index names; empty for a plain table.
    pub leaves: Vec<(QualifiedName, Ident)>,
}

impl AddTenantKey {
    pub(super) fn subject(&self) -> String {
        format!("{}.{}", self.table, self.name)
    }

    pub(super) fn describe(&self) -> String {
        let columns: Vec<String> = self.columns.iter().map(ToString::to_string).collect();
        format!("add unique key ({}) to {}", columns.join(", "), self.table)
    }

    pub(super) fn forward(&self) -> Script {
        self.index().build()
    }

    pub(super) fn inverse(&self) -> Script {
        self.index().remove()
    }

    pub(super) fn apply(&self, catalog: &mut Catalog) {
        self.index().apply(catalog);
    }

    fn index(&self) -> NewIndex<'_> {
        NewIndex {
            table: &self.table,
            name: &self.name,
            columns: &self.columns,
            leaves: &self.leaves,
            unique: true,
        }
    }
}
