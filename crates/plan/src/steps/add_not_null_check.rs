//! `CHECK (… IS NOT NULL) NOT VALID`: binds new rows at once, scans nothing.

use bastide_catalog::{Catalog, Check};
use bastide_sql::{Ident, LockMode, QualifiedName, Sql, sql};
use serde::{Deserialize, Serialize};

use super::{context::Plain, family::each_member};
use crate::Script;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddNotNullCheck {
    pub table: QualifiedName,
    pub column: Ident,
    pub name: Ident,
}

impl AddNotNullCheck {
    pub(super) fn subject(&self) -> String {
        format!("{}.{}", self.table, self.name)
    }

    pub(super) fn describe(&self) -> String {
        format!("require {} on new rows of {}", self.column, self.table)
    }

    pub(super) fn forward(&self) -> Script {
        let add = add_check(&self.table, &self.name, &self.column);
        Script::transaction(LockMode::AccessExclusive, vec![self.table.clone()], vec![add])
    }

    pub(super) fn inverse(&self) -> Script {
        let drop = sql!("ALTER TABLE {} DROP CONSTRAINT {}", self.table, self.name);
        Script::transaction(LockMode::AccessExclusive, vec![self.table.clone()], vec![drop])
    }

    pub(super) fn apply(&self, catalog: &mut Catalog) {
        each_member(catalog, &self.table, |table, _| {
            table.checks.push(Check {
                name: self.name.clone(),
                definition: sql!("CHECK (({} IS NOT NULL)) NOT VALID", Plain(&self.column)),
                validated: false,
            });
            table.checks.sort_by(|a, b| a.name.cmp(&b.name));
        });
    }
}

/// Also what the inverse of dropping the check begins with.
pub(super) fn add_check(table: &QualifiedName, name: &Ident, column: &Ident) -> Sql {
    sql!("ALTER TABLE {} ADD CONSTRAINT {} CHECK ({} IS NOT NULL) NOT VALID", table, name, column)
}
