//! Whether database and files agree, and what is said when they do not.

use bastide_connect::Target;
use bastide_schema::{Options, check};

use crate::scene::Scene;

async fn differences(options: &Options) -> Vec<String> {
    let checked = check(options).await.unwrap();
    assert_eq!(checked.weaker, None);
    checked.differences
}

#[tokio::test]
async fn every_difference_is_named() {
    let scene = Scene::empty().await;
    let all = scene.options.migrations.all().len();
    assert_eq!(differences(&scene.options).await.len(), all, "all are pending");
    scene.up(None).await.unwrap();
    assert_eq!(differences(&scene.options).await, Vec::<String>::new());
    // What is not the files' to say.
    scene
        .db
        .execute(
            "CREATE ROLE reporting; GRANT SELECT ON public.orders TO reporting; CREATE ROLE keeper; ALTER TABLE public.orders OWNER TO keeper;
             ALTER ROLE bastide_app SET work_mem = '8MB'; CREATE TABLE public.payments_2030 PARTITION OF public.payments
                 FOR VALUES FROM ('2030-01-01 00:00+00') TO ('2031-01-01 00:00+00')",
        )
        .await;
    assert_eq!(differences(&scene.options).await, Vec::<String>::new());
    let drifts = [
        (
            "ALTER TABLE public.orders NO FORCE ROW LEVEL SECURITY",
            "ALTER TABLE public.orders FORCE ROW LEVEL SECURITY",
        ),
        ("ALTER TABLE public.tags ADD COLUMN colour text", "ALTER TABLE public.tags DROP COLUMN colour"),
        (
            "GRANT DELETE ON public.merchants TO bastide_app",
            "REVOKE DELETE ON public.merchants FROM bastide_app",
        ),
        ("CREATE TABLE public.late (id int)", "DROP TABLE public.late"),
        (
            "GRANT SELECT ON public.daily_sales TO bastide_app",
            "REVOKE SELECT ON public.daily_sales FROM bastide_app",
        ),
        (
            "CREATE OR REPLACE FUNCTION bastide.current_tenant() RETURNS text LANGUAGE sql STABLE PARALLEL SAFE RETURN 'b'::text",
            "CREATE OR REPLACE FUNCTION bastide.current_tenant() RETURNS text LANGUAGE sql STABLE PARALLEL SAFE RETURN NULLIF(pg_catalog.current_setting('bastide.tenant', true), '')",
        ),
        (
            "ALTER TABLE bastide.crossing ADD COLUMN body text",
            "ALTER TABLE bastide.crossing DROP COLUMN body",
        ),
        (
            "GRANT EXECUTE ON FUNCTION bastide.canaries() TO PUBLIC",
            "REVOKE EXECUTE ON FUNCTION bastide.canaries() FROM PUBLIC",
        ),
    ];
    for (drift, _) in drifts {
        scene.db.execute(drift).await;
    }
    insta::assert_snapshot!(differences(&scene.options).await.join("\n"), @r#"
    materialised view public.daily_sales: grants, object: [] → [{"grantee":"bastide_app","grantor":"owner","privileges":[{"grantable":false,"kind":"SELECT"}]}]
    table public.late: is new
    table public.merchants: grants, object: [{"grantee":"bastide_app","grantor":"owner","privileges":[{"grantable":false,"kind":"SELECT"},{"grantable":false,"kind":"UPDATE"}]}] → [{"grantee":"bastide_app","grantor":"owner","privileges":[{"grantable":false,"kind":"DELETE"},{"grantable":false,"kind":"SELECT"},{"grantable":false,"kind":"UPDATE"}]}]
    table public.orders: forced row security: true → none
    table public.tags: columns, colour: is new (local: true, name: "colour", type_name: "text")
    function bastide.canaries(): app EXECUTE → PUBLIC EXECUTE, app EXECUTE
    function bastide.current_tenant(): RETURN NULLIF(current_setting('bastide.tenant'::text, true), ''::text) → RETURN 'b'::text
    table bastide.crossing: nothing → body text
    "#);
    for (_, back) in drifts {
        scene.db.execute(back).await;
    }
    assert_eq!(differences(&scene.options).await, Vec::<String>::new());
    let left = "SELECT count(*) FROM pg_database WHERE datname LIKE 'bastide_schema%'";
    assert_eq!(scene.db.query_one_text(left).await, "0");
}

#[tokio::test]
async fn a_login_that_may_make_no_database_compares_what_is_remembered() {
    let scene = Scene::empty().await;
    scene.up(None).await.unwrap();
    scene.db.execute("CREATE ROLE looker LOGIN PASSWORD 'look'").await;
    let mut options = scene.options.clone();
    options.place.target = Target::parse(&scene.db.url_as("looker", "look")).unwrap();
    let error = check(&options).await.unwrap_err();
    insta::assert_snapshot!(error, @"this login may not read the record of the schema: let it, with GRANT USAGE ON SCHEMA bastide and GRANT SELECT ON bastide.schema_version, bastide.schema_history, or name the owner's with --database-url");
    assert_eq!(error.exit_code(), 3);
    scene
        .db
        .execute("GRANT USAGE ON SCHEMA bastide TO looker; GRANT SELECT ON bastide.schema_version, bastide.schema_history TO looker")
        .await;
    let checked = check(&options).await.unwrap();
    assert_eq!(checked.differences, Vec::<String>::new());
    insta::assert_snapshot!(checked.weaker.unwrap(), @"looker may not make a database to build the schema in");
    scene.db.execute("ALTER TABLE public.tags ADD COLUMN colour text").await;
    let checked = check(&options).await.unwrap();
    insta::assert_snapshot!(checked.differences.join("\n"), @"table public.tags changed (columns)");
}
