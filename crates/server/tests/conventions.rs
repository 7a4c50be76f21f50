//! What every client may rely on.

mod site;

use std::time::Duration;

use axum::http::{Method, Request, StatusCode};
use bastide_server::{AppConfig, Limits, Quota, SessionKey};
use serde_json::{Value, json};
use site::{ADA, PASSWORD, Site};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::oneshot,
};

const PRODUCTS: &str = "/api/v1/storefront/lagoon/products";
const ORDERS: &str = "/api/v1/admin/lagoon/orders";

#[tokio::test]
async fn products_come_in_pages_with_money() {
    let site = Site::open().await;
    let first = site.get(PRODUCTS, &[]).await;
    assert_eq!(first.header("content-type"), "application/json");
    let body = first.json();
    assert_eq!(body["data"].as_array().unwrap().len(), 20);
    assert_eq!(body["data"][0]["price"], json!({"amount": 1049, "currency": "EUR"}));
    assert_eq!(body["data"][0]["name"], "Lagoon net 49", "newest first, and 50 is a draft");
    assert_eq!(body["page"]["has_more"], true);

    let (mut names, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = site.get(&format!("{PRODUCTS}?limit=13&cursor={cursor}"), &[]).await.json();
        names.extend(page["data"].as_array().unwrap().iter().map(|product| product["name"].to_string()));
        match &page["page"]["next_cursor"] {
            Value::String(next) => cursor.clone_from(next),
            end => {
                assert!(end.is_null() && page["page"]["has_more"] == false);
                break;
            }
        }
    }
    assert_eq!(names.len(), 45);
    names.sort();
    names.dedup();
    assert_eq!(names.len(), 45, "no product twice");
}

#[tokio::test]
async fn orders_show_their_customers_to_the_team() {
    let site = Site::open().await;
    let ada = site.bearer(ADA).await;
    let body = site.get(&format!("{ORDERS}?limit=2"), &[("authorization", &ada)]).await.json();
    assert_eq!(body["data"][0]["number"], "L-60");
    assert_eq!(body["data"][0]["status"], "paid");
    assert_eq!(body["data"][0]["total"], json!({"amount": 6000, "currency": "EUR"}));
    assert_eq!(body["data"][0]["customer"]["name"], "Ada 1");
    assert_eq!(body["data"][0]["placed_at"], "2025-01-01T00:30:00Z");
}

#[tokio::test]
async fn a_limit_is_clamped_and_nonsense_is_named() {
    let site = Site::open().await;
    let count = async |limit: &str| {
        site.get(&format!("{PRODUCTS}?limit={limit}"), &[]).await.json()["data"].as_array().unwrap().len()
    };
    assert_eq!((count("0").await, count("-3").await, count("100000").await), (1, 1, 45));
    for limit in ["ten", "", "1.5", "%00", "1;SELECT"] {
        let answer = site.get(&format!("{PRODUCTS}?limit={limit}"), &[]).await;
        assert_eq!(answer.problem(422), "invalid", "{limit}");
        let error = &answer.json()["errors"][0];
        assert_eq!(
            (&error["in"], &error["pointer"], &error["code"]),
            (&json!("query"), &json!("/limit"), &json!("malformed"))
        );
    }
    assert_eq!(site.get(&format!("{PRODUCTS}?limit=1&limit=2"), &[]).await.problem(400), "bad_request");
    let mistyped = site.get(&format!("{PRODUCTS}?limt=1"), &[]).await;
    assert_eq!(mistyped.problem(422), "invalid", "it would answer with the first page otherwise");
    assert_eq!(mistyped.json()["errors"][0]["pointer"], "/limt");
}

#[tokio::test]
async fn signing_in_says_where_one_works() {
    let site = Site::open().await;
    let body = site.login(&json!({"email": " ada@lagoon.test ", "password": PASSWORD})).await.json();
    assert_eq!(body["merchants"][0]["slug"], "lagoon");
    assert_eq!(body["merchants"][0]["role"], "owner");
    assert_eq!((body["token_type"].as_str(), body["expires_in"].as_u64()), (Some("Bearer"), Some(600)));
    let other = App2::same_key(&site).await;
    let bearer = format!("Bearer {}", body["token"].as_str().unwrap());
    assert_eq!(
        other.get(ORDERS, &[("authorization", &bearer)]).await.status,
        StatusCode::OK,
        "servers with one key share sessions"
    );
}

/// A second server with the same key.
struct App2;
impl App2 {
    async fn same_key(_: &Site) -> Site {
        Site::with(AppConfig {
            session_key: SessionKey::from_text(&"k".repeat(40)).unwrap(),
            ..AppConfig::default()
        })
        .await
    }
}

