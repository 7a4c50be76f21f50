//! Under FORCE an ordinary owner would refresh to nothing; `bastide_owner` is not filtered.

use bastide_catalog::Catalog;
use bastide_sql::{Ident, QualifiedName, sql};
use serde::{Deserialize, Serialize};

use super::{context, readers};
use crate::Script;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnMaterialisedView {
    pub view: QualifiedName,
    pub previous_owner: Ident,
    pub reads: Vec<QualifiedName>,
}

impl OwnMaterialisedView {
    pub(super) fn subject(&self) -> String {
        self.view.to_string()
    }

    pub(super) fn describe(&self) -> String {
        format!("give materialised view {} an owner that row security does not filter", self.view)
    }

    /// No LOCK TABLE up front: the server has none for materialised views.
    pub(super) fn forward(&self) -> Script {
        let mut statements = readers::grant(&self.account(), &self.reads);
        let owner = context::bastide_owner();
        // REFRESH resolves the view's own name as its owner.
        statements.push(sql!("ALTER MATERIALIZED VIEW {} OWNER TO {}", self.view, owner));
        Script::unlocked(statements)
    }

    /// A change of owner rewrites the grants that name the owner, in place; changing back rewrites them back.
    pub(super) fn inverse(&self) -> Script {
        let mut statements =
            vec![sql!("ALTER MATERIALIZED VIEW {} OWNER TO {}", self.view, self.previous_owner)];
        statements.extend(readers::release(&self.account(), &self.reads));
        Script::unlocked(statements)
    }

    fn account(&self) -> String {
        format!("own_materialised_view:{}", self.view)
    }

    pub(super) fn apply(&self, catalog: &mut Catalog) {
        readers::apply(catalog, &self.reads);
        let owner = context::bastide_owner();
        if let Some(view) = catalog.views.get_mut(&self.view) {
            for item in view.acl.iter_mut().flatten() {
                if item.grantor == self.previous_owner {
                    item.grantor = owner.clone();
                }
                if item.grantee.as_ref() == Some(&self.previous_owner) {
                    item.grantee = Some(owner.clone());
                }
            }
            view.owner = owner;
        }
    }
}
