//! A unique index led by the tenant, built CONCURRENTLY; on a partitioned table per leaf, then attached.

use bastide_catalog::Catalog;
use bastide_sql::{Ident, QualifiedName};
use serde::{Deserialize, Serialize};

use super::indexes::NewIndex;
use crate::Script;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddTenantKey {
    pub table: QualifiedName,
    pub name: Ident,
    pub columns: Vec<Ident>,
    /// Leaf partitions and their index names; empty for a plain table.
    pub leaves: Vec<(QualifiedName, Ident)>,
    /// It may be so without a leaf.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub partitioned: bool,
}

impl AddTenantKey {
    pub(super) fn subject(&self) -> String {
        format!("{}.{}", self.table, self.name)
    }

    pub(super) fn describe(&self) -> String {
        let columns: Vec<String> = self.columns.iter().map(ToString::to_string).collect();
        format!("add unique key ({}) to {}", columns.join(", "), self.table)
    }

    pub(super) fn forward(&self) -> Script {
        self.index().build()
    }

    pub(super) fn inverse(&self) -> Script {
        self.index().remove()
    }

    pub(super) fn apply(&self, catalog: &mut Catalog) {
        self.index().apply(catalog);
    }

    fn index(&self) -> NewIndex<'_> {
        NewIndex {
            table: &self.table,
            name: &self.name,
            columns: &self.columns,
            leaves: &self.leaves,
            partitioned: self.partitioned,
            unique: true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::{
        Step,
        trial::{Trial, ident, idents, name, show},
    };

    fn plain() -> Step {
        Step::AddTenantKey(AddTenantKey {
            table: name("public.orders"),
            name: ident("orders_tenant_key"),
            columns: idents(&["tenant_id", "id"]),
            leaves: Vec::new(),
            partitioned: false,
        })
    }

    /// Leaves at two depths.
    fn partitioned() -> Step {
        let leaves = ["part1", "part2a"]
            .map(|leaf| (name(&format!("public.{leaf}")), ident(&format!("{leaf}_tenant_key"))));
        Step::AddTenantKey(AddTenantKey {
            table: name("public.parts"),
            name: ident("parts_tenant_key"),
            columns: idents(&["tenant_id", "id", "Day"]),
            leaves: leaves.to_vec(),
            partitioned: true,
        })
    }

    const SCHEMA: &str = r#"CREATE TABLE orders (id int, tenant_id uuid); INSERT INTO orders VALUES (1, gen_random_uuid());
         CREATE TABLE parts (id int, tenant_id uuid, "Day" int) PARTITION BY LIST ("Day");
         CREATE TABLE part1 PARTITION OF parts FOR VALUES IN (1);
         CREATE TABLE part2 PARTITION OF parts FOR VALUES IN (2) PARTITION BY LIST ("Day");
         CREATE TABLE part2a PARTITION OF part2 FOR VALUES IN (2);
         INSERT INTO parts VALUES (1, gen_random_uuid(), 1), (2, gen_random_uuid(), 2)"#;

    #[test]
    fn scripts() {
        insta::assert_snapshot!(plain().id(), @"add_tenant_key:public.orders.orders_tenant_key");
        insta::assert_snapshot!(plain().describe(), @"add unique key (tenant_id, id) to public.orders");
        insta::assert_snapshot!(show(&plain().forward()), @r#"
    -- Autocommit
    -- SHARE UPDATE EXCLUSIVE on public.orders
    SET lock_timeout = '50ms';
    DROP INDEX IF EXISTS "public"."orders_tenant_key";
    SET lock_timeout = '10s';
    CREATE UNIQUE INDEX CONCURRENTLY "orders_tenant_key" ON "public"."orders" ("tenant_id", "id");
    "#);
        insta::assert_snapshot!(show(&plain().inverse()), @r#"
    -- Autocommit
    -- ACCESS EXCLUSIVE on public.orders
    DROP INDEX IF EXISTS "public"."orders_tenant_key";
    "#);
    }

    #[test]
    fn scripts_of_a_partitioned_table() {
        insta::assert_snapshot!(show(&partitioned().forward()), @r#"
    -- Autocommit
    -- SHARE on public.parts
    SET lock_timeout = '50ms';
    DROP INDEX IF EXISTS "public"."parts_tenant_key";
    DROP INDEX IF EXISTS "public"."part1_tenant_key";
    DROP INDEX IF EXISTS "public"."part2a_tenant_key";
    SET lock_timeout = '10s';
    CREATE UNIQUE INDEX CONCURRENTLY "part1_tenant_key" ON "public"."part1" ("tenant_id", "id", "Day");
    CREATE UNIQUE INDEX CONCURRENTLY "part2a_tenant_key" ON "public"."part2a" ("tenant_id", "id", "Day");
    SET lock_timeout = '50ms';
    CREATE UNIQUE INDEX "parts_tenant_key" ON "public"."parts" ("tenant_id", "id", "Day");
    "#);
        insta::assert_snapshot!(show(&partitioned().inverse()), @r#"
    -- Autocommit
    -- ACCESS EXCLUSIVE on public.parts
    DROP INDEX IF EXISTS "public"."parts_tenant_key";
    DROP INDEX IF EXISTS "public"."part1_tenant_key";
    DROP INDEX IF EXISTS "public"."part2a_tenant_key";
    "#);
    }

    #[tokio::test]
    async fn is_built_beside_traffic_and_goes_again() {
        let mut trial = Trial::of("uuid", SCHEMA).await;
        trial.round(&plain()).await;
        trial.round(&partitioned()).await;
    }

    #[tokio::test]
    async fn the_parents_index_adopts_what_the_leaves_have() {
        let mut trial = Trial::of("uuid", SCHEMA).await;
        let script = partitioned().forward();
        let (last, leaves) = script.statements.split_last().unwrap();
        trial.run(&Script { statements: leaves.to_vec(), ..script.clone() }).await.unwrap();
        let files = "SELECT string_agg(relfilenode::text, ' ' ORDER BY relname) FROM pg_class WHERE relname LIKE 'part%\\_key' AND relkind = 'i'";
        let built = trial.db.query_one_text(files).await;
        trial.run(&Script { statements: vec![last.clone()], ..script.clone() }).await.unwrap();
        assert_eq!(trial.db.query_one_text(files).await, built, "nothing is built a second time");
        let valid = "SELECT bool_and(indisvalid)::text || count(*) FROM pg_index WHERE indrelid::regclass::text LIKE 'part%'";
        assert_eq!(trial.db.query_one_text(valid).await, "true4");
    }

    #[tokio::test]
    async fn a_failed_build_is_cleared_away_by_the_next() {
        let mut trial = Trial::of("uuid", SCHEMA).await;
        trial.execute("INSERT INTO public.orders SELECT * FROM public.orders").await;
        let before = trial.db.schema_dump().await;
        let error = trial.run(&plain().forward()).await.unwrap_err();
        assert_eq!(error.code().map(|code| code.code()), Some("23505"));
        let invalid = "SELECT count(*) FROM pg_index WHERE NOT indisvalid";
        assert_eq!(trial.db.query_one_text(invalid).await, "1", "a failed build leaves one behind");
        trial.undo(&plain()).await;
        assert_eq!(trial.db.query_one_text(invalid).await, "0");
        assert_eq!(before, trial.db.schema_dump().await);
        trial.run(&plain().forward()).await.unwrap_err();
        trial.execute("DELETE FROM public.orders").await;
        trial.forward(&plain()).await;
    }
}
