//! Rows that no tenant may keep leave the live tables, with what depends on them, for `bastide.held`.

use bastide_catalog::Catalog;
use bastide_sql::{QualifiedName, Sql};
use serde::{Deserialize, Serialize};

use super::rows;
use crate::{Script, inference::HeldLayout};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldAside {
    /// Finds the rows and moves them, children first, in transactions of its own.
    pub script: Vec<Sql>,
    pub restore: Vec<Sql>,
    pub tables: Vec<QualifiedName>,
    /// How the rows are written down; what rollback needs to see whether they can come back.
    #[serde(default)]
    pub layouts: Vec<HeldLayout>,
    /// What the step is about, for its id: usually `quarantine`.
    pub name: String,
}

impl HoldAside {
    pub(super) fn subject(&self) -> String {
        self.name.clone()
    }

    pub(super) fn describe(&self) -> String {
        "hold aside the rows that no tenant may keep".to_owned()
    }

    pub(super) fn forward(&self) -> Script {
        rows::change(&self.tables, &self.script)
    }

    pub(super) fn inverse(&self) -> Script {
        rows::put_back(&self.tables, &self.restore)
    }

    /// Rows are not part of a snapshot.
    pub(super) fn apply(&self, _: &mut Catalog) {}
}

#[cfg(test)]
mod tests {
    use bastide_sql::sql;

    use super::*;
    use crate::steps::{
        Step,
        trial::{Trial, name, show},
    };

    fn step() -> Step {
        Step::HoldAside(HoldAside {
            script: vec![sql!(
                "DO $$ BEGIN
                   SET LOCAL session_replication_role = replica;
                   INSERT INTO bastide.held (run_id, relation, key, row, reason) SELECT current_setting('bastide.run')::uuid, 'orders', jsonb_build_array(id::text), t::text, 'crossing' FROM public.orders AS t WHERE id = 2;
                   DELETE FROM public.orders WHERE id = 2;
                 END $$"
            )],
            restore: vec![
                sql!("INSERT INTO public.orders SELECT (row::public.orders).* FROM bastide.held"),
                sql!("DELETE FROM bastide.held"),
            ],
            tables: vec![name("public.orders")],
            layouts: Vec::new(),
            name: "quarantine".to_owned(),
        })
    }

    #[test]
    fn scripts() {
        insta::assert_snapshot!(step().id(), @"hold_aside:quarantine");
        insta::assert_snapshot!(step().describe(), @"hold aside the rows that no tenant may keep");
        insta::assert_snapshot!(show(&step().forward()), @r"
        -- Autocommit
        -- ROW EXCLUSIVE on public.orders
        DO $$ BEGIN
                           SET LOCAL session_replication_role = replica;
                           INSERT INTO bastide.held (run_id, relation, key, row, reason) SELECT current_setting('bastide.run')::uuid, 'orders', jsonb_build_array(id::text), t::text, 'crossing' FROM public.orders AS t WHERE id = 2;
                           DELETE FROM public.orders WHERE id = 2;
                         END $$;
        ");
        insta::assert_snapshot!(show(&step().inverse()), @r#"
        -- Transaction
        -- SHARE ROW EXCLUSIVE on public.orders
        SET TRANSACTION ISOLATION LEVEL REPEATABLE READ;
        SET LOCAL row_security = off;
        SET LOCAL statement_timeout = 0;
        SET LOCAL jit = off;
        SET LOCAL work_mem = '16MB';
        SET LOCAL hash_mem_multiplier = 1;
        SET LOCAL maintenance_work_mem = '32MB';
        SET LOCAL DateStyle = 'ISO, YMD';
        SET LOCAL IntervalStyle = 'postgres';
        SET LOCAL TimeZone = 'UTC';
        SET LOCAL extra_float_digits = 1;
        SET LOCAL bytea_output = 'hex';
        SET LOCAL session_replication_role = replica;
        INSERT INTO public.orders SELECT (row::public.orders).* FROM bastide.held;
        DELETE FROM bastide.held;
        "#);
    }

    #[tokio::test]
    async fn rows_leave_and_come_back_unnoticed() {
        let schema = "CREATE TABLE orders (id int PRIMARY KEY, note text); INSERT INTO orders VALUES (1, 'a'), (2, 'it''s, (b)');
             CREATE FUNCTION loud() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'woken'; END $$;
             CREATE TRIGGER loud BEFORE INSERT OR DELETE ON orders FOR EACH ROW EXECUTE FUNCTION loud()";
        let mut trial = Trial::of("integer", schema).await;
        let before = trial.db.fingerprints().await;
        trial.forward(&step()).await;
        assert_eq!(trial.db.query_one_text("SELECT count(*) FROM public.orders").await, "1");
        trial.undo(&step()).await;
        assert_eq!(trial.db.fingerprints().await, before);
        trial.round(&step()).await;
    }
}
