//! A tenant-leading index for the queries that policies filter.

use bastide_catalog::Catalog;
use bastide_sql::{Ident, QualifiedName};
use serde::{Deserialize, Serialize};

use super::indexes::NewIndex;
use crate::Script;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddTenantIndex {
    pub table: QualifiedName,
    pub name: Ident,
    pub columns: Vec<Ident>,
    pub leaves: Vec<(QualifiedName, Ident)>,
    /// It may be so without a leaf.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub partitioned: bool,
}

impl AddTenantIndex {
    pub(super) fn subject(&self) -> String {
        format!("{}.{}", self.table, self.name)
    }

    pub(super) fn describe(&self) -> String {
        let columns: Vec<String> = self.columns.iter().map(ToString::to_string).collect();
        format!("index {} by ({})", self.table, columns.join(", "))
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

    /// [`Self::forward`] for a table that nobody uses yet, so that it needs no connection of its own.
    #[must_use]
    pub fn at_once(&self) -> Script {
        self.index().build_at_once()
    }

    fn index(&self) -> NewIndex<'_> {
        NewIndex {
            table: &self.table,
            name: &self.name,
            columns: &self.columns,
            leaves: &self.leaves,
            partitioned: self.partitioned,
            unique: false,
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
        Step::AddTenantIndex(AddTenantIndex {
            table: name("public.orders"),
            name: ident("orders_tenant_idx"),
            columns: idents(&["tenant_id", "id"]),
            leaves: Vec::new(),
            partitioned: false,
        })
    }

    /// Leaves at two depths.
    fn partitioned() -> Step {
        let leaves = ["part1", "part2a"]
            .map(|leaf| (name(&format!("public.{leaf}")), ident(&format!("{leaf}_tenant_idx"))));
        Step::AddTenantIndex(AddTenantIndex {
            table: name("public.parts"),
            name: ident("parts_tenant_idx"),
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
        insta::assert_snapshot!(plain().id(), @"add_tenant_index:public.orders.orders_tenant_idx");
        insta::assert_snapshot!(plain().describe(), @"index public.orders by (tenant_id, id)");
        insta::assert_snapshot!(show(&plain().forward()), @r#"
    -- Autocommit
    -- SHARE UPDATE EXCLUSIVE on public.orders
    SET lock_timeout = '50ms';
    DROP INDEX IF EXISTS "public"."orders_tenant_idx";
    SET lock_timeout = '10s';
    CREATE INDEX CONCURRENTLY "orders_tenant_idx" ON "public"."orders" ("tenant_id", "id");
    "#);
        insta::assert_snapshot!(show(&plain().inverse()), @r#"
    -- Autocommit
    -- ACCESS EXCLUSIVE on public.orders
    DROP INDEX IF EXISTS "public"."orders_tenant_idx";
    "#);
    }

    #[test]
    fn scripts_of_a_partitioned_table() {
        insta::assert_snapshot!(show(&partitioned().forward()), @r#"
    -- Autocommit
    -- SHARE on public.parts
    SET lock_timeout = '50ms';
    DROP INDEX IF EXISTS "public"."parts_tenant_idx";
    DROP INDEX IF EXISTS "public"."part1_tenant_idx";
    DROP INDEX IF EXISTS "public"."part2a_tenant_idx";
    SET lock_timeout = '10s';
    CREATE INDEX CONCURRENTLY "part1_tenant_idx" ON "public"."part1" ("tenant_id", "id", "Day");
    CREATE INDEX CONCURRENTLY "part2a_tenant_idx" ON "public"."part2a" ("tenant_id", "id", "Day");
    SET lock_timeout = '50ms';
    CREATE INDEX "parts_tenant_idx" ON "public"."parts" ("tenant_id", "id", "Day");
    "#);
        insta::assert_snapshot!(show(&partitioned().inverse()), @r#"
    -- Autocommit
    -- ACCESS EXCLUSIVE on public.parts
    DROP INDEX IF EXISTS "public"."parts_tenant_idx";
    DROP INDEX IF EXISTS "public"."part1_tenant_idx";
    DROP INDEX IF EXISTS "public"."part2a_tenant_idx";
    "#);
    }

    #[tokio::test]
    async fn is_built_beside_traffic_and_goes_again() {
        let mut trial = Trial::of("uuid", SCHEMA).await;
        trial.round(&plain()).await;
        trial.round(&partitioned()).await;
    }
}
