//! Code that a new column breaks is named before it does, by question or by note.

use bastide_engine::EngineError;
use bastide_plan::Plan;
use bastide_testkit::server_with;

use crate::scene::{Scene, config};

/// Functions that are called before and after. Those named `breaks_…` fail once `notes` has a tenant column.
const CODE: &str = r#"
CREATE EXTENSION pg_stat_statements;
CREATE TABLE merchants (id int PRIMARY KEY, slug text NOT NULL);
CREATE TABLE customers (id int PRIMARY KEY, merchant_id int NOT NULL REFERENCES merchants);
CREATE TABLE notes (id int PRIMARY KEY, customer_id int NOT NULL REFERENCES customers, body text);
CREATE TABLE gone (id int PRIMARY KEY, customer_id int NOT NULL REFERENCES customers, body text);
CREATE TABLE archive (id int, customer_id int, body text);
INSERT INTO merchants VALUES (1, 'a'), (2, 'b'); INSERT INTO customers VALUES (1, 1), (2, 2);
INSERT INTO notes SELECT i, i % 2 + 1, 'n' FROM generate_series(1, 20) i;
CREATE FUNCTION breaks_insert() RETURNS int LANGUAGE plpgsql AS 'BEGIN INSERT INTO archive SELECT * FROM notes; RETURN 1; END';
CREATE FUNCTION breaks_query() RETURNS TABLE (a int, b int, c text) LANGUAGE plpgsql AS 'BEGIN RETURN QUERY SELECT * FROM notes; END';
CREATE FUNCTION breaks_sql() RETURNS TABLE (a int, b int, c text) LANGUAGE sql AS 'SELECT * FROM notes';
CREATE FUNCTION breaks_union() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM (SELECT * FROM notes UNION ALL SELECT * FROM archive) AS both_of_them';
CREATE FUNCTION breaks_columns() RETURNS SETOF notes LANGUAGE sql AS 'SELECT id, customer_id, body FROM notes';
CREATE FUNCTION breaks_row() RETURNS text LANGUAGE sql AS 'SELECT (ROW(1, 2, ''x'')::notes).body';
CREATE FUNCTION breaks_parsed() RETURNS SETOF notes BEGIN ATOMIC SELECT * FROM notes; END;
CREATE FUNCTION whole() RETURNS SETOF notes LANGUAGE sql AS 'SELECT * FROM notes';
CREATE FUNCTION whole_parsed() RETURNS SETOF notes BEGIN ATOMIC SELECT n FROM notes AS n; END;
CREATE FUNCTION parsed_table() RETURNS TABLE (a int, b int, c text) BEGIN ATOMIC SELECT * FROM notes; END;
CREATE FUNCTION counted() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM notes';
CREATE FUNCTION into_record() RETURNS int LANGUAGE plpgsql AS 'DECLARE r notes%ROWTYPE; i int; BEGIN SELECT * INTO r FROM notes; SELECT * INTO i FROM notes; RETURN r.id; END';
CREATE FUNCTION named_insert() RETURNS int LANGUAGE plpgsql AS 'BEGIN INSERT INTO archive (id) SELECT id FROM notes; RETURN 1; END';
CREATE VIEW starred AS SELECT * FROM notes NATURAL JOIN (SELECT id FROM notes) AS i;
CREATE RULE kept AS ON DELETE TO notes DO INSERT INTO gone SELECT OLD.*;
"#;

const CALLS: [&str; 15] = [
    "SELECT breaks_insert()",
    "SELECT breaks_query()",
    "SELECT breaks_sql()",
    "SELECT breaks_union()",
    "SELECT breaks_columns()",
    "SELECT breaks_row()",
    "SELECT breaks_parsed()",
    "SELECT whole()",
    "SELECT whole_parsed()",
    "SELECT parsed_table()",
    "SELECT counted()",
    "SELECT into_record()",
    "SELECT named_insert()",
    "SELECT * FROM starred",
    "DELETE FROM notes WHERE id = 20",
];

async fn failing(scene: &Scene) -> Vec<&'static str> {
    let mut failing = Vec::new();
    for call in CALLS {
        let client = scene.db.client().await;
        client.batch_execute("BEGIN").await.unwrap();
        if client.batch_execute(call).await.is_err() {
            failing.push(call);
        }
    }
    failing
}

fn named(plan: &Plan, function: &str) -> bool {
    let texts = plan.notes.iter().chain(plan.questions.iter().map(|question| &question.text));
    texts.into_iter().any(|text| text.contains(&format!("the function {function}()")))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_breaks_was_named_and_what_does_not_was_not() {
    let server = server_with(&[("shared_preload_libraries", "pg_stat_statements")]).await;
    let db = server.database("shop").await;
    db.execute(CODE).await;
    let copy = std::env::temp_dir().join(format!("bastide-copy-{}", std::process::id()));
    std::fs::write(&copy, "").unwrap();
    db.execute(&format!("COPY notes FROM '{}'", copy.display())).await;
    db.execute(&format!("COPY customers (id, merchant_id) FROM '{}'", copy.display())).await;
    std::fs::remove_file(&copy).unwrap();
    let mut scene = Scene::on(server, db, config());
    assert_eq!(failing(&scene).await, Vec::<&str>::new());

    // What is certain is asked, and no default answers it.
    let plan = scene.plan().await;
    let open: Vec<_> = plan.open().map(|question| question.id.clone()).collect();
    assert_eq!(open, ["code:breaks_parsed()", "copy:public.notes"]);
    let error = scene.migrate(&scene.options().await).await.unwrap_err();
    assert!(matches!(error, EngineError::OpenQuestions { .. }) && error.exit_code() == 2, "{error}");
    scene.config.answers.extend(open.into_iter().map(|id| (id, "accept".to_owned())));

    let plan = scene.plan().await;
    for call in CALLS.iter().filter_map(|call| call.strip_prefix("SELECT ")?.strip_suffix("()")) {
        assert_eq!(named(&plan, call), call.starts_with("breaks_"), "{call}: {:#?}", plan.notes);
    }
    scene.migrate(&scene.options().await).await.unwrap();
    let broken = failing(&scene).await;
    let foreseen: Vec<_> = CALLS.into_iter().filter(|call| call.contains("breaks_")).collect();
    assert_eq!(broken, foreseen);
    scene.rollback(None).await.unwrap();
    assert_eq!(failing(&scene).await, Vec::<&str>::new());
}
