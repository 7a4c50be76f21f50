//! What the operator declares in `bastide.toml`: references that no constraint knows, rules of every kind, and a lost shop
//! that becomes a tenant.

use bastide_testkit::Database;

use crate::{
    bastide::{Bastide, Ran},
    there_and_back::{Meanwhile, there_and_back_with_writes},
};

const SHOP: &str = r#"
CREATE TABLE merchants (id integer PRIMARY KEY, slug text UNIQUE NOT NULL, name text NOT NULL, code varchar(8) UNIQUE);
INSERT INTO merchants VALUES (1, 'acme', 'Acme', 'A'), (2, 'bolt', 'Bolt', 'B');
CREATE TABLE "Orders" (id integer PRIMARY KEY, "Shop Code" text, total numeric NOT NULL);
INSERT INTO "Orders" SELECT i, CASE WHEN i % 20 = 0 THEN NULL WHEN i % 2 = 0 THEN 'A' ELSE 'B' END, i FROM generate_series(1, 60) i;
CREATE TABLE lines (id integer PRIMARY KEY, order_id integer NOT NULL REFERENCES "Orders");
INSERT INTO lines SELECT i, 1 + i % 60 FROM generate_series(1, 100) i;
CREATE TABLE notes (id integer PRIMARY KEY, body text);
INSERT INTO notes SELECT i, 'note ' || i FROM generate_series(1, 9) i;
CREATE TABLE events (source text, at date);
INSERT INTO events SELECT 'shop:' || 1 + i % 2, '2024-01-01'::date + i FROM generate_series(1, 10) i;
INSERT INTO events VALUES ('system', '2024-01-01');
CREATE TABLE tags (id integer PRIMARY KEY, owner text);
INSERT INTO tags VALUES (1, 'the acme people'), (2, 'bolt'), (3, NULL);
CREATE TABLE stores (id integer PRIMARY KEY, name text, merchant_id integer REFERENCES merchants);
INSERT INTO stores VALUES (1, 'Main', 1), (2, 'Second', 2), (9, 'Lost & Found', NULL), (10, 'Corner', NULL);
CREATE TABLE customers (id integer PRIMARY KEY, store_id integer REFERENCES stores, email text);
INSERT INTO customers SELECT i, CASE WHEN i <= 10 THEN 1 WHEN i <= 20 THEN 2 WHEN i <= 50 THEN 9 ELSE 10 END, i || '@example.org' FROM generate_series(1, 55) i;
CREATE ROLE shop LOGIN PASSWORD 'shop';
GRANT ALL ON ALL TABLES IN SCHEMA public TO shop;
"#;

const DECLARED: &str = r#"
[answers]
"tenant:public.stores:9" = "create"

[[reference]]
table = 'public."Orders"'
columns = ["Shop Code"]
references = "public.merchants"
referenced_columns = ["code"]

[[rule]]
name = "note owners"
table = "public.notes"
csv = "notes.csv"

[[rule]]
name = "event sources"
table = "public.events"
when = "source LIKE 'shop:%'"
tenant = "substring(source FROM 6)::integer"

[[rule]]
name = "tag owners"
table = "public.tags"
column = "owner"
tenants = { "the acme people" = "1", bolt = "2" }
"#;

/// The settings file, with `notes.csv` beside it.
fn settings(folder: &std::path::Path, text: &str, notes: &str) -> String {
    std::fs::write(folder.join("notes.csv"), notes).unwrap();
    let file = folder.join("bastide.toml");
    std::fs::write(&file, text).unwrap();
    file.display().to_string()
}

const NOTES: &str = "tenant,id\n1,1\n1,002\n2,3\n";

async fn shop() -> (bastide_testkit::Server, Database) {
    let server = bastide_testkit::server().await;
    let db = server.database("declared").await;
    db.execute(SHOP).await;
    (server, db)
}

