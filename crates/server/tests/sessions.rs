//! Sessions that go on, end, and end when somebody else has their token; and who tries too often.

mod site;

use axum::http::{Method, StatusCode};
use bastide_server::{AppConfig, Limits, Throttle};
use serde_json::{Value, json};
use site::{ADA, Answer, BEN, PASSWORD, Site};

const ORDERS: &str = "/api/v1/admin/lagoon/orders";
const REFRESH: &str = "/api/v1/auth/merchant/refresh";
const LOGOUT: &str = "/api/v1/auth/merchant/logout";
const SESSION: &str = "/api/v1/auth/merchant/session";
const SESSIONS: &str = "/api/v1/auth/merchant/sessions";
const OWN_SITE: (&str, &str) = ("origin", "https://shop.example");
const HOST: (&str, &str) = ("host", "shop.example");

async fn signed_in(site: &Site, email: &str) -> Value {
    let answer = site.login(&json!({"email": email, "password": PASSWORD})).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    answer.json()
}

async fn refresh(site: &Site, token: &Value) -> Answer {
    site.post(REFRESH, &json!({ "refresh_token": token }), &[]).await
}

fn bearer(signed_in: &Value) -> String {
    format!("Bearer {}", signed_in["token"].as_str().unwrap())
}

/// As if the grace for lost answers were over.
async fn later(site: &Site) {
    site.database.execute("UPDATE bastide.refresh_token SET used_at = used_at - interval '11 seconds'").await;
}

#[tokio::test]
async fn a_session_goes_on_with_a_new_token_each_time() {
    let site = Site::open().await;
    let first = signed_in(&site, ADA).await;
    let mut token = first["refresh_token"].clone();
    for _ in 0..3 {
        let next = refresh(&site, &token).await.json();
        assert_eq!((&next["session"], &next["merchants"][0]["slug"]), (&first["session"], &json!("lagoon")));
        assert_ne!(next["refresh_token"], token);
        assert_eq!(site.get(ORDERS, &[("authorization", &bearer(&next))]).await.status, StatusCode::OK);
        token = next["refresh_token"].clone();
        later(&site).await;
    }
    let here = site.get(SESSION, &[("authorization", &bearer(&first))]).await.json();
    assert_eq!((&here["session"], &here["merchants"]), (&first["session"], &first["merchants"]));
    for nonsense in [
        json!("rt_"),
        json!("x"),
        json!(""),
        json!("rt_\u{0}"),
        json!("rt_".repeat(1000)),
        first["token"].clone(),
    ] {
        assert_eq!(refresh(&site, &nonsense).await.problem(401), "invalid_token", "{nonsense}");
    }
    assert_eq!(site.post(REFRESH, &json!({}), &[]).await.problem(401), "unauthenticated");
    let stored = "SELECT string_agg(t::text, '') FROM (SELECT r::text AS t FROM bastide.refresh_token r UNION ALL SELECT s::text FROM bastide.session s) t";
    let stored = site.database.query_one_text(stored).await;
    assert!(!stored.contains(token.as_str().unwrap()), "only its hash is kept");
}

#[tokio::test]
async fn a_token_that_comes_back_ends_the_session_for_both_who_have_it() {
    let site = Site::open().await;
    let stolen = signed_in(&site, ADA).await["refresh_token"].clone();
    let other = signed_in(&site, ADA).await["refresh_token"].clone();
    let thief = refresh(&site, &stolen).await.json()["refresh_token"].clone();
    let thief = refresh(&site, &thief).await.json()["refresh_token"].clone();
    // The owner comes with what was used already: at once, because its successor was used, too.
    assert_eq!(refresh(&site, &stolen).await.problem(401), "invalid_token");
    assert_eq!(refresh(&site, &thief).await.problem(401), "invalid_token");
    let why = "SELECT revoked_why FROM bastide.session WHERE revoked_at IS NOT NULL";
    assert_eq!(site.database.query_rows(why).await, ["reuse"]);
    assert_eq!(refresh(&site, &other).await.status, StatusCode::OK, "another session is another's");
}

