//! Better roots: candidates by structure, measured by the survey.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use bastide_legacy::{RootLimits, roots};
use bastide_plan::{Config, RootChoice};
use bastide_record::Roots;
use bastide_sql::Ident;
use bastide_testkit::Database;

async fn instead_of(db: &Database, root: &str, limits: RootLimits) -> Roots {
    let mut client = db.client().await;
    let catalog = bastide_catalog::read(&mut client).await.unwrap();
    let config = Config {
        root: RootChoice::Existing(root.parse().unwrap()),
        app_role: Ident::constant("bastide_app"),
        exclude_schemas: BTreeSet::new(),
        exclude_tables: BTreeSet::new(),
        accept_defaults: false,
        declared: bastide_plan::Declarations::default(),
        answers: BTreeMap::new(),
    };
    roots(&mut client, &catalog, &config, &limits, &|_| ()).await
}

fn six() -> RootLimits {
    RootLimits { candidates: 6, deadline: Instant::now() + Duration::from_secs(120) }
}

fn told(found: &Roots) -> String {
    let measured = found
        .measured
        .iter()
        .map(|root| format!("{} {}: {}", if root.boundary { "yes" } else { "no" }, root.root, root.because));
    let unmeasured = found.unmeasured.iter().map(|root| format!("? {}: {}", root.root, root.why));
    measured.chain(unmeasured).collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn instead_of_a_store() {
    let Some((_server, db)) = bastide_testkit::legacy("sakila").await else { return };
    let before = (db.schema_dump().await, db.fingerprints().await);
    let found = instead_of(&db, "public.store", six()).await;
    insta::assert_snapshot!(told(&found), @"
    yes public.film: 1,000 tenants, 1,000 of them with rows in 11 other tables (43,136 rows, 0 without a tenant); no reference crosses; 2 more tables have to be asked about
    yes public.customer: 599 tenants, 599 of them with rows in 8 other tables (32,093 rows, 0 without a tenant); 4 of 16,049 rows of public.payment cross by payment_rental_id_fkey; 5 more tables have to be asked about
    yes public.inventory: 4,581 tenants, 4,580 of them with rows in 8 other tables (32,093 rows, 0 without a tenant); no reference crosses; 6 more tables have to be asked about
    no public.staff: 8,079 of 16,049 rows of public.payment cross by payment_rental_id_fkey
    no public.country: 16,043 of 16,049 rows of public.payment cross by payment_staff_id_fkey
    no public.language: the rows of other tables lead to only one of its 6 rows
    ? public.city: only 6 are measured
    ? public.address: only 6 are measured
    ? public.actor: only 6 are measured
    ? public.category: only 6 are measured
    ");
    assert_eq!((db.schema_dump().await, db.fingerprints().await), before, "looking changes nothing");
}

#[tokio::test]
async fn instead_of_an_artist() {
    let Some((_server, db)) = bastide_testkit::legacy("chinook").await else { return };
    insta::assert_snapshot!(told(&instead_of(&db, "public.artist", six()).await), @"
    yes public.album: 347 tenants, 347 of them with rows in 3 other tables (14,458 rows, 0 without a tenant); no reference crosses; 2 more tables have to be asked about
    yes public.track: 3,503 tenants, 3,503 of them with rows in 2 other tables (10,955 rows, 0 without a tenant); no reference crosses; 2 more tables have to be asked about
    yes public.customer: 59 tenants, 59 of them with rows in 2 other tables (2,652 rows, 0 without a tenant); no reference crosses; 3 more tables have to be asked about
    yes public.media_type: 5 tenants, 5 of them with rows in 4 other tables (14,805 rows, 1 without a tenant); 14 of 3,503 rows of public.track cross by track_album_id_fkey; 4 more tables have to be asked about
    yes public.genre: 25 tenants, 25 of them with rows in 3 other tables (14,458 rows, 0 without a tenant); no reference crosses; 4 more tables have to be asked about
    no public.employee: 7 of 8 rows of public.employee cross by employee_reports_to_fkey
    ? public.playlist: only 6 are measured
    ? public.invoice: only 6 are measured
    ");
}

#[tokio::test]
async fn instead_of_a_shipper() {
    let Some((_server, db)) = bastide_testkit::legacy("northwind").await else { return };
    insta::assert_snapshot!(told(&instead_of(&db, "public.shippers", six()).await), @"
    yes public.customers: 91 tenants, 89 of them with rows in 3 other tables (2,985 rows, 0 without a tenant); no reference crosses; 6 more tables have to be asked about
    yes public.categories: 8 tenants, 8 of them with rows in 2 other tables (2,232 rows, 0 without a tenant); no reference crosses; 7 more tables have to be asked about
    yes public.suppliers: 29 tenants, 29 of them with rows in 2 other tables (2,232 rows, 0 without a tenant); no reference crosses; 7 more tables have to be asked about
    yes public.region: 4 tenants, 4 of them with rows in 2 other tables (102 rows, 0 without a tenant); no reference crosses; 11 more tables have to be asked about
    no public.employees: 8 of 9 rows of public.employees cross by fk_employees_employees
    no public.customer_demographics: it has no row, so there is nothing to keep apart
    ? public.products: only 6 are measured
    ? public.orders: only 6 are measured
    ");
}

#[tokio::test]
async fn made_up() {
    let server = bastide_testkit::server().await;
    let db = server.database("made_up").await;
    db.execute(
        r#"CREATE TABLE "Brand's" (id integer PRIMARY KEY);
           CREATE TABLE region (id integer PRIMARY KEY);
           CREATE TABLE lonely (id integer PRIMARY KEY);
           CREATE TABLE "Order" (id integer PRIMARY KEY, brand integer REFERENCES "Brand's", region_id integer REFERENCES region, other integer REFERENCES region);
           CREATE TABLE line (order_id integer REFERENCES "Order", n integer, region_id integer REFERENCES region, PRIMARY KEY (order_id, n)) PARTITION BY RANGE (n);
           CREATE TABLE line_1 PARTITION OF line FOR VALUES FROM (0) TO (10);
           CREATE TABLE empty_root (a integer NOT NULL UNIQUE);
           CREATE TABLE empty_child (a integer REFERENCES empty_root (a));
           INSERT INTO "Brand's" SELECT generate_series(1, 5);
           INSERT INTO region SELECT generate_series(1, 4);
           INSERT INTO "Order" SELECT g, CASE WHEN g % 50 <> 0 THEN 1 + g % 5 END, 1 + g % 4, 1 + g % 3 FROM generate_series(1, 200) g;
           INSERT INTO line SELECT g, 1, 1 + (g + g / 7) % 4 FROM generate_series(1, 200) g;
           ANALYZE;"#,
    )
    .await;
    insta::assert_snapshot!(told(&instead_of(&db, "public.lonely", six()).await), @r#"
    yes public."Brand's": 5 tenants, 5 of them with rows in 2 other tables (400 rows, 8 without a tenant); no reference crosses; 3 more tables have to be asked about
    yes public."Order": 200 tenants, 200 of them with rows in 1 other table (200 rows, 0 without a tenant); no reference crosses; 3 more tables have to be asked about
    no public.region: 186 of 200 rows of public.line cross by line_order_id_fkey
    no public.empty_root: it has no row, so there is nothing to keep apart
    "#);
    let late = RootLimits { deadline: Instant::now(), ..six() };
    let found = instead_of(&db, "public.region", late).await;
    assert!(found.measured.is_empty());
    assert!(found.unmeasured.iter().all(|root| root.why == "no time was left"));
    let one = instead_of(&db, "public.region", RootLimits { candidates: 1, ..six() }).await;
    assert_eq!(one.measured.len(), 1);
    assert_eq!(one.measured[0].root.to_string(), r#"public."Brand's""#);
}
