//! NOT NULL without a scan: the server accepts a validated check as proof.

use bastide_catalog::Catalog;
use bastide_sql::{Ident, LockMode, QualifiedName, sql};
use serde::{Deserialize, Serialize};

use super::family::each_member;
use crate::Script;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetNotNull {
    pub table: QualifiedName,
    pub column: Ident,
}

impl SetNotNull {
    pub(super) fn subject(&self) -> String {
        format!("{}.{}", self.table, self.column)
    }

    pub(super) fn describe(&self) -> String {
        format!("make {}.{} NOT NULL", self.table, self.column)
    }

    pub(super) fn forward(&self) -> Script {
        let set = sql!("ALTER TABLE {} ALTER COLUMN {} SET NOT NULL", self.table, self.column);
        Script::transaction(LockMode::AccessExclusive, vec![self.table.clone()], vec![set])
    }

    pub(super) fn inverse(&self) -> Script {
        let drop = sql!("ALTER TABLE {} ALTER COLUMN {} DROP NOT NULL", self.table, self.column);
        Script::transaction(LockMode::AccessExclusive, vec![self.table.clone()], vec![drop])
    }

    pub(super) fn apply(&self, catalog: &mut Catalog) {
        each_member(catalog, &self.table, |table, _| {
            for column in table.columns.iter_mut().filter(|column| column.name == self.column) {
                column.not_null = true;
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::{
        Step,
        trial::{Trial, ident, name, show},
    };

    fn step(table: &str) -> Step {
        Step::SetNotNull(SetNotNull { table: name(table), column: ident("tenant_id") })
    }

    #[test]
    fn scripts() {
        let step = step("public.orders");
        insta::assert_snapshot!(step.id(), @"set_not_null:public.orders.tenant_id");
        insta::assert_snapshot!(step.describe(), @"make public.orders.tenant_id NOT NULL");
        insta::assert_snapshot!(show(&step.forward()), @r#"
        -- Transaction
        -- ACCESS EXCLUSIVE on public.orders
        ALTER TABLE "public"."orders" ALTER COLUMN "tenant_id" SET NOT NULL;
        "#);
        insta::assert_snapshot!(show(&step.inverse()), @r#"
        -- Transaction
        -- ACCESS EXCLUSIVE on public.orders
        ALTER TABLE "public"."orders" ALTER COLUMN "tenant_id" DROP NOT NULL;
        "#);
    }

    #[tokio::test]
    async fn reaches_every_partition_and_comes_back() {
        let schema = "CREATE TABLE orders (id int, tenant_id uuid CONSTRAINT present CHECK (tenant_id IS NOT NULL));
             CREATE TABLE parts (id int, tenant_id uuid) PARTITION BY LIST (id); CREATE TABLE part1 PARTITION OF parts FOR VALUES IN (1)";
        let mut trial = Trial::of("uuid", schema).await;
        trial.round(&step("public.orders")).await;
        trial.round(&step("public.parts")).await;
    }
}
