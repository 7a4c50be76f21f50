//! Row security that a table had before: it goes on for those it binds, and the application's login is none of them.

use bastide_catalog::{Catalog, Policy};
use bastide_sql::{Ident, LockMode, QualifiedName, Sql, join, sql};
use serde::{Deserialize, Serialize};

use super::policies;
use crate::Script;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetPoliciesAside {
    pub table: QualifiedName,
    /// Row security is on, so the policies work; otherwise they are without effect.
    pub live: bool,
    /// FORCE, without effect as well while row security is off.
    pub forced: bool,
    /// Those that would work for the application, too.
    pub policies: Vec<Policy>,
    /// Everybody who may touch the table: what PUBLIC means for the ones that work.
    pub roles: Vec<Ident>,
}

impl SetPoliciesAside {
    pub(super) fn subject(&self) -> String {
        self.table.to_string()
    }

    pub(super) fn describe(&self) -> String {
        let to = if self.live { "for those who have it now" } else { "without effect, aside" };
        format!("keep the row security that {} has, {to}", self.table)
    }

    /// Policies that work are only given by name to the roles that PUBLIC comes to. Those that do not would begin to when
    /// row security comes on.
    pub(super) fn forward(&self) -> Script {
        let mut statements = Vec::new();
        if self.live {
            statements.extend(self.policies.iter().map(|policy| self.alter(policy, sql!("{}", join(&self.roles, ", ")))));
        } else {
            statements.push(policies::remember(&self.account(), &self.table));
            statements.extend(self.policies.iter().map(|policy| policies::drop(&self.table, policy)));
            if self.forced {
                statements.push(sql!("ALTER TABLE {} NO FORCE ROW LEVEL SECURITY", self.table));
            }
        }
        Script::transaction(LockMode::AccessExclusive, vec![self.table.clone()], statements)
    }

    pub(super) fn inverse(&self) -> Script {
        let mut statements: Vec<Sql> = Vec::new();
        if self.live {
            statements.extend(self.policies.iter().map(|policy| self.alter(policy, sql!("PUBLIC"))));
        } else {
            if self.forced {
                statements.push(sql!("ALTER TABLE {} FORCE ROW LEVEL SECURITY", self.table));
            }
            statements.extend(self.policies.iter().map(|policy| policies::create(&self.table, policy)));
            if !self.policies.is_empty() {
                statements.push(policies::recall(&self.account(), &self.table, &self.policies));
            }
        }
        Script::transaction(LockMode::AccessExclusive, vec![self.table.clone()], statements)
    }

    fn alter(&self, policy: &Policy, roles: Sql) -> Sql {
        sql!("ALTER POLICY {} ON {} TO {}", policy.name, self.table, roles)
    }

    fn account(&self) -> String {
        format!("set_policies_aside:{}", self.table)
    }

