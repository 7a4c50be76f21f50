//! The BYPASSRLS that [`LendBypass`](super::LendBypass) lent goes; tested with it.

use bastide_catalog::Catalog;
use bastide_sql::{Ident, Literal, sql};
use serde::{Deserialize, Serialize};

use super::{context::block, lend_bypass};
use crate::Script;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndBypass {
    pub role: Ident,
}

impl EndBypass {
    pub(super) fn subject(&self) -> String {
        self.role.to_string()
    }

    pub(super) fn describe(&self) -> String {
        format!("bind {} by row security again", self.role)
    }

    pub(super) fn forward(&self) -> Script {
        Script::unlocked(vec![lend_bypass::take_back(&self.role)])
    }

    pub(super) fn inverse(&self) -> Script {
        let lend = block(sql!(
            "BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = {}) THEN
        ALTER ROLE {} BYPASSRLS;
    END IF;
END",
            Literal::text(self.role.as_str()),
            self.role
        ));
        Script::unlocked(vec![lend])
    }

    pub(super) fn apply(&self, catalog: &mut Catalog) {
        lend_bypass::set(catalog, &self.role, false);
    }
}