#[tokio::test]
async fn references_rules_and_a_lost_shop_there_and_back() {
    let (_server, db) = shop().await;
    let folder = tempfile::tempdir().unwrap();
    let config = settings(folder.path(), DECLARED, NOTES);
    let tenants = |table: &str| {
        format!(
            "SELECT string_agg(t || ' ' || n, ', ' ORDER BY t) FROM (SELECT coalesce((SELECT slug FROM merchants m WHERE m.id = tenant_id), '-') t, count(*) n FROM {table} x GROUP BY 1) s"
        )
    };
    let (orders, lines, notes, events, tags) =
        (tenants("\"Orders\""), tenants("lines"), tenants("notes"), tenants("events"), tenants("tags"));
    let stores = "SELECT string_agg(s.id || ' ' || m.slug || ' ' || m.name, ', ' ORDER BY s.id) FROM stores s JOIN merchants m ON m.id = s.merchant_id";
    let customers = tenants("customers");
    let settled = [
        // One written meanwhile is Bolt's by its code.
        (orders.as_str(), "acme 27, bolt 31, quarantine 3"),
        (lines.as_str(), "acme 45, bolt 51, quarantine 5"),
        (notes.as_str(), "acme 2, bolt 1, quarantine 6"),
        // The rule looks at the one written meanwhile when quarantine is looked at again.
        (events.as_str(), "acme 5, bolt 5, quarantine 2"),
        (tags.as_str(), "acme 1, bolt 1, quarantine 1"),
        (stores, "1 acme Acme, 2 bolt Bolt, 9 lost-found Lost & Found, 10 quarantine quarantine"),
        (customers.as_str(), "acme 10, bolt 10, lost-found 30, quarantine 5"),
    ];
    let meanwhile = Meanwhile {
        login: "shop",
        writes: "INSERT INTO \"Orders\" VALUES (100, 'B', 1); INSERT INTO lines VALUES (200, 100); INSERT INTO events VALUES ('shop:2', '2025-01-01')",
        settled: &settled,
        cut_over: &[(events.as_str(), "acme 5, bolt 6, quarantine 1")],
        written: "SELECT count(*)::text FROM \"Orders\" WHERE id >= 100",
        unwrite: "DELETE FROM events WHERE at > '2024-12-31'; DELETE FROM lines WHERE id >= 200; DELETE FROM \"Orders\" WHERE id >= 100",
    };
    let arguments = ["--tenant-root", "public.merchants", "--config", config.as_str()];
    there_and_back_with_writes(&db, &arguments, meanwhile).await;
}

#[tokio::test]
async fn each_declaration_shows_in_the_plan_with_the_rows_it_decides() {
    let (_server, db) = shop().await;
    let folder = tempfile::tempdir().unwrap();
    let config = settings(
        folder.path(),
        DECLARED
            .split_once("[[reference]]")
            .map(|(_, rest)| format!("[[reference]]{rest}"))
            .unwrap()
            .as_str(),
        NOTES,
    );
    let bastide = Bastide::on(db.url());
    let arguments = ["legacy", "plan", "--tenant-root", "public.merchants", "--config", config.as_str()];
    bastide.run(&arguments).expect(2);
    let plan = std::fs::read_to_string(bastide.path().join("plan.toml")).unwrap();
    for part in [
        "3 rows by rule note owners of public.notes",
        "10 rows by rule event sources of public.events",
        "2 rows by rule tag owners of public.tags",
        "57 rows by public.\"Orders\".\"Shop Code\" → public.merchants",
        "tenant:public.stores:9",
        "31 rows hang together and belong to no tenant: 30 of public.customers, 1 of public.stores",
        "csv_sha256",
    ] {
        let part = part.replace('"', if part.contains("Shop") { "\\\"" } else { "\"" });
        assert!(plan.contains(&part), "{part}\n{plan}");
    }
    assert!(!plan.contains("tenant:public.stores:10"), "six rows are below the threshold");
    // Answered in the file, kept by a second plan, and run from the file.
    let plan = answered(&answered(&plan, "tenant:public.stores:9", "create"), "login:shop", "no_copy");
    std::fs::write(bastide.path().join("plan.toml"), plan).unwrap();
    bastide.run(&arguments).expect(0);
    let open = bastide.run(&[&arguments[..], &["--open"]].concat()).expect(0);
    assert_eq!(open.stdout, "nothing is open\n");
    std::fs::write(folder.path().join("notes.csv"), "id,tenant\n1,2\n").unwrap();
    let file = bastide.path().join("plan.toml").display().to_string();
    let ran = bastide.run(&["legacy", "upgrade", "--yes", "--plan", &file]).expect(2);
    assert!(ran.stderr.contains("is not what it was when the plan was made"), "{}", ran.stderr);
}

fn answered(plan: &str, id: &str, answer: &str) -> String {
    let (before, rest) = plan.split_once(&format!("id = \"{id}\"")).unwrap();
    format!("{before}id = \"{id}\"{}", rest.replacen("answer = \"\"", &format!("answer = \"{answer}\""), 1))
}