    pub(super) fn apply(&self, catalog: &mut Catalog) {
        let Some(table) = catalog.tables.get_mut(&self.table) else { return };
        let ours = |policy: &Policy| self.policies.iter().any(|aside| aside.name == policy.name);
        if self.live {
            for policy in table.policies.iter_mut().filter(|policy| ours(policy)) {
                policy.roles.clone_from(&self.roles);
            }
        } else {
            table.policies.retain(|policy| !ours(policy));
            table.force_row_security = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use bastide_catalog::PolicyCommand;

    use super::*;
    use crate::steps::{
        Step,
        trial::{Trial, ident, idents, name, show},
    };

    fn policy(name: &str, command: PolicyCommand, using: Option<Sql>, with_check: Option<Sql>) -> Policy {
        Policy { name: ident(name), permissive: name != "narrow", command, roles: Vec::new(), using, with_check }
    }

    fn policies() -> Vec<Policy> {
        vec![
            policy("By \"Seller\"", PolicyCommand::All, Some(sql!("(seller = CURRENT_USER)")), Some(sql!("true"))),
            policy("narrow", PolicyCommand::Select, Some(sql!("(id > 1)")), None),
        ]
    }

    fn step(live: bool) -> Step {
        let roles = idents(&["legacy", "keeper"]);
        let table = name("public.orders");
        Step::SetPoliciesAside(SetPoliciesAside { table, live, forced: !live, policies: policies(), roles })
    }

    const SCHEMA: &str = r#"CREATE TABLE orders (id int, seller name); INSERT INTO orders VALUES (1, 'legacy'), (2, 'legacy'), (3, 'other');
         ALTER TABLE orders OWNER TO keeper; GRANT SELECT ON orders TO legacy, bastide_app;
         CREATE POLICY "By ""Seller""" ON orders USING (seller = CURRENT_USER) WITH CHECK (true); CREATE POLICY narrow ON orders AS RESTRICTIVE FOR SELECT USING (id > 1);
         COMMENT ON POLICY narrow ON orders IS 'it''s narrow'"#;

    #[test]
    fn scripts() {
        insta::assert_snapshot!(step(true).id(), @"set_policies_aside:public.orders");
        insta::assert_snapshot!(step(true).describe(), @"keep the row security that public.orders has, for those who have it now");
        insta::assert_snapshot!(show(&step(true).forward()), @r#"
    -- Transaction
    -- ACCESS EXCLUSIVE on public.orders
    ALTER POLICY "By ""Seller""" ON "public"."orders" TO "legacy", "keeper";
    ALTER POLICY "narrow" ON "public"."orders" TO "legacy", "keeper";
    "#);
        insta::assert_snapshot!(show(&step(true).inverse()), @r#"
    -- Transaction
    -- ACCESS EXCLUSIVE on public.orders
    ALTER POLICY "By ""Seller""" ON "public"."orders" TO PUBLIC;
    ALTER POLICY "narrow" ON "public"."orders" TO PUBLIC;
    "#);
        insta::assert_snapshot!(show(&step(false).forward()), @r#"
    -- Transaction
    -- ACCESS EXCLUSIVE on public.orders
    INSERT INTO bastide.remembered (step, detail)
    SELECT 'set_policies_aside:public.orders', coalesce(jsonb_object_agg(polname, obj_description(oid, 'pg_policy')), jsonb_build_object())
    FROM pg_policy WHERE polrelid = '"public"."orders"'::regclass
    ON CONFLICT (step) DO UPDATE SET detail = excluded.detail;
    DROP POLICY "By ""Seller""" ON "public"."orders";
    DROP POLICY "narrow" ON "public"."orders";
    ALTER TABLE "public"."orders" NO FORCE ROW LEVEL SECURITY;
    "#);
        insta::assert_snapshot!(show(&step(false).inverse()), @r#"
    -- Transaction
    -- ACCESS EXCLUSIVE on public.orders
    ALTER TABLE "public"."orders" FORCE ROW LEVEL SECURITY;
    CREATE POLICY "By ""Seller""" ON "public"."orders" AS PERMISSIVE FOR ALL TO PUBLIC USING ((seller = CURRENT_USER)) WITH CHECK (true);
    CREATE POLICY "narrow" ON "public"."orders" AS RESTRICTIVE FOR SELECT TO PUBLIC USING ((id > 1));
    DO $bastide$DECLARE
        known record;
    BEGIN
        FOR known IN SELECT k.key, k.value FROM bastide.remembered r, jsonb_each_text(r.detail) AS k
                     WHERE r.step = 'set_policies_aside:public.orders' AND k.value IS NOT NULL AND k.key IN ('By "Seller"', 'narrow') LOOP
            EXECUTE format('COMMENT ON POLICY %I ON %s IS %L', known.key, '"public"."orders"', known.value);
        END LOOP;
    END$bastide$;
    "#);
    }

    #[tokio::test]
    async fn what_works_goes_on_for_everybody_but_the_application() {
        let mut trial = Trial::of("integer", SCHEMA).await;
        trial.execute("ALTER TABLE public.orders ENABLE ROW LEVEL SECURITY").await;
        let seen = async |trial: &Trial, role: &str| {
            let text = format!("BEGIN; SET LOCAL ROLE {role}; SELECT count(*) FROM public.orders; COMMIT");
            trial.db.query_one_text(&text).await
        };
        let before = (seen(&trial, "legacy").await, seen(&trial, "keeper").await);
        trial.round(&step(true)).await;
        assert_eq!((seen(&trial, "legacy").await, seen(&trial, "keeper").await), before);
        assert_eq!(before, ("1".to_owned(), "3".to_owned()));
        assert_eq!(seen(&trial, "bastide_app").await, "0");
    }

    #[tokio::test]
    async fn what_was_without_effect_does_not_come_into_effect() {
        let mut trial = Trial::of("integer", SCHEMA).await;
        trial.execute("ALTER TABLE public.orders FORCE ROW LEVEL SECURITY").await;
        trial.round(&step(false)).await;
    }
}
