//! Fingerprints and differences: that each change shows, under its name, and that use of the database does not.

use bastide_catalog::{Catalog, Change, Fingerprint};
use insta::assert_snapshot;

use super::{list, nasty, read};

fn changes(before: &Catalog, after: &Catalog) -> Vec<Change> {
    Fingerprint::of(before).changes(&Fingerprint::of(after))
}

#[tokio::test]
async fn each_change_is_named_by_object_and_aspect() {
    let (_server, database) = nasty().await;
    let mut before = read(&database).await;
    let mut client = database.client().await;
    client.batch_execute("SET search_path = public").await.unwrap();
    for (statement, expected) in [
        ("ALTER TABLE child ADD extra int", "table public.child changed (columns)"),
        ("ALTER TABLE child ALTER extra SET DEFAULT 1", "table public.child changed (columns)"),
        ("ALTER TABLE child ALTER extra TYPE bigint", "table public.child changed (columns)"),
        ("ALTER TABLE parent DROP CONSTRAINT parent_unique", "table public.parent changed (keys)"),
        ("ALTER TABLE child DROP CONSTRAINT child_self", "table public.child changed (foreign keys)"),
        ("ALTER TABLE parent VALIDATE CONSTRAINT parent_owner", "table public.parent changed (foreign keys)"),
        (
            "ALTER TABLE animal ADD CHECK (name <> 'cat')",
            "table public.animal changed (checks), table public.robot_dog changed (checks)",
        ),
        ("CREATE INDEX ON scratch (x)", "table public.scratch changed (indexes)"),
        ("ALTER TABLE child ENABLE TRIGGER after_all", "table public.child changed (triggers)"),
        ("DROP RULE \"Keep\" ON scratch", "table public.scratch changed (rules)"),
        ("ALTER POLICY everyone ON child USING (note IS NULL)", "table public.child changed (policies)"),
        ("ALTER POLICY everyone ON child TO catalog_group", "table public.child changed (policies)"),
        ("ALTER TABLE parent ENABLE ROW LEVEL SECURITY", "table public.parent changed (row security)"),
        ("ALTER TABLE child NO FORCE ROW LEVEL SECURITY", "table public.child changed (forced row security)"),
        ("ALTER TABLE nothing OWNER TO catalog_group", "table public.nothing changed (owner)"),
        ("GRANT SELECT ON parent TO PUBLIC", "table public.parent changed (grants)"),
        ("GRANT SELECT (a) ON parent TO catalog_group", "table public.parent changed (grants)"),
        ("REVOKE ALL ON machine FROM postgres", "table public.machine changed (grants)"),
        (
            "ALTER TABLE robot_dog NO INHERIT machine",
            "table public.machine changed (children), table public.robot_dog changed (columns, parents)",
        ),
        ("ALTER TABLE scratch SET LOGGED", "table public.scratch changed (persistence)"),
        (
            "ALTER VIEW parents SET (security_invoker = true)",
            "view public.parents changed (options, security_invoker)",
        ),
        (
            "CREATE OR REPLACE VIEW parents AS SELECT b, 1 AS id FROM parent",
            "view public.parents changed (definition, options, security_invoker, tables read)",
        ),
        ("DROP INDEX totals_key", "materialised view public.totals changed (unique index)"),
        ("ALTER FUNCTION stamp() SECURITY DEFINER", "function public.stamp() changed (security definer)"),
        (
            "ALTER FUNCTION stamp(int, text[]) RESET work_mem",
            "function public.stamp(n integer, VARIADIC rest text[]) changed (settings)",
        ),
        ("ALTER SEQUENCE free_sequence OWNED BY parent.a", "sequence public.free_sequence changed (column)"),
        ("GRANT CREATE ON SCHEMA empty_schema TO PUBLIC", "schema empty_schema changed (grants)"),
        ("CREATE TABLE \"New\" ()", "table public.\"New\" is new"),
        ("DROP TABLE addresses", "table public.addresses is gone"),
        ("DROP VIEW invoker", "view public.invoker is gone"),
        ("ALTER EVENT TRIGGER watch DISABLE", "event trigger watch changed (asleep)"),
        ("DROP EVENT TRIGGER watch", "event trigger watch is gone"),
        ("ALTER PUBLICATION \"Some\" DROP TABLE child", "publication \"Some\" changed (tables)"),
        (
            "ALTER PUBLICATION \"Some\" SET TABLE child (id)",
            "publication \"Some\" changed (column lists, tables)",
        ),
        (
            "CREATE SUBSCRIPTION feed CONNECTION 'dbname=elsewhere' PUBLICATION theirs WITH (connect = false)",
            "subscription feed is new",
        ),
        (
            "ALTER DEFAULT PRIVILEGES FOR ROLE catalog_definer IN SCHEMA public GRANT INSERT ON TABLES TO \"Reader Role\"",
            "default privileges of catalog_definer on tables in schema public changed (grants)",
        ),
        ("ALTER ROLE catalog_login BYPASSRLS", "role catalog_login changed (bypassrls)"),
        ("GRANT catalog_definer TO catalog_login", "role catalog_login changed (memberships)"),
        ("ALTER ROLE catalog_group SET app.tenant = 'x'", "role catalog_group changed (settings)"),
        ("CREATE EXTENSION pgcrypto SCHEMA empty_schema", "extension pgcrypto is new"),
        (
            "REVOKE EXECUTE ON FUNCTION empty_schema.gen_salt(text) FROM PUBLIC",
            "extension pgcrypto changed (functions)",
        ),
    ] {
        client.batch_execute(statement).await.unwrap();
        let after = bastide_catalog::read(&mut client).await.unwrap();
        assert_eq!(list(changes(&before, &after)), expected, "after {statement}");
        assert!(!before.diff(&after).is_empty(), "no difference after {statement}");
        before = after;
    }
}

