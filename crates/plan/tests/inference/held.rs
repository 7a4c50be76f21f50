//! Rows held aside leave with everything that references them, and come back as they were.

use bastide_plan::inference::{crossing_counts, hold_aside};

use crate::fixture::{alone, bootstrap, graph, run};

const SHOP: &str = "
    CREATE TABLE m (id integer PRIMARY KEY); INSERT INTO m VALUES (1), (2);
    CREATE TABLE c (id integer PRIMARY KEY, m_id integer REFERENCES m);
    CREATE TABLE o (id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, c_id integer REFERENCES c, note text,
        twice integer GENERATED ALWAYS AS (id * 2) STORED, m_id integer REFERENCES m);
    CREATE TABLE l (o_id integer REFERENCES o, up text, m_id integer REFERENCES m);
    CREATE TABLE log (id integer PRIMARY KEY, o_id integer REFERENCES o ON DELETE CASCADE);
    INSERT INTO c VALUES (1, 1), (2, 2), (3, NULL);
    INSERT INTO o (c_id, note, m_id) VALUES (1, 'fine', 1), (2, 'a \"crossing\", (row)\\', 1), (3, '', 2), (NULL, NULL, 2);
    INSERT INTO l VALUES (1, 'x', 1), (2, 'y', 1), (2, 'y', 1), (3, 'z', 2);
    INSERT INTO log VALUES (1, 1), (2, 2);
    CREATE FUNCTION noisy() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'a trigger fired'; END $$;
    CREATE TRIGGER noisy BEFORE INSERT OR DELETE ON o FOR EACH ROW EXECUTE FUNCTION noisy();";

#[tokio::test]
async fn rows_that_cross_leave_with_their_followers_and_come_back() {
    let server = bastide_testkit::server().await;
    let db = server.database("held").await;
    bootstrap(&db).await;
    db.execute(SHOP).await;
    let scoped = [("public.c", "m_id"), ("public.o", "m_id"), ("public.l", "m_id")];
    let graph = graph(&db, "public.m", "id", &scoped).await;
    let before = db.fingerprints().await;
    let schema = db.schema_dump().await;
    let scripts = hold_aside(&graph);

    alone(&db, &scripts.script).await.unwrap();
    let held = db.query_rows("SELECT relation, key, tenant, reason FROM bastide.held WHERE relation <> '\"public\".\"l\"' ORDER BY seq").await;
    insta::assert_snapshot!(held.join("\n"), @r#"
    "public"."log"|["2"]||references a row held aside: public.log.o_id → public.o
    "public"."o"|["2"]|1|joins two tenants: public.o.c_id → public.c
    "public"."o"|["3"]|2|references a row held aside: public.o.c_id → public.c
    "public"."c"|["3"]||has no tenant
    "#);
    assert_eq!(
        db.query_one_text("SELECT count(*) FROM bastide.held WHERE relation = '\"public\".\"l\"'").await,
        "3"
    );
    assert_eq!(db.query_one_text("SELECT string_agg(id::text, ',' ORDER BY id) FROM o").await, "1,4");
    let mut crossing = Vec::new();
    for link in crossing_counts(&graph) {
        crossing.extend(
            db.query_rows(link.counts.as_str()).await.iter().map(|row| row.split('|').nth(1) != Some("0")),
        );
    }
    assert!(!crossing.is_empty() && !crossing.contains(&true), "something still crosses");

    // A column that the shop added meanwhile is no hindrance.
    db.execute("ALTER TABLE o ADD later text").await;
    run(&db, &scripts.restore).await.unwrap();
    db.execute("ALTER TABLE o DROP later").await;
    assert_eq!(db.fingerprints().await, before);
    assert_eq!(db.schema_dump().await, schema);
    assert_eq!(db.query_one_text("SELECT count(*) FROM bastide.held WHERE restored_at IS NULL").await, "0");
}

#[tokio::test]
async fn a_row_in_use_is_left_for_later_and_what_came_meanwhile_follows() {
    let server = bastide_testkit::server().await;
    let db = server.database("busy").await;
    bootstrap(&db).await;
    db.execute(SHOP).await;
    let scoped = [("public.c", "m_id"), ("public.o", "m_id"), ("public.l", "m_id")];
    let scripts = hold_aside(&graph(&db, "public.m", "id", &scoped).await);

    let shop = db.client().await;
    shop.batch_execute("BEGIN; UPDATE c SET m_id = m_id WHERE id = 3").await.unwrap();
    let refused = alone(&db, &scripts.script).await.unwrap_err();
    assert!(refused.starts_with("55P03"), "{refused}");
    // All but the row in use has moved.
    assert_eq!(db.query_one_text("SELECT string_agg(id::text, ',' ORDER BY id) FROM o").await, "1,4");
    shop.batch_execute("COMMIT").await.unwrap();
    // A line of an order that has moved since the line's reference was checked.
    db.execute("SET session_replication_role = replica; INSERT INTO log VALUES (3, 2)").await;

    alone(&db, &scripts.script).await.unwrap();
    assert_eq!(db.query_one_text("SELECT string_agg(id::text, ',' ORDER BY id) FROM c").await, "1,2");
    assert_eq!(db.query_one_text("SELECT string_agg(id::text, ',' ORDER BY id) FROM log").await, "1");
    assert_eq!(db.query_one_text("SELECT count(*) FROM bastide.held").await, "8");
    run(&db, &scripts.restore).await.unwrap();
    assert_eq!(db.query_one_text("SELECT string_agg(id::text, ',' ORDER BY id) FROM log").await, "1,2,3");
}

#[tokio::test]
async fn a_tenant_is_never_held_aside() {
    let server = bastide_testkit::server().await;
    let db = server.database("root").await;
    bootstrap(&db).await;
    db.execute(
        "CREATE TABLE m (id integer PRIMARY KEY);
         CREATE TABLE staff (id integer PRIMARY KEY, m_id integer REFERENCES m);
         ALTER TABLE m ADD boss integer REFERENCES staff;
         INSERT INTO m VALUES (1), (2); INSERT INTO staff VALUES (1, 2); UPDATE m SET boss = 1 WHERE id = 1;",
    )
    .await;
    let graph = graph(&db, "public.m", "id", &[("public.staff", "m_id")]).await;
    let refused = alone(&db, &hold_aside(&graph).script).await.unwrap_err();
    assert!(
        refused.starts_with("23503 a row of the tenant root public.m references another tenant's row"),
        "{refused}"
    );
    assert_eq!(db.query_one_text("SELECT count(*) FROM m").await, "2");
}
