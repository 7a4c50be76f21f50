//! One test per shape of evidence.

use std::time::Duration;

use bastide_testkit::{Database, Server};

use crate::fixture::{assigned, bootstrap, graph, run};

async fn database(schema: &str) -> (Server, Database) {
    let server = bastide_testkit::server().await;
    let db = server.database("shapes").await;
    bootstrap(&db).await;
    db.execute("CREATE TABLE m (id integer PRIMARY KEY); INSERT INTO m VALUES (1), (2), (3)").await;
    db.execute(schema).await;
    (server, db)
}

#[tokio::test]
async fn down_up_and_nothing() {
    let (_server, db) = database(
        "CREATE TABLE c (id integer PRIMARY KEY, m_id integer REFERENCES m);
         CREATE TABLE o (id integer PRIMARY KEY, c_id integer REFERENCES c);
         INSERT INTO c VALUES (10, 1), (11, NULL), (12, NULL), (13, 2);
         ALTER TABLE o ADD tenant_id integer;
         INSERT INTO o VALUES (100, 10, NULL), (101, 11, 3), (102, 12, NULL), (103, 13, 1), (104, NULL, NULL);",
    )
    .await;
    let graph = graph(&db, "public.m", "id", &[("public.c", "m_id"), ("public.o", "tenant_id")]).await;
    // 103 has a tenant of its own, which nothing overrides; that it disagrees with its parent is a crossing link.
    insta::assert_snapshot!(assigned(&db, &graph).await, @r#"
    "public"."c" ["11"] → 3 (child: public.c ← public.o.c_id)
    "public"."c" ["12"] → -1 (unreachable: public.c: no reference leads to a tenant)
    "public"."o" ["100"] → 1 (parent: public.o.c_id → public.c)
    "public"."o" ["102"] → -1 (unreachable: public.o: no reference leads to a tenant)
    "public"."o" ["104"] → -1 (unreachable: public.o: no reference leads to a tenant)
    "#);
}

#[tokio::test]
async fn diamonds_that_agree_and_diamonds_that_conflict() {
    let (_server, db) = database(
        "CREATE TABLE a (id integer PRIMARY KEY, m_id integer REFERENCES m);
         CREATE TABLE b (id integer PRIMARY KEY, m_id integer REFERENCES m);
         CREATE TABLE d (id integer PRIMARY KEY, a_id integer REFERENCES a, b_id integer REFERENCES b);
         CREATE TABLE e (id integer PRIMARY KEY, d_id integer REFERENCES d);
         INSERT INTO a VALUES (1, 1), (2, 2); INSERT INTO b VALUES (1, 1), (2, 2);
         INSERT INTO d VALUES (1, 1, 1), (2, 1, 2), (3, NULL, 2);
         INSERT INTO e VALUES (1, 1), (2, 2), (3, 3);",
    )
    .await;
    let scoped =
        [("public.a", "m_id"), ("public.b", "m_id"), ("public.d", "tenant_id"), ("public.e", "tenant_id")];
    let graph = graph(&db, "public.m", "id", &scoped).await;
    insta::assert_snapshot!(assigned(&db, &graph).await, @r#"
    "public"."d" ["1"] → 1 (parent: public.d.a_id → public.a)
    "public"."d" ["2"] → -1 (conflict: public.d.a_id → public.a)
    "public"."d" ["3"] → 2 (parent: public.d.b_id → public.b)
    "public"."e" ["1"] → 1 (parent: public.e.d_id → public.d)
    "public"."e" ["2"] → -1 (conflict: public.e.d_id → public.d)
    "public"."e" ["3"] → 2 (parent: public.e.d_id → public.d)
    "#);
}

#[tokio::test]
async fn children_that_disagree_are_a_conflict_which_goes_down_again() {
    let (_server, db) = database(
        "CREATE TABLE a (id integer PRIMARY KEY);
         CREATE TABLE b (id integer PRIMARY KEY, a_id integer REFERENCES a, m_id integer REFERENCES m);
         INSERT INTO a VALUES (1), (2);
         INSERT INTO b VALUES (1, 1, 1), (2, 1, 2), (3, 1, NULL), (4, 2, 1), (5, 2, NULL);",
    )
    .await;
    let graph = graph(&db, "public.m", "id", &[("public.a", "tenant_id"), ("public.b", "m_id")]).await;
    insta::assert_snapshot!(assigned(&db, &graph).await, @r#"
    "public"."a" ["1"] → -1 (conflict: public.a ← public.b.a_id)
    "public"."a" ["2"] → 1 (child: public.a ← public.b.a_id)
    "public"."b" ["3"] → -1 (conflict: public.b.a_id → public.a)
    "public"."b" ["5"] → 1 (parent: public.b.a_id → public.a)
    "#);
}

#[tokio::test]
async fn one_muddled_order_poisons_neither_its_customer_nor_its_product() {
    let (_server, db) = database(
        "CREATE TABLE staff (id integer PRIMARY KEY, m_id integer NOT NULL REFERENCES m);
         CREATE TABLE customer (id integer PRIMARY KEY);
         CREATE TABLE product (id integer PRIMARY KEY);
         CREATE TABLE o (id integer PRIMARY KEY, customer_id integer REFERENCES customer, product_id integer REFERENCES product,
             sold_by integer REFERENCES staff, packed_by integer REFERENCES staff);
         CREATE TABLE l (id integer PRIMARY KEY, o_id integer REFERENCES o);
         INSERT INTO staff VALUES (1, 1), (2, 2);
         INSERT INTO customer VALUES (1), (2);
         INSERT INTO product VALUES (1);
         INSERT INTO o VALUES (1, 1, 1, 1, 2), (2, 1, NULL, 1, 1), (3, 1, NULL, NULL, NULL), (4, NULL, 1, 1, NULL), (5, NULL, 1, NULL, NULL),
             (6, 2, NULL, 2, 1), (7, 2, NULL, NULL, NULL);
         INSERT INTO l VALUES (1, 1), (3, 3);",
    )
    .await;
    let scoped = [
        ("public.staff", "m_id"),
        ("public.customer", "tenant_id"),
        ("public.product", "tenant_id"),
        ("public.o", "tenant_id"),
        ("public.l", "tenant_id"),
    ];
    let graph = graph(&db, "public.m", "id", &scoped).await;
    // Order 1 is muddled, and so is its line; its customer and its product learn from orders 2 and 4, and hand it on to
    // orders 3 and 5. Order 6 is all that customer 2 could learn from, and says nothing.
    insta::assert_snapshot!(assigned(&db, &graph).await, @r#"
    "public"."customer" ["1"] → 1 (child: public.customer ← public.o.customer_id)
    "public"."customer" ["2"] → -1 (unreachable: public.customer: no reference leads to a tenant)
    "public"."l" ["1"] → -1 (conflict: public.l.o_id → public.o)
    "public"."l" ["3"] → 1 (parent: public.l.o_id → public.o)
    "public"."o" ["1"] → -1 (conflict: public.o.packed_by → public.staff)
    "public"."o" ["2"] → 1 (parent: public.o.packed_by → public.staff)
    "public"."o" ["3"] → 1 (parent: public.o.customer_id → public.customer)
    "public"."o" ["4"] → 1 (parent: public.o.sold_by → public.staff)
    "public"."o" ["5"] → 1 (parent: public.o.product_id → public.product)
    "public"."o" ["6"] → -1 (conflict: public.o.packed_by → public.staff)
    "public"."o" ["7"] → -1 (unreachable: public.o: no reference leads to a tenant)
    "public"."product" ["1"] → 1 (child: public.product ← public.o.product_id)
    "#);
}

#[tokio::test]
async fn a_stratum_hands_on_only_what_it_decided_itself() {
    let (_server, db) = database(
        "CREATE TABLE a (id integer PRIMARY KEY, m_id integer REFERENCES m);
         CREATE TABLE b (id integer PRIMARY KEY, a_id integer REFERENCES a);
         CREATE TABLE d (id integer PRIMARY KEY, up integer REFERENCES d, b_id integer REFERENCES b);
         INSERT INTO a VALUES (1, 1), (2, NULL); INSERT INTO b VALUES (1, 1), (2, 2);
         INSERT INTO d VALUES (1, NULL, NULL), (2, 1, NULL), (3, 2, 1), (4, NULL, 2);",
    )
    .await;
    let graph = graph(
        &db,
        "public.m",
        "id",
        &[("public.a", "m_id"), ("public.b", "tenant_id"), ("public.d", "tenant_id")],
    )
    .await;
    // Rows that an earlier stratum decided, handed on again, would be fresh for ever.
    let inferred = tokio::time::timeout(Duration::from_secs(20), assigned(&db, &graph)).await;
    insta::assert_snapshot!(inferred.expect("inference does not end"), @r#"
    "public"."a" ["2"] → -1 (unreachable: public.a: no reference leads to a tenant)
    "public"."b" ["1"] → 1 (parent: public.b.a_id → public.a)
    "public"."b" ["2"] → -1 (unreachable: public.b: no reference leads to a tenant)
    "public"."d" ["1"] → 1 (child: public.d ← public.d.up)
    "public"."d" ["2"] → 1 (child: public.d ← public.d.up)
    "public"."d" ["3"] → 1 (parent: public.d.b_id → public.b)
    "public"."d" ["4"] → -1 (unreachable: public.d: no reference leads to a tenant)
    "#);
}

#[tokio::test]
async fn cycles_and_trees_that_reference_themselves_end() {
    let (_server, db) = database(
        "CREATE TABLE a (id integer PRIMARY KEY, up integer REFERENCES a, m_id integer REFERENCES m);
         CREATE TABLE b (id integer PRIMARY KEY, a_id integer REFERENCES a);
         ALTER TABLE a ADD b_id integer REFERENCES b;
         INSERT INTO a VALUES (0, NULL, 2, NULL);
         INSERT INTO a SELECT n, n - 1, NULL, NULL FROM generate_series(1, 3000) n;
         INSERT INTO a VALUES (9000, 9000, NULL, NULL);
         INSERT INTO b SELECT n, n FROM generate_series(1, 3000) n;
         UPDATE a SET b_id = id WHERE id BETWEEN 1 AND 3000;",
    )
    .await;
    let graph = graph(&db, "public.m", "id", &[("public.a", "m_id"), ("public.b", "tenant_id")]).await;
    assigned(&db, &graph).await;
    let counts = db
        .query_rows("SELECT relation, tenant, count(*) FROM bastide.assignment GROUP BY 1, 2 ORDER BY 1, 2")
        .await;
    insta::assert_snapshot!(counts.join("\n"), @r#"
    "public"."a"|-1|1
    "public"."a"|2|3000
    "public"."b"|2|3000
    "#);
}

#[tokio::test]
async fn partitions_and_inheritance_children_answer_for_themselves() {
    let (_server, db) = database(
        "CREATE TABLE o (id integer, day date, m_id integer REFERENCES m, PRIMARY KEY (id, day)) PARTITION BY RANGE (day);
         CREATE TABLE o_old PARTITION OF o FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
         CREATE TABLE o_new PARTITION OF o FOR VALUES FROM ('2021-01-01') TO ('2022-01-01');
         CREATE TABLE l (id integer PRIMARY KEY, o_id integer, o_day date, FOREIGN KEY (o_id, o_day) REFERENCES o);
         CREATE TABLE n (id integer PRIMARY KEY, m_id integer REFERENCES m);
         CREATE TABLE n_child (PRIMARY KEY (id)) INHERITS (n);
         CREATE TABLE n_note (id integer PRIMARY KEY, n_id integer REFERENCES n);
         INSERT INTO o VALUES (1, '2020-05-05', 1), (2, '2021-05-05', NULL), (3, '2021-06-06', 3);
         INSERT INTO l VALUES (1, 1, '2020-05-05'), (2, 3, '2021-06-06'), (3, 2, '2021-05-05'), (4, NULL, '2021-05-05');
         INSERT INTO n VALUES (1, 2); INSERT INTO n_child VALUES (1, 3), (2, NULL); INSERT INTO n_note VALUES (1, 1);",
    )
    .await;
    let scoped = [
        ("public.o", "m_id"),
        ("public.l", "tenant_id"),
        ("public.n", "m_id"),
        ("public.n_note", "tenant_id"),
    ];
    let graph = graph(&db, "public.m", "id", &scoped).await;
    insta::assert_snapshot!(assigned(&db, &graph).await, @r#"
    "public"."l" ["1"] → 1 (parent: public.l.(o_id, o_day) → public.o_old)
    "public"."l" ["2"] → 3 (parent: public.l.(o_id, o_day) → public.o_new)
    "public"."l" ["3"] → -1 (unreachable: public.l: no reference leads to a tenant)
    "public"."l" ["4"] → -1 (unreachable: public.l: no reference leads to a tenant)
    "public"."n_child" ["2"] → -1 (unreachable: public.n_child: no reference leads to a tenant)
    "public"."n_note" ["1"] → 2 (parent: public.n_note.n_id → public.n)
    "public"."o_new" ["2", "2021-05-05"] → -1 (unreachable: public.o_new: no reference leads to a tenant)
    "#);
}

#[tokio::test]
async fn strange_names_types_and_tables_without_a_key() {
    let (_server, db) = database(
        r#"CREATE SCHEMA "My $bastide$ Schema"; SET search_path = "My $bastide$ Schema";
         CREATE TABLE "Shop" ("The ""Id""" numeric PRIMARY KEY);
         INSERT INTO "Shop" VALUES (1), (2.50);
         CREATE TABLE "Order" ("a b" text COLLATE "C", day timestamptz, "Shop Id" numeric REFERENCES "Shop", PRIMARY KEY ("a b", day));
         INSERT INTO "Order" VALUES ('x', '2024-01-01 00:00+00', 1.000), ('y', '2024-01-01 00:00+00', 2.5);
         CREATE TABLE "it's" ("a b" text, day timestamptz, f float8,
           FOREIGN KEY ("a b", day) REFERENCES "Order" MATCH FULL);
         INSERT INTO "it's" VALUES ('x', '2024-01-01 02:00+02', 0.1), ('x', '2024-01-01 02:00+02', 0.1), ('y', '2024-01-01 00:00+00', 0.3), (NULL, NULL, 1);"#,
    )
    .await;
    let scoped =
        [(r#""My $bastide$ Schema".Order"#, "Shop Id"), (r#""My $bastide$ Schema".it's"#, "tenant_id")];
    let graph = graph(&db, r#""My $bastide$ Schema".Shop"#, "The \"Id\"", &scoped).await;
    assigned(&db, &graph).await;
    let rows =
        db.query_rows("SELECT key->>0 LIKE 'md5:%', tenant FROM bastide.assignment ORDER BY seq").await;
    // The root's spelling of a key counts, and rows that are the same in every column are recorded once.
    insta::assert_snapshot!(rows.join("\n"), @r"
    t|1
    t|2.50
    t|-1
    ");
}

#[tokio::test]
async fn a_root_that_references_its_own_rows_gives_evidence_too() {
    let (_server, db) = database(
        "CREATE TABLE staff (id integer PRIMARY KEY);
         ALTER TABLE m ADD boss integer REFERENCES staff;
         INSERT INTO staff VALUES (7), (8);
         UPDATE m SET boss = 7 WHERE id = 3;",
    )
    .await;
    let graph = graph(&db, "public.m", "id", &[("public.staff", "tenant_id")]).await;
    insta::assert_snapshot!(assigned(&db, &graph).await, @r#"
    "public"."staff" ["7"] → 3 (child: public.staff ← public.m.boss)
    "public"."staff" ["8"] → -1 (unreachable: public.staff: no reference leads to a tenant)
    "#);
}

#[tokio::test]
async fn a_second_pass_over_filled_rows_writes_nothing_and_one_snapshot_is_demanded() {
    let (_server, db) = database(
        "CREATE TABLE c (id integer PRIMARY KEY, m_id integer REFERENCES m); INSERT INTO c VALUES (1, 1), (2, NULL)",
    )
    .await;
    let graph = graph(&db, "public.m", "id", &[("public.c", "m_id")]).await;
    let script = bastide_plan::inference::assign_script(&graph, None, 2);
    run(&db, &script).await.unwrap();
    let found = || db.query_rows("SELECT rule, tenant FROM bastide.assignment");
    assert_eq!(
        found().await,
        ["1000005|"],
        "unreachable, with no quarantine to go to, in the second pass's numbers"
    );
    db.execute("UPDATE c SET m_id = 1; TRUNCATE bastide.assigned").await;
    run(&db, &script).await.unwrap();
    assert!(found().await.is_empty());
    db.execute("UPDATE c SET m_id = NULL").await;
    let client = db.client().await;
    let mut refused = None;
    for statement in &script {
        refused = client.batch_execute(statement.as_str()).await.err().or(refused);
    }
    let code = refused.unwrap().code().unwrap().code().to_owned();
    assert_eq!(code, "25001");
}
