//! Idempotency, versions and bodies over real requests and a real database.

use std::time::Duration;

use axum::{
    Router,
    body::{Body, Bytes},
    http::{Method, Request, StatusCode},
};
use bastide_server::{App, AppConfig, SessionKey};
use futures_util::stream;
use serde_json::json;

#[path = "../../tests/site/mod.rs"]
mod site;

#[path = "../../tests/contract/driver/mod.rs"]
mod driver;

use crate::{contract::Document, routes};
use driver::{Case, Scene, Who};
use site::{ADA, Answer, BEN, Site};

const ONE: &str = "/api/v1/admin/lagoon/trials/1";
const ADJUST: &str = "/api/v1/admin/lagoon/trials/1/adjust";

const TABLE: &str = "CREATE TABLE public.trial (tenant_id uuid NOT NULL, id bigint, amount bigint NOT NULL DEFAULT 0, version bigint NOT NULL DEFAULT 1, \
        PRIMARY KEY (tenant_id, id));
    ALTER TABLE public.trial ENABLE ROW LEVEL SECURITY; ALTER TABLE public.trial FORCE ROW LEVEL SECURITY;
    CREATE POLICY bastide_tenant ON public.trial USING (tenant_id = (SELECT bastide.current_tenant()::uuid))
        WITH CHECK (tenant_id = (SELECT bastide.current_tenant()::uuid));
    GRANT SELECT, INSERT, UPDATE, DELETE ON public.trial TO bastide_app;
    INSERT INTO public.trial VALUES ('aaaaaaaa-0000-4000-8000-000000000001', 1), ('bbbbbbbb-0000-4000-8000-000000000002', 1), \
        ('bbbbbbbb-0000-4000-8000-000000000002', 2)";

/// The trials beside what there is.
fn with_trials(app: &App) -> Router {
    app.around(routes::described().merge(super::routes()).into_router())
}

async fn trials(config: AppConfig) -> Site {
    let site = Site::serving(config, with_trials).await;
    site.database.execute(TABLE).await;
    site
}

async fn open() -> Site {
    let session_key = SessionKey::from_text(&"k".repeat(40)).unwrap();
    trials(AppConfig { session_key, body_timeout: Duration::from_millis(300), ..AppConfig::default() }).await
}

async fn send(site: &Site, method: Method, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let request = Request::builder().method(method).uri(path).header("content-type", "application/json");
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    site.send(request.body(Body::from(body.to_owned())).unwrap()).await
}

async fn adjust(site: &Site, bearer: &str, key: &str, body: &str) -> Answer {
    let headers = [("authorization", bearer), ("idempotency-key", key)];
    send(site, Method::POST, ADJUST, &headers, body).await
}

async fn amounts(site: &Site) -> String {
    let sql = "SELECT string_agg(amount::text, ' ' ORDER BY tenant_id, id) FROM public.trial";
    site.database.query_one_text(sql).await
}

