//! Merchants that begin, teams, invitations, keys, and the record of it all.

mod site;

use axum::http::{Method, StatusCode};
use bastide_server::{AppConfig, Throttle};
use serde_json::{Value, json};
use site::{ADA, Answer, BEN, PASSWORD, Site, VIEWER};

const ORDERS: &str = "/api/v1/admin/lagoon/orders";
const TEAM: &str = "/api/v1/admin/lagoon/team";
const INVITATIONS: &str = "/api/v1/admin/lagoon/invitations";
const ACCEPT: &str = "/api/v1/auth/merchant/invitations/accept";
const KEYS: &str = "/api/v1/admin/lagoon/api-keys";
const ADA_ID: &str = "11111111-0000-4000-8000-000000000001";
const VIEWER_ID: &str = "55555555-0000-4000-8000-000000000005";

fn sign_up(slug: &str, email: &str) -> Value {
    json!({
        "name": "Dunes", "slug": slug, "currency": "EUR",
        "owner": { "name": "Dora", "email": email, "password": PASSWORD }
    })
}

async fn accept(site: &Site, token: &Value, bearer: Option<&str>) -> Answer {
    let headers: Vec<(&str, &str)> = bearer.into_iter().map(|bearer| ("authorization", bearer)).collect();
    let mut body = json!({ "token": token });
    if bearer.is_none() {
        body["account"] = json!({ "name": "Cleo", "password": PASSWORD });
    }
    site.post(ACCEPT, &body, &headers).await
}

#[tokio::test]
async fn a_merchant_begins_with_its_owner_and_its_shop_or_not_at_all() {
    let site = Site::open().await;
    let rows = "SELECT (SELECT count(*) FROM public.merchants) || ' ' || (SELECT count(*) FROM public.users) || ' ' || \
        (SELECT count(*) FROM public.team_members) || ' ' || (SELECT count(*) FROM public.storefront_configs) || ' ' || (SELECT count(*) FROM public.audit_log)";
    let before = site.database.query_one_text(rows).await;
    let wrong = |slug: &str, email: &str, currency: &str| {
        let mut body = sign_up(slug, email);
        body["currency"] = json!(currency);
        body
    };
    for body in [
        wrong("lagoon", "dora@dunes.test", "EUR"),
        wrong("dunes", ADA, "EUR"),
        wrong("dunes", "ADA@lagoon.TEST", "EUR"),
        wrong("dunes", "dora@dunes.test", "XXX"),
    ] {
        assert_eq!(site.post("/api/v1/tenants", &body, &[]).await.problem(422), "invalid", "{body}");
        assert_eq!(site.database.query_one_text(rows).await, before, "{body}");
    }
    let answer = site.post("/api/v1/tenants", &sign_up("dunes", "Dora@Dunes.test"), &[]).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text);
    let told = answer.json();
    let dora = format!("Bearer {}", told["signed_in"]["token"].as_str().unwrap());
    let mine = site.get("/api/v1/admin/dunes/orders", &[("authorization", &dora)]).await;
    assert_eq!((mine.status, mine.json()["data"].as_array().unwrap().len()), (StatusCode::OK, 0));
    assert_eq!(site.get(ORDERS, &[("authorization", &dora)]).await.problem(404), "not_found");
    assert_eq!(site.get("/shop/dunes", &[]).await.status, StatusCode::OK);
    for email in ["Dora@Dunes.test", "dora@dunes.test"] {
        let again = site.login(&json!({ "email": email, "password": PASSWORD })).await.json();
        assert_eq!(again["merchants"][0]["slug"], "dunes", "{again}");
    }
    // The second is of somebody who is there already.
    let mut second = sign_up("dunes-2", "");
    second.as_object_mut().unwrap().remove("owner");
    let answer = site.post("/api/v1/tenants", &second, &[("authorization", &dora)]).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text);
    assert!(answer.json()["signed_in"].is_null());
    let audit = site.get("/api/v1/admin/dunes-2/audit", &[("authorization", &dora)]).await.json();
    assert_eq!(audit["data"][0]["action"], "merchant.create");
    let hash = site
        .database
        .query_one_text("SELECT password_hash FROM public.users WHERE email = 'dora@dunes.test'")
        .await;
    assert!(hash.starts_with("$argon2id$"), "{hash}");
}

