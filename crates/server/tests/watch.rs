//! What operators see of the walls, what visitors see while they are down, and who is written down at a wrong door.

mod site;

use axum::http::StatusCode;
use bastide_server::{AppConfig, Mismatches, OpsToken};
use bastide_tenancy::Standing;
use serde_json::{Value, json};
use site::{ADA, PASSWORD, Site, shop};

const TOKEN: &str = "0123456789abcdef0123456789abcdef";
const AUTHORIZATION: (&str, &str) = ("authorization", "Bearer 0123456789abcdef0123456789abcdef");
const PRODUCTS: &str = "/api/v1/storefront/lagoon/products";
const ISOLATION: &str = "/api/v1/system/isolation";

async fn watched() -> Site {
    let ops_token = Some(OpsToken::from_text(TOKEN).unwrap());
    Site::with(AppConfig { ops_token, ..AppConfig::default() }).await
}

async fn isolation(site: &Site) -> Value {
    let answer = site.get(ISOLATION, &[AUTHORIZATION]).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    answer.json()
}

/// The value of one line of `/metrics`.
async fn metric(site: &Site, series: &str) -> f64 {
    let answer = site.get("/metrics", &[AUTHORIZATION]).await;
    let value = answer.text.lines().find_map(|line| line.strip_prefix(series)?.trim().parse().ok());
    value.unwrap_or_else(|| panic!("{series} is not in\n{}", answer.text))
}

const CROSSINGS: &str = "SELECT kind, coalesce(left(who::text, 4), 'anonymous'), method, route, coalesce(left(merchant::text, 4), 'none'), request_id FROM bastide.crossing ORDER BY id";

