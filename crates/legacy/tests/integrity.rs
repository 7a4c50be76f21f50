//! What is wrong with rows before anything moves: on a hostile schema made here, and on real databases.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use bastide_catalog::Catalog;
use bastide_legacy::{IntegrityLimits, integrity, survey};
use bastide_plan::{
    Config, RootChoice,
    classify::classify,
    inference::{self, Graph},
};
use bastide_record::{Extent, Integrity};
use bastide_sql::Ident;
use bastide_testkit::Database;
use tokio_postgres::Client;

fn config(root: RootChoice) -> Config {
    Config {
        root,
        app_role: Ident::constant("bastide_app"),
        exclude_schemas: BTreeSet::new(),
        exclude_tables: BTreeSet::new(),
        accept_defaults: true,
        declared: bastide_plan::Declarations::default(),
        answers: BTreeMap::new(),
    }
}

fn limits() -> IntegrityLimits {
    IntegrityLimits {
        statement: Duration::from_secs(30),
        deadline: Instant::now() + Duration::from_secs(60),
        sample_above_rows: 1_000_000,
    }
}

async fn look(client: &mut Client, root: RootChoice, limits: IntegrityLimits) -> Integrity {
    let catalog = bastide_catalog::read(client).await.unwrap();
    look_at(client, &catalog, &config(root), limits).await
}

/// As discovery does: inference first, and the look at the rows in the same transaction.
async fn look_at(
    client: &mut Client,
    catalog: &Catalog,
    config: &Config,
    limits: IntegrityLimits,
) -> Integrity {
    let usage = survey(client, catalog, config, &|_| ()).await.unwrap().usage;
    let classification = classify(catalog, config, &usage).unwrap();
    let graph = Graph::build(catalog, &classification.root, &classification.scoped()).surveyed();
    let mut transaction = client.transaction().await.unwrap();
    for statement in inference::prelude().iter().chain(&inference::survey_script(&graph).prepare) {
        transaction.batch_execute(statement.as_str()).await.unwrap();
    }
    integrity(&mut transaction, catalog, config, Some(&graph), &limits, &|_| ()).await.unwrap()
}

async fn existing(db: &Database, root: &str) -> Integrity {
    look(&mut db.client().await, RootChoice::Existing(root.parse().unwrap()), limits()).await
}

