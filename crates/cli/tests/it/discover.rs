//! `legacy discover`: what it says of databases good and bad, and that it changes nothing.

use std::path::Path;

use bastide_testkit::{Database, legacy, server};
use serde_json::Value;

use crate::bastide::{Bastide, Ran};

/// Hostile names, NULLs, keys of several columns and of none, partitions, dirt of every category.
const NASTY: &str = r#"
CREATE TABLE merchants (id integer PRIMARY KEY, name text NOT NULL);
INSERT INTO merchants VALUES (1, 'a'), (2, 'b'), (3, 'c');
CREATE TYPE mood AS ENUM ('open', 'CLOSED');
CREATE TABLE customers (id integer PRIMARY KEY, merchant_id integer REFERENCES merchants, "E-Mail" text, "isTest" boolean,
  active smallint, latest_score boolean, deleted_at timestamptz, created_at timestamp, birth_date date);
INSERT INTO customers SELECT g, CASE WHEN g <= 60 THEN 1 + g % 3 END, 'c' || g || CASE WHEN g % 10 = 0 THEN '@shop.EXAMPLE' ELSE '@example.org.uk' END,
  g % 20 = 0, (g % 4 > 0)::int, true, CASE WHEN g % 25 = 0 THEN now() END, CASE WHEN g <= 30 THEN '2001-01-01'::timestamp WHEN g <= 90 THEN now()::timestamp END, '1950-01-01'
  FROM generate_series(1, 100) g;
CREATE TABLE orders (id integer, customer_id integer REFERENCES customers, state mood, total numeric(10,2), PRIMARY KEY (id, customer_id)) PARTITION BY HASH (id);
CREATE TABLE orders_0 PARTITION OF orders FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE orders_1 PARTITION OF orders FOR VALUES WITH (MODULUS 2, REMAINDER 1);
INSERT INTO orders SELECT g, g % 100 + 1, CASE WHEN g % 5 = 0 THEN 'CLOSED'::mood ELSE 'open' END, CASE WHEN g % 8 = 0 THEN 0 ELSE g END FROM generate_series(1, 400) g;
CREATE SCHEMA "we""ird";
CREATE TABLE "we""ird"."<script>alert('x')</script>" (customer integer REFERENCES customers, "test" boolean, status text);
INSERT INTO "we""ird"."<script>alert('x')</script>" SELECT g, g % 2 = 0, 'Archived' FROM generate_series(1, 10) g;
CREATE TABLE empty (id integer PRIMARY KEY, merchant_id integer REFERENCES merchants, archived boolean);
CREATE TABLE notes (body text);
INSERT INTO notes VALUES ('x');
ANALYZE;
"#;

const DISCOVER: [&str; 4] = ["legacy", "discover", "--format", "json"];
const ROOT: [&str; 2] = ["--tenant-root", "public.merchants"];

async fn nasty(name: &str) -> (bastide_testkit::Server, Database) {
    let server = server().await;
    let db = server.database(name).await;
    db.execute(NASTY).await;
    (server, db)
}

fn discover(bastide: &Bastide, more: &[&str]) -> Ran {
    bastide.run(&[&DISCOVER, more].concat())
}

fn table<'a>(found: &'a Value, name: &str) -> &'a Value {
    let tables = found["tables"].as_array().unwrap();
    tables.iter().find(|table| table["table"] == name).unwrap_or_else(|| panic!("{name} in {tables:#?}"))
}

/// Of a category in a table: rows, those without a tenant, those nothing reaches.
#[track_caller]
fn category(found: &Value, name: &str, table: &str) -> (Value, Value, Value) {
    let category = found["categories"].as_array().unwrap().iter().find(|category| category["name"] == name);
    let tables =
        category.unwrap_or_else(|| panic!("{name}: {:#}", found["categories"]))["tables"].as_array().unwrap();
    let found = tables.iter().find(|found| found["table"] == table);
    let found = found.unwrap_or_else(|| panic!("{name} of {table}: {tables:#?}"));
    (
        found["rows"]["rows"].clone(),
        found["without_tenant"]["rows"].clone(),
        found["unreachable"]["rows"].clone(),
    )
}