#[tokio::test]
async fn an_answer_that_was_lost_costs_no_session_and_hides_no_thief() {
    let site = Site::open().await;
    let first = signed_in(&site, ADA).await["refresh_token"].clone();
    let lost = refresh(&site, &first).await.json()["refresh_token"].clone();
    let again = refresh(&site, &first).await;
    assert_eq!(again.status, StatusCode::OK, "the answer was lost, so it asks once more");
    let live = "SELECT count(*) FROM bastide.refresh_token WHERE used_at IS NULL";
    assert_eq!(site.database.query_one_text(live).await, "1", "never more than one can be used");
    // Somebody had the answer after all.
    assert_eq!(refresh(&site, &lost).await.problem(401), "invalid_token");
    let next = again.json()["refresh_token"].clone();
    assert_eq!(refresh(&site, &next).await.problem(401), "invalid_token", "and now it is over");

    let late = signed_in(&site, ADA).await["refresh_token"].clone();
    assert_eq!(refresh(&site, &late).await.status, StatusCode::OK);
    later(&site).await;
    assert_eq!(refresh(&site, &late).await.problem(401), "invalid_token", "after the grace it is reuse");
}

#[tokio::test]
async fn of_many_who_come_with_one_token_one_can_go_on() {
    let site = Site::open().await;
    let token = signed_in(&site, ADA).await["refresh_token"].clone();
    let mut asked = Vec::new();
    for answer in futures_util::future::join_all((0..8).map(|_| refresh(&site, &token))).await {
        if answer.status == StatusCode::OK {
            asked.push(answer.json()["refresh_token"].clone());
        }
    }
    assert!(!asked.is_empty());
    let live = "SELECT count(*) FROM bastide.refresh_token WHERE used_at IS NULL";
    assert_eq!(site.database.query_one_text(live).await, "1");
    let mut going_on = 0;
    for token in asked.iter().rev() {
        going_on += i32::from(refresh(&site, token).await.status == StatusCode::OK);
    }
    assert!(going_on <= 1, "{going_on} of them had a token that was good");
}

#[tokio::test]
async fn sessions_are_listed_and_ended_by_their_owner_alone() {
    let site = Site::open().await;
    let (here, there, ben) =
        (signed_in(&site, ADA).await, signed_in(&site, ADA).await, signed_in(&site, BEN).await);
    let (ada, other) = (bearer(&here), bearer(&ben));
    let list = site.get(SESSIONS, &[("authorization", &ada)]).await.json();
    assert_eq!((list["data"].as_array().unwrap().len(), &list["current"]), (2, &here["session"]));
    assert_eq!(list["data"][0]["address"], "unknown", "there is no connection in this test");

    let end = async |who: &str, session: &Value| {
        let path = format!("{SESSIONS}/{}", session.as_str().unwrap());
        site.ask(Method::DELETE, &path, &[("authorization", who)]).await
    };
    assert_eq!(end(&other, &there["session"]).await.problem(404), "not_found");
    assert_eq!(end(&ada, &json!("no-uuid")).await.problem(404), "not_found");
    assert_eq!(end(&ada, &there["session"]).await.status, StatusCode::NO_CONTENT);
    assert_eq!(end(&ada, &there["session"]).await.problem(404), "not_found", "it is over already");
    assert_eq!(refresh(&site, &there["refresh_token"]).await.problem(401), "invalid_token");
    assert_eq!(refresh(&site, &here["refresh_token"]).await.status, StatusCode::OK);
    let list = site.get(SESSIONS, &[("authorization", &ada)]).await.json();
    assert_eq!(list["data"].as_array().unwrap().len(), 1);
    assert_eq!(site.get(SESSIONS, &[]).await.problem(401), "unauthenticated");

    let signed_out = site.post(LOGOUT, &json!({"refresh_token": ben["refresh_token"]}), &[]).await;
    assert_eq!(signed_out.status, StatusCode::NO_CONTENT);
    assert_eq!(refresh(&site, &ben["refresh_token"]).await.problem(401), "invalid_token");
}

