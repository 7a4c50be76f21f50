//! Attempts to reach another merchant, to pass for somebody else, and to break the page.

mod site;

use std::time::Duration;

use axum::{
    body::Body,
    http::{Method, Request, StatusCode},
};
use bastide_server::{AppConfig, Mismatches, SessionKey};
use serde_json::json;
use site::{ADA, BEN, PASSWORD, Site, VIEWER};

const LAGOON_ORDERS: &str = "/api/v1/admin/lagoon/orders";
const HARBOUR_ORDERS: &str = "/api/v1/admin/harbour/orders";
const LAGOON_PRODUCTS: &str = "/api/v1/storefront/lagoon/products";

#[tokio::test]
async fn another_merchants_orders_do_not_exist() {
    let site = Site::open().await;
    let (ada, ben) = (site.bearer(ADA).await, site.bearer(BEN).await);
    assert_eq!(site.get(LAGOON_ORDERS, &[("authorization", &ada)]).await.status, StatusCode::OK);
    let foreign = site.get(HARBOUR_ORDERS, &[("authorization", &ada)]).await;
    let unknown = site.get("/api/v1/admin/no-such-shop/orders", &[("authorization", &ada)]).await;
    assert_eq!(foreign.problem(404), "not_found");
    assert_eq!(unknown.problem(404), "not_found");
    let told = |answer: &site::Answer| {
        let mut body = answer.json();
        body["request_id"] = "".into();
        body
    };
    assert_eq!(told(&foreign), told(&unknown), "no hint that the one exists");
    assert_eq!(site.get(LAGOON_ORDERS, &[("authorization", &ben)]).await.problem(404), "not_found");
    assert_eq!(site.app.mismatches(), Mismatches { credential: 2, ..Mismatches::default() });
    let elsewhere = site.get("/api/v1/storefront/harbour/products", &[("authorization", &ada)]).await;
    assert_eq!(
        elsewhere.problem(404),
        "not_found",
        "a credential that is sent must fit, on a storefront too"
    );
}

#[tokio::test]
async fn the_right_merchant_with_the_wrong_role_is_forbidden() {
    let site = Site::open().await;
    let viewer = site.bearer(VIEWER).await;
    assert_eq!(site.get(LAGOON_ORDERS, &[("authorization", &viewer)]).await.problem(403), "forbidden");
    assert_eq!(site.get(HARBOUR_ORDERS, &[("authorization", &viewer)]).await.problem(404), "not_found");
}

#[tokio::test]
async fn without_a_true_token_there_is_no_way_in() {
    let site = Site::open().await;
    let ada = site.bearer(ADA).await;
    let none = site.get(LAGOON_ORDERS, &[]).await;
    assert_eq!(none.problem(401), "unauthenticated");
    assert_eq!(none.header("www-authenticate"), "Bearer");

    let (payload, tag) = ada.strip_prefix("Bearer ").unwrap().split_once('.').unwrap();
    let forger = Site::with(AppConfig { session_key: SessionKey::random(), ..AppConfig::default() }).await;
    let forged = forger.bearer(ADA).await;
    let bad = [
        forged,
        format!("Bearer {payload}"),
        format!("Bearer {payload}."),
        format!("Bearer .{tag}"),
        format!("Bearer {payload}.{}", &tag[..tag.len() - 2]),
        format!("Bearer {}.{tag}", &payload[..payload.len() - 4]),
        format!("Bearer {payload}.{tag}.{tag}"),
        format!("Basic {payload}.{tag}"),
        "Bearer".to_owned(),
        "Bearer null".to_owned(),
        "Bearer eyJhbGciOiJub25lIn0.e30.".to_owned(),
        format!("Bearer {}", "A".repeat(6000)),
    ];
    for value in &bad {
        assert_eq!(
            site.get(LAGOON_ORDERS, &[("authorization", value)]).await.problem(401),
            "invalid_token",
            "{value}"
        );
    }
    let twice = [("authorization", ada.as_str()), ("authorization", ada.as_str())];
    assert_eq!(site.get(LAGOON_ORDERS, &twice).await.problem(401), "invalid_token");
    // A cursor is sealed with the same key, and is no session.
    let page = site.get(&format!("{LAGOON_ORDERS}?limit=1"), &[("authorization", &ada)]).await.json();
    let cursor = format!("Bearer {}", page["page"]["next_cursor"].as_str().unwrap());
    assert_eq!(site.get(LAGOON_ORDERS, &[("authorization", &cursor)]).await.problem(401), "invalid_token");
}

