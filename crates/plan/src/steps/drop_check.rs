//! The check that proved NOT NULL, no longer needed. Never in one ALTER with SET NOT NULL: that scans.

use bastide_catalog::Catalog;
use bastide_sql::{Ident, LockMode, QualifiedName, sql};
use serde::{Deserialize, Serialize};

use super::{add_not_null_check::add_check, add_tenant_foreign_key::absent, family::each_member};
use crate::Script;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DropCheck {
    pub table: QualifiedName,
    pub column: Ident,
    pub name: Ident,
}

impl DropCheck {
    pub(super) fn subject(&self) -> String {
        format!("{}.{}", self.table, self.name)
    }

    pub(super) fn describe(&self) -> String {
        format!("drop {} from {}: NOT NULL says it now", self.name, self.table)
    }

    pub(super) fn forward(&self) -> Script {
        let drop = sql!("ALTER TABLE {} DROP CONSTRAINT {}", self.table, self.name);
        Script::transaction(LockMode::AccessExclusive, vec![self.table.clone()], vec![drop])
    }

    /// The check comes back as it was, proven; two statements, so that the proof is sought without blocking writers.
    pub(super) fn inverse(&self) -> Script {
        let add = absent(&self.table, &self.name, &add_check(&self.table, &self.name, &self.column));
        let validate = sql!("ALTER TABLE {} VALIDATE CONSTRAINT {}", self.table, self.name);
        Script::autocommit(LockMode::AccessExclusive, vec![self.table.clone()], vec![add, validate])
    }

    pub(super) fn apply(&self, catalog: &mut Catalog) {
        each_member(catalog, &self.table, |table, _| table.checks.retain(|check| check.name != self.name));
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
        Step::DropCheck(DropCheck { table: name(table), column: ident("tenant_id"), name: ident("present") })
    }

    #[test]
    fn scripts() {
        let step = step("public.orders");
        insta::assert_snapshot!(step.id(), @"drop_check:public.orders.present");
        insta::assert_snapshot!(step.describe(), @"drop present from public.orders: NOT NULL says it now");
        insta::assert_snapshot!(show(&step.forward()), @r#"
        -- Transaction
        -- ACCESS EXCLUSIVE on public.orders
        ALTER TABLE "public"."orders" DROP CONSTRAINT "present";
        "#);
        insta::assert_snapshot!(show(&step.inverse()), @r#"
        -- Autocommit
        -- ACCESS EXCLUSIVE on public.orders
        DO $bastide$BEGIN
            IF NOT EXISTS (SELECT FROM pg_constraint WHERE conrelid = '"public"."orders"'::regclass AND conname = 'present') THEN
                ALTER TABLE "public"."orders" ADD CONSTRAINT "present" CHECK ("tenant_id" IS NOT NULL) NOT VALID;
            END IF;
        END$bastide$;
        ALTER TABLE "public"."orders" VALIDATE CONSTRAINT "present";
        "#);
    }

    #[tokio::test]
    async fn the_check_comes_back_proven() {
        let schema = "CREATE TABLE orders (id int, tenant_id uuid NOT NULL CONSTRAINT present CHECK (tenant_id IS NOT NULL));
             CREATE TABLE parts (id int, tenant_id uuid NOT NULL CONSTRAINT present CHECK (tenant_id IS NOT NULL)) PARTITION BY LIST (id);
             CREATE TABLE part1 PARTITION OF parts FOR VALUES IN (1)";
        let mut trial = Trial::of("uuid", schema).await;
        trial.round(&step("public.orders")).await;
        trial.round(&step("public.parts")).await;
        trial.undo(&step("public.orders")).await;
        trial.undo(&step("public.orders")).await;
    }
}
