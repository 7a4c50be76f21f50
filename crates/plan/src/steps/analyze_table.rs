//! Fresh statistics, so that plans see the tenant column.

use bastide_catalog::Catalog;
use bastide_sql::{LockMode, QualifiedName, sql};
use serde::{Deserialize, Serialize};

use crate::Script;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnalyzeTable {
    pub table: QualifiedName,
}

impl AnalyzeTable {
    pub(super) fn subject(&self) -> String {
        self.table.to_string()
    }

    pub(super) fn describe(&self) -> String {
        format!("analyse {}", self.table)
    }

    pub(super) fn forward(&self) -> Script {
        let analyze = sql!("ANALYZE {}", self.table);
        Script::autocommit(LockMode::ShareUpdateExclusive, vec![self.table.clone()], vec![analyze])
    }

    /// Statistics are not part of the schema; the server renews them itself.
    pub(super) fn inverse(&self) -> Script {
        Script::nothing()
    }

    pub(super) fn apply(&self, _: &mut Catalog) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::{
        Step,
        trial::{Trial, name, show},
    };

    fn step() -> Step {
        Step::AnalyzeTable(AnalyzeTable { table: name("public.orders") })
    }

    #[test]
    fn scripts() {
        insta::assert_snapshot!(step().id(), @"analyze_table:public.orders");
        insta::assert_snapshot!(step().describe(), @"analyse public.orders");
        insta::assert_snapshot!(show(&step().forward()), @r#"
        -- Autocommit
        -- SHARE UPDATE EXCLUSIVE on public.orders
        ANALYZE "public"."orders";
        "#);
        insta::assert_snapshot!(show(&step().inverse()), @"-- Nothing");
    }

    #[tokio::test]
    async fn statistics_are_there_afterwards() {
        let schema = "CREATE TABLE orders AS SELECT i AS id FROM generate_series(1, 100) AS i";
        let mut trial = Trial::of("uuid", schema).await;
        trial.round(&step()).await;
        let rows = "SELECT reltuples::int FROM pg_class WHERE oid = 'public.orders'::regclass";
        assert_eq!(trial.db.query_one_text(rows).await, "100");
    }
}