const WEIRD: &str = r#""we""ird"."<script>alert('x')</script>""#;

#[tokio::test]
async fn everything_is_told_and_nothing_is_changed() {
    let (_server, db) = nasty("shop").await;
    // A function that writes when it is looked through.
    db.execute("CREATE TABLE written (a int); CREATE FUNCTION writes(int) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN INSERT INTO public.written VALUES ($1); RETURN true; END'").await;
    let before = (db.schema_dump().await, db.fingerprints().await);
    let writes = "SELECT sum(n_tup_ins + n_tup_upd + n_tup_del)::text FROM pg_stat_user_tables";
    let written = db.query_one_text(writes).await;
    let bastide = Bastide::on(db.url());
    let settings = bastide.path().join("bastide.toml");
    std::fs::write(
        &settings,
        "[[category]]\nname = \"writes\"\ntable = \"public.notes\"\nwhen = \"public.writes(1)\"\n",
    )
    .unwrap();
    let found =
        discover(&bastide, &[&ROOT[..], &["--config", settings.to_str().unwrap()]].concat()).expect(0).json();
    assert_eq!((db.schema_dump().await, db.fingerprints().await), before, "nothing changed");
    assert_eq!(db.query_one_text(writes).await, written, "nothing was written, not even to be rolled back");
    let said = found["categories"].to_string();
    assert!(said.contains("read-only transaction"), "what writes is refused, and said: {said}");

    // By hand: 60 customers have a merchant; 40 have none, and all their orders hang on them alone.
    let customers = &table(&found, "public.customers");
    assert_eq!(customers["class"], "scoped");
    assert_eq!(customers["tenants"]["had"], 60);
    assert_eq!(customers["tenants"]["unreachable"], 40);
    let orders = table(&found, "public.orders");
    assert_eq!((&orders["partitions"], &orders["rows"]["rows"]), (&Value::from(2), &Value::from(400)));
    assert_eq!(
        (&orders["tenants"]["could_have"], &orders["tenants"]["unreachable"]),
        (&Value::from(240), &Value::from(160))
    );
    assert_eq!(table(&found, "public.notes")["class"], "unclear");
    assert_eq!(table(&found, WEIRD)["tenants"]["could_have"], 10);
    assert_eq!(found["tenants"], 3);

    let is = |rows: u64, without: u64, unreachable: u64| (rows.into(), without.into(), unreachable.into());
    // 10, 20, …, 100 have a reserved address, and 20, 40, … are marked as well.
    assert_eq!(category(&found, "test", "public.customers"), is(10, 4, 4));
    assert_eq!(category(&found, "inactive", "public.customers"), is(25, 10, 10));
    assert_eq!(category(&found, "archived", "public.customers"), is(4, 2, 2));
    assert_eq!(category(&found, "archived", WEIRD), is(10, 0, 0));
    assert_eq!(category(&found, "old", "public.customers"), is(29, 0, 0), "a date of birth makes nobody old");
    let closed = db.query_one_text("SELECT count(*) FROM orders o JOIN customers c ON c.id = o.customer_id WHERE o.state = 'CLOSED' AND c.merchant_id IS NULL").await;
    let closed: u64 = closed.parse().unwrap();
    assert_eq!(category(&found, "closed", "public.orders"), is(80, closed, closed));
    assert_eq!(category(&found, "zero value", "public.orders").0, 50);
    assert_eq!(category(&found, "archived", "public.empty"), is(0, 0, 0));

    let page = std::fs::read_to_string(bastide.path().join("reports/discovery.html")).unwrap();
    assert!(!page.contains("<script") && page.contains("&lt;script&gt;alert('x')"), "names are escaped");
    let text = bastide.run(&["legacy", "discover", ROOT[0], ROOT[1]]).expect(0).stdout;
    for word in ["60", "40", "scoped", "unclear", "nothing was changed", "could have one"] {
        assert!(text.contains(word), "{word}: {text}");
    }
}

