//! The tenant column, added without a scan or a rewrite.

use bastide_catalog::{Catalog, Column, TypeName};
use bastide_sql::{Ident, Literal, LockMode, QualifiedName, sql};
use serde::{Deserialize, Serialize};

use super::family::each_member;
use crate::Script;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddTenantColumn {
    pub table: QualifiedName,
    pub column: Ident,
    pub type_name: TypeName,
    /// NOT NULL DEFAULT this, which PostgreSQL keeps once for all rows there are.
    pub constant: Option<String>,
}

impl AddTenantColumn {
    pub(super) fn subject(&self) -> String {
        format!("{}.{}", self.table, self.column)
    }

    pub(super) fn describe(&self) -> String {
        format!("add column {} to {}", self.column, self.table)
    }

    pub(super) fn forward(&self) -> Script {
        let add = match &self.constant {
            None => sql!("ALTER TABLE {} ADD COLUMN {} {}", self.table, self.column, self.type_name),
            Some(value) => sql!(
                "ALTER TABLE {} ADD COLUMN {} {} DEFAULT {}::{} NOT NULL",
                self.table,
                self.column,
                self.type_name,
                Literal::text(value),
                self.type_name
            ),
        };
        Script::transaction(LockMode::AccessExclusive, vec![self.table.clone()], vec![add])
    }

    pub(super) fn inverse(&self) -> Script {
        let drop = sql!("ALTER TABLE {} DROP COLUMN {}", self.table, self.column);
        Script::transaction(LockMode::AccessExclusive, vec![self.table.clone()], vec![drop])
    }

    pub(super) fn apply(&self, catalog: &mut Catalog) {
        let default =
            self.constant.as_ref().map(|value| sql!("{}::{}", Literal::text(value), self.type_name));
        each_member(catalog, &self.table, |table, local| {
            table.columns.push(Column {
                name: self.column.clone(),
                type_name: self.type_name.clone(),
                collation: None,
                not_null: self.constant.is_some(),
                default: default.clone(),
                generated: None,
                identity: None,
                local,
                acl: None,
            });
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

    const TENANT: &str = "018f0000-0000-7000-8000-0000000000aa";

    fn step(table: &str, constant: bool) -> Step {
        Step::AddTenantColumn(AddTenantColumn {
            table: name(table),
            column: ident("tenant_id"),
            type_name: sql!("uuid"),
            constant: constant.then(|| TENANT.to_owned()),
        })
    }

    #[test]
    fn scripts() {
        let step = step("public.Order", false);
        insta::assert_snapshot!(step.id(), @r#"add_tenant_column:public."Order".tenant_id"#);
        insta::assert_snapshot!(step.describe(), @r#"add column tenant_id to public."Order""#);
        insta::assert_snapshot!(show(&step.forward()), @r#"
        -- Transaction
        -- ACCESS EXCLUSIVE on public."Order"
        ALTER TABLE "public"."Order" ADD COLUMN "tenant_id" uuid;
        "#);
        insta::assert_snapshot!(show(&step.inverse()), @r#"
        -- Transaction
        -- ACCESS EXCLUSIVE on public."Order"
        ALTER TABLE "public"."Order" DROP COLUMN "tenant_id";
        "#);
    }

    #[test]
    fn scripts_with_a_constant() {
        let step = step("public.orders", true);
        insta::assert_snapshot!(show(&step.forward()), @r#"
        -- Transaction
        -- ACCESS EXCLUSIVE on public.orders
        ALTER TABLE "public"."orders" ADD COLUMN "tenant_id" uuid DEFAULT '018f0000-0000-7000-8000-0000000000aa'::uuid NOT NULL;
        "#);
    }

    #[tokio::test]
    async fn comes_without_a_rewrite_and_goes_again() {
        let schema = r#"CREATE TABLE "Order" (id int PRIMARY KEY); INSERT INTO "Order" VALUES (1);
             CREATE TABLE parts (id int) PARTITION BY LIST (id); CREATE TABLE part1 PARTITION OF parts FOR VALUES IN (1);
             CREATE TABLE base (id int); CREATE TABLE heir (more text) INHERITS (base)"#;
        let mut trial = Trial::of("uuid", schema).await;
        let file = r#"SELECT pg_relation_filenode('public."Order"')"#;
        let before = trial.db.query_one_text(file).await;
        trial.round(&step("public.Order", true)).await;
        assert_eq!(trial.db.query_one_text(file).await, before);
        assert_eq!(trial.db.query_one_text(r#"SELECT tenant_id FROM public."Order""#).await, TENANT);
        trial.round(&step("public.parts", false)).await;
        trial.round(&step("public.base", true)).await;
    }
}
