//! Schema dumps and fingerprints: equal when nothing changed, different when anything did.

use bastide_testkit::{Database, diff, legacy, server};

#[tokio::test]
async fn a_dump_is_stable_and_leaves_out_what_is_ours() {
    let server = server().await;
    let db = server.database("shop").await;
    db.execute("CREATE TABLE t (a int)").await;
    let before = db.schema_dump().await;
    assert!(before.contains("CREATE TABLE public.t") && !before.contains("restrict "), "{before}");
    db.execute("CREATE SCHEMA bastide; CREATE TABLE bastide.run (id int)").await;
    assert_eq!(db.schema_dump().await, before);
    db.execute("COMMENT ON TABLE t IS 'x'").await;
    assert_ne!(db.schema_dump().await, before);
}

async fn changes(db: &Database, statement: &str) -> String {
    let columns = db.columns().await;
    let before = db.fingerprints_of(&columns).await;
    db.execute(statement).await;
    diff(&before, &db.fingerprints_of(&columns).await)
}

#[tokio::test]
async fn fingerprints_see_every_change_of_rows_and_no_other() {
    let server = server().await;
    let db = server.database("shop").await;
    db.execute(
        r#"CREATE TYPE mood AS ENUM ('glad');
           CREATE SCHEMA "Old Shop";
           CREATE TABLE "Old Shop"."Order" (id int, n numeric, j json, x xml, p point, c char(4), a int[], m mood, t text);
           INSERT INTO "Old Shop"."Order" VALUES (1, 1.0, '{"a": 1}', '<a/>', '(1,2)', 'a', '{1}', 'glad', NULL);
           INSERT INTO "Old Shop"."Order" VALUES (2);
           CREATE TABLE parent (a int); CREATE TABLE child () INHERITS (parent); INSERT INTO child VALUES (1);
           CREATE TABLE twins (a int); INSERT INTO twins VALUES (7), (7), (8), (8);
           CREATE TABLE parted (a int) PARTITION BY LIST (a); CREATE TABLE leaf PARTITION OF parted DEFAULT;
           CREATE TABLE "empty" ();
           ALTER TABLE parent ENABLE ROW LEVEL SECURITY; ALTER TABLE parent FORCE ROW LEVEL SECURITY"#,
    )
    .await;
    let tables: Vec<_> = db.fingerprints().await.into_keys().collect();
    assert_eq!(
        tables,
        [
            "\"Old Shop\".\"Order\"",
            "public.child",
            "public.empty",
            "public.leaf",
            "public.parent",
            "public.twins"
        ]
    );
    for harmless in [
        "CREATE TABLE another (a int); CREATE SCHEMA bastide; CREATE TABLE bastide.run (a int)",
        "ALTER TABLE twins ADD COLUMN tenant_id int DEFAULT 5",
        "UPDATE twins SET a = a",
        r#"UPDATE "Old Shop"."Order" SET t = NULL WHERE id = 1"#,
        "VACUUM FULL twins",
    ] {
        assert_eq!(changes(&db, harmless).await, "", "{harmless}");
    }
    for (harm, table) in [
        (r#"UPDATE "Old Shop"."Order" SET n = 1.00 WHERE id = 1"#, "\"Old Shop\".\"Order\""),
        (r#"UPDATE "Old Shop"."Order" SET t = '' WHERE id = 1"#, "\"Old Shop\".\"Order\""),
        (r#"UPDATE "Old Shop"."Order" SET j = '{"a":1}' WHERE id = 1"#, "\"Old Shop\".\"Order\""),
        ("DELETE FROM child", "public.child"),
        ("UPDATE twins SET a = 9 WHERE a = 7", "public.twins"),
        ("INSERT INTO parted VALUES (1)", "public.leaf"),
        ("ALTER TABLE twins DROP COLUMN a", "public.twins"),
        ("DROP TABLE leaf", "public.leaf"),
    ] {
        let changed = changes(&db, harm).await;
        assert!(
            changed.starts_with(&format!("{table}: ")) && changed.lines().count() == 1,
            "{harm}: {changed}"
        );
    }
}

#[tokio::test]
async fn legacy_databases_restore_whole() {
    for (name, table, rows) in
        [("sakila", "rental", "16044"), ("northwind", "orders", "830"), ("chinook", "track", "3503")]
    {
        let Some((_server, db)) = legacy(name).await else { continue };
        assert_eq!(db.query_one_text(&format!("SELECT count(*) FROM {table}")).await, rows);
        assert!(!db.fingerprints().await.is_empty());
        assert_eq!(db.schema_dump().await, db.schema_dump().await);
    }
}
