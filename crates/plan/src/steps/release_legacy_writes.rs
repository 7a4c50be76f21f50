//! After cutover nobody writes without a context, so the trigger has nothing left to do.

use bastide_catalog::Catalog;
use serde::{Deserialize, Serialize};

use crate::{Script, steps::KeepLegacyWrites};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseLegacyWrites {
    pub keeper: KeepLegacyWrites,
}

impl ReleaseLegacyWrites {
    pub(super) fn subject(&self) -> String {
        self.keeper.subject()
    }

    pub(super) fn describe(&self) -> String {
        format!("let {} go: nobody writes there without a context any more", self.keeper.table)
    }

    pub(super) fn forward(&self) -> Script {
        self.keeper.inverse()
    }

    pub(super) fn inverse(&self) -> Script {
        self.keeper.forward()
    }

    pub(super) fn apply(&self, catalog: &mut Catalog) {
        self.keeper.unapply(catalog);
    }
}
