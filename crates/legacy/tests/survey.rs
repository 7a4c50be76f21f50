//! The survey on real databases and on one made here.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use bastide_plan::{Config, LinkSurvey, RootChoice, Survey};
use bastide_sql::Ident;
use bastide_testkit::Database;

async fn survey(db: &Database, root: RootChoice) -> Survey {
    let mut client = db.client().await;
    let catalog = bastide_catalog::read(&mut client).await.unwrap();
    let config = Config {
        root,
        app_role: Ident::constant("bastide_app"),
        exclude_schemas: BTreeSet::new(),
        exclude_tables: BTreeSet::new(),
        accept_defaults: true,
        declared: bastide_plan::Declarations::default(),
        answers: BTreeMap::new(),
    };
    bastide_legacy::survey(&mut client, &catalog, &config, &|_| ()).await.unwrap()
}

async fn existing(db: &Database, root: &str) -> Survey {
    survey(db, RootChoice::Existing(root.parse().unwrap())).await
}

fn usage(survey: &Survey) -> String {
    let lines = survey.usage.iter().map(|(table, used)| {
        format!("{table}: {} rows, {} by one, {} by many", used.rows, used.by_one, used.by_many)
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn a_store_is_no_boundary_in_sakila() {
    let Some((_server, db)) = bastide_testkit::legacy("sakila").await else { return };
    let before = (db.schema_dump().await, db.fingerprints().await);
    let began = Instant::now();
    let survey = existing(&db, "public.store").await;
    let took = began.elapsed();
    // Rentals whose own references lead to different stores cross. Those that agree do not, whatever a payment says.
    let agree = "c.store_id = i.store_id AND i.store_id = s.store_id";
    let rentals = "rental r JOIN customer c USING (customer_id) JOIN inventory i USING (inventory_id)
        JOIN staff s ON s.staff_id = r.staff_id";
    let directly = db.query_one_text(&format!("SELECT count(*) FROM {rentals} WHERE NOT ({agree})")).await;
    let by_payment = db
        .query_one_text(&format!(
            "SELECT count(*) FROM {rentals} WHERE {agree} AND EXISTS (
               SELECT FROM payment p JOIN customer pc ON pc.customer_id = p.customer_id
               JOIN staff ps ON ps.staff_id = p.staff_id
               WHERE p.rental_id = r.rental_id AND (pc.store_id <> c.store_id OR ps.store_id <> c.store_id))"
        ))
        .await;
    assert_eq!((directly.as_str(), by_payment.as_str()), ("12035", "1991"));
    let of_rental = |link: &&LinkSurvey| link.table.name.as_str() == "rental";
    let crossing: Vec<_> =
        survey.links.iter().filter(of_rental).map(|link| (link.rows, link.crossing)).collect();
    assert_eq!(crossing, [(16_044, 12_035); 3]);
    assert_eq!(survey.tenants, 2);
    assert!(took < Duration::from_secs(30), "{took:?}");
    assert_eq!((db.schema_dump().await, db.fingerprints().await), before, "a survey changes nothing");
}

#[tokio::test]
async fn the_catalogue_is_shared_in_chinook() {
    let Some((_server, db)) = bastide_testkit::legacy("chinook").await else { return };
    let survey = existing(&db, "public.customer").await;
    insta::assert_snapshot!(usage(&survey), @"
    public.employee: 8 rows, 0 by one, 3 by many
    public.track: 3503 rows, 1728 by one, 256 by many
    ");
    assert!(survey.links.iter().all(|link| link.crossing == 0));
    assert_eq!(survey.quarantine_refused, None);
}

#[tokio::test]
async fn the_catalogue_is_shared_in_northwind() {
    let Some((_server, db)) = bastide_testkit::legacy("northwind").await else { return };
    let survey = existing(&db, "public.customers").await;
    insta::assert_snapshot!(usage(&survey), @"
    public.customer_demographics: 0 rows, 0 by one, 0 by many
    public.employees: 9 rows, 0 by one, 9 by many
    public.products: 77 rows, 0 by one, 77 by many
    public.shippers: 6 rows, 0 by one, 3 by many
    ");
}

#[tokio::test]
async fn a_new_root_needs_only_counts() {
    let Some((_server, db)) = bastide_testkit::legacy("northwind").await else { return };
    let survey = survey(&db, RootChoice::New("public.company".parse().unwrap())).await;
    let rows: u64 = survey.tables.values().map(|table| table.rows).sum();
    assert_eq!((survey.tables.len(), rows), (14, 3_362));
    assert!(survey.links.is_empty() && survey.usage.is_empty());
}

#[tokio::test]
async fn rows_are_counted_by_what_is_known_of_them() {
    let server = bastide_testkit::server().await;
    let db = server.database("counted").await;
    db.execute(
        "CREATE TABLE merchant (id integer PRIMARY KEY, name text NOT NULL, CHECK (name <> 'quarantine'));
         CREATE TABLE customer (id integer PRIMARY KEY, merchant_id integer REFERENCES merchant);
         CREATE TABLE orders (id integer PRIMARY KEY, customer_id integer REFERENCES customer, friend_id integer REFERENCES customer);
         INSERT INTO merchant VALUES (1, 'a'), (2, 'b');
         INSERT INTO customer VALUES (1, 1), (2, 2), (3, NULL);
         INSERT INTO orders VALUES (1, 1, NULL), (2, 1, 2), (3, 3, NULL), (4, NULL, NULL), (5, 2, 2);",
    )
    .await;
    let survey = existing(&db, "public.merchant").await;
    insta::assert_debug_snapshot!(survey.tables, @r#"
    {
        public.customer: TableSurvey {
            rows: 3,
            had_tenant: 2,
            inferred: [],
            conflicting: 0,
            unreachable: 1,
        },
        public.merchant: TableSurvey {
            rows: 2,
            had_tenant: 2,
            inferred: [],
            conflicting: 0,
            unreachable: 0,
        },
        public.orders: TableSurvey {
            rows: 5,
            had_tenant: 0,
            inferred: [
                Evidence {
                    path: "public.orders.customer_id → public.customer",
                    rows: 2,
                },
            ],
            conflicting: 1,
            unreachable: 2,
        },
    }
    "#);
    insta::assert_debug_snapshot!(survey.links, @r#"
    [
        LinkSurvey {
            table: public.customer,
            foreign_key: customer_merchant_id_fkey,
            references: public.merchant,
            rows: 2,
            crossing: 0,
            samples: [],
        },
        LinkSurvey {
            table: public.orders,
            foreign_key: orders_customer_id_fkey,
            references: public.customer,
            rows: 4,
            crossing: 1,
            samples: [
                "2",
            ],
        },
        LinkSurvey {
            table: public.orders,
            foreign_key: orders_friend_id_fkey,
            references: public.customer,
            rows: 2,
            crossing: 1,
            samples: [
                "2",
            ],
        },
    ]
    "#);
    insta::assert_snapshot!(survey.quarantine_refused.unwrap(), @r#"new row for relation "merchant" violates check constraint "merchant_name_check""#);
}