#[tokio::test]
async fn an_act_is_done_once_and_answered_as_often_as_asked() {
    let site = open().await;
    let ada = site.bearer(ADA).await;
    let first = adjust(&site, &ada, "k-1", r#"{"amount":5}"#).await;
    assert_eq!((first.status, first.json()), (StatusCode::CREATED, json!({ "id": 1, "amount": 5 })));
    assert_eq!(first.header("idempotency-replayed"), "");
    for _ in 0..3 {
        let again = adjust(&site, &ada, "k-1", r#"{"amount":5}"#).await;
        assert_eq!((again.status, &again.text), (StatusCode::CREATED, &first.text));
        assert_eq!(again.header("content-type"), first.header("content-type"));
        assert_eq!(again.header("idempotency-replayed"), "true");
    }
    assert_eq!(amounts(&site).await, "5 0 0");
    for other in [r#"{"amount":6}"#, r#"{"amount":5} "#] {
        assert_eq!(adjust(&site, &ada, "k-1", other).await.problem(422), "idempotency_key_reused", "{other}");
    }
    let headers = [("authorization", ada.as_str()), ("idempotency-key", "k-1")];
    let elsewhere = format!("{ADJUST}?");
    assert_eq!(
        send(&site, Method::POST, &elsewhere, &headers, r#"{"amount":5}"#).await.problem(422),
        "idempotency_key_reused"
    );
    assert_eq!(adjust(&site, &ada, "k-2", r#"{"amount":5}"#).await.json()["amount"], 10);
    assert_eq!(amounts(&site).await, "10 0 0");
}

#[tokio::test]
async fn keys_of_two_callers_and_of_two_merchants_never_meet() {
    let site = open().await;
    site.database
        .execute("INSERT INTO public.team_members (merchant_id, user_id, role) SELECT m.id, u.id, 'owner' FROM public.merchants m, public.users u \
            WHERE (m.slug, u.email) IN (('harbour', 'ada@lagoon.test'), ('lagoon', 'ben@harbour.test'))")
        .await;
    let (ada, ben) = (site.bearer(ADA).await, site.bearer(BEN).await);
    assert_eq!(adjust(&site, &ada, "same", r#"{"amount":1}"#).await.status, StatusCode::CREATED);
    assert_eq!(adjust(&site, &ben, "same", r#"{"amount":2}"#).await.json()["amount"], 3, "another caller");
    let headers = [("authorization", ada.as_str()), ("idempotency-key", "same")];
    let harbour = ADJUST.replace("lagoon", "harbour");
    let other = send(&site, Method::POST, &harbour, &headers, r#"{"amount":1}"#).await;
    assert_eq!((other.json()["amount"].as_i64(), other.header("idempotency-replayed")), (Some(1), ""));
    assert_eq!(amounts(&site).await, "3 1 0");
}

#[tokio::test]
async fn what_is_under_way_is_said_to_be_and_nobody_waits() {
    let site = open().await;
    let ada = site.bearer(ADA).await;
    let holder = site.database.client().await;
    holder.batch_execute("BEGIN; SELECT 1 FROM public.trial WHERE amount = 0 FOR UPDATE").await.unwrap();
    let slow = adjust(&site, &ada, "k", r#"{"amount":5}"#);
    let quick = async {
        loop {
            let waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND usename = 'bastide_app'";
            if site.database.query_one_text(waiting).await != "0" {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let answer = adjust(&site, &ada, "k", r#"{"amount":5}"#).await;
        let other = send(&site, Method::GET, ONE, &[("authorization", &ada)], "").await;
        holder.batch_execute("COMMIT").await.unwrap();
        (answer, other)
    };
    let (slow, (quick, other)) = tokio::join!(slow, quick);
    assert_eq!(quick.problem(409), "idempotency_in_flight");
    assert_eq!(quick.header("retry-after"), "1");
    assert_eq!((slow.status, other.status), (StatusCode::CREATED, StatusCode::OK));
    assert_eq!(adjust(&site, &ada, "k", r#"{"amount":5}"#).await.text, slow.text);
    assert_eq!(amounts(&site).await, "5 0 0");
}

#[tokio::test]
async fn many_at_once_are_one() {
    let site = open().await;
    let ada = site.bearer(ADA).await;
    let all =
        futures_util::future::join_all((0..12).map(|_| adjust(&site, &ada, "k", r#"{"amount":7}"#))).await;
    let mut bodies: Vec<_> =
        all.iter().filter(|answer| answer.status == StatusCode::CREATED).map(|answer| &answer.text).collect();
    bodies.dedup();
    assert_eq!(bodies.len(), 1, "and each of them the same");
    let others = all.iter().filter(|answer| answer.status != StatusCode::CREATED);
    others.for_each(|answer| assert!(matches!(answer.status.as_u16(), 409 | 503), "{}", answer.text));
    assert_eq!(amounts(&site).await, "7 0 0");
}

#[tokio::test]
async fn a_refusal_that_is_an_outcome_is_kept_and_a_failure_is_not() {
    let site = open().await;
    let ada = site.bearer(ADA).await;
    let declined = adjust(&site, &ada, "d", r#"{"amount":13}"#).await;
    assert_eq!(declined.problem(403), "forbidden");
    let again = adjust(&site, &ada, "d", r#"{"amount":13}"#).await;
    assert_eq!((again.status, &again.text), (StatusCode::FORBIDDEN, &declined.text));
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!(adjust(&site, &ada, "f", r#"{"amount":99}"#).await.problem(503), "busy");
    assert_eq!(amounts(&site).await, "0 0 0", "its work is undone");
    let kept = "SELECT string_agg(key, ' ') FROM public.idempotency_keys";
    assert_eq!(site.database.query_one_text(kept).await, "d");
    assert_eq!(
        adjust(&site, &ada, "f", r#"{"amount":9}"#).await.status,
        StatusCode::CREATED,
        "it is free again"
    );
}

#[tokio::test]
async fn an_expired_answer_is_none() {
    let site = open().await;
    let ada = site.bearer(ADA).await;
    for key in ["old", "older"] {
        assert_eq!(adjust(&site, &ada, key, r#"{"amount":1}"#).await.status, StatusCode::CREATED);
    }
    site.database
        .execute("UPDATE public.idempotency_keys SET expires_at = now() - interval '1 second'")
        .await;
    let again = adjust(&site, &ada, "old", r#"{"amount":2}"#).await;
    assert_eq!((again.json()["amount"].as_i64(), again.header("idempotency-replayed")), (Some(4), ""));
    let kept = "SELECT string_agg(key || (expires_at > now() + interval '23 hours'), ' ') FROM public.idempotency_keys";
    assert_eq!(site.database.query_one_text(kept).await, "oldtrue", "and takes what is expired with it");
}

#[tokio::test]
async fn a_key_must_be_one() {
    let site = open().await;
    let ada = site.bearer(ADA).await;
    let none = send(&site, Method::POST, ADJUST, &[("authorization", &ada)], r#"{"amount":1}"#).await;
    assert_eq!(none.problem(400), "idempotency_key_required");
    for key in ["", "a b", "é", &"k".repeat(256)] {
        assert_eq!(
            adjust(&site, &ada, key, r#"{"amount":1}"#).await.problem(400),
            "idempotency_key_invalid",
            "{key}"
        );
    }
    assert_eq!(adjust(&site, &ada, &"k".repeat(255), r#"{"amount":1}"#).await.status, StatusCode::CREATED);
    let twice = [("authorization", ada.as_str()), ("idempotency-key", "a"), ("idempotency-key", "a")];
    let answer = send(&site, Method::POST, ADJUST, &twice, r#"{"amount":1}"#).await;
    assert_eq!(answer.problem(400), "idempotency_key_invalid");
    let bad = adjust(&site, &ada, "k", r#"{"amount":101}"#).await;
    assert_eq!(
        (bad.problem(422).as_str(), &bad.json()["errors"][0]["pointer"]),
        ("invalid", &json!("/amount"))
    );
    assert_eq!(amounts(&site).await, "1 0 0");
}

#[tokio::test]
async fn a_write_needs_the_version_it_was_made_for() {
    let site = open().await;
    let ada = site.bearer(ADA).await;
    let patch = async |headers: &[(&str, &str)], amount: i64| {
        let headers = [headers, &[("authorization", ada.as_str())]].concat();
        send(&site, Method::PATCH, ONE, &headers, &json!({ "amount": amount }).to_string()).await
    };
    let read = async |headers: &[(&str, &str)]| {
        site.get(ONE, &[headers, &[("authorization", ada.as_str())]].concat()).await
    };
    let etag = read(&[]).await.header("etag").to_owned();
    assert_eq!(etag, "\"trial-1.1\"");
    assert_eq!(read(&[("if-none-match", &etag)]).await.status, StatusCode::NOT_MODIFIED);
    assert_eq!(patch(&[], 1).await.problem(428), "if_match_required");
    let changed = patch(&[("if-match", &etag)], 2).await;
    assert_eq!((changed.status, changed.header("etag")), (StatusCode::OK, "\"trial-1.2\""));
    let stale = patch(&[("if-match", &etag)], 3).await;
    assert_eq!((stale.problem(412).as_str(), stale.header("etag")), ("stale_version", "\"trial-1.2\""));
    for other in ["\"trial-2.2\"", "W/\"trial-1.2\"", "\"x\""] {
        assert_eq!(patch(&[("if-match", other)], 3).await.problem(412), "stale_version", "{other}");
    }
    assert_eq!(read(&[("if-none-match", &etag)]).await.json()["amount"], 2);
    assert_eq!(patch(&[("if-match", "*")], 4).await.header("etag"), "\"trial-1.3\"");
    let race = futures_util::future::join_all((0..4).map(|n| {
        let (site, ada) = (&site, &ada);
        async move {
            let headers = [("authorization", ada.as_str()), ("if-match", "\"trial-1.3\"")];
            send(site, Method::PATCH, ONE, &headers, &json!({ "amount": 50 + n }).to_string()).await.status
        }
    }))
    .await;
    assert_eq!(race.iter().filter(|status| **status == StatusCode::OK).count(), 1, "{race:?}");
    assert_eq!(read(&[]).await.header("etag"), "\"trial-1.4\"", "no update is lost, and none done twice");
    let foreign = send(
        &site,
        Method::PATCH,
        &ONE.replace("/1", "/2"),
        &[("authorization", &ada), ("if-match", "*")],
        r#"{"amount":1}"#,
    )
    .await;
    assert_eq!(foreign.problem(404), "not_found", "it is harbour's");
}

#[tokio::test]
async fn a_body_that_does_not_come_ends_the_request() {
    let site = open().await;
    let ada = site.bearer(ADA).await;
    let endless = stream::unfold((), |()| async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        Some((Ok::<_, std::io::Error>(Bytes::from_static(b" ")), ()))
    });
    let request = Request::post(ADJUST)
        .header("content-type", "application/json")
        .header("authorization", &ada)
        .header("idempotency-key", "k");
    let answer = site.send(request.body(Body::from_stream(endless)).unwrap()).await;
    assert_eq!(answer.problem(408), "body_timeout");
}

fn trial_cases() -> Vec<Case> {
    let who = Who::Team { may: &["owner", "admin", "staff"], may_not: &["viewer"] };
    vec![
        Case::of("get_trial", who).at("id", 1, 2),
        Case::of("update_trial", who).at("id", 1, 2).sends(json!({ "amount": 4 })).refuses_body(
            json!({ "amount": -101 }),
            422,
            "invalid",
            "/amount",
        ),
        Case::of("adjust_trial", who).at("id", 1, 2).sends(json!({ "amount": 4 })),
        Case::of("search_trials", who)
            .refuses_query("least=x", 422, "invalid", "/least")
            .refuses_query("least=-1", 422, "invalid", "/least")
            .refuses_query("least=1&least=1", 422, "invalid", "/least"),
    ]
}

#[tokio::test]
async fn an_operation_that_writes_passes_every_attack() {
    let scene = Scene::open(with_trials).await;
    scene.site.database.execute(TABLE).await;
    let document = serde_json::from_slice(&Document::of(&super::routes()).json).unwrap();
    assert_eq!(driver::complaints(&scene, &document, &trial_cases()).await, [""; 0]);
}

/// The driver itself: what is wrong is found, and says whose it is.
#[tokio::test]
async fn an_operation_that_leaks_is_named() {
    let routes = || super::routes().merge(super::leaky());
    let scene = Scene::open(|app| app.around(routes::described().merge(routes()).into_router())).await;
    scene.site.database.execute(TABLE).await;
    let document = serde_json::from_slice(&Document::of(&routes()).json).unwrap();
    let mut cases = trial_cases();
    let leaky = Case::of("get_leak", cases[0].who).at("id", 1, 2);
    let everybody = Who::Team { may: &["owner", "admin", "staff", "viewer"], may_not: &[] };
    cases[0] = Case { who: everybody, ..cases[0].clone() };
    cases.remove(1);
    cases.extend([leaky, Case::of("get_nothing", Who::Anybody)]);
    let complaints = driver::complaints(&scene, &document, &cases).await.join("\n");
    for expected in [
        "update_trial (patch /api/v1/admin/{merchant}/trials/{id}): no case",
        "get_nothing: a case, and no such operation",
        "get_trial: the case lets [\"owner\", \"admin\", \"staff\", \"viewer\"] in, the document [\"owner\", \"admin\", \"staff\"]",
        "get_trial: viewer must succeed, and got 403",
        "get_leak: the case says",
        "get_leak: no credential must be 401",
        "get_leak: other merchant's credential must be 404",
        "get_leak: other merchant's credential: in bastide.crossing there is []",
        "get_leak: X-Tenant-ID of the other merchant must be 404",
        "get_leak: other merchant's id must be 404",
        "get_leak: role viewer must be 403",
        "get_leak: a refused request wrote something",
    ] {
        assert!(complaints.contains(expected), "{expected} is not in\n{complaints}");
    }
    assert!(!complaints.contains("adjust_trial"), "{complaints}");
}