#[tokio::test]
async fn using_the_database_changes_nothing() {
    let (_server, database) = nasty().await;
    let before = read(&database).await;
    database
        .execute(
            "INSERT INTO public.parent (a, b) SELECT n, n FROM generate_series(1, 5000) n;
             INSERT INTO public.events (tenant, at) SELECT 2 + n % 3, date '2019-01-01' + n FROM generate_series(1, 3000) n;
             SELECT nextval('public.free_sequence');
             REFRESH MATERIALIZED VIEW public.totals;
             ANALYZE;
             CREATE ROLE passer_by LOGIN;
             CREATE SCHEMA IF NOT EXISTS bastide;
             CREATE TABLE bastide.journal (id int);
             CREATE ROLE bastide_owner NOLOGIN BYPASSRLS;
             GRANT pg_monitor TO bastide_owner;
             ALTER SCHEMA bastide OWNER TO bastide_owner",
        )
        .await;
    let after = read(&database).await;
    assert_ne!(before.tables, after.tables, "ANALYZE shows in the estimates");
    assert_eq!(changes(&before, &after), []);
    // Roles are a matter of the whole cluster: a difference in full shows them.
    assert_eq!(before.diff(&after), ["role bastide_owner: is new", "role passer_by: is new"]);
}

#[tokio::test]
async fn a_difference_says_what_was_and_what_is() {
    let (_server, database) = nasty().await;
    let before = read(&database).await;
    database
        .execute(
            "ALTER TABLE public.parent ALTER c SET NOT NULL, ADD tenant_id uuid;
             ALTER TABLE public.machine ENABLE ROW LEVEL SECURITY;
             ALTER TABLE public.scratch DROP x;
             DROP VIEW public.invoker",
        )
        .await;
    assert_snapshot!(before.diff(&read(&database).await).join("\n"), @r#"
    table public.machine: row security: none → true
    table public.parent: columns, c, not_null: false → true
    table public.parent: columns, tenant_id: is new (local: true, name: "tenant_id", type_name: "uuid")
    table public.scratch: columns, x: is gone (was local: true, name: "x", type_name: "integer")
    view public.invoker: is gone
    "#);
    let (left, right) = (before.clone(), before);
    assert_eq!(left.diff(&right), Vec::<String>::new());
}

#[tokio::test]
async fn a_fingerprint_survives_being_written_down() {
    let (_server, database) = nasty().await;
    let fingerprint = Fingerprint::of(&read(&database).await);
    let text = serde_json::to_string(&fingerprint).unwrap();
    assert_eq!(serde_json::from_str::<Fingerprint>(&text).unwrap(), fingerprint);
}

/// Nothing read hangs on OIDs, on the order things were made in, or on this server.
#[tokio::test]
async fn a_restored_dump_reads_the_same() {
    let (server, database) = nasty().await;
    let before = read(&database).await;
    let dump = database.tool("pg_dump", &["--schema-only"]).await;
    let copy = server.database("copy").await;
    let file = tempfile(&dump);
    copy.tool("psql", &["--quiet", "--no-psqlrc", "--set=ON_ERROR_STOP=1", "--file", &file]).await;
    assert_eq!(before.diff(&read(&copy).await), Vec::<String>::new());
    std::fs::remove_file(file).unwrap();
}

fn tempfile(text: &str) -> String {
    let path = std::env::temp_dir().join(format!("bastide-catalog-{}.sql", std::process::id()));
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}
