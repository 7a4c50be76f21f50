//! Links that cross are settled as the operator answered, before what still crosses is held aside.

use bastide_catalog::Catalog;
use bastide_sql::{QualifiedName, Sql};
use serde::{Deserialize, Serialize};

use super::rows;
use crate::{Script, Settlement, inference::SettleChecks};

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

    pub(super) fn forward(&self) -> Script {
        rows::change(&self.tables, &self.script)
    }

    pub(super) fn inverse(&self) -> Script {
        rows::put_back(&self.tables, &self.restore)
    }

    /// Rows are not part of a snapshot.
    pub(super) fn apply(&self, _: &mut Catalog) {}
}
