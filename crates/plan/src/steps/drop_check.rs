//! The check that proved NOT NULL, no longer needed. Never in one ALTER with SET NOT NULL: that scans.

use bastide_catalog::Catalog;
use bastide_sql::{Ident, LockMode, QualifiedName, sql};
use serde::{Deserialize, Serialize};

use super::{add_not_null_check::add_check, add_tenant_foreign_key::absent, family::each_member};
use crate::Script;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DropCheck {
    pub table: QualifiedName,
    pub column: Ident,
    pub name: Ident,
}

impl DropCheck {
    pub(super) fn subject(&self) -> String {
        format!("{}.{}", self.table, self.name)
    }

    pub(super) fn describe(&self) -> String {
        format!("drop {} from {}: NOT NULL says it now", self.name, self.table)
    }

    pub(super) fn forward(&self) -> Script {
        let drop = sql!("ALTER TABLE {} DROP CONSTRAINT {}", self.table, self.name);
        Script::transaction(LockMode::AccessExclusive, vec![self.table.clone()], vec![drop])
    }

    /// The check comes back as it was, proven; two statements, so that the proof is sought without blocking writers.
    pub(super) fn inverse(&self) -> Script {
        let add = absent(&self.table, &self.name, &add_check(&self.table, &self.name, &self.column));
        let validate = sql!("ALTER TABLE {} VALIDATE CONSTRAINT {}", self.table, self.name);
        Script::autocommit(LockMode::AccessExclusive, vec![self.table.clone()], vec![add, validate])
    }

    pub(super) fn apply(&self, catalog: &mut Catalog) {
        each_member(catalog, &self.table, |table, _| table.checks.retain(|check| check.name != self.name));
    }
}