#[tokio::test]
async fn a_root_that_is_none_stops_nothing() {
    let (_server, db) = nasty("rootless").await;
    db.execute("CREATE TABLE keyless (a int)").await;
    let bastide = Bastide::on(db.url());
    let found = discover(&bastide, &[]).expect(0).json();
    assert_eq!(found["root"], Value::Null);
    // Whoever named none is shown which could be one.
    let roots = found["other_roots"]["measured"].as_array().unwrap();
    assert_eq!((&roots[0]["root"], &roots[0]["boundary"]), (&"public.merchants".into(), &true.into()));
    assert_eq!((&roots[0]["tenants"], &roots[0]["rows_scoped"]), (&3.into(), &510.into()));
    assert_eq!(table(&found, "public.customers")["rows"]["rows"], 100);
    assert_eq!(category(&found, "test", "public.customers"), (10.into(), Value::Null, Value::Null));
    for (root, says) in [("public.keyless", "no key of one column"), ("public.merchant", "public.merchants")]
    {
        let found = discover(&bastide, &["--tenant-root", root]).expect(1).json();
        assert!(found["obstacles"][0].as_str().unwrap().contains(says), "{}", found["obstacles"]);
        assert_eq!(table(&found, "public.orders")["rows"]["rows"], 400);
    }
    let found = discover(&bastide, &["--new-tenant-root", "tenants"]).expect(0).json();
    assert_eq!(table(&found, "public.notes")["class"], "scoped");
    // What a plan refuses is an obstacle, not an end: nothing holds back this trigger while rows get their tenant.
    db.execute("CREATE TRIGGER always BEFORE UPDATE ON empty FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger(); ALTER TABLE empty ENABLE ALWAYS TRIGGER always").await;
    let found = discover(&bastide, &ROOT).expect(1).json();
    assert!(found["obstacles"][0].as_str().unwrap().contains("public.empty"), "{}", found["obstacles"]);
    assert_eq!(table(&found, "public.customers")["tenants"]["had"], 60);
}

#[tokio::test]
async fn a_reader_sees_what_it_may_and_is_told_the_rest() {
    let (_server, db) = nasty("rights").await;
    db.execute(
        r#"CREATE ROLE reader LOGIN PASSWORD 'p'; GRANT USAGE ON SCHEMA public, "we""ird" TO reader;
        GRANT SELECT ON ALL TABLES IN SCHEMA public, "we""ird" TO reader"#,
    )
    .await;
    let reader = Bastide::on(db.url_as("reader", "p"));
    let found = discover(&reader, &ROOT).expect(0).json();
    assert_eq!(table(&found, "public.customers")["tenants"]["had"], 60, "reading is enough");

    // A shared or unclear table is named; the others go on.
    db.execute("REVOKE SELECT ON notes FROM reader").await;
    let found = discover(&reader, &ROOT).json();
    assert!(
        table(&found, "public.notes")["rows"]["why"]
            .as_str()
            .unwrap()
            .contains("GRANT SELECT ON public.notes TO reader")
    );
    assert_eq!(table(&found, "public.customers")["tenants"]["had"], 60);

    // Without a scoped one nothing is known of whose rows are; a part would pass for the whole.
    db.execute("ALTER TABLE orders_1 ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON orders_1 USING (id < 10)")
        .await;
    let found = discover(&reader, &ROOT).json();
    let why = found["tenants_not_counted"].as_str().unwrap();
    assert!(why.contains("public.orders_1") && why.contains("BYPASSRLS"), "{why}");
    assert_eq!(table(&found, "public.customers")["tenants"], Value::Null);
    assert_eq!(table(&found, "public.customers")["rows"]["rows"], 100);
    assert_eq!(table(&found, "public.orders")["rows"]["how"], "not_counted");

    db.execute(
        "ALTER TABLE orders_1 DISABLE ROW LEVEL SECURITY; REVOKE TEMPORARY ON DATABASE rights FROM PUBLIC",
    )
    .await;
    let found = discover(&reader, &ROOT).json();
    let why = found["tenants_not_counted"].as_str().unwrap();
    assert!(why.contains("GRANT TEMPORARY ON DATABASE rights TO reader"), "{why}");
    assert_eq!(category(&found, "test", "public.customers").0, 10);
}

