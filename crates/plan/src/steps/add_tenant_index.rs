//! A tenant-leading index for the queries that policies filter.

use bastide_catalog::Catalog;
use bastide_sql::{Ident, QualifiedName};
use serde::{Deserialize, Serialize};

use super::indexes::NewIndex;
use crate::Script;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddTenantIndex {
    pub table: QualifiedName,
    pub name: Ident,
    pub columns: Vec<Ident>,
    pub leaves: Vec<(QualifiedName, Ident)>,
}

impl AddTenantIndex {
    pub(super) fn subject(&self) -> String {
        format!("{}.{}", self.table, self.name)
    }

    pub(super) fn describe(&self) -> String {
        let columns: Vec<String> = self.columns.iter().map(ToString::to_string).collect();
        format!("index {} by ({})", self.table, columns.join(", "))
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
            unique: false,
        }
    }
}