#[tokio::test]
async fn test_data_get_a_tenant_only_because_the_settings_say_so() {
    let (_server, db) = shop().await;
    let dump = db.schema_dump().await;
    let rows = db.fingerprints().await;
    let folder = tempfile::tempdir().unwrap();
    // All addresses are at a domain reserved for tests; a store with another customer is not wholly test data.
    db.execute("INSERT INTO stores VALUES (11, 'Mixed', NULL); INSERT INTO customers VALUES (60, 11, 'a@example.org'), (61, 11, 'b@shop.net')").await;
    let bastide = Bastide::on(db.url());
    let upgrade = |config: &str| {
        bastide.run(&[
            "legacy",
            "upgrade",
            "--yes",
            "--no-backup",
            "--i-have-a-backup",
            "--accept-defaults",
            "--tenant-root",
            "public.merchants",
            "--config",
            config,
        ])
    };
    let unknown = settings(folder.path(), "[new_tenants]\nof_categories = [\"tests\"]", "");
    let told = upgrade(&unknown).expect(2).stderr;
    insta::assert_snapshot!(told.trim_end(), @"error: [new_tenants] of_categories: no scoped table has the category tests; there are old, test or zero value");
    let config = settings(folder.path(), "[new_tenants]\nof_categories = [\"test\"]", "");
    upgrade(&config).expect(0);
    let stores = "SELECT string_agg(s.id || ' ' || m.slug, ', ' ORDER BY s.id) FROM stores s JOIN merchants m ON m.id = s.merchant_id";
    assert_eq!(db.query_one_text(stores).await, "1 acme, 2 bolt, 9 test, 10 test, 11 quarantine");
    bastide.run(&["legacy", "rollback", "--yes"]).expect(0);
    db.execute("DELETE FROM customers WHERE id >= 60; DELETE FROM stores WHERE id = 11").await;
    assert_eq!(db.schema_dump().await, dump);
    assert_eq!(db.fingerprints().await, rows);
}

/// A root in which a URL could mean two tenants.
#[tokio::test]
async fn tenants_that_share_a_slug_stop_the_plan_until_somebody_keeps_them() {
    let (_server, db) = shop().await;
    db.execute(
        "INSERT INTO merchants VALUES (3, 'ACME', 'Acme again', 'C'), (4, ' acme', 'Acme once more', 'D')",
    )
    .await;
    let bastide = Bastide::on(db.url());
    let arguments = ["legacy", "plan", "--accept-defaults", "--tenant-root", "public.merchants"];
    let told = bastide.run(&arguments).expect(2).stdout;
    assert!(told.contains("slug:public.merchants.slug"), "{told}");
    assert!(told.contains("(1; 3; 4)"), "{told}");
    let folder = tempfile::tempdir().unwrap();
    let config = settings(folder.path(), "[answers]\n\"slug:public.merchants.slug\" = \"keep\"\n", "");
    bastide.run(&[&arguments[..], &["--config", &config]].concat()).expect(0);
}