#[tokio::test]
async fn an_account_that_is_switched_off_goes_on_nowhere() {
    let site = Site::open().await;
    let token = signed_in(&site, ADA).await["refresh_token"].clone();
    site.database.execute("UPDATE public.users SET is_active = false WHERE email = 'ada@lagoon.test'").await;
    assert_eq!(refresh(&site, &token).await.problem(401), "invalid_token");
    site.database.execute("UPDATE public.users SET is_active = true").await;
    site.database.execute("UPDATE bastide.session SET expires_at = now() - interval '1 second'").await;
    assert_eq!(refresh(&site, &token).await.problem(401), "invalid_token", "no session is for ever");
    signed_in(&site, BEN).await;
    let left = site.database.query_one_text("SELECT count(*) FROM bastide.session").await;
    assert_eq!(left, "1", "and a new one takes it away");
}

#[tokio::test]
async fn browsers_keep_their_tokens_where_no_script_reads_them() {
    let site = Site::open().await;
    let body = json!({"email": ADA, "password": PASSWORD, "cookies": true});
    let login =
        async |headers: &[(&str, &str)]| site.post("/api/v1/auth/merchant/login", &body, headers).await;
    assert_eq!(login(&[]).await.problem(403), "cross_site");
    assert_eq!(login(&[("origin", "https://evil.example"), HOST]).await.problem(403), "cross_site");
    let answer = login(&[OWN_SITE, HOST]).await;
    let told = answer.json();
    assert!(told["token"].is_null() && told["refresh_token"].is_null(), "{told}");
    let cookies: Vec<String> = answer
        .headers
        .get_all("set-cookie")
        .iter()
        .map(|cookie| cookie.to_str().unwrap().to_owned())
        .collect();
    assert_eq!(cookies.len(), 2);
    for cookie in &cookies {
        assert!(
            cookie.starts_with("__Host-") && cookie.contains("; Path=/; Secure; HttpOnly; SameSite=Strict;"),
            "{cookie}"
        );
    }
    let jar = cookies.iter().map(|cookie| cookie.split(';').next().unwrap()).collect::<Vec<_>>().join("; ");
    let jar = ("cookie", jar.as_str());

    assert_eq!(site.get(ORDERS, &[jar]).await.status, StatusCode::OK);
    let foreign = site.get("/api/v1/admin/harbour/orders", &[jar]).await;
    assert_eq!(foreign.problem(404), "not_found");
    assert_eq!(
        site.get("/api/v1/storefront/harbour/products", &[jar]).await.status,
        StatusCode::OK,
        "a visitor's page"
    );
    let session = format!("{SESSIONS}/{}", told["session"].as_str().unwrap());
    for headers in
        [vec![jar], vec![jar, ("origin", "https://evil.example"), HOST], vec![jar, ("origin", "null"), HOST]]
    {
        let answer = site.ask(Method::DELETE, &session, &headers).await;
        assert_eq!(answer.problem(403), "cross_site", "{headers:?}");
        assert_eq!(site.post(REFRESH, &json!({}), &headers).await.problem(403), "cross_site");
        assert_eq!(site.post(LOGOUT, &json!({}), &headers).await.problem(403), "cross_site");
    }
    let next = site.post(REFRESH, &json!({}), &[jar, OWN_SITE, HOST]).await;
    assert_eq!(next.headers.get_all("set-cookie").iter().count(), 2);
    assert!(next.json()["refresh_token"].is_null());
    let gone = site.post(LOGOUT, &json!({}), &[jar, OWN_SITE, HOST]).await;
    assert!(gone.status == StatusCode::NO_CONTENT && gone.header("set-cookie").contains("Max-Age=0"));
    later(&site).await;
    assert_eq!(site.post(REFRESH, &json!({}), &[jar, OWN_SITE, HOST]).await.problem(401), "invalid_token");
}

#[tokio::test]
async fn the_office_page_goes_on_by_itself_and_signs_out_for_good() {
    let site = Site::open().await;
    let form = format!("email={}&password={}", ADA.replace('@', "%40"), PASSWORD.replace(' ', "+"));
    let request = axum::http::Request::post("/store/lagoon")
        .header("content-type", "application/x-www-form-urlencoded");
    let answer = site.send(request.body(form.into()).unwrap()).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
    let cookies: Vec<&str> = answer
        .headers
        .get_all("set-cookie")
        .iter()
        .map(|cookie| cookie.to_str().unwrap().split(';').next().unwrap())
        .collect();
    let refresh = cookies.iter().find(|cookie| cookie.starts_with("__Host-bastide_refresh=")).unwrap();
    let page = site.get("/store/lagoon", &[("cookie", refresh)]).await;
    assert!(
        page.text.contains("L-60") && page.header("set-cookie").starts_with("__Host-bastide_session="),
        "{}",
        page.text
    );
    site.ask(Method::POST, "/store/lagoon/sign-out", &[("cookie", refresh)]).await;
    let page = site.get("/store/lagoon", &[("cookie", refresh)]).await;
    assert!(page.text.contains("Sign in to the shop"), "{}", page.text);
}

