//! What stands around tables, or comes to them during a run; and many of them.

use bastide_testkit::{Database, server};

use crate::{bastide::Bastide, shapes::loaded};

const SHOP: &str = "CREATE TABLE shop (id integer PRIMARY KEY, name text NOT NULL);
    CREATE TABLE sale (id integer PRIMARY KEY, shop_id integer REFERENCES shop, note text);
    INSERT INTO shop VALUES (1, 'a'), (2, 'b'); INSERT INTO sale SELECT g, 1 + g % 2, 'x' FROM generate_series(1, 20) g;";

const PLAN: [&str; 5] = ["rls", "plan", "--accept-defaults", "--tenant-root", "public.shop"];

fn migrate(bastide: &Bastide) -> crate::bastide::Ran {
    let plan = bastide.path().join("plan.toml");
    bastide.run(&["rls", "migrate", "--yes", "--plan", plan.to_str().unwrap()])
}

/// Made, and made by itself and attached, at a lower level; a copy is none of it.
const LATE: &str = "CREATE TABLE sale_2030_north PARTITION OF sale_2030 FOR VALUES IN ('north'); CREATE TABLE copied (LIKE sale INCLUDING DEFAULTS);
    CREATE TABLE late (LIKE sale); ALTER TABLE sale_2030 ATTACH PARTITION late FOR VALUES IN ('south');
    INSERT INTO sale (id, shop_id, sold, region) VALUES (1000, 2, '2030-05-01', 'north'), (1001, NULL, '2030-05-01', 'south')";

async fn with_late_partitions() -> (bastide_testkit::Server, Database, Bastide) {
    let (server, db) = loaded(include_str!("../../../../fixtures/legacy/shapes/levels.sql")).await;
    let bastide = Bastide::on(db.url());
    bastide.run(&PLAN).expect(0);
    migrate(&bastide).expect(0);
    db.execute(LATE).await;
    let tenants = "SELECT string_agg(shop_id::text, ',' ORDER BY id) FROM sale WHERE id >= 1000";
    assert_eq!(db.query_one_text(tenants).await, "2,-1");
    (server, db, bastide)
}

/// It says that the schema is another one: the shop made it so.
async fn rolled_back(db: &Database, bastide: &Bastide) {
    let ran = bastide.run(&["rls", "rollback", "--yes"]);
    assert!(ran.stderr.contains("rolled back, but the schema is not what it was"), "{}", ran.stderr);
    assert!(!db.schema_dump().await.contains("bastide"), "nothing of the run is left");
    assert!(!db.schema_dump().await.contains("ROW LEVEL SECURITY"), "nothing of the run is left");
    assert_eq!(db.query_one_text("SELECT count(*)::text FROM sale WHERE id >= 1000").await, "2");
}

#[tokio::test]
async fn a_partition_made_meanwhile_does_not_stop_rollback() {
    let (_server, db, bastide) = with_late_partitions().await;
    let verdict = bastide.run(&["rls", "validate"]).expect(0);
    assert!(verdict.stdout.contains("public.sale_2030_north"), "{}", verdict.stdout);
    rolled_back(&db, &bastide).await;
}

#[tokio::test]
async fn cutover_closes_partitions_made_meanwhile_and_names_those_made_since() {
    let (_server, db, bastide) = with_late_partitions().await;
    bastide.run(&["rls", "cutover", "--yes"]).expect(0);
    bastide.run(&["rls", "validate"]).expect(0);
    let closed = "SELECT bool_and(relrowsecurity AND relforcerowsecurity)::text FROM pg_class WHERE relname IN ('sale_2030_north', 'late')";
    assert_eq!(db.query_one_text(closed).await, "true");
    // Row by row the application has it through the parent, whose policy filters.
    db.execute("CREATE TABLE sale_2030_west PARTITION OF sale_2030 FOR VALUES IN ('west'); INSERT INTO sale (id, shop_id, sold, region) VALUES (1002, 2, '2030-05-01', 'west')")
        .await;
    let seen = "BEGIN; SET LOCAL ROLE bastide_app; SELECT bastide.set_tenant('1'); SELECT count(*)::text FROM sale WHERE id = 1002; COMMIT";
    assert_eq!(db.query_rows(seen).await.last().map(String::as_str), Some("0"));
    let verdict = bastide.run(&["rls", "validate"]).expect(1);
    assert!(verdict.stdout.contains("BST-001 warning: public.sale_2030_west"), "{}", verdict.stdout);
    let json = bastide.run(&["rls", "validate", "--format", "json"]).json();
    let mend =
        json["findings"].as_array().unwrap().iter().find(|finding| finding["id"] == "BST-001").unwrap();
    db.execute(mend["mend"].as_str().unwrap()).await;
    bastide.run(&["rls", "validate"]).expect(0);
    db.execute("DELETE FROM sale WHERE id = 1002").await;
    rolled_back(&db, &bastide).await;
}