/// Everything wrong is said before anything changes.
#[tokio::test]
async fn declarations_that_cannot_be_meant() {
    let (_server, db) = shop().await;
    let dump = db.schema_dump().await;
    let bastide = Bastide::on(db.url());
    let told = |text: &str, notes: &str| -> String {
        let folder = tempfile::tempdir().unwrap();
        let config = settings(folder.path(), text, notes);
        let ran: Ran = bastide
            .run(&[
                "legacy",
                "plan",
                "--accept-defaults",
                "--tenant-root",
                "public.merchants",
                "--config",
                &config,
            ])
            .expect(2);
        ran.stderr.replace(&folder.path().display().to_string(), "FOLDER").trim_end().to_owned()
    };
    let rule = |rest: &str| format!("[[rule]]\nname = \"r\"\ntable = \"public.tags\"\n{rest}\n");
    insta::assert_snapshot!(told(&rule("tenant = \"owners\""), ""), @r#"error: [[rule]] r (of public.tags): column "owners" does not exist; mend it in bastide.toml and try again"#);
    insta::assert_snapshot!(told(&rule("tenant = \"1); DROP TABLE tags; --\""), ""), @"error: FOLDER/bastide.toml, line 4: `1); DROP TABLE tags; --` is no single SQL expression: its brackets do not match");
    insta::assert_snapshot!(told(&rule("tenant = \"owner::integer\""), ""), @r#"error: [[rule]] r (of public.tags): invalid input syntax for type integer: "the acme people"; mend it in bastide.toml and try again"#);
    insta::assert_snapshot!(told(&rule("tenant = \"77\""), ""), @"error: [[rule]] r: for 3 rows of public.tags it names a tenant that the root does not have: 77");
    insta::assert_snapshot!(told(&rule("tenant = \"1\"\nwhen = \"owner = 'nobody'\""), ""), @"error: [[rule]] r: it matches no row of public.tags; mend it or take it out");
    insta::assert_snapshot!(told(&rule("tenant = \"1\"\ntennant = \"1\""), ""), @"error: FOLDER/bastide.toml, line 5: unknown field `tennant`, expected one of `name`, `table`, `when`, `tenant`, `column`, `tenants`, `csv`, `csv_sha256`");
    let two = format!("{}{}", rule("tenant = \"1\""), rule("tenant = \"2\"").replace("\"r\"", "\"s\""));
    insta::assert_snapshot!(told(&two, ""), @"error: [[rule]] r: it contradicts the rule s in 3 rows of public.tags (for example 1; 2; 3); let one of them leave these rows alone with `when`");
    let csv = rule("csv = \"notes.csv\"");
    insta::assert_snapshot!(told(&csv, "id,tenant\n1,1\n77,1\n"), @"error: [[rule]] r: 1 key of its csv file no row of public.tags has: 77 (line 3)");
    insta::assert_snapshot!(told(&csv, "id,tenant\n1,1\n2,5\n"), @"error: [[rule]] r: for 1 row of public.tags it names a tenant that the root does not have: 5 (line 3)");
    insta::assert_snapshot!(told(&csv, "id,tenant\none,1\n"), @r#"error: [[rule]] r (of public.tags): line 2 of its csv file: invalid input syntax for type integer: "one"; mend it in bastide.toml and try again"#);
    insta::assert_snapshot!(told(&csv, "id,tenant\n1,1\n2,Bolt\n"), @r#"error: [[rule]] r (of public.tags): line 3 of its csv file: invalid input syntax for type integer: "Bolt"; mend it in bastide.toml and try again"#);
    insta::assert_snapshot!(told(&csv, "id,tenant\n1,1\n01,1\n"), @r#"error: [[rule]] r (of public.tags): line 3 of its csv file: duplicate key value violates unique constraint "bastide_given_pkey"; mend it in bastide.toml and try again"#);
    insta::assert_snapshot!(told(&csv, "owner,tenant\nbolt,1\n"), @"error: [[rule]] r: the columns of its csv file (owner) are no key of public.tags");
    insta::assert_snapshot!(told(&rule("csv = \"nowhere.csv\""), ""), @"error: [[rule]] r: FOLDER/nowhere.csv: No such file or directory (os error 2)");
    assert_eq!(db.schema_dump().await, dump, "nothing was changed");
}

/// A cast to the root's key type cuts and rounds; neither may make one tenant out of the name of another.
#[tokio::test]
async fn no_value_is_cut_or_rounded_to_a_tenant() {
    let server = bastide_testkit::server().await;
    let told = async |name: &str, root_type: &str, rule: &str, csv: &str| -> String {
        let db = server.database(name).await;
        db.execute(&format!(
            "CREATE TABLE roots (id {root_type} PRIMARY KEY);
             INSERT INTO roots VALUES ('1'), ('2');
             CREATE TABLE notes (id varchar(2) PRIMARY KEY, owner text, number numeric);
             INSERT INTO notes VALUES ('a', '12', 1.6), ('b', '2', 2)"
        ))
        .await;
        let folder = tempfile::tempdir().unwrap();
        let text = format!("[[rule]]\nname = \"r\"\ntable = \"public.notes\"\n{rule}\n");
        let config = settings(folder.path(), &text, csv);
        let bastide = Bastide::on(db.url());
        let plan =
            ["legacy", "plan", "--accept-defaults", "--tenant-root", "public.roots", "--config", &config];
        bastide.run(&plan).expect(2).stderr.trim_end().to_owned()
    };
    insta::assert_snapshot!(told("exact0", "varchar(1)", "tenant = \"owner\"", "").await, @"error: [[rule]] r: for 1 row of public.notes it names a tenant that the root does not have: 12");
    insta::assert_snapshot!(told("exact1", "varchar(1)", "column = \"owner\"\ntenants = { 12 = \"12\", 2 = \"2\" }", "").await, @"error: [[rule]] r: for 1 row of public.notes it names a tenant that the root does not have: 12");
    insta::assert_snapshot!(told("exact2", "character(1)", "csv = \"notes.csv\"", "id,tenant\na,12\nb,2\n").await, @"error: [[rule]] r: for 1 row of public.notes it names a tenant that the root does not have: 12 (line 2)");
    insta::assert_snapshot!(told("exact3", "integer", "csv = \"notes.csv\"", "id,tenant\na,1\nb c,2\n").await, @"error: [[rule]] r: 1 key of its csv file no row of public.notes has: b c (line 3)");
    insta::assert_snapshot!(told("exact4", "integer", "tenant = \"number\"", "").await, @"error: [[rule]] r: for 1 row of public.notes it names a tenant that the root does not have: 1.6");
}

/// What is tried is what runs: under the same names, once for each row, and inside the same kind of block.
#[tokio::test]
async fn an_expression_means_the_same_when_it_is_tried_and_when_it_runs() {
    let server = bastide_testkit::server().await;
    let db = server.database("same").await;
    db.execute(
        "CREATE TABLE merchants (id integer PRIMARY KEY);
         INSERT INTO merchants VALUES (1), (2);
         CREATE FUNCTION whose(integer) RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT $1';
         CREATE TABLE notes (id integer PRIMARY KEY, found integer);
         INSERT INTO notes VALUES (1, 1), (2, 2)",
    )
    .await;
    let folder = tempfile::tempdir().unwrap();
    let bastide = Bastide::on(db.url());
    let upgrade = |tenant: &str, code: i32| -> String {
        let text = format!("[[rule]]\nname = \"r\"\ntable = \"public.notes\"\ntenant = \"{tenant}\"\n");
        let config = settings(folder.path(), &text, "");
        let ran = bastide.run(&[
            "legacy",
            "upgrade",
            "--yes",
            "--no-backup",
            "--i-have-a-backup",
            "--accept-defaults",
            "--tenant-root",
            "public.merchants",
            "--config",
            &config,
        ]);
        ran.expect(code).stderr.trim_end().to_owned()
    };
    insta::assert_snapshot!(upgrade("max(id)", 2), @r#"error: [[rule]] r (of public.notes): column "notes.ctid" must appear in the GROUP BY clause or be used in an aggregate function; mend it in bastide.toml and try again"#);
    insta::assert_snapshot!(upgrade("generate_series(1, 2)", 2), @r#"error: [[rule]] r (of public.notes): set-returning functions are not allowed in CASE; mend it in bastide.toml and try again"#);
    insta::assert_snapshot!(upgrade("whose(id)", 2), @r#"error: [[rule]] r (of public.notes): function whose(integer) does not exist; mend it in bastide.toml and try again"#);
    upgrade("public.whose(found)", 0);
    let tenants = "SELECT string_agg(id || ' ' || tenant_id, ', ' ORDER BY id) FROM notes";
    assert_eq!(db.query_one_text(tenants).await, "1 1, 2 2");
}

/// A root whose keys are short has no room to tell two lost shops apart.
#[tokio::test]
async fn lost_shops_whose_keys_would_be_one() {
    let server = bastide_testkit::server().await;
    let db = server.database("short").await;
    db.execute(
        "CREATE TABLE merchants (id varchar(4) PRIMARY KEY, name text);
         CREATE TABLE stores (id integer PRIMARY KEY, name text, merchant_id varchar(4) REFERENCES merchants);
         CREATE TABLE customers (id integer PRIMARY KEY, store_id integer REFERENCES stores);
         INSERT INTO merchants VALUES ('acme', 'Acme');
         INSERT INTO stores VALUES (1, 'Lost shop'), (2, 'Lost and found');
         INSERT INTO customers SELECT i, 1 + i % 2 FROM generate_series(1, 60) i",
    )
    .await;
    let bastide = Bastide::on(db.url());
    let ran =
        bastide.run(&["legacy", "plan", "--accept-defaults", "--tenant-root", "public.merchants"]).expect(0);
    let plan = std::fs::read_to_string(bastide.path().join("plan.toml")).unwrap();
    assert_eq!(plan.matches("id = \"tenant:").count(), 1, "{plan}");
    assert!(
        plan.contains("they cannot become one (the id lost it would have is another group's)"),
        "{}\n{plan}",
        ran.stdout
    );
}
