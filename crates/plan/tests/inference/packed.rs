//! How evidence is kept: many rows to a line, a view that shows each, and passes that can run again.

use bastide_plan::inference::{REOPENING, assign_script};

use crate::fixture::{bootstrap, graph, run};

const LINES: &str = "SELECT seq, rows, with_tenant, pass, conflict FROM bastide.assigned ORDER BY seq";

#[tokio::test]
async fn a_thousand_rows_to_a_line_and_the_view_shows_each_of_them() {
    let server = bastide_testkit::server().await;
    let db = server.database("packed").await;
    bootstrap(&db).await;
    db.execute(
        r#"CREATE TABLE m (id integer PRIMARY KEY); INSERT INTO m VALUES (0), (1), (2);
         CREATE TABLE c (id integer PRIMARY KEY, m_id integer REFERENCES m); INSERT INTO c SELECT id, id FROM m;
         CREATE TABLE "It's" ("A ""b""" text, n integer, one integer REFERENCES c, other integer REFERENCES c, PRIMARY KEY ("A ""b""", n));
         INSERT INTO "It's" SELECT 'quote '' " \ [,]', n, CASE WHEN n % 7 > 0 THEN n % 3 END, CASE WHEN n % 500 = 0 THEN (n + 1) % 3 END FROM generate_series(1, 2300) AS n"#,
    )
    .await;
    let graph = graph(&db, "public.m", "id", &[("public.c", "m_id"), ("public.It's", "tenant_id")]).await;
    let script = assign_script(&graph, None, 1);
    run(&db, &script).await.unwrap();
    // Four rows are in conflict, and in a line of their own.
    assert_eq!(
        db.query_rows(LINES).await,
        ["1|1000|857|1|f", "1001|1000|857|1|f", "2001|296|254|1|f", "2297|4|0|1|t"]
    );
    let wrong = r#"SELECT count(*) FROM "It's" AS t FULL JOIN bastide.assignment AS a ON a.key = jsonb_build_array(t."A ""b""", t.n::text)
        WHERE t.n IS NULL OR a.kind IS DISTINCT FROM CASE WHEN other IS NOT NULL THEN 'conflict' WHEN one IS NULL THEN 'unreachable' ELSE 'parent' END
           OR a.tenant IS DISTINCT FROM CASE WHEN other IS NULL THEN one::text END OR a.path IS NULL OR a.relation <> '"public"."It''s"'"#;
    assert_eq!(db.query_one_text(wrong).await, "0");
    let out_of_order = "SELECT count(*) FROM (SELECT (key->>1)::int - lag((key->>1)::int) OVER (ORDER BY seq) AS step FROM bastide.assignment WHERE kind <> 'conflict') AS s WHERE step < 1";
    assert_eq!(db.query_one_text(out_of_order).await, "0", "as the rows lie in the table");

    let rules = db.query_rows("SELECT id, kind, path FROM bastide.rule ORDER BY id").await;
    db.execute(r#"DELETE FROM "It's" WHERE n > 2"#).await;
    run(&db, &script).await.unwrap();
    assert_eq!(db.query_rows("SELECT id, kind, path FROM bastide.rule ORDER BY id").await, rules);
    assert_eq!(db.query_rows(LINES).await[4..], ["2301|2|2|1|f"], "what it finds now is added");
    let tenants = "SELECT count(*) || ' ' || count(DISTINCT tenant) FROM bastide.assigned_tenant";
    assert_eq!(db.query_one_text(tenants).await, "3 3");
    assert_eq!(db.query_one_text("SELECT count(DISTINCT seq) FROM bastide.assignment").await, "2302");
}

#[tokio::test]
async fn a_row_in_conflict_stays_in_quarantine_whatever_is_written_since() {
    let server = bastide_testkit::server().await;
    let db = server.database("packed").await;
    bootstrap(&db).await;
    db.execute(
        "CREATE TABLE m (id integer PRIMARY KEY); INSERT INTO m VALUES (1), (2), (9);
         CREATE TABLE c (id integer PRIMARY KEY, m_id integer REFERENCES m); INSERT INTO c VALUES (1, 1), (2, 2);
         CREATE TABLE keyed (id integer PRIMARY KEY, one integer REFERENCES c, other integer REFERENCES c, tenant_id integer);
         INSERT INTO keyed VALUES (1, 1, 2), (2, NULL, NULL), (3, NULL, NULL);
         CREATE TABLE keyless (what text, one integer REFERENCES c, other integer REFERENCES c, tenant_id integer);
         INSERT INTO keyless SELECT 'it''s ' || id, one, other FROM keyed",
    )
    .await;
    let scoped = [("public.c", "m_id"), ("public.keyed", "tenant_id"), ("public.keyless", "tenant_id")];
    let graph = graph(&db, "public.m", "id", &scoped).await;
    run(&db, &assign_script(&graph, Some("9"), 1)).await.unwrap();
    let reopening = assign_script(&graph.reopen("9"), None, REOPENING);
    // Parents change under rows whose key, or whose other columns, stay: 1 would now be unanimous, 2 is.
    db.execute("UPDATE keyed SET tenant_id = 9; UPDATE keyless SET tenant_id = 9; UPDATE keyed SET other = NULL WHERE id = 1; UPDATE keyed SET one = 2 WHERE id = 2; UPDATE c SET m_id = 1").await;
    run(&db, &reopening).await.unwrap();
    let found = format!(
        "SELECT relation, key, tenant, kind FROM bastide.assignment WHERE rule > {} ORDER BY relation, key",
        bastide_plan::inference::rules_of_pass(REOPENING).0
    );
    // The keyless row in conflict has two parents of one tenant by now.
    assert_eq!(db.query_rows(&found).await, [r#""public"."keyed"|["2"]|1|parent"#]);
    db.execute("DELETE FROM bastide.assigned; DELETE FROM bastide.assigned_keyless").await;
    run(&db, &reopening).await.unwrap();
    assert_eq!(db.query_rows(&found).await.len(), 3, "only what was recorded kept them there");
}