#[tokio::test]
async fn a_session_ends() {
    let config = AppConfig { access_lifetime: Duration::from_secs(1), ..AppConfig::default() };
    let site = Site::with(config).await;
    let ada = site.bearer(ADA).await;
    tokio::time::sleep(Duration::from_millis(2100)).await;
    assert_eq!(site.get(LAGOON_ORDERS, &[("authorization", &ada)]).await.problem(401), "invalid_token");
}

#[tokio::test]
async fn a_session_ends_with_the_account_and_with_the_membership() {
    let site = Site::open().await;
    let (ada, ben) = (site.bearer(ADA).await, site.bearer(BEN).await);
    site.database.execute("UPDATE public.users SET is_active = false WHERE email = 'ada@lagoon.test'").await;
    assert_eq!(site.get(LAGOON_ORDERS, &[("authorization", &ada)]).await.problem(404), "not_found");
    site.database.execute("DELETE FROM public.team_members WHERE user_id::text LIKE '2222%'").await;
    assert_eq!(site.get(HARBOUR_ORDERS, &[("authorization", &ben)]).await.problem(404), "not_found");
}

#[tokio::test]
async fn a_session_for_one_merchant_is_for_no_other() {
    let site = Site::open().await;
    site.database
        .execute("INSERT INTO public.team_members (merchant_id, user_id, role) SELECT m.id, u.id, 'owner' FROM public.merchants m, public.users u WHERE m.slug = 'harbour' AND u.email = 'ada@lagoon.test'")
        .await;
    let answer = site.login(&json!({"email": ADA, "password": PASSWORD, "merchant": "lagoon"})).await.json();
    assert_eq!(answer["merchants"].as_array().unwrap().len(), 1);
    let only = format!("Bearer {}", answer["token"].as_str().unwrap());
    assert_eq!(site.get(LAGOON_ORDERS, &[("authorization", &only)]).await.status, StatusCode::OK);
    assert_eq!(site.get(HARBOUR_ORDERS, &[("authorization", &only)]).await.problem(404), "not_found");
    let both = site.bearer(ADA).await;
    assert_eq!(site.get(HARBOUR_ORDERS, &[("authorization", &both)]).await.status, StatusCode::OK);
}

#[tokio::test]
async fn every_wrong_sign_in_gets_the_same_answer() {
    let site = Site::open().await;
    for body in [
        json!({"email": ADA, "password": "wrong"}),
        json!({"email": "nobody@example.test", "password": PASSWORD}),
        json!({"email": "gone@lagoon.test", "password": PASSWORD}),
        json!({"email": ADA, "password": PASSWORD, "merchant": "harbour"}),
        json!({"email": ADA, "password": PASSWORD, "merchant": "no-such-shop"}),
        json!({"email": "", "password": ""}),
        json!({"email": "ada@lagoon.test' OR '1'='1", "password": PASSWORD}),
        json!({"email": "ada@lagoon.test\u{0}", "password": PASSWORD}),
        json!({"email": "%", "password": PASSWORD}),
        json!({"email": "a".repeat(10_000), "password": PASSWORD}),
        json!({"email": ADA, "password": "x".repeat(50_000)}),
    ] {
        let answer = site.login(&body).await;
        assert_eq!(answer.problem(401), "invalid_credentials", "{body}");
    }
}