#[tokio::test]
async fn of_many_who_want_one_slug_one_gets_it() {
    let site = Site::open().await;
    let tries = (0..6).map(|n| {
        let body = sign_up("dunes", &format!("dora-{n}@dunes.test"));
        let site = &site;
        async move { site.post("/api/v1/tenants", &body, &[]).await.status }
    });
    let all = futures_util::future::join_all(tries).await;
    assert_eq!(all.iter().filter(|status| **status == StatusCode::CREATED).count(), 1, "{all:?}");
    let left = "SELECT count(*) FROM public.users u WHERE email LIKE 'dora-%' AND NOT EXISTS (SELECT FROM public.team_members t WHERE t.user_id = u.id)";
    assert_eq!(site.database.query_one_text(left).await, "0", "nothing of the others is left");
    let throttle = Throttle { per_address: 2, ..Throttle::default() };
    let site = Site::with(AppConfig { throttle, ..AppConfig::default() }).await;
    for n in 0..2 {
        let body = sign_up(&format!("dunes-{n}"), &format!("dora-{n}@dunes.test"));
        assert_eq!(site.post("/api/v1/tenants", &body, &[]).await.status, StatusCode::CREATED);
    }
    let more = site.post("/api/v1/tenants", &sign_up("dunes-9", "d@dunes.test"), &[]).await;
    assert_eq!(more.problem(429), "rate_limited");
}

#[tokio::test]
async fn a_slug_is_checked_and_another_suggested() {
    let site = Site::open().await;
    let check = async |slug: &str| {
        site.get(&format!("/api/v1/tenants/check-subdomain?slug={slug}"), &[]).await.json()
    };
    assert_eq!(check("dunes").await, json!({ "slug": "dunes", "available": true, "suggestions": [] }));
    let taken = check("lagoon").await;
    assert_eq!((&taken["available"], &taken["reason"]), (&json!(false), &json!("taken")));
    for suggestion in taken["suggestions"].as_array().unwrap() {
        assert_eq!(check(suggestion.as_str().unwrap()).await["available"], true, "{suggestion}");
    }
    assert_eq!(check("www").await["reason"], "taken");
    assert_eq!(check("Lagoon%20Bay").await["suggestions"][0], "lagoon-bay");
    assert_eq!(check("%00%F0%9F%8F%B0").await["reason"], "malformed");
}

#[tokio::test]
async fn a_slug_that_was_given_up_leads_on_and_is_nobody_elses() {
    let site = Site::open().await;
    let (ada, ben) = (site.bearer(ADA).await, site.bearer(BEN).await);
    let rename = async |from: &str, to: &str| {
        let path = format!("/api/v1/admin/{from}/rename");
        site.post(&path, &json!({ "slug": to }), &[("authorization", &ada)]).await
    };
    assert_eq!(rename("lagoon", "harbour").await.problem(422), "invalid");
    assert_eq!(rename("lagoon", "laguna").await.json(), json!({ "slug": "laguna", "before": "lagoon" }));
    for (path, there) in [
        ("/api/v1/storefront/lagoon/products?limit=3", "/api/v1/storefront/laguna/products?limit=3"),
        ("/shop/lagoon", "/shop/laguna"),
    ] {
        let answer = site.get(path, &[]).await;
        assert_eq!((answer.status, answer.header("location")), (StatusCode::PERMANENT_REDIRECT, there));
    }
    assert_eq!(
        site.get(ORDERS, &[("authorization", &ada)]).await.problem(404),
        "not_found",
        "the office is told the slug"
    );
    assert_eq!(
        site.post("/api/v1/tenants", &sign_up("lagoon", "d@dunes.test"), &[]).await.problem(422),
        "invalid"
    );
    let free = site.get("/api/v1/tenants/check-subdomain?slug=lagoon", &[]).await.json();
    assert_eq!(free["available"], false);
    assert_eq!(rename("laguna", "lagoon").await.status, StatusCode::OK, "its own it can have again");
    assert_eq!(site.get("/shop/lagoon", &[]).await.status, StatusCode::OK);
    assert_eq!(site.get("/shop/laguna", &[]).await.header("location"), "/shop/lagoon");
    assert_eq!(rename("harbour", "mine").await.problem(404), "not_found");
    let slugs: Vec<String> =
        std::iter::once("lagoon".to_owned()).chain((0..10).map(|at| format!("lagoon-{at}"))).collect();
    for pair in slugs.windows(2).take(9) {
        assert_eq!(rename(&pair[0], &pair[1]).await.status, StatusCode::OK, "{pair:?}");
    }
    assert_eq!(rename("lagoon-8", "lagoon-9").await.problem(409), "limit_reached", "ten are kept");
    let admin = site
        .post("/api/v1/admin/harbour/rename", &json!({ "slug": "mine" }), &[("authorization", &ben)])
        .await;
    assert_eq!(admin.problem(403), "forbidden", "an admin does not rename");
}