#[tokio::test]
async fn errors_have_one_shape_and_headers_are_always_there() {
    let site = Site::open().await;
    assert_eq!(site.get("/api/v1/nothing", &[]).await.problem(404), "not_found");
    let wrong = site.ask(Method::DELETE, PRODUCTS, &[]).await;
    assert_eq!(wrong.problem(405), "method_not_allowed");
    assert_eq!(wrong.header("allow"), "GET,HEAD");
    assert_eq!(
        site.ask(Method::GET, "/api/v1/auth/merchant/login", &[]).await.problem(405),
        "method_not_allowed"
    );

    let head = site.ask(Method::HEAD, PRODUCTS, &[]).await;
    assert_eq!((head.status, head.text.as_str()), (StatusCode::OK, ""));
    let given = site.get(PRODUCTS, &[("x-request-id", "trace-7.a_b")]).await;
    assert_eq!(given.header("x-request-id"), "trace-7.a_b");
    let hostile = site.get(PRODUCTS, &[("x-request-id", "a\"<b>")]).await;
    assert_eq!(hostile.header("x-request-id").len(), 36, "a new one");

    for path in [PRODUCTS, "/", "/shop/lagoon", "/assets/bastide.css", "/nothing", "/healthz"] {
        let answer = site.get(path, &[]).await;
        for name in [
            "content-security-policy",
            "x-content-type-options",
            "x-frame-options",
            "referrer-policy",
            "cache-control",
        ] {
            assert!(!answer.header(name).is_empty(), "{path} lacks {name}");
        }
    }
    let page = site.get("/nothing", &[("accept", "text/html,*/*")]).await;
    assert!(page.status == StatusCode::NOT_FOUND && page.text.starts_with("<!DOCTYPE html>"));
}

#[tokio::test]
async fn the_document_and_its_problems_are_served() {
    let site = Site::open().await;
    let document = site.get("/openapi.json", &[]).await;
    assert_eq!(document.text.as_bytes(), bastide_server::openapi());
    let etag = document.header("etag").to_owned();
    let again = site.get("/openapi.json", &[("if-none-match", &etag)]).await;
    assert_eq!((again.status, again.text.as_str()), (StatusCode::NOT_MODIFIED, ""));
    assert_eq!(site.get("/openapi.json", &[("if-none-match", "\"x\"")]).await.status, StatusCode::OK);
    let problem = site.get("/api/v1/nothing", &[]).await.json();
    let meaning = site.get(problem["type"].as_str().unwrap(), &[]).await.json();
    assert_eq!((&meaning["code"], &meaning["title"]), (&problem["code"], &problem["title"]));
    let page = site.get("/problems/not_found", &[("accept", "text/html")]).await;
    assert!(page.header("content-type").starts_with("text/html") && page.text.contains("another merchant"));
    assert_eq!(site.get("/problems/%3Cscript%3E", &[]).await.problem(404), "not_found");
}

#[tokio::test]
async fn health_does_not_ask_the_database_and_readiness_does() {
    let mut site = Site::open().await;
    assert_eq!(site.get("/readyz", &[]).await.json(), json!({"status": "ready"}));
    let status = site.get("/api/v1/system/migration-status", &[]).await.json();
    assert_eq!(
        (status["state"].as_str(), status["steps_done"].as_i64(), status["steps_total"].as_i64()),
        (Some("cut_over"), Some(3), Some(4))
    );
    site.server.crash();
    assert_eq!(site.get("/healthz", &[]).await.json(), json!({"status": "ok"}));
    let away = site.get("/readyz", &[]).await;
    assert_eq!(away.problem(503), "database_unavailable");
    assert_eq!(away.header("retry-after"), "1");
    assert_eq!(site.get(PRODUCTS, &[]).await.problem(503), "database_unavailable");
    site.server.restart().await;
    assert_eq!(site.get(PRODUCTS, &[]).await.status, StatusCode::OK, "it recovers by itself");
}

