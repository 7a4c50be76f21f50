//! Every row's tenant, inferred set-wise inside the database and recorded with its evidence before any row is touched.

use bastide_catalog::Catalog;
use bastide_sql::{LockMode, QualifiedName, Sql, sql};
use serde::{Deserialize, Serialize};

use crate::{Script, inference};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InferTenants {
    /// 1; the sweep after the first backfill, which settles rows still without a tenant, is 2; cutover's second look at
    /// quarantine is 3.
    pub pass: u32,
    /// From [`crate::inference`]; ends by writing `bastide.rule` and `bastide.assignment` (rows still without a tenant go to quarantine with their reason).
    pub script: Vec<Sql>,
    /// None: a declaration, which asks no row.
    pub reads: Vec<QualifiedName>,
}

impl InferTenants {
    pub(super) fn subject(&self) -> String {
        self.pass.to_string()
    }

    pub(super) fn describe(&self) -> String {
        if self.reads.is_empty() {
            "record that each row is the new root's first tenant's, as declared".to_owned()
        } else if self.pass == 1 {
            "infer whose each row is".to_owned()
        } else if self.pass == inference::REOPENING {
            "look at the rows in quarantine again".to_owned()
        } else {
            "infer whose the rows written meanwhile are".to_owned()
        }
    }

    pub(super) fn forward(&self) -> Script {
        if self.reads.is_empty() {
            return Script::unlocked(self.script.clone());
        }
        Script {
            prelude: inference::prelude(),
            ..Script::long(LockMode::AccessShare, self.reads.clone(), self.script.clone())
        }
    }

