//! After cutover nobody writes without a context, so the trigger has nothing left to do.

use bastide_catalog::Catalog;
use serde::{Deserialize, Serialize};

use crate::{Script, steps::KeepLegacyWrites};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseLegacyWrites {
    pub keeper: KeepLegacyWrites,
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
        self.keeper.unapply(catalog);
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

    fn keeper() -> KeepLegacyWrites {
        KeepLegacyWrites {
            table: name("public.orders"),
            column: ident("tenant_id"),
            type_name: sql!("integer"),
            reused: false,
            parents: vec![TenantSource {
                columns: idents(&["customer_id"]),
                parent: name("public.customers"),
                parent_columns: idents(&["id"]),
                parent_tenant: ident("tenant_id"),
            }],
            quarantine: None,
        }
    }

    fn step() -> Step {
        Step::ReleaseLegacyWrites(ReleaseLegacyWrites { keeper: keeper() })
    }

    #[test]
    fn scripts() {
        insta::assert_snapshot!(step().id(), @"release_legacy_writes:public.orders");
        insta::assert_snapshot!(step().describe(), @"let public.orders go: nobody writes there without a context any more");
        let keeper = Step::KeepLegacyWrites(keeper());
        assert_eq!(show(&step().forward()), show(&keeper.inverse()));
        assert_eq!(show(&step().inverse()), show(&keeper.forward()));
    }

    #[tokio::test]
    async fn the_trigger_goes_and_comes_back() {
        let schema = "CREATE TABLE customers (id int PRIMARY KEY, tenant_id int); CREATE TABLE orders (customer_id int, tenant_id int);
             GRANT SELECT ON customers TO bastide_owner; GRANT USAGE ON SCHEMA public TO bastide_owner";
        let mut trial = Trial::of("integer", schema).await;
        trial.forward(&Step::KeepLegacyWrites(keeper())).await;
        let mut expected = trial.catalog().await;
        trial.round(&step()).await;
        step().apply(&mut expected);
        assert_eq!(expected.table(&name("public.orders")).map(|table| table.triggers.len()), Some(0));
    }
}
