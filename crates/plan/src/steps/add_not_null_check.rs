//! `CHECK (… IS NOT NULL) NOT VALID`: binds new rows at once, scans nothing.

use bastide_catalog::{Catalog, Check};
use bastide_sql::{Ident, LockMode, QualifiedName, Sql, sql};
use serde::{Deserialize, Serialize};

use super::{context::Plain, family::each_member};
use crate::Script;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddNotNullCheck {
    pub table: QualifiedName,
    pub column: Ident,
    pub name: Ident,
}

impl AddNotNullCheck {
    pub(super) fn subject(&self) -> String {
        format!("{}.{}", self.table, self.name)
    }

    pub(super) fn describe(&self) -> String {
        format!("require {} on new rows of {}", self.column, self.table)
    }

    pub(super) fn forward(&self) -> Script {
        let add = add_check(&self.table, &self.name, &self.column);
        Script::transaction(LockMode::AccessExclusive, vec![self.table.clone()], vec![add])
    }

    pub(super) fn inverse(&self) -> Script {
        let drop = sql!("ALTER TABLE {} DROP CONSTRAINT {}", self.table, self.name);
        Script::transaction(LockMode::AccessExclusive, vec![self.table.clone()], vec![drop])
    }

    pub(super) fn apply(&self, catalog: &mut Catalog) {
        each_member(catalog, &self.table, |table, _| {
            table.checks.push(Check {
                name: self.name.clone(),
                definition: sql!("CHECK (({} IS NOT NULL)) NOT VALID", Plain(&self.column)),
                validated: false,
            });
            table.checks.sort_by(|a, b| a.name.cmp(&b.name));
        });
    }
}

/// Also what the inverse of dropping the check begins with.
pub(super) fn add_check(table: &QualifiedName, name: &Ident, column: &Ident) -> Sql {
    sql!("ALTER TABLE {} ADD CONSTRAINT {} CHECK ({} IS NOT NULL) NOT VALID", table, name, column)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::{
        Step,
        trial::{Trial, ident, name, show},
    };

    fn step(table: &str) -> Step {
        Step::AddNotNullCheck(AddNotNullCheck {
            table: name(table),
            column: ident("tenant_id"),
            name: ident("orders_tenant_id_present"),
        })
    }

    #[test]
    fn scripts() {
        let step = step("public.orders");
        insta::assert_snapshot!(step.id(), @"add_not_null_check:public.orders.orders_tenant_id_present");
        insta::assert_snapshot!(step.describe(), @"require tenant_id on new rows of public.orders");
        insta::assert_snapshot!(show(&step.forward()), @r#"
        -- Transaction
        -- ACCESS EXCLUSIVE on public.orders
        ALTER TABLE "public"."orders" ADD CONSTRAINT "orders_tenant_id_present" CHECK ("tenant_id" IS NOT NULL) NOT VALID;
        "#);
        insta::assert_snapshot!(show(&step.inverse()), @r#"
        -- Transaction
        -- ACCESS EXCLUSIVE on public.orders
        ALTER TABLE "public"."orders" DROP CONSTRAINT "orders_tenant_id_present";
        "#);
    }

    #[tokio::test]
    async fn binds_new_rows_only() {
        let mut trial = Trial::of(
            "uuid",
            "CREATE TABLE orders (id int PRIMARY KEY, tenant_id uuid); INSERT INTO orders VALUES (1, NULL);
             CREATE TABLE parts (id int, tenant_id uuid) PARTITION BY LIST (id); CREATE TABLE part1 PARTITION OF parts FOR VALUES IN (1)",
        )
        .await;
        trial.round(&step("public.orders")).await;
        trial.round(&step("public.parts")).await;
        assert_eq!(trial.refused("INSERT INTO public.orders VALUES (2, NULL)").await, "23514");
    }
}
