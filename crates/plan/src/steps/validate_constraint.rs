//! Proves a NOT VALID constraint over the rows there are, while others read and write.

use bastide_catalog::Catalog;
use bastide_sql::{Ident, LockMode, QualifiedName, Sql, sql};
use serde::{Deserialize, Serialize};

use super::{family::each_member, session};
use crate::Script;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ValidateConstraint {
    pub table: QualifiedName,
    pub name: Ident,
    /// For a foreign key.
    pub referenced: Option<QualifiedName>,
}

impl ValidateConstraint {
    pub(super) fn subject(&self) -> String {
        format!("{}.{}", self.table, self.name)
    }

    pub(super) fn describe(&self) -> String {
        format!("validate {} on {}", self.name, self.table)
    }

    pub(super) fn forward(&self) -> Script {
        let validate = sql!("ALTER TABLE {} VALIDATE CONSTRAINT {}", self.table, self.name);
        // Under FORCE an owner without a context sees no rows, and VALIDATE would pass over dangling ones.
        Script {
            prelude: session::unfiltered(),
            ..Script::long(LockMode::ShareUpdateExclusive, vec![self.table.clone()], vec![validate])
        }
    }

    /// PostgreSQL cannot take a proof back; the step that added the constraint removes it.
    pub(super) fn inverse(&self) -> Script {
        Script::nothing()
    }

    pub(super) fn apply(&self, catalog: &mut Catalog) {
        each_member(catalog, &self.table, |table, _| {
            for check in table.checks.iter_mut().filter(|check| check.name == self.name) {
                check.validated = true;
                check.definition = proven(&check.definition);
            }
        });
        if let Some(table) = catalog.tables.get_mut(&self.table) {
            for key in table.foreign_keys.iter_mut().filter(|key| key.name == self.name) {
                key.validated = true;
                key.definition = proven(&key.definition);
            }
        }
    }
}

pub(super) fn proven(definition: &Sql) -> Sql {
    let text = definition.as_str();
    Sql::trusted(text.strip_suffix(" NOT VALID").unwrap_or(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::{
        AddNotNullCheck, Step,
        trial::{Trial, ident, name, show},
    };

    fn step(table: &str, constraint: &str) -> Step {
        Step::ValidateConstraint(ValidateConstraint {
            table: name(table),
            name: ident(constraint),
            referenced: None,
        })
    }

    #[test]
    fn scripts() {
        let step = step("public.orders", "orders_tenant_id_present");
        insta::assert_snapshot!(step.id(), @"validate_constraint:public.orders.orders_tenant_id_present");
        insta::assert_snapshot!(step.describe(), @"validate orders_tenant_id_present on public.orders");
        insta::assert_snapshot!(show(&step.forward()), @r#"
        -- LongTransaction
        -- SHARE UPDATE EXCLUSIVE on public.orders
        SET LOCAL row_security = off;
        ALTER TABLE "public"."orders" VALIDATE CONSTRAINT "orders_tenant_id_present";
        "#);
        insta::assert_snapshot!(show(&step.inverse()), @"-- Nothing");
    }

    #[tokio::test]
    async fn proves_what_another_step_added_and_takes_back() {
        let schema = "CREATE TABLE parts (id int, tenant_id uuid) PARTITION BY LIST (id); CREATE TABLE part1 PARTITION OF parts FOR VALUES IN (1);
             CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (a_id int); ALTER TABLE b ADD CONSTRAINT b_a FOREIGN KEY (a_id) REFERENCES a NOT VALID";
        let mut trial = Trial::of("uuid", schema).await;
        let before = trial.db.schema_dump().await;
        let add = Step::AddNotNullCheck(AddNotNullCheck {
            table: name("public.parts"),
            column: ident("tenant_id"),
            name: ident("present"),
        });
        let validate = step("public.parts", "present");
        for _ in 0..2 {
            trial.forward(&add).await;
            let mut expected = trial.catalog().await;
            trial.forward(&validate).await;
            validate.apply(&mut expected);
            assert_eq!(expected.diff(&trial.catalog().await), Vec::<String>::new());
            trial.undo(&validate).await;
            trial.undo(&add).await;
            assert_eq!(before, trial.db.schema_dump().await);
        }
        let mut expected = trial.catalog().await;
        let key = step("public.b", "b_a");
        trial.forward(&key).await;
        key.apply(&mut expected);
        assert_eq!(expected.diff(&trial.catalog().await), Vec::<String>::new());
    }

    #[tokio::test]
    async fn finds_the_row_that_force_would_hide() {
        let schema = "CREATE TABLE orders (id int, tenant_id uuid); INSERT INTO orders VALUES (1, NULL);
             ALTER TABLE orders ADD CONSTRAINT present CHECK (tenant_id IS NOT NULL) NOT VALID;
             ALTER TABLE orders ENABLE ROW LEVEL SECURITY; ALTER TABLE orders FORCE ROW LEVEL SECURITY";
        let mut trial = Trial::of("uuid", schema).await;
        let error = trial.run(&step("public.orders", "present").forward()).await.unwrap_err();
        assert_eq!(error.code().map(|code| code.code()), Some("23514"));
    }
}