#[tokio::test]
async fn an_invitation_is_good_once_for_whom_it_was_made() {
    let site = Site::open().await;
    let (ada, ben) = (site.bearer(ADA).await, site.bearer(BEN).await);
    let invite = async |email: &str, role: &str| {
        let answer = site
            .post(INVITATIONS, &json!({ "email": email, "role": role }), &[("authorization", &ada)])
            .await;
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text);
        answer.json()
    };
    let cleo = invite("Cleo@example.test", "staff").await;
    let told = accept(&site, &cleo["token"], None).await.json();
    let bearer = format!("Bearer {}", told["signed_in"]["token"].as_str().unwrap());
    assert_eq!(site.get(ORDERS, &[("authorization", &bearer)]).await.status, StatusCode::OK);
    assert_eq!(site.get(TEAM, &[("authorization", &bearer)]).await.problem(403), "forbidden");
    assert_eq!(accept(&site, &cleo["token"], None).await.problem(404), "not_found", "it is used");

    let for_viewer = invite(VIEWER, "owner").await;
    assert_eq!(
        accept(&site, &for_viewer["token"], Some(&ben)).await.problem(404),
        "not_found",
        "it is another's"
    );
    assert_eq!(
        accept(&site, &for_viewer["token"], None).await.problem(422),
        "invalid",
        "there is such an account: sign in"
    );
    let viewer = site.bearer(VIEWER).await;
    assert_eq!(accept(&site, &for_viewer["token"], Some(&viewer)).await.status, StatusCode::OK);
    let team = site.get(TEAM, &[("authorization", &ada)]).await.json();
    let role =
        team["data"].as_array().unwrap().iter().find(|member| member["id"] == VIEWER_ID).unwrap()["role"]
            .clone();
    assert_eq!(role, "viewer", "who is in keeps their role");

    let for_ben = invite(BEN, "admin").await;
    site.database.execute("UPDATE public.invitations SET expires_at = now() - interval '1 second' WHERE accepted_at IS NULL").await;
    assert_eq!(
        accept(&site, &for_ben["token"], Some(&ben)).await.problem(404),
        "not_found",
        "it has expired"
    );
    let withdrawn = invite(BEN, "admin").await;
    let path = format!("{INVITATIONS}/{}", withdrawn["invitation"]["id"].as_str().unwrap());
    assert_eq!(
        site.ask(Method::DELETE, &path, &[("authorization", &ada)]).await.status,
        StatusCode::NO_CONTENT
    );
    assert_eq!(
        accept(&site, &withdrawn["token"], Some(&ben)).await.problem(404),
        "not_found",
        "it was taken back"
    );
    let good = invite(BEN, "admin").await;
    assert_eq!(accept(&site, &good["token"], Some(&ben)).await.json()["role"], "admin");
    assert_eq!(
        site.get(ORDERS, &[("authorization", &ben)]).await.status,
        StatusCode::OK,
        "one user, two merchants"
    );
    assert_eq!(
        site.get("/api/v1/admin/harbour/orders", &[("authorization", &ben)]).await.status,
        StatusCode::OK
    );
}

