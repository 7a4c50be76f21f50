//! Links that cross are settled as the operator answered, before what still crosses is held aside.

use bastide_catalog::Catalog;
use bastide_sql::{LockMode, QualifiedName, Sql, sql};
use serde::{Deserialize, Serialize};

use crate::{
    Script, Settlement,
    inference::{self, SettleChecks},
};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettleLinks {
    /// Finds the rows and changes them, in transactions of its own.
    pub script: Vec<Sql>,
    pub restore: Vec<Sql>,
    pub tables: Vec<QualifiedName>,
    /// What rollback asks first.
    pub checks: SettleChecks,
    /// The links that are not held aside, as `table:foreign key`.
    pub links: Vec<(String, Settlement)>,
}

impl SettleLinks {
    pub(super) fn subject(&self) -> String {
        "crossing".to_owned()
    }

    pub(super) fn describe(&self) -> String {
        let links: Vec<String> =
            self.links.iter().map(|(link, settlement)| format!("{settlement} {link}")).collect();
        format!("settle the links that cross: {}", links.join(", "))
    }

    /// Only the rows that change are locked, and a chunk at a time.
    pub(super) fn forward(&self) -> Script {
        Script::autocommit(LockMode::RowExclusive, self.tables.clone(), self.script.clone())
    }

    /// Others may read meanwhile, nobody may write: whoever references a copy is led back to its original. Triggers stay
    /// asleep.
    pub(super) fn inverse(&self) -> Script {
        let mut prelude = inference::prelude();
        prelude.push(sql!("SET LOCAL session_replication_role = replica"));
        Script {
            prelude,
            ..Script::transaction(LockMode::ShareRowExclusive, self.tables.clone(), self.restore.clone())
        }
    }

    /// Rows are not part of a snapshot.
    pub(super) fn apply(&self, _: &mut Catalog) {}
}