fn suggested(found: &Integrity) -> String {
    let lines = found.suggested.iter().map(|found| {
        let r = &found.reference;
        let dangling = found.rows.as_ref().map_or_else(
            || "not counted".to_owned(),
            |rows| format!("{} of {} dangle {:?}", rows.dangling, rows.rows, rows.samples),
        );
        format!(
            "{:?} {}{:?} → {}{:?}{}: {} of {}; {dangling}; {}",
            found.strength,
            r.table,
            r.columns,
            r.references,
            r.referenced_columns,
            if found.tenant_code { " (tenant code)" } else { "" },
            found.contained,
            found.distinct,
            found.because,
        )
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn duplicates(found: &Integrity) -> String {
    let lines = found.duplicates.iter().map(|d| {
        format!(
            "{}{:?}: {} of {} rows; within {}, across {}, undecided {}; {:?} {:?}",
            d.table,
            d.columns,
            d.distinct,
            d.rows,
            d.within_tenant,
            d.across_tenants,
            d.undecided,
            d.samples,
            d.extent
        )
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn dangling(found: &Integrity) -> String {
    let lines = found.dangling.iter().map(|d| {
        format!("{} {}: {:?}, {} of {} {:?}", d.table, d.foreign_key, d.trust, d.dangling, d.rows, d.samples)
    });
    lines.collect::<Vec<_>>().join("\n")
}

const SHOP: &str = r#"
CREATE EXTENSION citext;
CREATE TABLE "Mer chants" (id uuid PRIMARY KEY, slug text, "Code" varchar(8) NOT NULL UNIQUE, name text);
INSERT INTO "Mer chants"
SELECT md5('m' || g)::uuid, CASE g WHEN 2 THEN 'Shop-1' ELSE 'shop-' || g END, 'MC' || lpad(g::text, 4, '0'), 'Shop ' || g % 38 FROM generate_series(1, 40) g;

-- Everything is valid here.
CREATE TABLE customer (id integer PRIMARY KEY, merchant uuid REFERENCES "Mer chants", email citext, nick text, note text, badge text UNIQUE);
INSERT INTO customer
SELECT g, (SELECT id FROM "Mer chants" WHERE "Code" = 'MC' || lpad((1 + g % 40)::text, 4, '0')),
       CASE WHEN g IN (41, 1) THEN 'Twice@x' WHEN g IN (2, 3) THEN 'across@x' ELSE 'mail' || g || '@x' END,
       CASE WHEN g < 10 THEN NULL ELSE 'n' || g % 20 END, repeat('prose ', 20) || g, 'B' || g
FROM generate_series(1, 400) g;
ALTER TABLE customer ADD UNIQUE (merchant, id);

-- Undeclared: a number whose name speaks, with two that dangle and a NULL; a tenant code; a uuid whose name says nothing; and
-- small numbers that are in every key.
CREATE TABLE "order'""s" ("Customer ID" integer, shop varchar(8), x uuid, quantity integer, "select" text);
INSERT INTO "order'""s"
SELECT CASE g WHEN 7 THEN NULL WHEN 8 THEN 9991 WHEN 9 THEN 9992 ELSE 1 + g % 400 END, 'MC' || lpad((1 + g % 40)::text, 4, '0'),
       (SELECT id FROM "Mer chants" ORDER BY id OFFSET g % 40 LIMIT 1), 1 + g % 10, 'x'
FROM generate_series(1, 500) g;

-- Declared, but not to be trusted.
CREATE TABLE late (id integer PRIMARY KEY, customer_id integer);
INSERT INTO late VALUES (1, 1), (2, 777), (3, NULL);
ALTER TABLE late ADD FOREIGN KEY (customer_id) REFERENCES customer NOT VALID;
CREATE TABLE off (customer_id integer REFERENCES customer);
ALTER TABLE off DISABLE TRIGGER ALL;
INSERT INTO off VALUES (1), (888);
CREATE TABLE past (id integer PRIMARY KEY, customer_id integer REFERENCES customer, fine integer REFERENCES customer);
SET session_replication_role = replica;
INSERT INTO past VALUES (1, 999, 1), (2, 1, NULL);
RESET session_replication_role;

-- Several columns, and partitions.
CREATE TABLE line (merchant uuid, id integer, at date) PARTITION BY RANGE (at);
CREATE TABLE line_1 PARTITION OF line FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE TABLE "line.2" PARTITION OF line FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
INSERT INTO line SELECT merchant, CASE id WHEN 5 THEN -5 ELSE id END, '2024-06-01'::date + id FROM customer;
CREATE TABLE receipt (id integer PRIMARY KEY, customer_id integer REFERENCES customer, number integer, at date NOT NULL);
INSERT INTO receipt SELECT g, g, 1 + (g - 1) / 40, '2024-06-01' FROM generate_series(1, 400) g;
UPDATE receipt SET number = 2 WHERE id IN (1, 41);
CREATE TABLE blank (customer_id integer, code text, merchant_id uuid);
CREATE TABLE keyless (tags text[], doc json, customer_id bigint);
INSERT INTO keyless VALUES ('{a}', '{}', 5), (NULL, NULL, 6);
ANALYZE;
"#;

#[tokio::test]
async fn a_hostile_schema() {
    let server = bastide_testkit::server().await;
    let db = server.database("hostile").await;
    db.execute(SHOP).await;
    let before = (db.schema_dump().await, db.fingerprints().await);
    let found = existing(&db, r#"public."Mer chants""#).await;
    assert_eq!(found.unmeasured, []);
    insta::assert_snapshot!(dangling(&found), @r#"
    public.late late_customer_id_fkey: NotValid, 1 of 2 ["777 in row 2"]
    public.off off_customer_id_fkey: TriggersDisabled, 1 of 2 ["888"]
    public.past past_customer_id_fkey: Enforced, 1 of 2 ["999 in row 1"]
    "#);
    insta::assert_snapshot!(suggested(&found), @r#"
    Strong public.line[merchant] → public."Mer chants"[id] (tenant code): 40 of 40; 0 of 400 dangle []; all of 40 distinct values looked at are in public."Mer chants".id, and the name speaks of that table
    Strong public."order'""s"[shop] → public."Mer chants"["Code"] (tenant code): 40 of 40; 0 of 500 dangle []; all of 40 distinct values looked at are in public."Mer chants"."Code"; the name does not speak of that table
    Strong public."order'""s"[x] → public."Mer chants"[id] (tenant code): 40 of 40; 0 of 500 dangle []; all of 40 distinct values looked at are in public."Mer chants".id; the name does not speak of that table
    Strong public.line[merchant, id] → public.customer[merchant, id]: 399 of 400; 1 of 400 dangle ["36604411-a85d-b2bd-9e97-e22bfb5b692d, -5"]; 399 of 400 distinct values looked at are in public.customer.(merchant, id), and their names are its own
    Strong public."order'""s"["Customer ID"] → public.customer[id]: 400 of 402; 2 of 499 dangle ["9991", "9992"]; 400 of 402 distinct values looked at are in public.customer.id, and the name speaks of that table
    Likely public.keyless[customer_id] → public.customer[id]: 2 of 2; 0 of 2 dangle []; all of 2 distinct values looked at are in public.customer.id, and the name speaks of that table
    "#);
    insta::assert_snapshot!(duplicates(&found), @r#"
    public.customer[email]: 398 of 400 rows; within 1, across 1, undecided 0; ["Twice@x", "across@x"] Whole
    public.receipt[number]: 10 of 400 rows; within 1, across 9, undecided 0; ["2", "10", "3", "4", "5"] Whole
    "#);
    insta::assert_debug_snapshot!(found.global_keys, @"
    [
        GlobalKey {
            table: public.customer,
            key: customer_badge_key,
            columns: [
                badge,
            ],
        },
    ]
    ");
    insta::assert_debug_snapshot!(found.duplicate_slugs.iter().map(|slug| (&slug.column, slug.kind, slug.groups, slug.rows)).collect::<Vec<_>>(), @"
    [
        (
            slug,
            Slug,
            1,
            2,
        ),
        (
            name,
            Name,
            2,
            4,
        ),
    ]
    ");
    assert_eq!((db.schema_dump().await, db.fingerprints().await), before, "looking changes nothing");
}

#[tokio::test]
async fn a_declaration_is_what_was_suggested() {
    let server = bastide_testkit::server().await;
    let db = server.database("declared").await;
    db.execute(SHOP).await;
    let mut client = db.client().await;
    let catalog = bastide_catalog::read(&mut client).await.unwrap();
    let mut config = config(RootChoice::Existing(r#"public."Mer chants""#.parse().unwrap()));
    let found = look_at(&mut client, &catalog, &config, limits()).await;
    let text: String = found.suggested.iter().map(|found| found.toml.as_str()).collect();
    config.declared = toml::from_str(&text).unwrap();
    assert_eq!(config.declared.references.len(), found.suggested.len());
    assert!(!found.suggested.is_empty());
    let found = look_at(&mut client, &catalog, &config, limits()).await;
    assert_eq!(found.suggested, [], "what is declared is not suggested again");
}

#[tokio::test]
async fn what_was_not_measured_is_said() {
    let server = bastide_testkit::server().await;
    let db = server.database("unmeasured").await;
    db.execute(
        "CREATE ROLE keeper LOGIN PASSWORD 'x'; GRANT CREATE ON SCHEMA public TO keeper; SET ROLE keeper;
         CREATE TABLE tenant (id integer PRIMARY KEY, slug text);
         CREATE TABLE note (id integer PRIMARY KEY, tenant_id integer REFERENCES tenant, body text);
         INSERT INTO tenant VALUES (1, 'a'), (2, 'b'); INSERT INTO note SELECT g, 1 + g % 2, 'x' || g / 2 FROM generate_series(1, 40) g;
         RESET ROLE;
         CREATE TABLE secret (id integer PRIMARY KEY, note_id integer, tenant_id integer);
         INSERT INTO secret VALUES (1, 99, 1);
         CREATE TABLE hidden (id integer PRIMARY KEY, note_id integer); GRANT SELECT ON hidden TO keeper;
         INSERT INTO hidden VALUES (1, 1);
         ALTER TABLE hidden ENABLE ROW LEVEL SECURITY;",
    )
    .await;
    let root = || RootChoice::Existing("public.tenant".parse().unwrap());
    let mut client = db.client_as("keeper", "x").await;
    let found = look(&mut client, root(), limits()).await;
    let missed: Vec<String> =
        found.unmeasured.iter().map(|missed| format!("{}: {}", missed.what, missed.why)).collect();
    insta::assert_snapshot!(missed.join("\n"), @"
    look at public.hidden: this login may not read it, or only through policies
    look at public.secret: this login may not read it, or only through policies
    ");
    assert_eq!(suggested(&found), "");

    let none = IntegrityLimits { deadline: Instant::now(), ..limits() };
    let found = look(&mut client, root(), none).await;
    assert_eq!((found.dangling.len(), found.suggested.len(), found.duplicates.len()), (0, 0, 0));
    assert!(!found.unmeasured.is_empty());
    assert!(found.unmeasured.iter().all(|missed| missed.why == "no time was left"));
}

#[tokio::test]
async fn a_large_table_is_sampled_and_a_slow_look_is_cut() {
    let server = bastide_testkit::server().await;
    let db = server.database("large").await;
    db.execute(
        "CREATE TABLE tenant (id integer PRIMARY KEY, slug text UNIQUE);
         INSERT INTO tenant SELECT g, 's' || g FROM generate_series(1, 50) g;
         CREATE TABLE note (id integer PRIMARY KEY, tenant_id integer, code text);
         INSERT INTO note SELECT g, 1 + g % 50, 'c' || g FROM generate_series(1, 200000) g;
         ALTER TABLE note ADD FOREIGN KEY (tenant_id) REFERENCES tenant NOT VALID; ANALYZE;",
    )
    .await;
    let mut client = db.client().await;
    let root = || RootChoice::Existing("public.tenant".parse().unwrap());
    let found = look(&mut client, root(), IntegrityLimits { sample_above_rows: 20_000, ..limits() }).await;
    let [key] = found.dangling.as_slice() else { panic!("{:?}", found.dangling) };
    assert!(matches!(key.extent, Extent::Sample { percent } if (percent - 10.0).abs() < 0.5), "{key:?}");
    assert!((10_000..30_000).contains(&key.rows), "{key:?}");
    let found =
        look(&mut client, root(), IntegrityLimits { statement: Duration::from_millis(1), ..limits() }).await;
    assert_eq!(found.dangling, []);
    assert!(
        found.unmeasured.iter().any(|missed| missed.why == "it took longer than 1 ms"),
        "{:?}",
        found.unmeasured
    );
}

#[tokio::test]
async fn planning_hears_of_slugs_that_tenants_share() {
    let server = bastide_testkit::server().await;
    let db = server.database("slugs").await;
    db.execute(
        r#"CREATE TABLE "Root" (a integer, "Sub Domain" text, "companyName" text UNIQUE, b integer NOT NULL UNIQUE);
           INSERT INTO "Root" VALUES (1, 'One', 'x', 1), (2, 'one ', 'y', 2), (3, NULL, NULL, 3), (4, NULL, NULL, 4), (5, '', 'z', 5), (6, '', 'w', 6)"#,
    )
    .await;
    let mut client = db.client().await;
    let catalog = bastide_catalog::read(&mut client).await.unwrap();
    let root = RootChoice::Existing(r#"public."Root""#.parse().unwrap());
    let found = survey(&mut client, &catalog, &config(root), &|_| ()).await.unwrap();
    assert_eq!(found.slugs_not_looked_at, None);
    // Names that are shared are another matter: a plan asks about what an address is made of.
    let [slug] = found.repeated_slugs.as_slice() else { panic!("{:?}", found.repeated_slugs) };
    assert_eq!((slug.column.as_str(), slug.values), ("Sub Domain", 1));
    assert_eq!(slug.samples[0].1, ["1", "2"]);
}

#[tokio::test]
async fn a_parent_in_another_case_is_a_parent_where_the_server_says_so() {
    let server = bastide_testkit::server().await;
    let db = server.database("loose").await;
    db.execute(
        "CREATE COLLATION loose (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
         CREATE TABLE tenant (id integer PRIMARY KEY); INSERT INTO tenant VALUES (1), (2);
         CREATE TABLE shop (code text COLLATE loose PRIMARY KEY, tenant_id integer REFERENCES tenant);
         CREATE TABLE sale (id integer PRIMARY KEY, shop_code text COLLATE loose);
         INSERT INTO shop SELECT 'Shop ' || g, 1 + g % 2 FROM generate_series(1, 30) g;
         INSERT INTO sale SELECT g, 'SHOP ' || 1 + g % 30 FROM generate_series(1, 200) g;
         ANALYZE",
    )
    .await;
    let found = existing(&db, "public.tenant").await;
    assert_eq!(found.unmeasured, []);
    let [suggestion] = found.suggested.as_slice() else { panic!("{}", suggested(&found)) };
    assert_eq!((suggestion.distinct, suggestion.contained), (30, 30));
    db.execute(
        "INSERT INTO sale VALUES (900, 'nowhere'); ALTER TABLE sale ADD FOREIGN KEY (shop_code) REFERENCES shop NOT VALID",
    )
    .await;
    assert_eq!(
        dangling(&existing(&db, "public.tenant").await),
        r#"public.sale sale_shop_code_fkey: NotValid, 1 of 201 ["nowhere in row 900"]"#
    );
}

/// Foreign keys of a real database are found again when nobody has declared them. What is found besides is counted, too.
async fn found_again(name: &str, root: &str) -> Option<(usize, Vec<String>, Vec<String>)> {
    let (_server, db) = bastide_testkit::legacy(name).await?;
    let with_keys = existing(&db, root).await;
    assert_eq!((&with_keys.unmeasured, suggested(&with_keys).as_str()), (&Vec::new(), ""), "{name}");
    let catalog = bastide_catalog::read(&mut db.client().await).await.unwrap();
    let declared: BTreeSet<String> = catalog
        .tables
        .values()
        .filter(|table| table.parents.is_empty())
        .flat_map(|table| {
            let text = |key: &bastide_catalog::ForeignKey| {
                format!("{}{:?} → {}{:?}", table.name, key.columns, key.references, key.referenced_columns)
            };
            table.foreign_keys.iter().map(text)
        })
        .collect();
    db.execute(
        "DO $$ DECLARE k record; BEGIN
           FOR k IN SELECT conrelid::regclass AS t, conname AS n FROM pg_constraint WHERE contype = 'f' AND conparentid = 0
           LOOP EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', k.t, k.n); END LOOP; END $$",
    )
    .await;
    let found = existing(&db, root).await;
    assert_eq!(found.unmeasured, []);
    let found: BTreeSet<String> = found
        .suggested
        .iter()
        .map(|found| {
            let r = &found.reference;
            format!("{}{:?} → {}{:?}", r.table, r.columns, r.references, r.referenced_columns)
        })
        .collect();
    let missed = declared.difference(&found).cloned().collect();
    Some((declared.intersection(&found).count(), missed, found.difference(&declared).cloned().collect()))
}

#[tokio::test]
async fn keys_of_a_rental_chain() {
    let Some((found, missed, besides)) = found_again("sakila", "public.store").await else { return };
    insta::assert_debug_snapshot!((found, missed, besides), @r#"
    (
        21,
        [
            "public.film[original_language_id] → public.language[language_id]",
        ],
        [],
    )
    "#);
}

#[tokio::test]
async fn keys_of_a_music_shop() {
    let Some((found, missed, besides)) = found_again("chinook", "public.customer").await else { return };
    insta::assert_debug_snapshot!((found, missed, besides), @r#"
    (
        9,
        [
            "public.customer[support_rep_id] → public.employee[employee_id]",
            "public.employee[reports_to] → public.employee[employee_id]",
        ],
        [],
    )
    "#);
}

#[tokio::test]
async fn keys_of_a_food_trader() {
    let Some((found, missed, besides)) = found_again("northwind", "public.customers").await else { return };
    insta::assert_debug_snapshot!((found, missed, besides), @r#"
    (
        9,
        [
            "public.customer_customer_demo[customer_id] → public.customers[customer_id]",
            "public.customer_customer_demo[customer_type_id] → public.customer_demographics[customer_type_id]",
            "public.employees[reports_to] → public.employees[employee_id]",
            "public.orders[ship_via] → public.shippers[shipper_id]",
        ],
        [],
    )
    "#);
}
