//! NOT NULL without a scan: the server accepts a validated check as proof.

use bastide_catalog::Catalog;
use bastide_sql::{Ident, LockMode, QualifiedName, sql};
use serde::{Deserialize, Serialize};

use super::family::each_member;
use crate::Script;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetNotNull {
    pub table: QualifiedName,
    pub column: Ident,
}

impl SetNotNull {
    pub(super) fn subject(&self) -> String {
        format!("{}.{}", self.table, self.column)
    }

    pub(super) fn describe(&self) -> String {
        format!("make {}.{} NOT NULL", self.table, self.column)
    }

    pub(super) fn forward(&self) -> Script {
        let set = sql!("ALTER TABLE {} ALTER COLUMN {} SET NOT NULL", self.table, self.column);
        Script::transaction(LockMode::AccessExclusive, vec![self.table.clone()], vec![set])
    }

    pub(super) fn inverse(&self) -> Script {
        let drop = sql!("ALTER TABLE {} ALTER COLUMN {} DROP NOT NULL", self.table, self.column);
        Script::transaction(LockMode::AccessExclusive, vec![self.table.clone()], vec![drop])
    }

    pub(super) fn apply(&self, catalog: &mut Catalog) {
        each_member(catalog, &self.table, |table, _| {
            for column in table.columns.iter_mut().filter(|column| column.name == self.column) {
                column.not_null = true;
            }
        });
    }
}