    /// Each pass takes back its own; cutover may be undone and tried again, and then records its findings anew. The first
    /// is undone last and leaves nothing.
    pub(super) fn inverse(&self) -> Script {
        let delete = |table: &'static str, mine: Sql| {
            let mine = if self.pass == 1 { sql!("") } else { mine };
            sql!(
                "DELETE FROM bastide.{} WHERE run_id = current_setting('bastide.run')::uuid{}",
                Sql::trusted(table),
                mine
            )
        };
        let of_pass = || sql!(" AND pass = {}", self.pass);
        let (above, up_to) = inference::rules_of_pass(self.pass);
        let mut statements = vec![
            delete("assigned", of_pass()),
            delete("assigned_keyless", of_pass()),
            delete("rule", sql!(" AND id > {} AND id <= {}", above, up_to)),
        ];
        if self.pass == 1 {
            statements.push(delete("assigned_tenant", sql!("")));
        }
        Script { lock: None, ..Script::long(LockMode::AccessShare, Vec::new(), statements) }
    }

    /// What was inferred is not part of a snapshot.
    pub(super) fn apply(&self, _: &mut Catalog) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::{
        Step,
        trial::{RUN, Trial, name, show},
    };

    fn step(pass: u32) -> Step {
        Step::InferTenants(InferTenants {
            pass,
            script: vec![
                sql!(
                    "INSERT INTO bastide.rule VALUES (current_setting('bastide.run')::uuid, 1, 'o', 'parent', 'p')"
                ),
                sql!(
                    "INSERT INTO bastide.assigned SELECT current_setting('bastide.run')::uuid, 'o', 1, 1, 0, 1, false, '[[\"1\"]]', '{NULL}', '{1}' FROM public.orders"
                ),
            ],
            reads: vec![name("public.orders")],
        })
    }

    #[test]
    fn scripts() {
        insta::assert_snapshot!(step(1).id(), @"infer_tenants:1");
        insta::assert_snapshot!(step(1).describe(), @"infer whose each row is");
        insta::assert_snapshot!(step(2).describe(), @"infer whose the rows written meanwhile are");
        insta::assert_snapshot!(show(&step(1).forward()), @r#"
        -- LongTransaction
        -- ACCESS SHARE on public.orders
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
        INSERT INTO bastide.rule VALUES (current_setting('bastide.run')::uuid, 1, 'o', 'parent', 'p');
        INSERT INTO bastide.assigned SELECT current_setting('bastide.run')::uuid, 'o', 1, 1, 0, 1, false, '[["1"]]', '{NULL}', '{1}' FROM public.orders;
        "#);
        insta::assert_snapshot!(show(&step(1).inverse()), @r"
        -- LongTransaction
        DELETE FROM bastide.assigned WHERE run_id = current_setting('bastide.run')::uuid;
        DELETE FROM bastide.assigned_keyless WHERE run_id = current_setting('bastide.run')::uuid;
        DELETE FROM bastide.rule WHERE run_id = current_setting('bastide.run')::uuid;
        DELETE FROM bastide.assigned_tenant WHERE run_id = current_setting('bastide.run')::uuid;
        ");
        insta::assert_snapshot!(show(&step(2).inverse()), @r"
        -- LongTransaction
        DELETE FROM bastide.assigned WHERE run_id = current_setting('bastide.run')::uuid AND pass = 2;
        DELETE FROM bastide.assigned_keyless WHERE run_id = current_setting('bastide.run')::uuid AND pass = 2;
        DELETE FROM bastide.rule WHERE run_id = current_setting('bastide.run')::uuid AND id > 1000000 AND id <= 2000000;
        ");
    }

    #[tokio::test]
    async fn a_declaration_is_recorded_and_taken_back() {
        let mut trial = Trial::of("uuid", "").await;
        let script = inference::declare_script(&[name("public.orders"), name("public.Lines")]);
        let step = Step::InferTenants(InferTenants { pass: 1, script, reads: Vec::new() });
        insta::assert_snapshot!(step.describe(), @"record that each row is the new root's first tenant's, as declared");
        insta::assert_snapshot!(show(&step.forward()), @r#"
        -- Transaction
        INSERT INTO bastide.rule (run_id, id, relation, kind, path)
        SELECT current_setting('bastide.run')::uuid, v.id, v.relation, 'declared', 'declared by --new-tenant-root' FROM (VALUES (1, '"public"."orders"'), (2, '"public"."Lines"')) AS v (id, relation);
        "#);
        let rules = "SELECT id, relation, kind, path, run_id FROM bastide.rule ORDER BY id";
        trial.round(&step).await;
        assert_eq!(
            trial.db.query_rows(rules).await,
            [
                format!("1|\"public\".\"orders\"|declared|declared by --new-tenant-root|{RUN}"),
                format!("2|\"public\".\"Lines\"|declared|declared by --new-tenant-root|{RUN}"),
            ]
        );
        trial.undo(&step).await;
        assert_eq!(trial.db.query_rows(rules).await, Vec::<String>::new());
    }

    #[tokio::test]
    async fn what_was_recorded_is_taken_back() {
        let mut trial =
            Trial::of("integer", "CREATE TABLE orders (id int); INSERT INTO orders VALUES (1)").await;
        let count =
            "SELECT (SELECT count(*) FROM bastide.rule) || ' ' || (SELECT count(*) FROM bastide.assignment)";
        trial.execute(&format!("INSERT INTO bastide.run (id, format, bastide, state, phase, plan) SELECT gen_random_uuid(), format, bastide, state, phase, plan FROM bastide.run WHERE id = '{RUN}'")).await;
        trial.execute(&format!("INSERT INTO bastide.rule SELECT id, 1, 'o', 'parent', 'an earlier run' FROM bastide.run WHERE id <> '{RUN}'")).await;
        trial.round(&step(1)).await;
        assert_eq!(trial.db.query_one_text(count).await, "2 1");
        trial.undo(&step(2)).await;
        assert_eq!(trial.db.query_one_text(count).await, "2 1", "the first backfill still needs it");
        trial.undo(&step(1)).await;
        assert_eq!(trial.db.query_one_text(count).await, "1 0");
    }
}
