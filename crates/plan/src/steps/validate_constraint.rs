//! Proves a NOT VALID constraint over the rows there are, while others read and write.

use bastide_catalog::Catalog;
use bastide_sql::{Ident, LockMode, QualifiedName, Sql, sql};
use serde::{Deserialize, Serialize};

use super::{family::each_member, session};
use crate::Script;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ValidateConstraint {
    pub table: QualifiedName,
    pub name: Ident,
    /// For a foreign key.
    pub referenced: Option<QualifiedName>,
}

impl ValidateConstraint {
    pub(super) fn subject(&self) -> String {
        format!("{}.{}", self.table, self.name)
    }

    pub(super) fn describe(&self) -> String {
        format!("validate {} on {}", self.name, self.table)
    }

    pub(super) fn forward(&self) -> Script {
        let validate = sql!("ALTER TABLE {} VALIDATE CONSTRAINT {}", self.table, self.name);
        // Under FORCE an owner without a context sees no rows, and VALIDATE would pass over dangling ones.
        Script {
            prelude: session::unfiltered(),
            ..Script::long(LockMode::ShareUpdateExclusive, vec![self.table.clone()], vec![validate])
        }
    }

    /// PostgreSQL cannot take a proof back; the step that added the constraint removes it.
    pub(super) fn inverse(&self) -> Script {
        Script::nothing()
    }

    pub(super) fn apply(&self, catalog: &mut Catalog) {
        each_member(catalog, &self.table, |table, _| {
            for check in table.checks.iter_mut().filter(|check| check.name == self.name) {
                check.validated = true;
                check.definition = proven(&check.definition);
            }
        });
        if let Some(table) = catalog.tables.get_mut(&self.table) {
            for key in table.foreign_keys.iter_mut().filter(|key| key.name == self.name) {
                key.validated = true;
                key.definition = proven(&key.definition);
            }
        }
    }
}

pub(super) fn proven(definition: &Sql) -> Sql {
    let text = definition.as_str();
    Sql::trusted(text.strip_suffix(" NOT VALID").unwrap_or(text))
}
