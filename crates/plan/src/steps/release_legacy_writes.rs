//! After cutover nobody writes without a context, so the trigger has nothing left to do.

use std::collections::BTreeSet;

use bastide_catalog::Catalog;
use bastide_sql::QualifiedName;
use serde::{Deserialize, Serialize};

use crate::{Script, steps::KeepLegacyWrites};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseLegacyWrites {
    pub keeper: KeepLegacyWrites,
    /// What the keepers that are there still, once this one is gone, look up. The script asks the server; the projection
    /// cannot.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub still_read: BTreeSet<QualifiedName>,
}

impl ReleaseLegacyWrites {
    pub(super) fn subject(&self) -> String {
        self.keeper.subject()
    }

    pub(super) fn describe(&self) -> String {
        format!("let {} go: nobody writes there without a context any more", self.keeper.table)
    }

    pub(super) fn forward(&self) -> Script {
        self.keeper.inverse()
    }

    pub(super) fn inverse(&self) -> Script {
        self.keeper.forward()
    }

    pub(super) fn apply(&self, catalog: &mut Catalog) {
        self.keeper.unapply(catalog, &self.still_read);
    }
}

#[cfg(test)]
mod tests {
    use bastide_sql::sql;

    use super::*;
    use crate::steps::{
        Step, TenantSource,
        trial::{Trial, ident, idents, name, show},
    };

    fn keeper(table: &str, references: &[(&str, &str)]) -> KeepLegacyWrites {
        let source = |(column, parent): &(&str, &str)| TenantSource {
            columns: idents(&[column]),
            parent: name(parent),
            parent_columns: idents(&["id"]),
            parent_tenant: ident("tenant_id"),
            collations: Default::default(),
        };
        KeepLegacyWrites {
            table: name(table),
            column: ident("tenant_id"),
            type_name: sql!("integer"),
            reused: false,
            parents: references.iter().map(source).collect(),
            quarantine: None,
        }
    }

    fn orders() -> KeepLegacyWrites {
        keeper("public.orders", &[("customer_id", "public.customers")])
    }

    fn step(keeper: KeepLegacyWrites, still_read: &[&str]) -> Step {
        let still_read = still_read.iter().map(|read| name(read)).collect();
        Step::ReleaseLegacyWrites(ReleaseLegacyWrites { keeper, still_read })
    }

    #[test]
    fn scripts() {
        let step = step(orders(), &[]);
        insta::assert_snapshot!(step.id(), @"release_legacy_writes:public.orders");
        insta::assert_snapshot!(step.describe(), @"let public.orders go: nobody writes there without a context any more");
        let keeper = Step::KeepLegacyWrites(orders());
        assert_eq!(show(&step.forward()), show(&keeper.inverse()));
        assert_eq!(show(&step.inverse()), show(&keeper.forward()));
    }

    #[tokio::test]
    async fn the_trigger_goes_and_comes_back() {
        let schema = "CREATE TABLE customers (id int PRIMARY KEY, tenant_id int); CREATE TABLE orders (customer_id int, tenant_id int);
             GRANT SELECT ON customers TO bastide_owner; GRANT USAGE ON SCHEMA public TO bastide_owner";
        let mut trial = Trial::of("integer", schema).await;
        trial.forward(&Step::KeepLegacyWrites(orders())).await;
        let mut expected = trial.catalog().await;
        let step = step(orders(), &[]);
        trial.round(&step).await;
        step.apply(&mut expected);
        assert_eq!(expected.table(&name("public.orders")).map(|table| table.triggers.len()), Some(0));
    }

    #[tokio::test]
    async fn what_other_keepers_read_stays_readable_until_the_last_goes() {
        let schema = "CREATE SCHEMA crm; CREATE TABLE crm.customers (id int PRIMARY KEY, tenant_id int); CREATE TABLE crm.shared (id int PRIMARY KEY);
             CREATE TABLE orders (id int PRIMARY KEY, customer_id int REFERENCES crm.customers, tenant_id int);
             CREATE TABLE returns (customer_id int REFERENCES crm.customers, order_id int REFERENCES orders, shared_id int REFERENCES crm.shared, tenant_id int);
             CREATE TABLE staff (shared_id int REFERENCES crm.shared, order_id int REFERENCES orders, tenant_id int)";
        let mut trial = Trial::of("integer", schema).await;
        let keepers = [
            keeper("public.orders", &[("customer_id", "crm.customers")]),
            keeper("public.returns", &[("customer_id", "crm.customers"), ("order_id", "public.orders")]),
            // It references more than it looks up.
            keeper("public.staff", &[]),
        ];
        for keeper in &keepers {
            trial.forward(&Step::KeepLegacyWrites(keeper.clone())).await;
        }
        let [orders, returns, staff] = keepers;
        for step in [step(orders, &["crm.customers", "public.orders"]), step(returns, &[]), step(staff, &[])] {
            trial.round(&step).await;
        }
        let held = "SELECT count(*) FROM pg_class c, aclexplode(c.relacl) a WHERE a.grantee = 'bastide_owner'::regrole AND c.relowner <> a.grantee";
        assert_eq!(trial.db.query_one_text(held).await, "0");
    }
}
