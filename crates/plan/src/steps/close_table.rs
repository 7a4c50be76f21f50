//! The moment of cutover for one table: no legacy policy, the strict one for everybody, FORCE.

use bastide_catalog::{Catalog, Policy, TypeName};
use bastide_sql::{Ident, LockMode, QualifiedName, sql};
use serde::{Deserialize, Serialize};

use super::{context, policies};
use crate::Script;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CloseTable {
    pub table: QualifiedName,
    pub column: Ident,
    pub type_name: TypeName,
    pub app_role: Ident,
    pub legacy_roles: Vec<Ident>,
    /// Policies of before that go.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub replaced: Vec<Policy>,
    /// The owner was bound before.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub forced: bool,
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
        if !self.replaced.is_empty() {
            statements.push(policies::remember(&self.account(), &self.table));
            statements.extend(self.replaced.iter().map(|policy| policies::drop(&self.table, policy)));
        }
        statements.extend([
            sql!("ALTER POLICY {} ON {} TO PUBLIC", context::tenant_policy(), self.table),
            sql!("ALTER TABLE {} FORCE ROW LEVEL SECURITY", self.table),
        ]);
        Script::transaction(LockMode::AccessExclusive, vec![self.table.clone()], statements)
    }

    /// FORCE goes first: whatever follows must see every row.
    pub(super) fn inverse(&self) -> Script {
        let mut statements = Vec::new();
        if !self.forced {
            statements.push(sql!("ALTER TABLE {} NO FORCE ROW LEVEL SECURITY", self.table));
        }
        statements.push(sql!("ALTER POLICY {} ON {} TO {}", context::tenant_policy(), self.table, self.app_role));
        statements.extend(self.replaced.iter().map(|policy| policies::create(&self.table, policy)));
        if !self.replaced.is_empty() {
            statements.push(policies::recall(&self.account(), &self.table, &self.replaced));
        }
        if !self.legacy_roles.is_empty() {
            statements.push(context::create_legacy_policy(&self.table, &self.legacy_roles));
        }
        Script::transaction(LockMode::AccessExclusive, vec![self.table.clone()], statements)
    }

    fn account(&self) -> String {
        format!("close_table:{}", self.table)
    }

    pub(super) fn apply(&self, catalog: &mut Catalog) {
        let Some(table) = catalog.tables.get_mut(&self.table) else { return };
        table.force_row_security = true;
        table.policies.retain(|policy| {
            policy.name != context::legacy_policy()
                && !self.replaced.iter().any(|replaced| replaced.name == policy.name)
        });
        for policy in table.policies.iter_mut().filter(|policy| policy.name == context::tenant_policy()) {
            policy.roles.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::{
        ProtectTable, Step,
        trial::{Trial, ident, idents, name, show},
    };

    fn step(legacy: &[&str]) -> Step {
        Step::CloseTable(CloseTable {
            table: name("public.orders"),
            column: ident("tenant_id"),
            type_name: sql!("integer"),
            app_role: ident("bastide_app"),
            legacy_roles: idents(legacy),
            replaced: Vec::new(),
            forced: false,
        })
    }

    #[test]
    fn scripts() {
        insta::assert_snapshot!(step(&["legacy"]).id(), @"close_table:public.orders");
        insta::assert_snapshot!(step(&["legacy"]).describe(), @"close public.orders to everybody without a tenant context");
        insta::assert_snapshot!(show(&step(&["legacy"]).forward()), @r#"
        -- Transaction
        -- ACCESS EXCLUSIVE on public.orders
        DROP POLICY "bastide_legacy" ON "public"."orders";
        ALTER POLICY "bastide_tenant" ON "public"."orders" TO PUBLIC;
        ALTER TABLE "public"."orders" FORCE ROW LEVEL SECURITY;
        "#);
        insta::assert_snapshot!(show(&step(&["legacy"]).inverse()), @r#"
        -- Transaction
        -- ACCESS EXCLUSIVE on public.orders
        ALTER TABLE "public"."orders" NO FORCE ROW LEVEL SECURITY;
        ALTER POLICY "bastide_tenant" ON "public"."orders" TO "bastide_app";
        CREATE POLICY "bastide_legacy" ON "public"."orders" AS PERMISSIVE FOR ALL TO "legacy" USING (true) WITH CHECK (true);
        "#);
        insta::assert_snapshot!(show(&step(&[]).forward()), @r#"
        -- Transaction
        -- ACCESS EXCLUSIVE on public.orders
        ALTER POLICY "bastide_tenant" ON "public"."orders" TO PUBLIC;
        ALTER TABLE "public"."orders" FORCE ROW LEVEL SECURITY;
        "#);
    }

    #[tokio::test]
    async fn nobody_reads_without_a_context_not_even_the_owner() {
        let schema =
            "CREATE TABLE orders (id int, tenant_id int); INSERT INTO orders VALUES (1, 10), (2, 20);
             ALTER TABLE orders OWNER TO keeper; GRANT SELECT ON orders TO bastide_app, legacy";
        let mut trial = Trial::of("integer", schema).await;
        let protect = Step::ProtectTable(ProtectTable {
            table: name("public.orders"),
            column: ident("tenant_id"),
            type_name: sql!("integer"),
            app_role: ident("bastide_app"),
            legacy_roles: idents(&["legacy"]),
            enabled: false,
        });
        trial.forward(&protect).await;
        trial.round(&step(&["legacy"])).await;
        let db = trial.db.clone();
        let seen = async |role: &str| {
            let text = format!("BEGIN; SET LOCAL ROLE {role}; SELECT count(*) FROM public.orders; COMMIT");
            db.query_one_text(&text).await
        };
        for role in ["keeper", "legacy", "bastide_app"] {
            assert_eq!(seen(role).await, "0", "{role}");
        }
        trial.undo(&step(&["legacy"])).await;
        assert_eq!((seen("keeper").await, seen("legacy").await), ("2".to_owned(), "2".to_owned()));
    }
}
