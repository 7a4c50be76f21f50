//! Links that cross are cut, copied or moved as answered, and everything is put back as it was.

use bastide_plan::inference::{
    Graph, How, SettleScripts, SettledLink, crossing_counts, hold_aside, settle_links,
};
use bastide_sql::{Ident, sql};
use bastide_testkit::Database;

use crate::fixture::{alone, bootstrap, graph, name, run};

/// Tenants 1 and 2; a table per way to settle a link, with a name that must be quoted and a table without a key.
const SHOP: &str = r#"
    CREATE TABLE m (id integer PRIMARY KEY); INSERT INTO m VALUES (1), (2), (3);
    CREATE TABLE region (id serial PRIMARY KEY, name text, m_id integer REFERENCES m);
    CREATE TABLE c (id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, region_id integer REFERENCES region, name text,
        shout text GENERATED ALWAYS AS (upper(name)) STORED, m_id integer REFERENCES m);
    CREATE TABLE "O ld" (id integer PRIMARY KEY, "C" integer NOT NULL REFERENCES c, branch integer REFERENCES region, note text, m_id integer REFERENCES m);
    CREATE TABLE visit (c_id integer REFERENCES c, branch integer REFERENCES region, m_id integer REFERENCES m);
    CREATE TABLE line (o_id integer REFERENCES "O ld", n integer, m_id integer REFERENCES m, PRIMARY KEY (o_id, n));
    CREATE TABLE log (id integer PRIMARY KEY, c_id integer REFERENCES c);
    INSERT INTO region (name, m_id) VALUES ('north', 1), ('south', 2);
    INSERT INTO c (region_id, name, m_id) VALUES (1, 'shared, (by) "all"\', 1), (2, 'two''s', 2), (NULL, NULL, 1);
    INSERT INTO "O ld" VALUES (1, 1, 1, 'fine', 1), (2, 1, 2, 'uses one''s', 2), (3, 1, NULL, 'three''s', 3), (4, 2, 1, 'cut', 2), (5, 1, 2, 'both', 2);
    INSERT INTO visit VALUES (1, 1, 1), (1, 2, 2), (1, 2, 2), (2, 1, 2), (2, 1, 2), (2, NULL, 2);
    INSERT INTO line VALUES (1, 1, 1), (2, 1, 2), (2, 2, 2);
    INSERT INTO log VALUES (1, 1);
    CREATE FUNCTION noisy() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'a trigger fired'; END $$;
    CREATE TRIGGER noisy BEFORE INSERT OR UPDATE OR DELETE ON c FOR EACH ROW EXECUTE FUNCTION noisy();
    CREATE TRIGGER noisy BEFORE INSERT OR UPDATE OR DELETE ON "O ld" FOR EACH ROW EXECUTE FUNCTION noisy();"#;

const SCOPED: [(&str, &str); 5] = [
    ("public.region", "m_id"),
    ("public.c", "m_id"),
    ("public.\"O ld\"", "m_id"),
    ("public.visit", "m_id"),
    ("public.line", "m_id"),
];

fn ident(name: &str) -> Ident {
    Ident::new(name).unwrap()
}

fn answered(table: &str, foreign_key: &str, how: How) -> SettledLink {
    SettledLink { table: name(table), foreign_key: ident(foreign_key), how }
}

fn copy_of_c() -> How {
    How::Copy(vec![(ident("id"), sql!("nextval(pg_get_serial_sequence('public.c', 'id'))"))])
}

fn copy_of_region() -> How {
    How::Copy(vec![(ident("id"), sql!("nextval('public.region_id_seq'::regclass)"))])
}

async fn shop(schema: &str) -> (bastide_testkit::Server, Database) {
    let server = bastide_testkit::server().await;
    let db = server.database("settled").await;
    bootstrap(&db).await;
    db.execute(schema).await;
    (server, db)
}

/// Nothing crosses any more, and something was looked at.
async fn nothing_crosses(db: &Database, graph: &Graph) {
    let mut looked_at = 0;
    for link in crossing_counts(graph) {
        for row in db.query_rows(link.counts.as_str()).await {
            let (rows, crossing) = row.split_once('|').unwrap();
            assert_eq!(crossing, "0", "{:?}", link.link);
            looked_at += rows.parse::<u64>().unwrap_or_default();
        }
    }
    assert!(looked_at > 0);
}

async fn dangling(db: &Database) -> String {
    db.query_one_text(
        r#"SELECT (SELECT count(*) FROM "O ld" o WHERE NOT EXISTS (SELECT FROM c WHERE id = o."C"))
         + (SELECT count(*) FROM "O ld" o WHERE branch IS NOT NULL AND NOT EXISTS (SELECT FROM region WHERE id = branch))
         + (SELECT count(*) FROM visit WHERE c_id IS NOT NULL AND NOT EXISTS (SELECT FROM c WHERE id = c_id))
         + (SELECT count(*) FROM line l WHERE NOT EXISTS (SELECT FROM "O ld" WHERE id = l.o_id))"#,
    )
    .await
}

async fn lost(db: &Database, scripts: &SettleScripts) -> Vec<String> {
    let mut client = db.client().await;
    let transaction = client.transaction().await.unwrap();
    for statement in &scripts.checks.prepare {
        transaction.batch_execute(statement.as_str()).await.unwrap();
    }
    transaction
        .batch_execute("SET LOCAL bastide.run = '00000000-0000-0000-0000-000000000001'")
        .await
        .unwrap();
    let mut found = Vec::new();
    for lost in &scripts.checks.lost {
        let row = transaction
            .query_one(lost.query.as_str(), &[])
            .await
            .unwrap_or_else(|error| panic!("{error:?}\n{}", lost.query));
        let (count, examples): (i64, String) = (row.get(0), row.get(1));
        if count > 0 {
            found.push(format!("{count} of {} to {}: {examples}", lost.table, lost.references));
        }
    }
    found
}

#[tokio::test]
async fn each_link_is_settled_as_answered_and_put_back() {
    let (_server, db) = shop(SHOP).await;
    let graph = graph(&db, "public.m", "id", &SCOPED).await;
    let links = [
        answered("public.\"O ld\"", "O ld_C_fkey", copy_of_c()),
        answered("public.visit", "visit_c_id_fkey", copy_of_c()),
        answered("public.c", "c_region_id_fkey", copy_of_region()),
        answered("public.\"O ld\"", "O ld_branch_fkey", How::Cut(vec![ident("branch")])),
        answered("public.visit", "visit_branch_fkey", How::Cut(vec![ident("branch")])),
    ];
    let scripts = settle_links(&graph, &links, |_| true);
    let (before, schema) = (db.fingerprints().await, db.schema_dump().await);
    for round in 0..2 {
        alone(&db, &scripts.script).await.unwrap();
        alone(&db, &scripts.script).await.unwrap();
        nothing_crosses(&db, &graph).await;
        assert_eq!(dangling(&db).await, "0");
        let orders = r#"SELECT o.id, c.name, c.shout, c.m_id, r.name, r.m_id, coalesce(o.branch::text, '-') FROM "O ld" o JOIN c ON c.id = o."C" LEFT JOIN region r ON r.id = c.region_id ORDER BY 1"#;
        let orders = db.query_rows(orders).await.join("\n");
        let changed = "SELECT what, relation, count(*) FROM bastide.changed WHERE undone_at IS NULL GROUP BY 1, 2 ORDER BY 1, 2";
        let changed = db.query_rows(changed).await.join("\n");
        if round == 0 {
            insta::assert_snapshot!(orders, @r#"
            1|shared, (by) "all"\|SHARED, (BY) "ALL"\|1|north|1|1
            2|shared, (by) "all"\|SHARED, (BY) "ALL"\|2|north|2|2
            3|shared, (by) "all"\|SHARED, (BY) "ALL"\|3|north|3|-
            4|two's|TWO'S|2|south|2|-
            5|shared, (by) "all"\|SHARED, (BY) "ALL"\|2|north|2|2
            "#);
            insta::assert_snapshot!(changed, @r#"
            cut|"public"."O ld"|1
            cut|"public"."visit"|2
            made|"public"."c"|2
            made|"public"."region"|2
            redirected|"public"."O ld"|3
            redirected|"public"."c"|2
            redirected|"public"."visit"|2
            "#);
        }
        if round == 1 {
            // A row written since references a copy; with its original it stays.
            db.execute("SET session_replication_role = replica; INSERT INTO line VALUES (3, 9, 3); INSERT INTO \"O ld\" SELECT 9, \"C\", NULL, 'new', 3 FROM \"O ld\" WHERE id = 3").await;
        }
        assert_eq!(lost(&db, &scripts).await, Vec::<String>::new());
        run(&db, &scripts.restore).await.unwrap();
        assert_eq!(dangling(&db).await, "0");
        if round == 1 {
            assert_eq!(db.query_one_text("SELECT \"C\" FROM \"O ld\" WHERE id = 9").await, "1");
            db.execute("SET session_replication_role = replica; DELETE FROM line WHERE n = 9; DELETE FROM \"O ld\" WHERE id = 9").await;
        }
        assert_eq!(db.fingerprints().await, before);
    }
    assert_eq!(db.schema_dump().await, schema);
    assert_eq!(db.query_one_text("SELECT count(*) FROM bastide.changed WHERE undone_at IS NULL").await, "0");
}

#[tokio::test]
async fn a_row_moves_with_what_references_it_and_disputes_are_left() {
    let (_server, db) = shop(SHOP).await;
    let graph = graph(&db, "public.m", "id", &SCOPED).await;
    // Order 5 is tenant 2's, its customer 1's, its branch 2's: the branch says nothing else. Order 2 the same.
    db.execute(
        "SET session_replication_role = replica; UPDATE \"O ld\" SET branch = 2, m_id = 3 WHERE id = 5",
    )
    .await;
    let links = [
        answered("public.\"O ld\"", "O ld_C_fkey", How::Move),
        answered("public.\"O ld\"", "O ld_branch_fkey", How::Move),
        answered("public.visit", "visit_c_id_fkey", How::Move),
    ];
    let before = db.fingerprints().await;
    let scripts = settle_links(&graph, &links, |_| true);
    let hold = hold_aside(&graph);
    alone(&db, &scripts.script).await.unwrap();
    let orders = "SELECT id, m_id FROM \"O ld\" ORDER BY 1";
    insta::assert_snapshot!(db.query_rows(orders).await.join(" "), @"1|1 2|1 3|1 4|1 5|3");
    insta::assert_snapshot!(db.query_rows("SELECT o_id, n, m_id FROM line ORDER BY 1, 2").await.join(" "), @"1|1|1 2|1|1 2|2|1");
    insta::assert_snapshot!(db.query_rows("SELECT relation, key, before, after, reason FROM bastide.changed ORDER BY relation, key, seq").await.join("\n"), @r#"
    "public"."O ld"|["2"]|["2"]|["1"]|moved: public."O ld"."C" → public.c
    "public"."O ld"|["3"]|["3"]|["1"]|moved: public."O ld"."C" → public.c
    "public"."O ld"|["4"]|["2"]|["1"]|moved: public."O ld".branch → public.region
    "public"."line"|["2", "1"]|["2"]|["1"]|moved with what it references: public.line.o_id → public."O ld"
    "public"."line"|["2", "2"]|["2"]|["1"]|moved with what it references: public.line.o_id → public."O ld"
    "public"."visit"|["md5:369a154d5347e70114104fec91cf72fe"]|["2"]|["1"]|moved: public.visit.c_id → public.c
    "public"."visit"|["md5:369a154d5347e70114104fec91cf72fe"]|["2"]|["1"]|moved: public.visit.c_id → public.c
    "#);
    alone(&db, &hold.script).await.unwrap();
    nothing_crosses(&db, &graph).await;
    assert_eq!(dangling(&db).await, "0");
    run(&db, &hold.restore).await.unwrap();
    run(&db, &scripts.restore).await.unwrap();
    assert_eq!(db.fingerprints().await, before);
}

#[tokio::test]
async fn what_was_written_since_is_kept_and_what_cannot_go_back_is_told() {
    let (_server, db) = shop(SHOP).await;
    let graph = graph(&db, "public.m", "id", &SCOPED).await;
    let links = [
        answered("public.\"O ld\"", "O ld_C_fkey", copy_of_c()),
        answered("public.visit", "visit_c_id_fkey", copy_of_c()),
        answered("public.\"O ld\"", "O ld_branch_fkey", How::Cut(vec![ident("branch")])),
        answered("public.visit", "visit_branch_fkey", How::Cut(vec![ident("branch")])),
    ];
    let scripts = settle_links(&graph, &links, |_| false);
    alone(&db, &scripts.script).await.unwrap();
    db.execute(
        "SET session_replication_role = replica;
         UPDATE c SET name = 'their own' WHERE m_id = 3; UPDATE \"O ld\" SET branch = 2 WHERE id = 4;
         DELETE FROM region WHERE id = 1; UPDATE c SET region_id = NULL; UPDATE \"O ld\" SET branch = NULL WHERE branch = 1; UPDATE visit SET branch = NULL WHERE branch = 1",
    )
    .await;
    insta::assert_snapshot!(lost(&db, &scripts).await.join("\n"), @"2 of public.visit to public.region: 1");
    run(&db, &scripts.restore).await.unwrap();
    assert_eq!(dangling(&db).await, "0");
    let orders = r#"SELECT o.id, o."C", c.name, coalesce(o.branch::text, '-') FROM "O ld" o JOIN c ON c.id = o."C" ORDER BY 1"#;
    insta::assert_snapshot!(db.query_rows(orders).await.join("\n"), @r#"
    1|1|shared, (by) "all"\|-
    2|1|shared, (by) "all"\|2
    3|1|shared, (by) "all"\|-
    4|2|two's|2
    5|1|shared, (by) "all"\|2
    "#);
    insta::assert_snapshot!(db.query_rows("SELECT id, name FROM c ORDER BY 1").await.join("\n"), @r#"
    1|shared, (by) "all"\
    2|two's
    3|
    4|shared, (by) "all"\
    5|their own
    "#);
}

#[tokio::test]
async fn a_row_in_use_is_waited_for_and_no_work_is_lost() {
    let (_server, db) = shop(SHOP).await;
    let graph = graph(&db, "public.m", "id", &SCOPED).await;
    let links = [answered("public.\"O ld\"", "O ld_branch_fkey", How::Cut(vec![ident("branch")]))];
    let scripts = settle_links(&graph, &links, |_| true);
    let writer = db.client().await;
    writer
        .batch_execute(
            "SET session_replication_role = replica; BEGIN; UPDATE \"O ld\" SET note = 'x' WHERE id = 4",
        )
        .await
        .unwrap();
    let refused = alone(&db, &scripts.script).await.unwrap_err();
    assert!(refused.starts_with("55P03"), "{refused}");
    writer.batch_execute("COMMIT").await.unwrap();
    alone(&db, &scripts.script).await.unwrap();
    assert_eq!(db.query_one_text("SELECT count(*) FROM \"O ld\" WHERE id = 4 AND branch IS NULL").await, "1");
    run(&db, &scripts.restore).await.unwrap();
    assert_eq!(db.query_one_text("SELECT branch FROM \"O ld\" WHERE id = 4").await, "1");
}

/// A hash tells rows without a key by all but the tenant column.
#[tokio::test]
async fn rows_that_only_their_tenant_tells_apart_get_back_what_was_theirs() {
    let (_server, db) = shop(SHOP).await;
    db.execute(
        "SET session_replication_role = replica; DELETE FROM \"O ld\"; DELETE FROM visit;
         INSERT INTO visit VALUES (NULL, NULL, 1), (NULL, 2, 1), (NULL, 1, 2), (NULL, 2, 1), (NULL, 1, 2), (NULL, NULL, 2);
         INSERT INTO visit SELECT 2, NULL, i FROM generate_series(1, 3) i, generate_series(1, 2)",
    )
    .await;
    let graph = graph(&db, "public.m", "id", &SCOPED).await;
    let links = [
        answered("public.visit", "visit_branch_fkey", How::Cut(vec![ident("branch")])),
        answered("public.visit", "visit_c_id_fkey", How::Move),
    ];
    let scripts = settle_links(&graph, &links, |_| true);
    let before = db.fingerprints().await;
    alone(&db, &scripts.script).await.unwrap();
    nothing_crosses(&db, &graph).await;
    let changed = "SELECT what, count(*) FROM bastide.changed GROUP BY 1 ORDER BY 1";
    assert_eq!(db.query_rows(changed).await, ["cut|4", "moved|4"]);
    // One of them comes once more, after the others have moved.
    db.execute("SET session_replication_role = replica; INSERT INTO visit VALUES (2, NULL, 3)").await;
    alone(&db, &scripts.script).await.unwrap();
    nothing_crosses(&db, &graph).await;
    assert_eq!(db.query_rows(changed).await, ["cut|4", "moved|5"]);
    assert_eq!(lost(&db, &scripts).await, Vec::<String>::new());
    run(&db, &scripts.restore).await.unwrap();
    db.execute("DELETE FROM visit WHERE ctid = (SELECT max(ctid) FROM visit WHERE m_id = 3)").await;
    assert_eq!(db.fingerprints().await, before);
}
