//! Rows that no tenant may keep leave the live tables, with what depends on them, for `bastide.held`.

use bastide_catalog::Catalog;
use bastide_sql::{LockMode, QualifiedName, Sql, sql};
use serde::{Deserialize, Serialize};

use crate::{Script, inference};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldAside {
    /// Computes the rows and moves them, children first.
    pub script: Vec<Sql>,
    pub restore: Vec<Sql>,
    pub tables: Vec<QualifiedName>,
    /// What the step is about, for its id: usually `quarantine`.
    pub name: String,
}

impl HoldAside {
    pub(super) fn subject(&self) -> String {
        self.name.clone()
    }

    pub(super) fn describe(&self) -> String {
        "hold aside the rows that no tenant may keep".to_owned()
    }

    pub(super) fn forward(&self) -> Script {
        self.locking(self.script.clone())
    }

    pub(super) fn inverse(&self) -> Script {
        self.locking(self.restore.clone())
    }

    /// Others may read meanwhile, nobody may write: what is computed must be what is moved. Triggers stay asleep, or
    /// they would note deletions and cascade into rows that nobody decided about.
    fn locking(&self, statements: Vec<Sql>) -> Script {
        let mut prelude = inference::prelude();
        prelude.push(sql!("SET LOCAL session_replication_role = replica"));
        Script {
            prelude,
            ..Script::transaction(LockMode::ShareRowExclusive, self.tables.clone(), statements)
        }
    }

    /// Rows are not part of a snapshot.
    pub(super) fn apply(&self, _: &mut Catalog) {}
}