#[tokio::test]
async fn nobody_reaches_above_their_role_and_a_merchant_keeps_an_owner() {
    let site = Site::open().await;
    let (ada, viewer) = (site.bearer(ADA).await, site.bearer(VIEWER).await);
    let set = async |who: &str, user: &str, role: &str| {
        site.write(
            Method::PUT,
            &format!("{TEAM}/{user}"),
            &json!({ "role": role }),
            &[("authorization", who)],
        )
        .await
    };
    let remove = async |who: &str, user: &str| {
        site.ask(Method::DELETE, &format!("{TEAM}/{user}"), &[("authorization", who)]).await
    };
    // Another owner is switched off: still an owner, but the row in the fixture is of 'gone', so take it away.
    site.database
        .execute("DELETE FROM public.team_members WHERE user_id = '33333333-0000-4000-8000-000000000003'")
        .await;
    assert_eq!(set(&ada, ADA_ID, "admin").await.problem(409), "last_owner");
    assert_eq!(remove(&ada, ADA_ID).await.problem(409), "last_owner");
    assert_eq!(set(&viewer, VIEWER_ID, "owner").await.problem(403), "forbidden");
    assert_eq!(set(&ada, VIEWER_ID, "admin").await.status, StatusCode::NO_CONTENT);
    assert_eq!(set(&viewer, VIEWER_ID, "owner").await.problem(403), "forbidden", "an admin makes no owner");
    assert_eq!(set(&viewer, ADA_ID, "staff").await.problem(403), "forbidden", "nor unmakes one");
    assert_eq!(remove(&viewer, ADA_ID).await.problem(403), "forbidden");
    let owner = site
        .post(INVITATIONS, &json!({ "email": "x@y.test", "role": "owner" }), &[("authorization", &viewer)])
        .await;
    assert_eq!(owner.problem(403), "forbidden");
    assert_eq!(set(&ada, VIEWER_ID, "owner").await.status, StatusCode::NO_CONTENT);
    // Two owners who let each other go at once: one stays.
    let (one, other) = tokio::join!(remove(&ada, VIEWER_ID), remove(&viewer, ADA_ID));
    let owners = "SELECT count(*) FROM public.team_members t JOIN public.merchants m ON m.id = t.merchant_id WHERE m.slug = 'lagoon' AND t.role = 'owner'";
    assert_eq!(site.database.query_one_text(owners).await, "1", "{one:?} {other:?}");
}

#[tokio::test]
async fn whoever_is_let_go_leaves_no_key_and_no_way_back() {
    let site = Site::open().await;
    let (ada, viewer) = (site.bearer(ADA).await, site.bearer(VIEWER).await);
    let set = async |role: &str| {
        let path = format!("{TEAM}/{VIEWER_ID}");
        let set = site.write(Method::PUT, &path, &json!({ "role": role }), &[("authorization", &ada)]).await;
        assert_eq!(set.status, StatusCode::NO_CONTENT, "{}", set.text);
    };
    let made = async || {
        let as_viewer = [("authorization", viewer.as_str())];
        let key = json!({ "name": "Mine", "kind": "secret", "scopes": ["catalogue:read"] });
        let key = site.post(KEYS, &key, &as_viewer).await.json()["key"].as_str().unwrap().to_owned();
        let invited = json!({ "email": "mine@second.test", "role": "admin" });
        let token = site.post(INVITATIONS, &invited, &as_viewer).await.json()["token"].clone();
        (format!("Bearer {key}"), token)
    };
    let products = "/api/v1/admin/lagoon/products";
    let closed = async |(key, token): (String, Value)| {
        assert_eq!(site.get(products, &[("authorization", &key)]).await.problem(401), "invalid_token");
        let account = json!({ "name": "Mine", "password": "correct horse battery staple" });
        let accept = json!({ "token": token, "account": account });
        let answer = site.post("/api/v1/auth/merchant/invitations/accept", &accept, &[]).await;
        assert!(answer.status.is_client_error(), "{}", answer.text);
    };
    set("admin").await;
    let (key, token) = made().await;
    assert_eq!(site.get(products, &[("authorization", &key)]).await.status, StatusCode::OK);
    set("owner").await;
    assert_eq!(
        site.get(products, &[("authorization", &key)]).await.status,
        StatusCode::OK,
        "more is no less"
    );
    set("staff").await;
    closed((key, token)).await;
    set("admin").await;
    let made = made().await;
    let gone = site.ask(Method::DELETE, &format!("{TEAM}/{VIEWER_ID}"), &[("authorization", &ada)]).await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT);
    closed(made).await;
}

