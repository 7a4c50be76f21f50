//! What PUBLIC holds and verification would fail for stops planning, and the statement named there mends it as it stands.

use bastide_engine::make_plan;

use crate::scene::Scene;

const MORE: &str = r#"
CREATE TABLE "Notes" (id int PRIMARY KEY, body text);
CREATE MATERIALIZED VIEW copies AS SELECT * FROM customers;
CREATE VIEW through AS SELECT * FROM copies;
"#;

/// Grants, and what planning must tell to type.
const GRANTS: [(&str, &str); 11] = [
    ("GRANT TRUNCATE ON customers TO PUBLIC", "REVOKE TRUNCATE ON public.customers FROM PUBLIC"),
    (r#"GRANT SELECT, TRIGGER ON "Orders" TO PUBLIC"#, r#"REVOKE TRIGGER ON public."Orders" FROM PUBLIC"#),
    ("GRANT REFERENCES (id) ON merchants TO PUBLIC", "REVOKE REFERENCES ON public.merchants FROM PUBLIC"),
    (r#"GRANT SELECT ON "Notes" TO PUBLIC"#, r#"REVOKE SELECT ON public."Notes" FROM PUBLIC"#),
    (r#"GRANT UPDATE (body) ON "Notes" TO PUBLIC"#, r#"REVOKE UPDATE ON public."Notes" FROM PUBLIC"#),
    ("GRANT SELECT ON copies TO PUBLIC", "REVOKE SELECT ON public.copies FROM PUBLIC"),
    ("GRANT SELECT (email) ON through TO PUBLIC", "REVOKE SELECT ON public.through FROM PUBLIC"),
    (
        "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC",
        "ALTER DEFAULT PRIVILEGES FOR ROLE postgres REVOKE SELECT ON TABLES FROM PUBLIC",
    ),
    (
        "ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT, INSERT ON TABLES TO PUBLIC",
        "ALTER DEFAULT PRIVILEGES FOR ROLE postgres IN SCHEMA public REVOKE INSERT, SELECT ON TABLES FROM PUBLIC",
    ),
    (
        "GRANT SET ON PARAMETER session_replication_role TO PUBLIC",
        "REVOKE SET ON PARAMETER session_replication_role FROM PUBLIC",
    ),
    (
        "CREATE FOREIGN DATA WRAPPER w; CREATE SERVER s FOREIGN DATA WRAPPER w; CREATE FOREIGN TABLE far (id int) SERVER s;
         GRANT SELECT ON far TO PUBLIC",
        "REVOKE SELECT ON public.far FROM PUBLIC",
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn each_is_refused_and_what_is_said_to_type_mends_it() {
    let scene = Scene::new().await;
    scene.db.execute(MORE).await;
    let place = scene.place();
    let plan = || make_plan(&place.target, &scene.config, &|_| {});
    plan().await.unwrap();
    for (grant, mend) in GRANTS {
        scene.db.execute(grant).await;
        let error = plan().await.err().unwrap_or_else(|| panic!("{grant} is not refused"));
        assert_eq!(error.exit_code(), 2, "{grant}: {error}");
        assert!(error.to_string().contains(&format!("run {mend} and grant")), "{grant}: {error}");
        scene.db.execute(mend).await;
        plan().await.unwrap_or_else(|error| panic!("after {mend}: {error}"));
    }
}