#[tokio::test]
async fn a_locked_table_and_little_time_are_said() {
    let (_server, db) = nasty("locked").await;
    let holder = db.client().await;
    holder.batch_execute("BEGIN; LOCK TABLE notes IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let bastide = Bastide::on(db.url());
    let found = discover(&bastide, &ROOT).expect(0).json();
    let why = table(&found, "public.notes")["rows"]["why"].as_str().unwrap().to_owned();
    assert!(why.contains("locked by session") && why.contains("bastide-testkit"), "{why}");
    assert_eq!(table(&found, "public.customers")["tenants"]["had"], 60);
    holder.batch_execute("ROLLBACK").await.unwrap();

    // A declared expression that would take for ever, and one that fails: the others are counted.
    let settings = bastide.path().join("bastide.toml");
    let text = "[[category]]\nname = \"slow\"\ntable = \"public.notes\"\nwhen = \"pg_sleep(60) IS NULL\"\n[[category]]\nname = \"broken\"\ntable = \"public.customers\"\nwhen = \"1 / (id - id) = 1\"\n";
    std::fs::write(&settings, text).unwrap();
    let began = std::time::Instant::now();
    let limited = ["--config", settings.to_str().unwrap(), "--time-limit", "4"];
    let found = discover(&bastide, &[&ROOT[..], &limited].concat()).expect(0).json();
    assert!(began.elapsed().as_secs() < 20, "{:?}", began.elapsed());
    let said = found["categories"].to_string();
    assert!(said.contains("stopped after 4 s") && said.contains("division by zero"), "{said}");
    assert_eq!(category(&found, "test", "public.customers").0, 10);
}

#[tokio::test]
async fn a_sample_says_that_it_is_one() {
    let (_server, db) = nasty("sampled").await;
    db.execute("CREATE TABLE big AS SELECT g AS id, g % 10 = 0 AS is_test FROM generate_series(1, 50000) g; ANALYZE big").await;
    let bastide = Bastide::on(db.url());
    let found = discover(&bastide, &[&ROOT[..], &["--sample-above", "10000"]].concat()).expect(0).json();
    let rows = &table(&found, "public.big")["rows"];
    assert_eq!((&rows["how"], &rows["percent"]), (&Value::from("sampled"), &Value::from(20.0)));
    let near = |value: &Value, truth: f64| (value.as_f64().unwrap() / truth - 1.0).abs() < 0.35;
    assert!(near(&rows["rows"], 50_000.0), "{rows}");
    assert!(near(&category(&found, "test", "public.big").0, 5_000.0));
    assert_eq!(table(&found, "public.customers")["rows"]["how"], "exact", "small tables are counted");
    let text =
        bastide.run(&["legacy", "discover", ROOT[0], ROOT[1], "--sample-above", "10000"]).expect(0).stdout;
    assert!(text.contains("sampled 20.0 %, scaled estimate"), "{text}");
    let page = std::fs::read_to_string(bastide.path().join("reports/discovery.html")).unwrap();
    assert!(page.contains("sampled 20.0 %"));
}

#[tokio::test]
async fn settings_that_name_nothing_say_where() {
    let (_server, db) = nasty("settings").await;
    let bastide = Bastide::on(db.url());
    let file = bastide.path().join("bastide.toml");
    let head = "# ours\n\n[[category]]\nname = \"x\"\n";
    let cases = [
        (
            "table = \"public.customer\"\ncolumn = \"id\"\nis_set = true\n",
            "line 5",
            &["public.customer", "public.customers"][..],
        ),
        (
            "table = \"public.customers\"\ncolumn = \"activ\"\nis_true = true\n",
            "line 6",
            &["activ", "did you mean active"],
        ),
        (
            "table = \"public.customers\"\ncolumn = \"birth_date\"\nis_true = true\n",
            "line 7",
            &["birth_date", "date", "boolean"],
        ),
        ("type = \"money\"\nis_zero = true\n", "line 5", &["money", "numeric"]),
        ("table = \"public.customers\"\nwhen = \"nam = 'a'\"\n", "line 6", &["nam", "does not exist"]),
        ("older_than = \"2 yaers\"\n", "line 5", &["2 yaers", "2 years"]),
        ("column = \"id\"\n", "line 3", &["exactly one of", "older_than"]),
        ("column = \"id\"\nis_set = true\nis_zero = true\n", "line 3", &["exactly one of"]),
        ("colum = \"id\"\n", "line 5", &["colum", "column"]),
        ("when = \"a; b\"\ntable = \"public.notes\"\n", "line 5", &["semicolon"]),
    ];
    for (text, line, words) in cases {
        std::fs::write(&file, format!("{head}{text}")).unwrap();
        let ran = discover(&bastide, &[&ROOT[..], &["--config", file.to_str().unwrap()]].concat()).expect(2);
        for word in words.iter().chain(&[line, "bastide.toml"]) {
            assert!(ran.stderr.contains(word), "{text}: {word:?} is missing in: {}", ran.stderr);
        }
    }
    let ran = discover(&bastide, &["--exclude-table", "public.costumers"]).expect(2);
    assert!(ran.stderr.contains("did you mean public.customers"), "{}", ran.stderr);
    let ran = discover(&bastide, &["--exclude-schema", "pubilc"]).expect(2);
    assert!(ran.stderr.contains("did you mean public"), "{}", ran.stderr);
    discover(&bastide, &["--time-limit", "0"]).expect(2);

    // A declared category takes the place of the default of its name.
    std::fs::write(&file, "[[category]]\nname = \"test\"\ntable = \"public.customers\"\ncolumn = \"E-Mail\"\nmatches = \"c7%@%\"\n").unwrap();
    let found =
        discover(&bastide, &[&ROOT[..], &["--config", file.to_str().unwrap()]].concat()).expect(0).json();
    assert_eq!(category(&found, "test", "public.customers"), (11.into(), 10.into(), 10.into()));
}

#[tokio::test]
async fn an_empty_database() {
    let server = server().await;
    let db = server.database("empty").await;
    let bastide = Bastide::on(db.url());
    assert_eq!(discover(&bastide, &[]).expect(0).json()["tables"], Value::Array(Vec::new()));
    assert!(bastide.run(&["legacy", "discover"]).expect(0).stdout.contains("the database is empty"));
    assert!(Path::new(&bastide.path().join("reports/discovery.html")).exists());
    discover(&bastide, &ROOT).expect(1);
}

#[tokio::test]
async fn a_real_one() {
    let Some((_server, db)) = legacy("sakila").await else { return };
    let before = (db.schema_dump().await, db.fingerprints().await);
    let bastide = Bastide::on(db.url());
    let found = discover(&bastide, &["--tenant-root", "public.store"]).expect(1).json();
    assert!(found["obstacles"][0].as_str().unwrap().contains("boundary"), "{}", found["obstacles"]);
    let others = &found["other_roots"];
    let is = |root: &str| others["measured"].as_array().unwrap().iter().find(|m| m["root"] == root).unwrap();
    assert_eq!((&is("public.film")["boundary"], &is("public.film")["tenants"]), (&true.into(), &1000.into()));
    assert_eq!(is("public.staff")["boundary"], false);
    assert_eq!(others["unmeasured"][0]["why"], "only 6 are measured");
    let rental = table(&found, "public.rental");
    assert_eq!((&rental["class"], &rental["rows"]["rows"]), (&"scoped".into(), &16_044.into()));
    let inactive = db.query_one_text("SELECT count(*) FROM customer WHERE active = 0").await;
    assert_eq!(category(&found, "inactive", "public.customer").0.to_string(), inactive);
    let old = db.query_one_text("SELECT count(*) FROM rental WHERE greatest(rental_date, return_date, last_update) < now() - interval '2 years'").await;
    assert_eq!(category(&found, "old", "public.rental").0.to_string(), old);
    assert_eq!((db.schema_dump().await, db.fingerprints().await), before, "nothing changed");
}