#[tokio::test]
async fn a_key_opens_what_its_scopes_name_at_its_merchant() {
    let site = Site::open().await;
    let ada = site.bearer(ADA).await;
    let make = async |body: Value| site.post(KEYS, &body, &[("authorization", &ada)]).await;
    let made = make(json!({ "name": "Books", "kind": "secret", "scopes": ["orders:read"] })).await.json();
    let key = made["key"].as_str().unwrap().to_owned();
    assert!(key.starts_with("sk_") && key.starts_with(made["api_key"]["prefix"].as_str().unwrap()));
    let bearer = format!("Bearer {key}");
    let get = async |path: &str, bearer: &str| site.get(path, &[("authorization", bearer)]).await;
    assert_eq!(get(ORDERS, &bearer).await.status, StatusCode::OK);
    for path in ["/api/v1/admin/lagoon/audit", TEAM, KEYS] {
        assert_eq!(get(path, &bearer).await.problem(403), "forbidden", "{path}");
    }
    assert_eq!(get("/api/v1/admin/harbour/orders", &bearer).await.problem(404), "not_found");
    assert_eq!(get("/api/v1/storefront/harbour/products", &bearer).await.problem(404), "not_found");
    assert_eq!(site.app.mismatches().credential, 2, "and it is counted");
    assert_eq!(
        get("/api/v1/auth/merchant/sessions", &bearer).await.problem(401),
        "invalid_token",
        "a key is no person"
    );

    let public = make(json!({ "name": "Web", "kind": "publishable" })).await.json();
    let public = format!("Bearer {}", public["key"].as_str().unwrap());
    assert_eq!(get("/api/v1/storefront/lagoon/products", &public).await.status, StatusCode::OK);
    assert_eq!(get(ORDERS, &public).await.problem(403), "forbidden");
    assert_eq!(get("/api/v1/storefront/harbour/products", &public).await.problem(404), "not_found");

    let listed = site.get(KEYS, &[("authorization", &ada)]).await;
    assert!(!listed.text.contains(&key) && !listed.text.contains("hash"), "{}", listed.text);
    let stored = site.database.query_one_text("SELECT string_agg(k::text, '') FROM public.api_keys k").await;
    assert!(!stored.contains(&key));
    let path = format!("{KEYS}/{}", made["api_key"]["id"].as_str().unwrap());
    assert_eq!(
        site.ask(Method::DELETE, &path, &[("authorization", &ada)]).await.status,
        StatusCode::NO_CONTENT
    );
    assert_eq!(get(ORDERS, &bearer).await.problem(401), "invalid_token", "at once");
    site.database.execute("UPDATE public.api_keys SET expires_at = now() - interval '1 second'").await;
    assert_eq!(get("/api/v1/storefront/lagoon/products", &public).await.problem(401), "invalid_token");
}

#[tokio::test]
async fn what_a_team_changed_is_on_record_for_who_may_read_it() {
    let site = Site::open().await;
    let (ada, ben) = (site.bearer(ADA).await, site.bearer(BEN).await);
    for n in 0..5 {
        let body = json!({ "email": format!("n{n}@example.test"), "role": "staff" });
        site.post(INVITATIONS, &body, &[("authorization", &ada), ("x-request-id", "trace-1")]).await;
    }
    site.post(KEYS, &json!({ "name": "k", "kind": "publishable" }), &[("authorization", &ada)]).await;
    let read = async |query: &str| {
        site.get(&format!("/api/v1/admin/lagoon/audit?{query}"), &[("authorization", &ada)]).await.json()
    };
    let first = read("limit=4").await;
    assert_eq!(first["data"][0]["action"], "api_key.create");
    let next = read(&format!("limit=4&cursor={}", first["page"]["next_cursor"].as_str().unwrap())).await;
    assert_eq!((next["data"].as_array().unwrap().len(), &next["page"]["has_more"]), (2, &json!(false)));
    let invitations = read("entity=invitation").await;
    assert_eq!(invitations["data"].as_array().unwrap().len(), 5);
    let one = &invitations["data"][0];
    assert_eq!(
        (&one["actor"], &one["actor_kind"], &one["request_id"]),
        (&json!(ADA_ID), &json!("user"), &json!("trace-1"))
    );
    assert_eq!(one["summary"], json!({ "fields": ["email", "role"] }), "names, no values");
    assert_eq!(read("actor=22222222-0000-4000-8000-000000000002").await["data"], json!([]));
    let harbour = site.get("/api/v1/admin/harbour/audit", &[("authorization", &ben)]).await.json();
    assert_eq!(harbour["data"], json!([]), "another merchant's record is another's");
}