#[tokio::test]
async fn who_tries_too_often_waits_whether_or_not_there_is_such_an_account() {
    let throttle = Throttle { per_account: 3, per_address: 12, ..Throttle::default() };
    let site = Site::with(AppConfig {
        throttle,
        limits: Limits { trusted_proxies: 1, ..Limits::none() },
        ..AppConfig::default()
    })
    .await;
    let from = async |address: &str, email: &str, password: &str| {
        let body = json!({"email": email, "password": password});
        site.post("/api/v1/auth/merchant/login", &body, &[("x-forwarded-for", address)]).await
    };
    for email in [ADA, "nobody@example.test"] {
        for _ in 0..3 {
            assert_eq!(from("192.0.2.1", email, "wrong").await.problem(401), "invalid_credentials");
        }
        for password in ["wrong", PASSWORD] {
            // From elsewhere too, and written otherwise; and the right password is no way round.
            let waits = from("192.0.2.2", &email.to_uppercase(), password).await;
            assert_eq!(waits.problem(429), "rate_limited");
            let seconds: u64 = waits.header("retry-after").parse().unwrap();
            assert!((890..=900).contains(&seconds), "{seconds}");
        }
    }
    assert_eq!(from("192.0.2.1", BEN, PASSWORD).await.status, StatusCode::OK, "others sign in");
    for _ in 0..2 {
        assert_eq!(from("192.0.2.1", BEN, "wrong").await.problem(401), "invalid_credentials");
    }
    assert_eq!(from("192.0.2.1", BEN, PASSWORD).await.status, StatusCode::OK, "which begins anew");
    for n in 0..2 {
        from("192.0.2.1", &format!("guess-{n}@example.test"), "x").await;
    }
    assert_eq!(
        from("192.0.2.1", BEN, PASSWORD).await.problem(429),
        "rate_limited",
        "too many from one address"
    );
    assert_eq!(from("192.0.2.3", BEN, PASSWORD).await.status, StatusCode::OK);
    site.database.execute("UPDATE bastide.attempt SET ends_at = now() - interval '1 second'").await;
    assert_eq!(from("192.0.2.1", ADA, PASSWORD).await.status, StatusCode::OK, "the wait ends");
    let kept = site.database.query_one_text("SELECT string_agg(a::text, '') FROM bastide.attempt a").await;
    assert!(!kept.contains("example.test") && !kept.contains("192.0.2"), "{kept}");
}

#[tokio::test]
async fn the_applications_login_reaches_sessions_through_functions_only() {
    let site = Site::open().await;
    signed_in(&site, ADA).await;
    let app = site.database.client_as("bastide_app", "app").await;
    for table in ["session", "refresh_token", "attempt"] {
        for sql in [format!("SELECT 1 FROM bastide.{table}"), format!("DELETE FROM bastide.{table}")] {
            let error = app.query(&sql, &[]).await.expect_err(&sql);
            assert_eq!(error.code().unwrap().code(), "42501", "{sql}");
        }
    }
    site.database.execute("CREATE ROLE somebody LOGIN PASSWORD 's'").await;
    let somebody = site.database.client_as("somebody", "s").await;
    let ours = site.database.query_rows(
        "SELECT format('SELECT bastide.%s(%s)', p.proname, (SELECT string_agg('NULL', ',') FROM generate_series(1, p.pronargs))) \
         FROM pg_proc p WHERE p.pronamespace = 'bastide'::regnamespace AND p.prosecdef AND p.prorettype <> 'trigger'::regtype",
    ).await;
    assert!(ours.len() > 10, "{ours:?}");
    for sql in ours {
        let error = somebody.query(&sql, &[]).await.expect_err(&sql);
        assert_eq!(error.code().unwrap().code(), "42501", "{sql}");
    }
}