#[tokio::test]
async fn a_sound_shop_is_isolated_and_says_so() {
    let site = watched().await;
    assert_eq!(isolation(&site).await["standing"], Value::Null, "nobody has looked yet");
    assert!(metric(&site, "bastide_isolation_last_success_timestamp_seconds").await < 1.0);
    assert_eq!(site.app.look().await, Standing::Isolated);
    let seen = isolation(&site).await;
    assert_eq!(
        (&seen["standing"], &seen["serving"], &seen["breached"]),
        (&json!("isolated"), &json!(true), &json!([]))
    );
    assert_eq!((&seen["drift"], &seen["last_success_at"]), (&json!([]), &seen["looked_at"]));
    // Of each table: without a context, of the other, planted, given away. And the login's own posture.
    let held = async |probe: &str| {
        metric(&site, &format!(r#"bastide_isolation_probes_total{{probe="{probe}",result="held"}}"#)).await
    };
    let read_unset = held("read_unset").await;
    assert!(read_unset >= 16.0, "every table that the login reaches: {read_unset}");
    let untested = seen["untested"].as_array().unwrap();
    let probes = seen["held"].as_u64().unwrap() + u64::try_from(untested.len()).unwrap();
    assert_eq!(probes.to_string(), (2.0 + 4.0 * read_unset).to_string(), "{seen:#}");
    // Where the canaries have no row there is nothing to reach for; where they have, nothing is left out.
    let empty: Vec<_> = untested.iter().map(|probe| probe["object"].as_str().unwrap()).collect();
    for table in ["products", "categories", "customers", "orders", "order_lines", "payments", "settings"] {
        assert!(!empty.contains(&format!("public.{table}").as_str()), "{table}: {empty:?}");
    }
    assert!(metric(&site, "bastide_isolation_last_success_timestamp_seconds").await > 1.7e9);
    assert_eq!(metric(&site, "bastide_isolation_drift").await, 0.0);
}

#[tokio::test]
async fn a_shop_without_walls_is_shut_until_they_stand_again() {
    let site = watched().await;
    site.app.look().await;
    site.database.execute("ALTER TABLE public.products DISABLE ROW LEVEL SECURITY; ALTER TABLE public.orders NO FORCE ROW LEVEL SECURITY").await;
    assert_eq!(site.app.look().await, Standing::Breached);
    assert_eq!(site.get(PRODUCTS, &[]).await.problem(503), "not_isolated");
    assert_eq!(site.login(&json!({"email": ADA, "password": PASSWORD})).await.problem(503), "not_isolated");
    let page = site.get("/shop/lagoon", &[("accept", "text/html")]).await;
    assert_eq!(page.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(!page.text.contains("Lagoon"), "{}", page.text);
    assert_eq!(site.get("/readyz", &[]).await.problem(503), "not_isolated");
    assert_eq!(site.get("/healthz", &[]).await.status, StatusCode::OK, "a restart would not help");
    let seen = isolation(&site).await;
    assert_eq!((&seen["standing"], &seen["serving"]), (&json!("breached"), &json!(false)));
    let names: Vec<_> = seen["breached"].as_array().unwrap().iter().map(|probe| &probe["name"]).collect();
    assert_eq!(names, ["bound", "posture", "read_unset", "read_other"]);
    assert_eq!(
        seen["drift"],
        json!([
            {"object": "public.products", "change": "row security was taken off", "unbinds": true},
            {"object": "public.orders", "change": "FORCE was taken off", "unbinds": false},
        ])
    );
    assert_eq!(metric(&site, "bastide_isolation_drift").await, 2.0);
    assert_eq!(metric(&site, "bastide_isolation_shut").await, 1.0);
    assert_eq!(
        metric(&site, r#"bastide_isolation_probes_total{probe="bound",result="breached"}"#).await,
        1.0
    );

    site.database.execute("ALTER TABLE public.products ENABLE ROW LEVEL SECURITY; ALTER TABLE public.orders FORCE ROW LEVEL SECURITY").await;
    assert_eq!(site.app.look().await, Standing::Isolated);
    assert_eq!(site.get(PRODUCTS, &[]).await.status, StatusCode::OK);
    assert_eq!(site.get("/readyz", &[]).await.status, StatusCode::OK);
    assert_eq!(metric(&site, "bastide_isolation_shut").await, 0.0);
}

#[tokio::test]
async fn a_new_table_of_tenants_that_default_privileges_open_shuts_the_shop() {
    let site = watched().await;
    site.app.look().await;
    let make = "CREATE TABLE public.wishes AS SELECT id, merchant_id FROM public.products";
    site.database.execute(make).await;
    assert_eq!(site.app.look().await, Standing::Isolated, "nobody lets the server's login in");
    site.database
        .execute("DROP TABLE public.wishes; ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO bastide_app")
        .await;
    site.database.execute(make).await;
    assert_eq!(site.app.look().await, Standing::Breached);
    assert_eq!(site.get(PRODUCTS, &[]).await.problem(503), "not_isolated");
    let seen = isolation(&site).await;
    let why = seen["breached"][0]["why"].as_str().unwrap();
    assert!(seen["breached"][0]["name"] == "posture" && why.contains("public.wishes"), "{seen:#}");
    assert_eq!(
        (&seen["drift"][0]["object"], &seen["drift"][0]["unbinds"]),
        (&json!("public.wishes"), &json!(true))
    );
    assert_eq!(
        (metric(&site, "bastide_isolation_shut").await, metric(&site, "bastide_isolation_drift").await),
        (1.0, 2.0)
    );
    let breached = r#"bastide_isolation_probes_total{probe="posture",result="breached"}"#;
    assert_eq!(metric(&site, breached).await, 1.0);
    site.database.execute("REVOKE ALL ON public.wishes FROM bastide_app").await;
    assert_eq!(site.app.look().await, Standing::Isolated);
    assert_eq!(site.get(PRODUCTS, &[]).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_database_that_cannot_be_read_is_never_a_success() {
    let site = watched().await;
    site.database.execute("ALTER ROLE bastide_app NOLOGIN; SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'bastide_app'").await;
    assert_eq!(site.app.look().await, Standing::Unproved);
    let seen = isolation(&site).await;
    assert_eq!(
        (&seen["held"], &seen["drift"], &seen["last_success_at"]),
        (&json!(0), &Value::Null, &Value::Null)
    );
    assert!(metric(&site, "bastide_isolation_last_success_timestamp_seconds").await < 1.0);
    site.database.execute("ALTER ROLE bastide_app LOGIN").await;
    assert_eq!(site.app.look().await, Standing::Isolated);
}

#[tokio::test]
async fn without_its_migration_the_watch_proves_nothing_and_counts_what_it_cannot_record() {
    let site = watched().await;
    site.database.execute(shop::DOWN_WATCH).await;
    assert_eq!(site.app.look().await, Standing::Unproved);
    let seen = isolation(&site).await;
    assert_eq!(seen["untested"][0]["name"], "canary");
    assert!(seen["untested"][0]["why"].as_str().unwrap().contains("migrations/0003_watch"));
    assert_eq!(site.get(PRODUCTS, &[("x-tenant-id", "harbour")]).await.problem(404), "not_found");
    site.app.record_crossings().await;
    assert_eq!(metric(&site, "bastide_audit_dropped_total").await, 1.0);
    assert_eq!(site.get(PRODUCTS, &[]).await.status, StatusCode::OK, "the shop is served all the same");
}

#[tokio::test]
async fn what_operators_read_is_for_operators() {
    let site = watched().await;
    let ada = site.bearer(ADA).await;
    for path in ["/metrics", ISOLATION] {
        assert_eq!(site.get(path, &[]).await.problem(401), "unauthenticated");
        for wrong in
            [ada.as_str(), "Bearer x", "Bearer", &format!("Basic {TOKEN}"), &format!("Bearer {TOKEN}0")]
        {
            assert_eq!(
                site.get(path, &[("authorization", wrong)]).await.problem(401),
                "unauthenticated",
                "{wrong}"
            );
        }
        assert_eq!(site.get(path, &[AUTHORIZATION, AUTHORIZATION]).await.problem(401), "unauthenticated");
        assert_eq!(site.get(path, &[AUTHORIZATION]).await.status, StatusCode::OK);
    }
    let without = Site::open().await;
    for path in ["/metrics", ISOLATION] {
        assert_eq!(without.get(path, &[AUTHORIZATION]).await.problem(404), "not_found");
    }
    assert!(OpsToken::from_text("too short").is_err());
}

#[tokio::test]
async fn every_refused_crossing_is_written_down_without_what_was_sent() {
    let site = watched().await;
    let ada = site.bearer(ADA).await;
    let id = |id: &'static str| ("x-request-id", id);
    site.get("/api/v1/admin/harbour/orders?cursor=secret", &[("authorization", &ada), id("one")]).await;
    site.get(
        "/api/v1/admin/lagoon/orders",
        &[("authorization", &ada), ("x-tenant-id", "harbour"), id("two")],
    )
    .await;
    site.get(PRODUCTS, &[("x-tenant-id", "harbour"), id("three")]).await;
    let cookie = format!("__Host-bastide_session={}", ada.strip_prefix("Bearer ").unwrap());
    site.get("/store/harbour", &[("cookie", &cookie), id("four")]).await;
    site.login(&json!({"email": ADA, "password": PASSWORD, "merchant": "harbour"})).await;
    // No crossings: nobody's merchant, a wrong password.
    site.get("/api/v1/admin/no-such-shop/orders", &[("authorization", &ada)]).await;
    site.login(&json!({"email": ADA, "password": "wrong", "merchant": "harbour"})).await;
    site.app.record_crossings().await;

    let rows = site.database.query_rows(CROSSINGS).await;
    let sign_in = rows.last().unwrap().rsplit_once('|').unwrap().0;
    assert_eq!(
        rows[..4],
        [
            "credential|1111|GET|/api/v1/admin/{merchant}/orders|bbbb|one",
            "header|1111|GET|/api/v1/admin/{merchant}/orders|aaaa|two",
            "header|anonymous|GET|/api/v1/storefront/{merchant}/products|aaaa|three",
            "credential|1111|GET|/store/{merchant}|bbbb|four",
        ]
    );
    assert_eq!((sign_in, rows.len()), ("sign_in|1111|POST|/api/v1/auth/merchant/login|none", 5));
    assert_eq!(site.app.mismatches(), Mismatches { credential: 2, header: 2, sign_in: 1 });
    assert_eq!(isolation(&site).await["mismatches"], json!({"credential": 2, "header": 2, "sign_in": 1}));
    assert_eq!(metric(&site, r#"bastide_tenant_mismatch_total{kind="header"}"#).await, 2.0);
    assert_eq!(metric(&site, "bastide_audit_recorded_total").await, 5.0);
    let columns = "SELECT string_agg(attname, ',' ORDER BY attnum) FROM pg_attribute WHERE attrelid = 'bastide.crossing'::regclass AND attnum > 0";
    assert_eq!(
        site.database.query_one_text(columns).await,
        "id,at,kind,who,method,route,merchant,request_id,login,recorded_at"
    );
}

#[tokio::test]
async fn a_flood_of_crossings_is_bounded_and_waits_for_a_database_that_is_away() {
    let ops_token = Some(OpsToken::from_text(TOKEN).unwrap());
    let site = Site::with(AppConfig { ops_token, crossings_per_minute: 80, ..AppConfig::default() }).await;
    for _ in 0..50 {
        assert_eq!(site.get(PRODUCTS, &[("x-tenant-id", "harbour")]).await.problem(404), "not_found");
    }
    let ada = site.bearer(ADA).await;
    site.get("/api/v1/admin/harbour/orders", &[("authorization", &ada)]).await;
    assert_eq!(site.app.mismatches().header, 50, "all are counted");
    assert_eq!(isolation(&site).await["crossings_waiting"], 11);

    site.database.execute("ALTER ROLE bastide_app NOLOGIN; SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'bastide_app'").await;
    site.app.record_crossings().await;
    assert_eq!(isolation(&site).await["crossings_waiting"], 11);
    site.database.execute("ALTER ROLE bastide_app LOGIN").await;
    site.app.record_crossings().await;
    let by_kind = "SELECT kind || ' ' || count(*) FROM bastide.crossing GROUP BY kind ORDER BY 1";
    assert_eq!(
        site.database.query_rows(by_kind).await,
        ["credential 1", "header 10"],
        "the loud do not hide the others"
    );
    assert_eq!(metric(&site, "bastide_audit_dropped_total").await, 40.0);
}

#[tokio::test]
async fn the_canaries_are_in_no_shop_and_no_list() {
    let site = watched().await;
    let slugs = site.database.query_rows("SELECT slug FROM public.merchants WHERE slug LIKE 'canary%'").await;
    assert_eq!(slugs.len(), 2);
    // Not even when somebody opens such a merchant.
    site.database.execute("UPDATE public.merchants SET status = 'active' WHERE slug LIKE 'canary%'").await;
    let ada = site.bearer(ADA).await;
    for slug in &slugs {
        let segment = slug.replace('/', "%2F");
        for path in
            ["/api/v1/storefront/{}/products", "/api/v1/admin/{}/orders", "/shop/{}", "/shop/{}/theme.css"]
        {
            let answer = site.get(&path.replace("{}", &segment), &[("authorization", &ada)]).await;
            assert_eq!(answer.problem(404), "not_found", "{path}");
        }
    }
    for path in [PRODUCTS, "/api/v1/admin/lagoon/orders", "/shop/lagoon", "/store/lagoon", "/"] {
        let answer = site.get(path, &[("authorization", &ada)]).await;
        assert!(
            answer.status.is_success() && !answer.text.to_lowercase().contains("canary"),
            "{}",
            answer.text
        );
    }
    let app = site.database.client_as("bastide_app", "app").await;
    for sql in [
        "SELECT 1 FROM bastide.canary",
        "SELECT 1 FROM bastide.crossing",
        "INSERT INTO bastide.crossing (at, kind, method, route, request_id) VALUES (now(), '', '', '', '')",
    ] {
        let error = app.query(sql, &[]).await.expect_err(sql);
        assert_eq!(error.code().unwrap().code(), "42501", "{sql}");
    }
}