#[tokio::test]
async fn a_body_that_is_no_sign_in_is_refused() {
    let site = Site::open().await;
    let post = async |kind: &str, body: String| {
        let request = Request::post("/api/v1/auth/merchant/login").header("content-type", kind);
        site.send(request.body(Body::from(body)).unwrap()).await
    };
    assert_eq!(post("application/json", "{".to_owned()).await.problem(400), "malformed_json");
    assert_eq!(post("application/json", "{}".to_owned()).await.problem(422), "invalid");
    assert_eq!(post("text/plain", "{}".to_owned()).await.problem(415), "unsupported_media_type");
    let large = json!({"email": ADA, "password": "x".repeat(100_000)}).to_string();
    assert_eq!(post("application/json", large).await.problem(413), "too_large");
}

#[tokio::test]
async fn strange_merchants_are_nobody() {
    let site = Site::open().await;
    let ada = site.bearer(ADA).await;
    let long = "a".repeat(5000);
    for slug in [
        "lagoon'%20OR%20'1'='1",
        "lagoon;DROP%20TABLE%20orders",
        "%00",
        "lagoon%00",
        "%FF%FE",
        "%25",
        "LAGOON",
        "lagoon%20",
        "..%2Fharbour",
        "%F0%9F%8F%B0",
        "aaaaaaaa-0000-4000-8000-000000000001",
        "%E2%80%AElagoon",
        "shut",
        long.as_str(),
    ] {
        let answer = site.get(&format!("/api/v1/storefront/{slug}/products"), &[]).await;
        assert_eq!(answer.problem(404), "not_found", "{slug}");
        let answer = site.get(&format!("/api/v1/admin/{slug}/orders"), &[("authorization", &ada)]).await;
        assert_eq!(answer.problem(404), "not_found", "{slug}");
        let page = site.get(&format!("/shop/{slug}"), &[("accept", "text/html")]).await;
        assert_eq!(page.status, StatusCode::NOT_FOUND, "{slug}");
        assert!(page.text.contains("There is nothing here."));
    }
}

#[tokio::test]
async fn a_cursor_is_for_its_list_and_its_merchant() {
    let site = Site::open().await;
    let (ada, ben) = (site.bearer(ADA).await, site.bearer(BEN).await);
    let first = site.get(&format!("{LAGOON_PRODUCTS}?limit=5"), &[]).await.json();
    let cursor = first["page"]["next_cursor"].as_str().unwrap();
    let next = site.get(&format!("{LAGOON_PRODUCTS}?limit=5&cursor={cursor}"), &[]).await;
    assert_eq!(next.json()["data"].as_array().unwrap().len(), 5);
    for (path, bearer) in
        [("/api/v1/storefront/harbour/products", &ben), (LAGOON_ORDERS, &ada), (HARBOUR_ORDERS, &ben)]
    {
        let answer = site.get(&format!("{path}?cursor={cursor}"), &[("authorization", bearer)]).await;
        assert_eq!(answer.problem(400), "invalid_cursor", "{path}");
    }
    for cursor in ["x", "e30.e30", "%00", &format!("{cursor}x"), &"A".repeat(4000)] {
        assert_eq!(
            site.get(&format!("{LAGOON_PRODUCTS}?cursor={cursor}"), &[]).await.problem(400),
            "invalid_cursor"
        );
    }
}

#[tokio::test]
async fn a_tenant_header_must_agree() {
    let site = Site::open().await;
    let ada = site.bearer(ADA).await;
    for right in ["lagoon", "aaaaaaaa-0000-4000-8000-000000000001", "AAAAAAAA-0000-4000-8000-000000000001"] {
        let headers = [("authorization", ada.as_str()), ("x-tenant-id", right)];
        assert_eq!(site.get(LAGOON_ORDERS, &headers).await.status, StatusCode::OK, "{right}");
        assert_eq!(site.get(LAGOON_PRODUCTS, &[("x-tenant-id", right)]).await.status, StatusCode::OK);
    }
    for wrong in ["harbour", "bbbbbbbb-0000-4000-8000-000000000002", "", "lagoon, harbour", "no-such-shop"] {
        assert_eq!(
            site.get(LAGOON_PRODUCTS, &[("x-tenant-id", wrong)]).await.problem(404),
            "not_found",
            "{wrong}"
        );
    }
    let both = [("x-tenant-id", "lagoon"), ("x-tenant-id", "harbour")];
    assert_eq!(site.get(LAGOON_PRODUCTS, &both).await.problem(404), "not_found");
    assert_eq!(site.app.mismatches(), Mismatches { header: 6, ..Mismatches::default() });
}

