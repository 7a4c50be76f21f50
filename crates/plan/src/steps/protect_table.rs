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
    /// Row security was on before, and binds the legacy roles as it did.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub enabled: bool,
}

impl ProtectTable {
    pub(super) fn subject(&self) -> String {
        self.table.to_string()
    }

    pub(super) fn describe(&self) -> String {
        format!("turn row security on for {}", self.table)
    }

    pub(super) fn forward(&self) -> Script {
        let mut statements = Vec::new();
        if !self.enabled {
            statements.push(sql!("ALTER TABLE {} ENABLE ROW LEVEL SECURITY", self.table));
        }
        statements.push(context::create_tenant_policy(
            &self.table,
            &self.column,
            &self.type_name,
            &self.app_role,
        ));
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

    /// A policy goes with its last role when somebody drops that one (`DROP OWNED`); rollback must not stick there.
    pub(super) fn inverse(&self) -> Script {
        let mut statements = Vec::new();
        if !self.enabled {
            statements.push(sql!("ALTER TABLE {} DISABLE ROW LEVEL SECURITY", self.table));
        }
        statements.push(sql!("DROP POLICY IF EXISTS {} ON {}", context::tenant_policy(), self.table));
        if !self.legacy_roles.is_empty() {
            statements.push(sql!("DROP POLICY IF EXISTS {} ON {}", context::legacy_policy(), self.table));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::{
        Step,
        trial::{Trial, ident, idents, name, show},
    };

    fn step(table: &str, type_name: bastide_sql::Sql, legacy: &[&str]) -> Step {
        Step::ProtectTable(ProtectTable {
            table: name(table),
            column: ident("tenant_id"),
            type_name,
            app_role: ident("bastide_app"),
            legacy_roles: idents(legacy),
            enabled: false,
        })
    }

    #[test]
    fn scripts() {
        let step = step("public.orders", sql!("uuid"), &["legacy", "Reporting"]);
        insta::assert_snapshot!(step.id(), @"protect_table:public.orders");
        insta::assert_snapshot!(step.describe(), @"turn row security on for public.orders");
        insta::assert_snapshot!(show(&step.forward()), @r#"
        -- Transaction
        -- ACCESS EXCLUSIVE on public.orders
        ALTER TABLE "public"."orders" ENABLE ROW LEVEL SECURITY;
        CREATE POLICY "bastide_tenant" ON "public"."orders" AS PERMISSIVE FOR ALL TO "bastide_app" USING ("tenant_id" = (SELECT bastide.current_tenant()::uuid)) WITH CHECK ("tenant_id" = (SELECT bastide.current_tenant()::uuid));
        CREATE POLICY "bastide_legacy" ON "public"."orders" AS PERMISSIVE FOR ALL TO "legacy", "Reporting" USING (true) WITH CHECK (true);
        INSERT INTO bastide.scope (schema, "table", tenant_column, run_id) VALUES ('public', 'orders', 'tenant_id', current_setting('bastide.run')::uuid)
        ON CONFLICT (schema, "table") DO UPDATE SET tenant_column = excluded.tenant_column, run_id = excluded.run_id;
        "#);
        insta::assert_snapshot!(show(&step.inverse()), @r#"
        -- Transaction
        -- ACCESS EXCLUSIVE on public.orders
        ALTER TABLE "public"."orders" DISABLE ROW LEVEL SECURITY;
        DROP POLICY IF EXISTS "bastide_tenant" ON "public"."orders";
        DROP POLICY IF EXISTS "bastide_legacy" ON "public"."orders";
        DELETE FROM bastide.scope WHERE schema = 'public' AND "table" = 'orders';
        "#);
    }

    #[tokio::test]
    async fn strict_for_the_application_and_unchanged_for_the_legacy_login() {
        let schema = "CREATE TABLE orders (id int, tenant_id int); INSERT INTO orders VALUES (1, 10), (2, 20), (3, NULL);
             GRANT SELECT, INSERT, UPDATE ON orders TO bastide_app, legacy;
             CREATE TABLE words (tenant_id text); CREATE TABLE short (tenant_id varchar(8)); CREATE TABLE fixed (tenant_id char(3))";
        let mut trial = Trial::of("integer", schema).await;
        trial.round(&step("public.orders", sql!("integer"), &["legacy"])).await;
        trial.round(&step("public.words", sql!("text"), &[])).await;
        trial.round(&step("public.short", sql!("character varying(8)"), &[])).await;
        trial.round(&step("public.fixed", sql!("character(3)"), &["legacy", "reporting"])).await;
        let seen = async |opening: &str| {
            let text = format!("BEGIN; {opening}; SELECT count(*) FROM public.orders; COMMIT");
            trial.db.query_rows(&text).await.last().cloned().unwrap()
        };
        assert_eq!(seen("SET LOCAL ROLE legacy").await, "3");
        assert_eq!(seen("SET LOCAL ROLE bastide_app").await, "0");
        assert_eq!(seen("SET LOCAL ROLE bastide_app; SELECT bastide.set_tenant('10')").await, "1");
        let planted = "BEGIN; SET LOCAL row_security = on; SET LOCAL ROLE bastide_app; SELECT bastide.set_tenant('10'); INSERT INTO public.orders VALUES (4, 20)";
        assert_eq!(trial.refused(planted).await, "42501");
        assert_eq!(trial.db.query_one_text("SELECT count(*) FROM bastide.scoped_tables").await, "4");
        let plan = trial
            .db
            .query_rows("BEGIN; SET LOCAL ROLE bastide_app; EXPLAIN SELECT * FROM public.orders; COMMIT")
            .await;
        assert!(plan.iter().any(|line| line.contains("tenant_id = $0") || line.contains("tenant_id = (InitPlan 1).col1")), "{plan:?}");
    }
}
