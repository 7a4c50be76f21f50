//! PUBLIC can no longer run a SECURITY DEFINER function; the roles that are there keep it by name.

use bastide_catalog::{Acl, Catalog};
use bastide_sql::{Ident, QualifiedName, Sql, join, sql};
use serde::{Deserialize, Serialize};

use super::acl;
use crate::Script;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestrictFunction {
    pub function: QualifiedName,
    pub arguments: Sql,
    pub owner: Ident,
    pub roles: Vec<Ident>,
    /// The whole list, in order; `None`: the built-in default.
    pub previous: Option<Acl>,
}

impl RestrictFunction {
    pub(super) fn subject(&self) -> String {
        format!("{}({})", self.function, self.arguments)
    }

    pub(super) fn describe(&self) -> String {
        format!("take EXECUTE on {} from PUBLIC", self.function)
    }

    pub(super) fn forward(&self) -> Script {
        let routine = acl::routine(&self.function, &self.arguments);
        let mut statements = vec![sql!("REVOKE EXECUTE ON {} FROM PUBLIC", routine)];
        if !self.roles.is_empty() {
            statements.push(sql!("GRANT EXECUTE ON {} TO {}", routine, join(&self.roles, ", ")));
        }
        Script::unlocked(statements)
    }

    pub(super) fn inverse(&self) -> Script {
        let routine = acl::routine(&self.function, &self.arguments);
        let defaults = acl::function_defaults(&self.owner);
        let previous = self.previous.as_ref().unwrap_or(&defaults);
        Script::unlocked(acl::replay(&routine, &self.owner, previous, &self.roles))
    }

    pub(super) fn apply(&self, catalog: &mut Catalog) {
        let found = catalog
            .functions
            .iter_mut()
            .find(|function| function.name == self.function && function.arguments == self.arguments);
        if let Some(function) = found {
            let list = function.acl.get_or_insert_with(|| acl::function_defaults(&self.owner));
            acl::revoked_from_public(list, "EXECUTE");
            for role in &self.roles {
                acl::granted(list, &self.owner, role, &["EXECUTE"]);
            }
        }
    }
}
