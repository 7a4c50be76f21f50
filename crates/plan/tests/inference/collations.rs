//! Keys that the server calls equal though their bytes differ: references are what the server says they are.

use std::collections::BTreeMap;

use bastide_plan::{
    Declarations, DeclaredReference,
    inference::{Graph, crossings, path, prelude},
};
use bastide_sql::Ident;
use bastide_testkit::{Database, Server};

use crate::fixture::{assigned, bootstrap, catalog, graph, name};

/// `shops` by a code in any case; `orders` reference it as people type it. `parcels` name a box exactly, of two that
/// differ by nothing but case.
const SCHEMA: &str = "
CREATE COLLATION loose (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE TABLE m (id integer PRIMARY KEY); INSERT INTO m VALUES (1), (2);
CREATE TABLE shops (code text COLLATE loose PRIMARY KEY, m_id integer REFERENCES m);
CREATE TABLE orders (id integer PRIMARY KEY, shop text COLLATE loose REFERENCES shops);
CREATE TABLE lines (shop text COLLATE loose, n integer, PRIMARY KEY (shop, n), FOREIGN KEY (shop) REFERENCES shops);
CREATE TABLE notes (id integer PRIMARY KEY, shop text);
CREATE TABLE boxes (label text PRIMARY KEY, m_id integer REFERENCES m);
CREATE TABLE parcels (id integer PRIMARY KEY, box text COLLATE loose);
INSERT INTO shops VALUES ('ABC', 1), ('Über', 2), ('open', NULL);
INSERT INTO orders VALUES (1, 'abc'), (2, 'ÜBER'), (3, 'OPEN'), (4, NULL);
INSERT INTO lines VALUES ('aBc', 1), ('über', 1);
INSERT INTO notes VALUES (1, 'AbC'), (2, 'nobody');
INSERT INTO boxes VALUES ('x', 1), ('X', 2);
INSERT INTO parcels VALUES (1, 'x'), (2, 'X');
ALTER TABLE orders ADD tenant_id integer; ALTER TABLE lines ADD tenant_id integer; ALTER TABLE notes ADD tenant_id integer;
ALTER TABLE parcels ADD tenant_id integer;
";

fn declared(table: &str, column: &str, references: &str, theirs: &str) -> DeclaredReference {
    let columns = |column: &str| vec![Ident::new(column).unwrap()];
    DeclaredReference {
        table: name(table),
        columns: columns(column),
        references: name(references),
        referenced_columns: columns(theirs),
    }
}

async fn shops() -> (Server, Database, Graph) {
    let server = bastide_testkit::server().await;
    let db = server.database("collations").await;
    bootstrap(&db).await;
    db.execute(SCHEMA).await;
    let tenant = "tenant_id";
    let scoped = [
        ("public.shops", "m_id"),
        ("public.orders", tenant),
        ("public.lines", tenant),
        ("public.notes", tenant),
        ("public.boxes", "m_id"),
        ("public.parcels", tenant),
    ];
    let declarations = Declarations {
        references: vec![
            declared("public.notes", "shop", "public.shops", "code"),
            declared("public.parcels", "box", "public.boxes", "label"),
        ],
        ..Declarations::default()
    };
    let graph = graph(&db, "public.m", "id", &scoped).await.declare(&catalog(&db).await, &declarations);
    (server, db, graph)
}

#[tokio::test]
async fn a_reference_is_followed_whatever_its_case() {
    let (_server, db, graph) = shops().await;
    insta::assert_snapshot!(assigned(&db, &graph).await, @r#"
    "public"."lines" ["aBc", "1"] → 1 (parent: public.lines.shop → public.shops)
    "public"."lines" ["über", "1"] → 2 (parent: public.lines.shop → public.shops)
    "public"."notes" ["1"] → 1 (parent: public.notes.shop → public.shops)
    "public"."notes" ["2"] → -1 (unreachable: public.notes: no reference leads to a tenant)
    "public"."orders" ["1"] → 1 (parent: public.orders.shop → public.shops)
    "public"."orders" ["2"] → 2 (parent: public.orders.shop → public.shops)
    "public"."orders" ["3"] → -1 (unreachable: public.orders: no reference leads to a tenant)
    "public"."orders" ["4"] → -1 (unreachable: public.orders: no reference leads to a tenant)
    "public"."parcels" ["1"] → 1 (parent: public.parcels.box → public.boxes)
    "public"."parcels" ["2"] → 2 (parent: public.parcels.box → public.boxes)
    "public"."shops" ["open"] → -1 (unreachable: public.shops: no reference leads to a tenant)
    "#);
}

/// Rows of each link, and those that cross, once every tenant column is filled.
async fn crossing(db: &Database, graph: &Graph) -> BTreeMap<String, (i64, i64)> {
    let mut client = db.client().await;
    let transaction = client.transaction().await.unwrap();
    for statement in prelude().iter().chain([&path(graph)]) {
        transaction.batch_execute(statement.as_str()).await.unwrap();
    }
    let mut found = BTreeMap::new();
    for measure in crossings(graph) {
        let row = transaction.query_one(measure.counts.as_str(), &[]).await.unwrap();
        found.insert(measure.link.foreign_key.to_string(), (row.get(0), row.get(1)));
    }
    found
}

#[tokio::test]
async fn a_link_that_crosses_is_seen_whatever_its_case() {
    let (_server, db, graph) = shops().await;
    db.execute(
        "UPDATE orders SET tenant_id = 2; UPDATE lines SET tenant_id = 1; UPDATE parcels SET tenant_id = 1;
         UPDATE shops SET m_id = 1 WHERE m_id IS NULL",
    )
    .await;
    let found = crossing(&db, &graph).await;
    // Of the orders 1 and 3 are of another tenant than their shop; of the parcels 2, which is in the box `X` and no other.
    assert_eq!(found["orders_shop_fkey"], (3, 2));
    assert_eq!(found["lines_shop_fkey"], (2, 1));
    assert_eq!(found["box_declared"], (2, 1));
}
