//! Row security on: strict for the application's login, unchanged for the legacy logins until cutover.

use bastide_catalog::{Catalog, TypeName};
use bastide_sql::{Ident, Literal, LockMode, QualifiedName, sql};
use serde::{Deserialize, Serialize};

use super::context;
use crate::Script;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProtectTable {
    pub table: QualifiedName,
    pub column: Ident,
    pub type_name: TypeName,
    pub app_role: Ident,
    /// Non-owner roles with privileges of their own on the table.
    pub legacy_roles: Vec<Ident>,
}

impl ProtectTable {
    pub(super) fn subject(&self) -> String {
        self.table.to_string()
    }

    pub(super) fn describe(&self) -> String {
        format!("turn row security on for {}", self.table)
    }

    pub(super) fn forward(&self) -> Script {
        let mut statements = vec![
            sql!("ALTER TABLE {} ENABLE ROW LEVEL SECURITY", self.table),
            context::create_tenant_policy(&self.table, &self.column, &self.type_name, &self.app_role),
        ];
        if !self.legacy_roles.is_empty() {
            statements.push(context::create_legacy_policy(&self.table, &self.legacy_roles));
        }
        statements.push(sql!(
            r#"INSERT INTO bastide.scope (schema, "table", tenant_column, run_id) VALUES ({}, {}, {}, current_setting('bastide.run')::uuid)
ON CONFLICT (schema, "table") DO UPDATE SET tenant_column = excluded.tenant_column, run_id = excluded.run_id"#,
            Literal::text(self.table.schema.as_str()),
            Literal::text(self.table.name.as_str()),
            Literal::text(self.column.as_str())
        ));
        Script::transaction(LockMode::AccessExclusive, vec![self.table.clone()], statements)
    }

    pub(super) fn inverse(&self) -> Script {
        let mut statements = vec![
            sql!("ALTER TABLE {} DISABLE ROW LEVEL SECURITY", self.table),
            sql!("DROP POLICY {} ON {}", context::tenant_policy(), self.table),
        ];
        if !self.legacy_roles.is_empty() {
            statements.push(sql!("DROP POLICY {} ON {}", context::legacy_policy(), self.table));
        }
        statements.push(sql!(
            r#"DELETE FROM bastide.scope WHERE schema = {} AND "table" = {}"#,
            Literal::text(self.table.schema.as_str()),
            Literal::text(self.table.name.as_str())
        ));
        Script::transaction(LockMode::AccessExclusive, vec![self.table.clone()], statements)
    }

    pub(super) fn apply(&self, catalog: &mut Catalog) {
        let Some(table) = catalog.tables.get_mut(&self.table) else { return };
        table.row_security = true;
        table.policies.push(context::projected_tenant_policy(
            &self.column,
            &self.type_name,
            vec![self.app_role.clone()],
        ));
        if !self.legacy_roles.is_empty() {
            table.policies.push(context::projected_legacy_policy(&self.legacy_roles));
        }
        table.policies.sort_by(|a, b| a.name.cmp(&b.name));
    }
}
