//! Lost tenants whose rows changed after they were asked about: what the run finds counts, and nothing is guessed from what the
//! plan saw.

use bastide_engine::validate_rows;
use bastide_plan::{Config, Declarations, NewTenants, Phase};

use crate::scene::{Scene, config, options};

/// Eight stores whose merchants are gone, each with four customers.
const SHOP: &str = r#"
CREATE TABLE merchants (id integer PRIMARY KEY, slug text UNIQUE NOT NULL, name text NOT NULL);
INSERT INTO merchants VALUES (1, 'acme', 'Acme'), (2, 'bolt', 'Bolt');
CREATE TABLE stores (id integer PRIMARY KEY, name text, merchant_id integer REFERENCES merchants);
INSERT INTO stores VALUES (1, 'Main', 1), (2, 'Second', 2);
INSERT INTO stores SELECT i, 'Lost ' || i, NULL FROM generate_series(11, 18) i;
CREATE TABLE customers (id integer PRIMARY KEY, store_id integer REFERENCES stores ON DELETE SET NULL);
INSERT INTO customers SELECT id * 10 + n, id FROM stores, generate_series(1, 4) n;
CREATE TABLE orders (id integer PRIMARY KEY, customer_id integer REFERENCES customers, merchant_id integer REFERENCES merchants);
CREATE TABLE transfers (id integer PRIMARY KEY, from_store integer REFERENCES stores, to_store integer REFERENCES stores);
"#;

/// Store 11 loses a customer and gains two; 12 gets its merchant back; of 13 one customer's order says whose it is, and of 14 two
/// orders disagree; 15 is gone, its customers with nobody; 16 and 17 come to hang together; 18 stays as it was, but one of its
/// customers goes to a store with a merchant.
const MEANWHILE: &str = "
DELETE FROM customers WHERE id = 112;
INSERT INTO customers VALUES (118, 11), (119, 11);
INSERT INTO orders VALUES (118, 118, NULL);
UPDATE stores SET merchant_id = 1 WHERE id = 12;
INSERT INTO orders VALUES (131, 131, 2);
INSERT INTO orders VALUES (141, 141, 1), (142, 142, 2);
DELETE FROM stores WHERE id = 15;
INSERT INTO transfers VALUES (1, 16, 17);
UPDATE customers SET store_id = 2 WHERE id = 183;
";

