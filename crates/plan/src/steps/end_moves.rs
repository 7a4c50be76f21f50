//! After cutover the composite keys hold rows together, so nothing is left to carry.

use std::collections::BTreeSet;

use bastide_catalog::Catalog;
use bastide_sql::QualifiedName;
use serde::{Deserialize, Serialize};

use crate::{Script, steps::CarryMoves};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndMoves {
    pub carrier: CarryMoves,
    /// What keepers and the carriers that are there still, once this one is gone, look up; and what they write to. The
    /// script asks the server; the projection cannot.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub still_read: BTreeSet<QualifiedName>,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub still_written: BTreeSet<QualifiedName>,
}

impl EndMoves {
    pub(super) fn subject(&self) -> String {
        self.carrier.subject()
    }

    pub(super) fn describe(&self) -> String {
        format!("let rows below {} go: no statement moves one to another tenant any more", self.carrier.table)
    }

    pub(super) fn forward(&self) -> Script {
        self.carrier.inverse()
    }

    pub(super) fn inverse(&self) -> Script {
        self.carrier.forward()
    }

    pub(super) fn apply(&self, catalog: &mut Catalog) {
        self.carrier.unapply(catalog, &self.still_read, &self.still_written);
    }
}