#[tokio::test]
async fn an_event_trigger_that_refuses_stops_the_run() {
    let server = server().await;
    let db = server.database("around").await;
    db.execute(SHOP).await;
    db.execute("CREATE FUNCTION frozen() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN IF TG_TAG = ''ALTER TABLE'' THEN RAISE EXCEPTION ''the schema is frozen''; END IF; END'; CREATE EVENT TRIGGER frozen ON ddl_command_start EXECUTE FUNCTION frozen()")
        .await;
    let dump = db.schema_dump().await;
    let bastide = Bastide::on(db.url());
    let planned = bastide.run(&PLAN);
    let note = "event triggers see every step that changes the schema: frozen";
    assert!(planned.stdout.contains(note), "{}\n{}", planned.stdout, planned.stderr);
    planned.expect(0);
    let ran = migrate(&bastide);
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.contains("event trigger frozen"), "{}", ran.stderr);
    assert!(ran.stderr.contains("the schema is frozen"), "{}", ran.stderr);
    assert_eq!(db.schema_dump().await, dump);
}

#[tokio::test]
async fn an_event_trigger_that_refuses_temporary_tables_is_named() {
    let server = server().await;
    let db = server.database("around").await;
    db.execute(SHOP).await;
    db.execute("CREATE FUNCTION guard() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''tables are made by the platform team''; END';
        CREATE EVENT TRIGGER \"Only them\" ON ddl_command_end WHEN TAG IN ('CREATE TABLE', 'CREATE TABLE AS') EXECUTE FUNCTION guard();
        CREATE EVENT TRIGGER asleep ON ddl_command_end EXECUTE FUNCTION guard(); ALTER EVENT TRIGGER asleep DISABLE")
        .await;
    let bastide = Bastide::on(db.url());
    let ran = bastide.run(&PLAN).expect(3);
    for words in [
        "tables are made by the platform team",
        r#""Only them" (which calls public.guard())"#,
        r#"Run ALTER EVENT TRIGGER "Only them" DISABLE,"#,
    ] {
        assert!(ran.stderr.contains(words), "{words}: {}", ran.stderr);
    }
    db.execute(r#"ALTER EVENT TRIGGER "Only them" DISABLE"#).await;
    let planned = bastide.run(&PLAN).expect(0);
    assert!(
        !planned.stdout.contains("event triggers see"),
        "those that sleep see nothing: {}",
        planned.stdout
    );
}

/// Ours are sessions with an empty search_path, whatever the shop's have.
#[tokio::test]
async fn an_event_trigger_that_finds_its_log_by_a_search_path_is_told_how() {
    let server = server().await;
    let db = server.database("around").await;
    db.execute(SHOP).await;
    db.execute("CREATE TABLE changes (tag text); CREATE FUNCTION keep() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO changes VALUES (TG_TAG); END';
        CREATE EVENT TRIGGER kept ON ddl_command_end EXECUTE FUNCTION keep()")
        .await;
    let bastide = Bastide::on(db.url());
    let ran = bastide.run(&PLAN).expect(3);
    let remedy = r#"ALTER FUNCTION "public"."keep"() SET search_path = "public""#;
    assert!(ran.stderr.contains(remedy), "{}", ran.stderr);
    db.execute(remedy).await;
    bastide.run(&PLAN).expect(0);
    migrate(&bastide).expect(0);
    bastide.run(&["rls", "rollback", "--yes"]).expect(0);
}

#[tokio::test]
async fn what_the_login_grants_by_default_opens_nothing_of_ours() {
    let server = server().await;
    let db = server.database("around").await;
    db.execute("CREATE ROLE reporting LOGIN; ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO reporting; ALTER DEFAULT PRIVILEGES GRANT ALL ON SEQUENCES TO reporting").await;
    db.execute(SHOP).await;
    let bastide = Bastide::on(db.url());
    bastide.run(&PLAN).expect(0);
    migrate(&bastide).expect(0);
    let open = "SELECT coalesce(string_agg(c.relname || ' ' || p, ', ' ORDER BY c.relname, p), '') FROM pg_class c, unnest('{SELECT,INSERT,UPDATE,DELETE}'::text[]) p
        WHERE c.relnamespace = 'bastide'::regnamespace AND c.relkind IN ('r', 'v') AND has_table_privilege('reporting', c.oid, p)";
    assert_eq!(db.query_one_text(open).await, "scoped_tables SELECT");
    bastide.run(&["rls", "rollback", "--yes"]).expect(0);
}

#[tokio::test]
async fn publications_are_told() {
    let server = server().await;
    let db = server.database("around").await;
    db.execute(SHOP).await;
    db.execute("CREATE PUBLICATION everything FOR ALL TABLES; CREATE PUBLICATION picked FOR TABLE sale (id, note) WHERE (id > 10); CREATE PUBLICATION aside FOR TABLE shop")
        .await;
    let planned = Bastide::on(db.url()).run(&PLAN);
    for name in ["everything", "picked", "aside"] {
        let note = format!("the publication {name} sends rows of every tenant");
        assert!(planned.stdout.contains(&note), "{note}: {}", planned.stdout);
    }
    planned.expect(0);
}

#[tokio::test]
async fn three_hundred_tables() {
    let server = server().await;
    let db = server.database("many").await;
    db.execute(include_str!("../../../../fixtures/legacy/shapes/many.sql")).await;
    let dump = db.schema_dump().await;
    let bastide = Bastide::on(db.url());
    bastide.run(&PLAN).expect(0);
    migrate(&bastide).expect(0);
    bastide.run(&["rls", "validate"]).expect(0);
    bastide.run(&["rls", "rollback", "--yes"]).expect(0);
    assert_eq!(db.schema_dump().await, dump);
}