#[tokio::test]
async fn open_requests_end_before_the_server_does() {
    let site = Site::open().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let server = tokio::spawn(bastide_server::serve(listener, site.app.clone(), async move {
        stopped.await.unwrap();
    }));
    // It listens, and answers once it has looked.
    let mut first = TcpStream::connect(address).await.unwrap();
    first.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    first.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    // A request under way: its body is not complete yet.
    let mut slow = TcpStream::connect(address).await.unwrap();
    let body = json!({"email": ADA, "password": PASSWORD}).to_string();
    let head = format!(
        "POST /api/v1/auth/merchant/login HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    slow.write_all(head.as_bytes()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    stop.send(()).unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(!server.is_finished());
    slow.write_all(body.as_bytes()).await.unwrap();
    let mut answer = String::new();
    slow.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    server.await.unwrap().unwrap();
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn whoever_asks_too_much_is_told_when_to_come_again() {
    let a_minute = |requests| Some(Quota { requests, per: Duration::from_secs(60) });
    let limits =
        Limits { caller: a_minute(6), merchant: a_minute(8), sign_in: a_minute(2), trusted_proxies: 1 };
    let site = Site::with(AppConfig { limits, ..AppConfig::default() }).await;
    let from = |address: &'static str| [("x-forwarded-for", address)];
    let first = site.get(PRODUCTS, &from("1.2.3.4")).await;
    assert_eq!(first.header("ratelimit-policy"), "\"caller\";q=6;w=60, \"merchant\";q=8;w=60");
    assert_eq!(first.header("ratelimit"), "\"caller\";r=5;t=10, \"merchant\";r=7;t=8");
    let unknown = site.get("/api/v1/storefront/no-such-shop/products", &from("1.2.3.4")).await;
    assert_eq!(unknown.problem(404), "not_found");
    assert_eq!(
        unknown.header("ratelimit"),
        "\"caller\";r=4;t=20, \"merchant\";r=7;t=8",
        "it tells no merchants apart"
    );
    for _ in 0..4 {
        assert_eq!(
            site.get("/api/v1/system/migration-status", &from("1.2.3.4")).await.status,
            StatusCode::OK
        );
    }
    let refused = site.get(PRODUCTS, &from("6.6.6.6, 1.2.3.4")).await;
    assert_eq!(refused.problem(429), "rate_limited");
    assert!((1..=10).contains(&refused.header("retry-after").parse::<u64>().unwrap()), "{refused:?}");
    assert!(refused.header("ratelimit").starts_with("\"caller\";r=0;"));
    let page = site.get("/shop/lagoon", &[("x-forwarded-for", "1.2.3.4"), ("accept", "text/html")]).await;
    assert!(page.status == StatusCode::TOO_MANY_REQUESTS && page.text.starts_with("<!DOCTYPE html>"));
    assert_eq!(site.get("/healthz", &from("1.2.3.4")).await.status, StatusCode::OK);
    // A merchant's bucket is for all who ask for it: one was taken above, and none by who was refused for their own.
    for last in 1..=7 {
        let address = format!("2.0.0.{last}");
        let headers = [("x-forwarded-for", address.as_str())];
        assert_eq!(site.get(PRODUCTS, &headers).await.status, StatusCode::OK, "{address}");
    }
    assert_eq!(site.get(PRODUCTS, &from("2.0.0.8")).await.problem(429), "rate_limited");
    let other = site.get("/api/v1/storefront/harbour/products", &from("2.0.0.8")).await;
    assert_eq!(other.status, StatusCode::OK, "and another merchant is open");
    // Sign-ins from one address; a forged token makes nobody another caller.
    let sign_in = async |token: &'static str| {
        let request = Request::post("/api/v1/auth/merchant/login")
            .header("content-type", "application/json")
            .header("authorization", token)
            .header("x-forwarded-for", "3.0.0.1");
        site.send(request.body(json!({"email": ADA, "password": "wrong"}).to_string().into()).unwrap()).await
    };
    assert_eq!(sign_in("Bearer a").await.problem(401), "invalid_credentials");
    assert_eq!(sign_in("Bearer b").await.problem(401), "invalid_credentials");
    assert_eq!(sign_in("Bearer c").await.problem(429), "rate_limited");
}

#[tokio::test]
async fn over_a_connection_the_peer_is_the_caller() {
    let limits =
        Limits { caller: Some(Quota { requests: 2, per: Duration::from_secs(60) }), ..Limits::none() };
    let site = Site::with(AppConfig { limits, ..AppConfig::default() }).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let server = tokio::spawn(bastide_server::serve(listener, site.app.clone(), async move {
        stopped.await.unwrap();
    }));
    let mut seen = Vec::new();
    for _ in 0..3 {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let head = format!(
            "GET {PRODUCTS} HTTP/1.1\r\nhost: x\r\nconnection: close\r\nx-forwarded-for: 9.9.9.9\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        seen.push(answer[9..12].to_owned());
    }
    assert_eq!(seen, ["200", "200", "429"]);
    let elsewhere = site.get(PRODUCTS, &[]).await;
    assert_eq!(elsewhere.status, StatusCode::OK, "it has a bucket of its own");
    stop.send(()).unwrap();
    server.await.unwrap().unwrap();
}
