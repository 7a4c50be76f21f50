//! Partitions that the shop made since the plan: closed at cutover as those are that it knew.

use bastide_catalog::{Catalog, Table, TypeName};
use bastide_sql::{Ident, Literal, LockMode, QualifiedName, Sql, join, sql};
use serde::{Deserialize, Serialize};

use super::{context, family::family};
use crate::Script;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProtectPartitions {
    /// The top of a partitioned table.
    pub table: QualifiedName,
    pub column: Ident,
    pub type_name: TypeName,
    /// Its members with steps of their own.
    pub known: Vec<QualifiedName>,
}

/// Which there are is known when the step runs, so each script looks for itself.
impl ProtectPartitions {
    pub(super) fn subject(&self) -> String {
        self.table.to_string()
    }

    pub(super) fn describe(&self) -> String {
        format!("close the partitions of {} that came meanwhile", self.table)
    }

    /// The lock lets everybody read and write, and keeps further partitions out until those there are protected.
    pub(super) fn forward(&self) -> Script {
        let [before, after] = self.policy();
        let block = context::block(sql!(
            "DECLARE
    late record;
BEGIN
    FOR late IN SELECT c.oid, c.oid::regclass AS name, n.nspname, c.relname, c.relrowsecurity AS enabled, c.relforcerowsecurity AS forced
                FROM pg_partition_tree({}) t JOIN pg_class c ON c.oid = t.relid JOIN pg_namespace n ON n.oid = c.relnamespace
                WHERE c.relkind IN ('r', 'p') AND NOT EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid AND p.polname = {}) ORDER BY c.oid LOOP
        INSERT INTO bastide.remembered AS r (step, detail)
            VALUES ({}, jsonb_build_object(late.oid, jsonb_build_object('enabled', late.enabled, 'forced', late.forced)))
            ON CONFLICT (step) DO UPDATE SET detail = r.detail || excluded.detail;
        EXECUTE {} || late.name || {};
        EXECUTE 'ALTER TABLE ' || late.name || ' ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY';
        INSERT INTO bastide.scope (schema, \"table\", tenant_column, run_id)
            VALUES (late.nspname, late.relname, {}, current_setting('bastide.run')::uuid)
            ON CONFLICT (schema, \"table\") DO UPDATE SET tenant_column = excluded.tenant_column, run_id = excluded.run_id;
    END LOOP;
END",
            self.regclass(),
            Literal::text(context::tenant_policy().as_str()),
            Literal::text(self.account()),
            before,
            after,
            Literal::text(self.column.as_str())
        ));
        self.script(block)
    }

    /// Also of those that somebody protected by hand since, as `rls validate` says, and of those detached since.
    pub(super) fn inverse(&self) -> Script {
        let account = Literal::text(self.account());
        let block = context::block(sql!(
            "DECLARE
    late record;
BEGIN
    FOR late IN SELECT c.oid::regclass AS name, n.nspname, c.relname, coalesce((r.detail -> c.oid::text ->> 'enabled')::boolean, false) AS enabled,
                       coalesce((r.detail -> c.oid::text ->> 'forced')::boolean, false) AS forced
                FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_policy p ON p.polrelid = c.oid AND p.polname = {}
                LEFT JOIN bastide.remembered r ON r.step = {}
                WHERE (c.oid IN (SELECT relid FROM pg_partition_tree({})) OR r.detail ? c.oid::text) AND {} ORDER BY c.oid LOOP
        IF NOT late.forced THEN
            EXECUTE 'ALTER TABLE ' || late.name || ' NO FORCE ROW LEVEL SECURITY';
        END IF;
        IF NOT late.enabled THEN
            EXECUTE 'ALTER TABLE ' || late.name || ' DISABLE ROW LEVEL SECURITY';
        END IF;
        EXECUTE {} || late.name;
        DELETE FROM bastide.scope s WHERE s.schema = late.nspname AND s.\"table\" = late.relname;
    END LOOP;
    DELETE FROM bastide.remembered WHERE step = {};
END",
            Literal::text(context::tenant_policy().as_str()),
            account,
            self.regclass(),
            self.unknown(),
            Literal::text(sql!("DROP POLICY {} ON ", context::tenant_policy()).as_str()),
            account
        ));
        self.script(block)
    }

    fn script(&self, block: Sql) -> Script {
        Script::transaction(LockMode::ShareUpdateExclusive, vec![self.table.clone()], vec![block])
    }

    /// The policy of a closed table, before and after the table's name.
    fn policy(&self) -> [Literal; 2] {
        let predicate = context::tenant_predicate(&self.column, &self.type_name);
        [
            Literal::text(sql!("CREATE POLICY {} ON ", context::tenant_policy()).as_str()),
            Literal::text(
                sql!(" AS PERMISSIVE FOR ALL TO PUBLIC USING ({}) WITH CHECK ({})", predicate, predicate).as_str(),
            ),
        ]
    }

    fn unknown(&self) -> Sql {
        let known = self.known.iter().map(|name| Literal::text(sql!("{}", name).as_str()));
        sql!(
            "c.oid <> ALL (ARRAY(SELECT to_regclass(k) FROM unnest(ARRAY[{}]::text[]) k WHERE to_regclass(k) IS NOT NULL)::oid[])",
            join(known, ", ")
        )
    }

    fn regclass(&self) -> Sql {
        sql!("{}::regclass", Literal::text(sql!("{}", self.table).as_str()))
    }

    fn account(&self) -> String {
        format!("protect_partitions:{}", self.table)
    }

    pub(super) fn apply(&self, catalog: &mut Catalog) {
        for member in family(catalog, &self.table) {
            let Some(late) = catalog.tables.get_mut(&member).filter(|table| !is_closed(table)) else { continue };
            late.row_security = true;
            late.force_row_security = true;
            late.policies.push(context::projected_tenant_policy(&self.column, &self.type_name, Vec::new()));
            late.policies.sort_by(|a, b| a.name.cmp(&b.name));
        }
    }
}

/// By the name of its policy, as the script has it.
fn is_closed(table: &Table) -> bool {
    table.policies.iter().any(|policy| policy.name == context::tenant_policy())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::{
        Step,
        trial::{Trial, ident, name, show},
    };

    fn step(known: &[&str]) -> Step {
        Step::ProtectPartitions(ProtectPartitions {
            table: name("public.sale"),
            column: ident("of 100%"),
            type_name: sql!("integer"),
            known: known.iter().map(|known| name(known)).collect(),
        })
    }

    #[test]
    fn scripts() {
        let step = step(&["public.sale", r#"cold."Rest""#]);
        insta::assert_snapshot!(step.id(), @"protect_partitions:public.sale");
        insta::assert_snapshot!(step.describe(), @"close the partitions of public.sale that came meanwhile");
        insta::assert_snapshot!(show(&step.forward()), @r#"
    -- Transaction
    -- SHARE UPDATE EXCLUSIVE on public.sale
    DO $bastide$DECLARE
        late record;
    BEGIN
        FOR late IN SELECT c.oid, c.oid::regclass AS name, n.nspname, c.relname, c.relrowsecurity AS enabled, c.relforcerowsecurity AS forced
                    FROM pg_partition_tree('"public"."sale"'::regclass) t JOIN pg_class c ON c.oid = t.relid JOIN pg_namespace n ON n.oid = c.relnamespace
                    WHERE c.relkind IN ('r', 'p') AND NOT EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid AND p.polname = 'bastide_tenant') ORDER BY c.oid LOOP
            INSERT INTO bastide.remembered AS r (step, detail)
                VALUES ('protect_partitions:public.sale', jsonb_build_object(late.oid, jsonb_build_object('enabled', late.enabled, 'forced', late.forced)))
                ON CONFLICT (step) DO UPDATE SET detail = r.detail || excluded.detail;
            EXECUTE 'CREATE POLICY "bastide_tenant" ON ' || late.name || ' AS PERMISSIVE FOR ALL TO PUBLIC USING ("of 100%" = (SELECT bastide.current_tenant()::integer)) WITH CHECK ("of 100%" = (SELECT bastide.current_tenant()::integer))';
            EXECUTE 'ALTER TABLE ' || late.name || ' ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY';
            INSERT INTO bastide.scope (schema, "table", tenant_column, run_id)
                VALUES (late.nspname, late.relname, 'of 100%', current_setting('bastide.run')::uuid)
                ON CONFLICT (schema, "table") DO UPDATE SET tenant_column = excluded.tenant_column, run_id = excluded.run_id;
        END LOOP;
    END$bastide$;
    "#);
        insta::assert_snapshot!(show(&step.inverse()), @r#"
    -- Transaction
    -- SHARE UPDATE EXCLUSIVE on public.sale
    DO $bastide$DECLARE
        late record;
    BEGIN
        FOR late IN SELECT c.oid::regclass AS name, n.nspname, c.relname, coalesce((r.detail -> c.oid::text ->> 'enabled')::boolean, false) AS enabled,
                           coalesce((r.detail -> c.oid::text ->> 'forced')::boolean, false) AS forced
                    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_policy p ON p.polrelid = c.oid AND p.polname = 'bastide_tenant'
                    LEFT JOIN bastide.remembered r ON r.step = 'protect_partitions:public.sale'
                    WHERE (c.oid IN (SELECT relid FROM pg_partition_tree('"public"."sale"'::regclass)) OR r.detail ? c.oid::text) AND c.oid <> ALL (ARRAY(SELECT to_regclass(k) FROM unnest(ARRAY['"public"."sale"', '"cold"."Rest"']::text[]) k WHERE to_regclass(k) IS NOT NULL)::oid[]) ORDER BY c.oid LOOP
            IF NOT late.forced THEN
                EXECUTE 'ALTER TABLE ' || late.name || ' NO FORCE ROW LEVEL SECURITY';
            END IF;
            IF NOT late.enabled THEN
                EXECUTE 'ALTER TABLE ' || late.name || ' DISABLE ROW LEVEL SECURITY';
            END IF;
            EXECUTE 'DROP POLICY "bastide_tenant" ON ' || late.name;
            DELETE FROM bastide.scope s WHERE s.schema = late.nspname AND s."table" = late.relname;
        END LOOP;
        DELETE FROM bastide.remembered WHERE step = 'protect_partitions:public.sale';
    END$bastide$;
    "#);
    }

    const SCHEMA: &str = "CREATE TABLE sale (id int, \"of 100%\" int, region text) PARTITION BY LIST (id);
         CREATE TABLE sale_1 PARTITION OF sale FOR VALUES IN (1);
         CREATE POLICY bastide_tenant ON sale USING (false); CREATE POLICY bastide_tenant ON sale_1 USING (false);
         CREATE TABLE sale_2 PARTITION OF sale FOR VALUES IN (2) PARTITION BY LIST (region);
         CREATE TABLE \"Sale 2 %s\" PARTITION OF sale_2 DEFAULT; ALTER TABLE \"Sale 2 %s\" OWNER TO keeper;
         CREATE TABLE sale_3 PARTITION OF sale FOR VALUES IN (3);
         ALTER TABLE sale_3 ENABLE ROW LEVEL SECURITY; CREATE POLICY mine ON sale_3 AS RESTRICTIVE USING (true);
         INSERT INTO sale VALUES (1, 10, 'a'), (2, 10, 'a'), (2, 20, 'b'), (3, 20, 'c')";

    #[tokio::test]
    async fn those_that_came_are_closed_at_every_level_and_opened_again() {
        let mut trial = Trial::of("integer", SCHEMA).await;
        trial.round(&step(&["public.sale", "public.sale_1", "public.gone"])).await;
        let seen = async |table: &str, opening: &str| {
            let text = format!("BEGIN; SET LOCAL ROLE keeper; {opening}; SELECT count(*)::text FROM {table}; COMMIT");
            trial.db.query_rows(&text).await.last().cloned().unwrap()
        };
        assert_eq!(seen("\"Sale 2 %s\"", "SELECT").await, "0");
        assert_eq!(seen("\"Sale 2 %s\"", "SELECT bastide.set_tenant('20')").await, "1");
        let scope = "SELECT string_agg(\"table\", ',' ORDER BY \"table\") FROM bastide.scope";
        assert_eq!(trial.db.query_one_text(scope).await, "Sale 2 %s,sale_2,sale_3");
    }

    #[tokio::test]
    async fn detached_dropped_and_protected_by_hand_they_are_let_go() {
        let mut trial = Trial::of("integer", SCHEMA).await;
        let step = step(&["public.sale", "public.sale_1"]);
        trial.forward(&step).await;
        trial
            .execute(
                "ALTER TABLE public.sale DETACH PARTITION public.sale_3; ALTER TABLE public.sale_3 RENAME TO aside; DROP TABLE public.sale_2;
                 CREATE TABLE public.sale_4 PARTITION OF public.sale FOR VALUES IN (4); ALTER TABLE public.sale_4 ENABLE ROW LEVEL SECURITY;
                 CREATE POLICY bastide_tenant ON public.sale_4 USING (\"of 100%\" = (SELECT bastide.current_tenant()::integer))",
            )
            .await;
        trial.undo(&step).await;
        let left = "SELECT string_agg(relname, ',' ORDER BY relname) FROM pg_class WHERE relrowsecurity";
        assert_eq!(trial.db.query_one_text(left).await, "aside");
        let policies = "SELECT string_agg(polrelid::regclass || ' ' || polname, ', ' ORDER BY polname, polrelid) FROM pg_policy";
        assert_eq!(trial.db.query_one_text(policies).await, "sale bastide_tenant, sale_1 bastide_tenant, aside mine");
        assert_eq!(trial.db.query_one_text("SELECT count(*)::text FROM bastide.remembered").await, "0");
    }
}