#[tokio::test(flavor = "multi_thread")]
async fn what_the_run_finds_of_a_lost_tenant_counts() {
    let server = bastide_testkit::server().await;
    let db = server.database("lost").await;
    db.execute(SHOP).await;
    let answers = (11..=18).map(|id| (format!("tenant:public.stores:{id}"), "create".to_owned()));
    let new_tenants = NewTenants { at_least: 5, ..NewTenants::default() };
    let config = Config {
        answers: answers.collect(),
        declared: Declarations { new_tenants, ..Declarations::default() },
        ..config()
    };
    let scene = Scene::on(server, db, config);
    let plan = scene.plan().await;
    let db = &scene.db;
    db.execute(MEANWHILE).await;
    let before = scene.snapshot().await;
    let mut options = options(scene.place(), plan);
    options.until = Some(Phase::Assignment);
    scene.migrate(&options).await.unwrap();

    let whose = "SELECT string_agg(s.id || ' ' || m.slug, ', ' ORDER BY s.id) FROM stores s JOIN merchants m ON m.id = s.merchant_id WHERE s.id > 10";
    insta::assert_snapshot!(db.query_one_text(whose).await, @r#"11 lost-11, 12 acme, 13 bolt, 14 quarantine, 16 lost-16, 17 lost-17, 18 lost-18"#);
    let whose = "SELECT string_agg(g || ': ' || t, '; ' ORDER BY g) FROM (SELECT c.id / 10 g, string_agg(m.slug, ' ' ORDER BY c.id) t FROM customers c JOIN merchants m ON m.id = c.tenant_id WHERE c.id > 100 GROUP BY 1) s";
    insta::assert_snapshot!(db.query_one_text(whose).await, @r#"11: lost-11 lost-11 lost-11 lost-11 lost-11; 12: acme acme acme acme; 13: bolt bolt bolt bolt; 14: acme bolt quarantine quarantine; 15: quarantine quarantine quarantine quarantine; 16: lost-16 lost-16 lost-16 lost-16; 17: lost-17 lost-17 lost-17 lost-17; 18: lost-18 lost-18 bolt lost-18"#);
    let whose = "SELECT string_agg(o.id || ' ' || m.slug, ', ' ORDER BY o.id) FROM orders o JOIN merchants m ON m.id = o.merchant_id";
    insta::assert_snapshot!(db.query_one_text(whose).await, @r#"118 lost-11, 131 bolt, 141 acme, 142 bolt"#);
    let evidence = "SELECT (key->>0)::int / 10 || ' ' || kind || ': ' || path || ' (' || count(*) || ')' FROM bastide.assignment WHERE relation LIKE '%customers%' AND (key->>0)::int > 100 GROUP BY (key->>0)::int / 10, kind, path ORDER BY 1";
    insta::assert_snapshot!(db.query_rows(evidence).await.join("\n"), @r#"
    11 parent: public.customers.store_id → public.stores (5)
    12 parent: public.customers.store_id → public.stores (4)
    13 child: public.customers ← public.orders.customer_id (1)
    13 parent: public.customers.store_id → public.stores (3)
    14 child: public.customers ← public.orders.customer_id (2)
    14 conflict: public.customers.store_id → public.stores (2)
    15 unreachable: public.customers: no reference leads to a tenant (4)
    16 parent: public.customers.store_id → public.stores (4)
    17 parent: public.customers.store_id → public.stores (4)
    18 parent: public.customers.store_id → public.stores (4)
    "#);
    let verdict = validate_rows(&scene.place().target, None, true, &|_| {}).await.unwrap();
    // Every row has its evidence; what joins two tenants now is told, and cutover would not pass over it.
    let failures: Vec<&str> = verdict.failures().map(|(_, looked)| looked.object.as_str()).collect();
    assert_eq!(
        failures,
        [
            "public.customers.customers_store_id_fkey",
            "public.transfers.transfers_from_store_fkey",
            "public.transfers.transfers_to_store_fkey"
        ]
    );
    scene.rollback(None).await.unwrap();
    scene.assert_as(&before).await;
}

/// A category takes a group only if the group is wholly of it when the run looks.
#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_is_no_longer_of_one_kind_gets_no_tenant_for_it() {
    const STORES: &str = "SELECT string_agg(s.id || ' ' || m.slug, ', ' ORDER BY s.id) FROM stores s JOIN merchants m ON m.id = s.merchant_id WHERE s.id > 14";
    let server = bastide_testkit::server().await;
    let db = server.database("kinds").await;
    db.execute(SHOP).await;
    db.execute("ALTER TABLE customers ADD email text; UPDATE customers SET email = id || '@example.org' WHERE id > 150").await;
    let new_tenants = NewTenants { of_categories: vec!["test".to_owned()], ..NewTenants::default() };
    let declared = Declarations { new_tenants, ..Declarations::default() };
    let scene = Scene::on(server, db, Config { declared, ..config() });
    let plan = scene.plan().await;
    scene.db.execute("INSERT INTO customers VALUES (165, 16, 'somebody@shop.net'); UPDATE stores SET merchant_id = 2 WHERE id = 17; DELETE FROM customers WHERE store_id = 18").await;
    let before = scene.snapshot().await;
    let mut options = options(scene.place(), plan);
    options.until = Some(Phase::Assignment);
    scene.migrate(&options).await.unwrap();
    // 18 has nobody left by whom it could be known.
    assert_eq!(scene.db.query_one_text(STORES).await, "15 test, 16 quarantine, 17 bolt, 18 quarantine");
    let verdict = validate_rows(&scene.place().target, None, true, &|_| {}).await.unwrap();
    assert!(verdict.holds(), "{verdict:#?}");
    scene.rollback(None).await.unwrap();
    scene.assert_as(&before).await;
}