#[tokio::test]
async fn a_hostile_product_is_text() {
    let site = Site::open().await;
    let page = site.get("/shop/harbour", &[]).await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.text.contains("&lt;script&gt;alert(1)&lt;/script&gt;&quot;"), "{}", page.text);
    assert!(!page.text.contains("<script"));
    assert!(!page.text.contains("style="), "the policy would block it");
    assert!(page.header("content-security-policy").contains("default-src 'none'"));
    let theme = site.get("/shop/harbour/theme.css", &[]).await;
    assert_eq!(
        (theme.status, theme.text.as_str()),
        (StatusCode::OK, ""),
        "a colour that is none sets nothing"
    );
    let lagoon = site.get("/shop/lagoon", &[]).await;
    assert!(
        lagoon.text.contains("From the water, &lt;b&gt;with&lt;/b&gt; care")
            && lagoon.text.contains("Lagoon &amp; Sons")
    );
    assert!(!lagoon.text.contains("Harbour"));
    assert_eq!(
        site.get("/shop/lagoon/theme.css", &[]).await.text,
        ":root { --accent: #0a7a5a; --on-accent: #ffffff; }\n"
    );
    let form = site.get("/store/%22%3E%3Cscript%3E", &[]).await;
    assert!(!form.text.contains("<script") && form.text.contains("action=\"/store/%22%3E%3Cscript%3E\""));
}

#[tokio::test]
async fn the_office_opens_for_its_own_team_only() {
    let site = Site::open().await;
    let post = async |path: &str, email: &str, headers: &[(&str, &str)]| {
        let body = format!("email={}&password={}", email.replace('@', "%40"), PASSWORD.replace(' ', "+"));
        let request = Request::post(path).header("content-type", "application/x-www-form-urlencoded");
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        site.send(request.body(Body::from(body)).unwrap()).await
    };
    assert_eq!(post("/store/harbour", ADA, &[]).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(
        post("/store/lagoon", ADA, &[("sec-fetch-site", "cross-site")]).await.status,
        StatusCode::FORBIDDEN
    );
    let signed_in = post("/store/lagoon", ADA, &[("sec-fetch-site", "same-origin")]).await;
    assert_eq!((signed_in.status, signed_in.header("location")), (StatusCode::SEE_OTHER, "/store/lagoon"));
    let cookie = signed_in.header("set-cookie").to_owned();
    for part in ["__Host-", "; Path=/;", "Secure", "HttpOnly", "SameSite=Strict"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    let cookie = cookie.split(';').next().unwrap();
    let office = site.get("/store/lagoon", &[("cookie", cookie)]).await;
    assert!(office.text.contains("L-60") && office.text.contains("Ada 1") && !office.text.contains("H-1"));
    for path in ["/store/harbour", "/store/no-such-shop"] {
        let other = site.get(path, &[("cookie", cookie)]).await;
        assert!(
            other.status == StatusCode::OK && other.text.contains("Sign in") && !other.text.contains("H-1")
        );
    }
    assert_eq!(site.get(LAGOON_ORDERS, &[("cookie", cookie)]).await.status, StatusCode::OK);
    assert_eq!(site.get(HARBOUR_ORDERS, &[("cookie", cookie)]).await.problem(404), "not_found");
    assert_eq!(site.ask(Method::GET, "/store/lagoon/sign-out", &[]).await.problem(405), "method_not_allowed");
}
