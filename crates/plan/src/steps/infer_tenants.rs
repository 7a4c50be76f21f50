//! Every row's tenant, inferred set-wise inside the database and recorded with its evidence before any row is touched.

use bastide_catalog::Catalog;
use bastide_sql::{LockMode, QualifiedName, Sql, sql};
use serde::{Deserialize, Serialize};

use crate::{Script, inference};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InferTenants {
    /// 1; the sweep after the first backfill, which settles rows still without a tenant, is 2.
    pub pass: u32,
    /// From [`crate::inference`]; ends by writing `bastide.rule` and `bastide.assignment` (rows still without a tenant go to quarantine with their reason).
    pub script: Vec<Sql>,
    pub reads: Vec<QualifiedName>,
}

impl InferTenants {
    pub(super) fn subject(&self) -> String {
        self.pass.to_string()
    }

    pub(super) fn describe(&self) -> String {
        if self.pass == 1 {
            "infer whose each row is".to_owned()
        } else {
            "infer whose the rows written meanwhile are".to_owned()
        }
    }

    pub(super) fn forward(&self) -> Script {
        Script {
            prelude: inference::prelude(),
            ..Script::long(LockMode::AccessShare, self.reads.clone(), self.script.clone())
        }
    }

    /// The first pass takes what the later ones recorded with it: a backfill still to be undone reads all of it.
    pub(super) fn inverse(&self) -> Script {
        if self.pass > 1 {
            return Script::nothing();
        }
        Script {
            lock: None,
            ..Script::long(
                LockMode::AccessShare,
                Vec::new(),
                vec![
                    sql!(
                        "DELETE FROM bastide.assignment WHERE run_id = current_setting('bastide.run')::uuid"
                    ),
                    sql!("DELETE FROM bastide.rule WHERE run_id = current_setting('bastide.run')::uuid"),
                ],
            )
        }
    }

    /// What was inferred is not part of a snapshot.
    pub(super) fn apply(&self, _: &mut Catalog) {}
}
