//! Fresh statistics, so that plans see the tenant column.

use bastide_catalog::Catalog;
use bastide_sql::{LockMode, QualifiedName, sql};
use serde::{Deserialize, Serialize};

use crate::Script;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnalyzeTable {
    pub table: QualifiedName,
}

impl AnalyzeTable {
    pub(super) fn subject(&self) -> String {
        self.table.to_string()
    }

    pub(super) fn describe(&self) -> String {
        format!("analyse {}", self.table)
    }

    pub(super) fn forward(&self) -> Script {
        let analyze = sql!("ANALYZE {}", self.table);
        Script::autocommit(LockMode::ShareUpdateExclusive, vec![self.table.clone()], vec![analyze])
    }

    /// Statistics are not part of the schema; the server renews them itself.
    pub(super) fn inverse(&self) -> Script {
        Script::nothing()
    }

    pub(super) fn apply(&self, _: &mut Catalog) {}
}
