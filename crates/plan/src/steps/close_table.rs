//! The moment of cutover for one table: no legacy policy, the strict one for everybody, FORCE.

use bastide_catalog::{Catalog, TypeName};
use bastide_sql::{Ident, LockMode, QualifiedName, sql};
use serde::{Deserialize, Serialize};

use super::context;
use crate::Script;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CloseTable {
    pub table: QualifiedName,
    pub column: Ident,
    pub type_name: TypeName,
    pub app_role: Ident,
    pub legacy_roles: Vec<Ident>,
}

impl CloseTable {
    pub(super) fn subject(&self) -> String {
        self.table.to_string()
    }

    pub(super) fn describe(&self) -> String {
        format!("close {} to everybody without a tenant context", self.table)
    }

    pub(super) fn forward(&self) -> Script {
        let mut statements = Vec::new();
        if !self.legacy_roles.is_empty() {
            statements.push(sql!("DROP POLICY {} ON {}", context::legacy_policy(), self.table));
        }
        statements.extend([
            sql!("ALTER POLICY {} ON {} TO PUBLIC", context::tenant_policy(), self.table),
            sql!("ALTER TABLE {} FORCE ROW LEVEL SECURITY", self.table),
        ]);
        Script::transaction(LockMode::AccessExclusive, vec![self.table.clone()], statements)
    }

    /// FORCE goes first: whatever follows must see every row.
    pub(super) fn inverse(&self) -> Script {
        let mut statements = vec![
            sql!("ALTER TABLE {} NO FORCE ROW LEVEL SECURITY", self.table),
            sql!("ALTER POLICY {} ON {} TO {}", context::tenant_policy(), self.table, self.app_role),
        ];
        if !self.legacy_roles.is_empty() {
            statements.push(context::create_legacy_policy(&self.table, &self.legacy_roles));
        }
        Script::transaction(LockMode::AccessExclusive, vec![self.table.clone()], statements)
    }

    pub(super) fn apply(&self, catalog: &mut Catalog) {
        let Some(table) = catalog.tables.get_mut(&self.table) else { return };
        table.force_row_security = true;
        table.policies.retain(|policy| policy.name != context::legacy_policy());
        for policy in table.policies.iter_mut().filter(|policy| policy.name == context::tenant_policy()) {
            policy.roles.clear();
        }
    }
}
