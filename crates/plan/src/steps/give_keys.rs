//! Keys and tenants that a rule's CSV file gave, kept where inference looks them up.

use bastide_catalog::Catalog;
use bastide_sql::{Literal, LockMode, Sql, sql};
use serde::{Deserialize, Serialize};

use super::session;
use crate::Script;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GiveKeys {
    pub rule: String,
    pub keys: usize,
    /// From [`crate::inference::give`].
    pub script: Vec<Sql>,
}

impl GiveKeys {
    pub(super) fn subject(&self) -> String {
        self.rule.clone()
    }

    pub(super) fn describe(&self) -> String {
        format!("bring in {} keys of the rule {}", self.keys, self.rule)
    }

    /// Long only by its length: it locks nothing of the user's.
    pub(super) fn forward(&self) -> Script {
        Script {
            prelude: session::canonical_text(),
            lock: None,
            ..Script::long(LockMode::AccessShare, Vec::new(), self.script.clone())
        }
    }

    pub(super) fn inverse(&self) -> Script {
        Script::unlocked(vec![sql!(
            "DELETE FROM bastide.given WHERE run_id = current_setting('bastide.run')::uuid AND rule = {}",
            Literal::text(&self.rule)
        )])
    }

    /// Rows are not part of a snapshot.
    pub(super) fn apply(&self, _: &mut Catalog) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        GivenKey, GivenKeys,
        inference::{Given, give},
        steps::{
            Step,
            trial::{Trial, idents, show},
        },
    };

    fn step(keys: &[(&str, &str)]) -> Step {
        let rows = keys.iter().enumerate().map(|(at, (key, tenant))| GivenKey {
            line: at + 2,
            key: vec![(*key).to_owned()],
            tenant: (*tenant).to_owned(),
        });
        let keys = GivenKeys { columns: idents(&["id"]), rows: rows.collect() };
        let script = give(Given::Run, "it's", &[sql!("integer")], &sql!("text"), &keys);
        Step::GiveKeys(GiveKeys { rule: "it's".to_owned(), keys: keys.rows.len(), script })
    }

    #[test]
    fn scripts() {
        insta::assert_snapshot!(step(&[]).id(), @"give_keys:it's");
        insta::assert_snapshot!(step(&[]).describe(), @"bring in 0 keys of the rule it's");
        insta::assert_snapshot!(show(&step(&[("1", "a")]).forward()), @r#"
        -- LongTransaction
        SET LOCAL DateStyle = 'ISO, YMD';
        SET LOCAL IntervalStyle = 'postgres';
        SET LOCAL TimeZone = 'UTC';
        SET LOCAL extra_float_digits = 1;
        SET LOCAL bytea_output = 'hex';
        INSERT INTO bastide.given (run_id, rule, key, tenant) SELECT current_setting('bastide.run')::uuid, 'it''s', jsonb_build_array((v->>0)::integer::text), (v->>1)::text::text FROM jsonb_array_elements('[["1","a"]]'::jsonb) AS v;
        "#);
        insta::assert_snapshot!(show(&step(&[]).inverse()), @"
        -- Transaction
        DELETE FROM bastide.given WHERE run_id = current_setting('bastide.run')::uuid AND rule = 'it''s';
        ");
    }

    #[tokio::test]
    async fn keys_are_brought_into_the_form_that_the_server_prints() {
        let mut trial = Trial::of("integer", "").await;
        let step = step(&[("007", "1"), (" 8 ", r"x \ 'y'")]);
        trial.round(&step).await;
        let given = "SELECT rule, key, tenant FROM bastide.given ORDER BY key";
        assert_eq!(trial.db.query_rows(given).await, [r#"it's|["7"]|1"#, r#"it's|["8"]|x \ 'y'"#]);
        trial.undo(&step).await;
        assert_eq!(trial.db.query_rows(given).await, Vec::<String>::new());
    }

    #[tokio::test]
    async fn keys_given_twice_and_values_of_another_type_fail() {
        let trial = Trial::of("integer", "").await;
        for (keys, state) in [([("7", "1"), ("07", "1")], "23505"), ([("7", "1"), ("seven", "1")], "22P02")] {
            let script = step(&keys).forward();
            assert_eq!(trial.refused(script.statements[0].as_str()).await, state);
        }
    }
}
