//! The catalogue over real requests: products, variants, categories and stock, as a team and as a visitor.

mod site;

use axum::{
    body::Body,
    http::{Method, Request, StatusCode},
};
use serde_json::{Value, json};
use site::{ADA, Answer, BEN, Site, VIEWER};

const PRODUCTS: &str = "/api/v1/admin/lagoon/products";
const CATEGORIES: &str = "/api/v1/admin/lagoon/categories";
const STOCK: &str = "/api/v1/admin/lagoon/inventory";

/// Somebody of a team, asking.
struct Desk<'a> {
    site: &'a Site,
    bearer: String,
}

impl<'a> Desk<'a> {
    async fn of(site: &'a Site, who: &str) -> Self {
        Self { site, bearer: site.bearer(who).await }
    }

    async fn send(&self, method: Method, path: &str, headers: &[(&str, &str)], body: &Value) -> Answer {
        let request = Request::builder().method(method).uri(path).header("content-type", "application/json");
        let request = request.header("authorization", &self.bearer);
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        self.site.send(request.body(Body::from(body.to_string())).unwrap()).await
    }

    async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(Method::POST, path, &[], body).await
    }

    async fn patch(&self, path: &str, etag: &str, body: &Value) -> Answer {
        self.send(Method::PATCH, path, &[("if-match", etag)], body).await
    }

    async fn delete(&self, path: &str, etag: &str) -> Answer {
        self.send(Method::DELETE, path, &[("if-match", etag)], &Value::Null).await
    }

    async fn get(&self, path: &str) -> Answer {
        self.site.get(path, &[("authorization", &self.bearer)]).await
    }
}

fn net() -> Value {
    json!({
        "name": "Hand net", "status": "active",
        "options": [{ "name": "Size", "values": ["S", "M"] }],
        "variants": [
            { "sku": "HN-S", "title": "Small", "price": { "amount": 900, "currency": "EUR" }, "options": { "Size": "S" }, "on_hand": 2 },
            { "sku": "HN-M", "title": "Medium", "price": { "amount": 1200, "currency": "EUR" }, "options": { "Size": "M" } }
        ]
    })
}

/// Pointer and code of each fault.
#[track_caller]
fn faults(answer: &Answer) -> Vec<(String, String)> {
    assert_eq!(answer.problem(422), "invalid");
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    answer.json()["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| (text(&e["pointer"]), text(&e["code"])))
        .collect()
}

#[tokio::test]
async fn a_product_goes_on_sale_and_its_visitors_follow_its_slug() {
    let site = Site::open().await;
    let ada = Desk::of(&site, ADA).await;
    let made = ada.post(PRODUCTS, &net()).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
    let (product, etag) = (made.json(), made.header("etag").to_owned());
    let one = format!("{PRODUCTS}/{}", product["id"]);
    assert_eq!(made.header("location"), format!("products/{}", product["id"]));
    assert_eq!((&product["slug"], &product["price_from"]["amount"]), (&json!("hand-net"), &json!(900)));
    let read = ada.get(&one).await;
    assert_eq!((read.json(), read.header("etag")), (product.clone(), etag.as_str()));

    let shown = site.get("/api/v1/storefront/lagoon/products/hand-net", &[]).await.json();
    let available: Vec<_> = shown["variants"]
        .as_array()
        .unwrap()
        .iter()
        .map(|v| (v["sku"].clone(), v["available"].clone()))
        .collect();
    assert_eq!(available, [(json!("HN-S"), json!(true)), (json!("HN-M"), json!(false))]);
    assert_eq!(site.get("/api/v1/storefront/harbour/products/hand-net", &[]).await.problem(404), "not_found");

    let renamed = ada.patch(&one, &etag, &json!({ "slug": "net-by-hand", "description": "Soft." })).await;
    assert_eq!(renamed.status, StatusCode::OK, "{}", renamed.text);
    let moved = site.get("/api/v1/storefront/lagoon/products/hand-net", &[]).await;
    assert_eq!((moved.status, moved.header("location")), (StatusCode::PERMANENT_REDIRECT, "net-by-hand"));
    assert_eq!(ada.patch(&one, &etag, &json!({ "name": "x" })).await.problem(412), "stale_version");
    let etag = renamed.header("etag").to_owned();
    let archived = ada.patch(&one, &etag, &json!({ "status": "archived" })).await;
    for slug in ["hand-net", "net-by-hand"] {
        let path = format!("/api/v1/storefront/lagoon/products/{slug}");
        assert_eq!(site.get(&path, &[]).await.problem(404), "not_found", "{slug}");
    }
    let gone = ada.delete(&one, archived.header("etag")).await;
    assert_eq!(
        (gone.status, ada.get(&one).await.problem(404)),
        (StatusCode::NO_CONTENT, "not_found".to_owned())
    );
    let told =
        "SELECT action || ' ' || actor || ' ' || (summary ->> 'fields') FROM public.audit_log ORDER BY id";
    let who = "11111111-0000-4000-8000-000000000001";
    assert_eq!(
        site.database.query_rows(told).await,
        [
            format!("product.create {who} []"),
            format!("product.update {who} [\"slug\", \"description\"]"),
            format!("product.update {who} [\"status\"]"),
            format!("product.delete {who} []"),
        ]
    );
}

#[tokio::test]
async fn what_cannot_be_is_named_and_nothing_half_written() {
    let site = Site::open().await;
    let ada = Desk::of(&site, ADA).await;
    let with = |pointer: &str, value: Value| {
        let mut body = net();
        *body.pointer_mut(pointer).unwrap() = value;
        body
    };
    let fault = async |body: &Value, pointer: &str, code: &str| {
        let answer = ada.post(PRODUCTS, body).await;
        let found = faults(&answer);
        assert!(found.contains(&(pointer.to_owned(), code.to_owned())), "{pointer}: {found:?}");
    };
    fault(&with("/name", json!(" ")), "/name", "malformed").await;
    fault(&with("/name", json!("a\r\nSet-Cookie: x")), "/name", "malformed").await;
    fault(&with("/name", json!("n".repeat(201))), "/name", "too_long").await;
    fault(&with("/status", json!("gone")), "/status", "unknown_value").await;
    fault(&with("/variants", json!([])), "/variants", "too_short").await;
    fault(&with("/variants/0/price/amount", json!(-1)), "/variants/0/price/amount", "out_of_range").await;
    fault(&with("/variants/0/price/amount", json!(9.5)), "/variants/0/price/amount", "wrong_type").await;
    fault(&with("/variants/0/price/currency", json!("XXQ")), "/variants/0/price/currency", "unknown_value")
        .await;
    fault(&with("/variants/0/price/currency", json!("USD")), "/variants/0/price/currency", "unknown_value")
        .await;
    fault(&with("/variants/0/on_hand", json!(-1)), "/variants/0/on_hand", "out_of_range").await;
    fault(&with("/variants/1/sku", json!("HN-S")), "/variants/1/sku", "duplicate").await;
    fault(&with("/variants/1/sku", json!("H N")), "/variants/1/sku", "malformed").await;
    fault(&with("/variants/1/sku", json!("A1")), "/variants", "taken").await;
    fault(&with("/variants/1/options", json!({ "Size": "S" })), "/variants/1/options", "unknown_value").await;
    fault(&with("/variants/1/options", json!({ "Size": "XL" })), "/variants/1/options", "unknown_value")
        .await;
    fault(&with("/options/0/values", json!(["S", "S"])), "/options/0/values/1", "duplicate").await;
    for slug in
        ["Net", "n/et", "..", "nеt", "net\u{200b}", "a--b", "net%2f", "'; DROP TABLE products; --", ""]
    {
        let mut body = net();
        body["slug"] = json!(slug);
        fault(&body, "/slug", "malformed").await;
    }
    let mut body = net();
    body["slug"] = json!("net-1");
    fault(&body, "/slug", "taken").await;
    body["slug"] = json!("fine");
    body["category_id"] = json!(999_999);
    fault(&body, "/category_id", "unknown_value").await;
    body["tenant_id"] = json!("bbbbbbbb-0000-4000-8000-000000000002");
    fault(&body, "/tenant_id", "unknown").await;
    let large = ada.post(PRODUCTS, &with("/name", json!("n".repeat(70_000)))).await;
    assert_eq!(large.problem(413), "too_large");
    let nothing = "SELECT (SELECT count(*) FROM public.products WHERE name = 'Hand net') + (SELECT count(*) FROM public.variants WHERE sku LIKE 'HN%') \
        + (SELECT count(*) FROM public.audit_log) + (SELECT count(*) FROM public.stock_adjustments)";
    assert_eq!(site.database.query_one_text(nothing).await, "0");
}

#[tokio::test]
async fn variants_come_and_go_and_their_product_has_another_version() {
    let site = Site::open().await;
    let ada = Desk::of(&site, ADA).await;
    let made = ada.post(PRODUCTS, &net()).await;
    let one = format!("{PRODUCTS}/{}", made.json()["id"]);
    let small = format!("{one}/variants/{}", made.json()["variants"][0]["id"]);
    let etag = ada.get(&small).await.header("etag").to_owned();
    assert_eq!(ada.send(Method::PATCH, &small, &[], &json!({})).await.problem(428), "if_match_required");
    let cheaper = ada.patch(&small, &etag, &json!({ "price": { "amount": 800, "currency": "EUR" } })).await;
    assert_eq!((cheaper.status, &cheaper.json()["price"]["amount"]), (StatusCode::OK, &json!(800)));
    assert_eq!(ada.patch(&small, &etag, &json!({ "title": "x" })).await.problem(412), "stale_version");
    assert_ne!(ada.get(&one).await.header("etag"), made.header("etag"));
    let etag = cheaper.header("etag").to_owned();
    let same = ada.patch(&small, &etag, &json!({ "options": { "Size": "M" } })).await;
    assert_eq!(faults(&same), [("/options".to_owned(), "unknown_value".to_owned())]);
    let taken = ada.patch(&small, &etag, &json!({ "sku": "A1" })).await;
    assert_eq!(faults(&taken), [("/sku".to_owned(), "taken".to_owned())]);
    let large =
        json!({ "sku": "HN-L", "price": { "amount": 1, "currency": "EUR" }, "options": { "Size": "L" } });
    assert_eq!(faults(&ada.post(&format!("{one}/variants"), &large).await)[0].0, "/options");
    let wider =
        ada.patch(&one, "*", &json!({ "options": [{ "name": "Size", "values": ["S", "M", "L"] }] })).await;
    assert_eq!(wider.status, StatusCode::OK);
    let added = ada.post(&format!("{one}/variants"), &large).await;
    assert_eq!(added.status, StatusCode::CREATED, "{}", added.text);
    let narrow = ada.patch(&one, "*", &json!({ "options": [{ "name": "Size", "values": ["S"] }] })).await;
    assert_eq!(faults(&narrow)[0].0, "/options", "a variant would have no value");
    // The other product's variant is not this one's.
    let other = format!("{PRODUCTS}/1/variants/{}", made.json()["variants"][0]["id"]);
    assert_eq!(ada.get(&other).await.problem(404), "not_found");
    for id in [&made.json()["variants"][0]["id"], &made.json()["variants"][1]["id"]] {
        assert_eq!(ada.delete(&format!("{one}/variants/{id}"), "*").await.status, StatusCode::NO_CONTENT);
    }
    let last = format!("{one}/variants/{}", added.json()["id"]);
    assert_eq!(ada.delete(&last, "*").await.problem(409), "last_variant");
}

#[tokio::test]
async fn a_category_is_no_descendant_of_itself() {
    let site = Site::open().await;
    let ada = Desk::of(&site, ADA).await;
    let add = async |name: &str, parent: Value| {
        let made = ada.post(CATEGORIES, &json!({ "name": name, "parent_id": parent })).await;
        assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
        made.json()["id"].clone()
    };
    let (top, nets) = (add("Fishing", Value::Null).await, Value::Null);
    let nets = if nets.is_null() { add("Nets", top.clone()).await } else { nets };
    let fine = add("Fine nets", nets.clone()).await;
    let at = |id: &Value| format!("{CATEGORIES}/{id}");
    let circle = ada.patch(&at(&top), "*", &json!({ "parent_id": fine })).await;
    assert_eq!(faults(&circle), [("/parent_id".to_owned(), "out_of_range".to_owned())]);
    let tree = site.get("/api/v1/storefront/lagoon/categories", &[]).await.json();
    assert_eq!(tree["data"][0]["children"][0]["children"][0]["name"], "Fine nets");
    let mut product = net();
    product["category_id"] = nets.clone();
    assert_eq!(ada.post(PRODUCTS, &product).await.status, StatusCode::CREATED);
    let listed = ada.get(&format!("{PRODUCTS}?category={nets}")).await.json();
    assert_eq!(listed["data"].as_array().unwrap().len(), 1);
    assert_eq!(ada.delete(&at(&nets), "*").await.problem(409), "category_not_empty");
    let gone = ada.delete(&format!("{}?contents=move_up", at(&nets)), "*").await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT, "{}", gone.text);
    let tree = site.get("/api/v1/storefront/lagoon/categories", &[]).await.json();
    assert_eq!(tree["data"][0]["children"][0]["name"], "Fine nets");
    let listed = ada.get(&format!("{PRODUCTS}?category={top}")).await.json();
    assert_eq!(listed["data"].as_array().unwrap().len(), 1);
    let renamed = ada
        .patch(
            &at(&fine),
            ada.get(&at(&fine)).await.header("etag"),
            &json!({ "name": "Finer", "parent_id": null }),
        )
        .await;
    assert_eq!(renamed.json(), json!({ "id": fine, "parent_id": null, "name": "Finer", "position": 0 }));
}

#[tokio::test]
async fn stock_is_adjusted_once_and_never_below_nothing() {
    let site = Site::open().await;
    let ada = Desk::of(&site, ADA).await;
    let made = ada.post(PRODUCTS, &net()).await.json();
    let level = format!("{STOCK}/{}", made["variants"][0]["id"]);
    let adjust = async |key: &str, delta: i64| {
        let body = json!({ "delta": delta, "reason": "damaged", "note": "wet" });
        ada.send(Method::POST, &format!("{level}/adjust"), &[("idempotency-key", key)], &body).await
    };
    assert_eq!(ada.get(&level).await.json()["available"], 2);
    let first = adjust("a", -1).await;
    assert_eq!((first.status, &first.json()["on_hand"]), (StatusCode::OK, &json!(1)));
    let again = adjust("a", -1).await;
    assert_eq!((again.text, again.headers["idempotency-replayed"].to_str().unwrap()), (first.text, "true"));
    assert_eq!(faults(&adjust("b", -2).await), [("/delta".to_owned(), "out_of_range".to_owned())]);
    assert_eq!(faults(&adjust("c", 0).await), [("/delta".to_owned(), "out_of_range".to_owned())]);
    let keyless = ada.post(&format!("{level}/adjust"), &json!({ "delta": 1, "reason": "received" })).await;
    assert_eq!(keyless.problem(400), "idempotency_key_required");
    let etag = ada.get(&level).await.header("etag").to_owned();
    let count = json!({ "on_hand": 9, "reason": "counted" });
    let set = ada.send(Method::PUT, &level, &[("if-match", &etag)], &count).await;
    assert_eq!((set.status, &set.json()["on_hand"]), (StatusCode::OK, &json!(9)));
    assert_eq!(
        ada.send(Method::PUT, &level, &[("if-match", &etag)], &count).await.problem(412),
        "stale_version"
    );
    let told = ada.get(&format!("{level}/history")).await.json();
    let told: Vec<_> = told["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (row["delta"].clone(), row["reason"].clone()))
        .collect();
    assert_eq!(
        told,
        [(json!(8), json!("counted")), (json!(-1), json!("damaged")), (json!(2), json!("received"))]
    );
    let low = ada.get(&format!("{STOCK}?below=5")).await.json();
    assert_eq!(low["data"].as_array().unwrap().len(), 1, "what is not counted is never low: {low}");
    let page = ada.get(&format!("{STOCK}?limit=1")).await.json();
    let cursor = page["page"]["next_cursor"].as_str().unwrap();
    assert_eq!(
        ada.get(&format!("{STOCK}?limit=1&below=5&cursor={cursor}")).await.problem(400),
        "invalid_cursor"
    );
}

#[tokio::test]
async fn roles_and_merchants_are_kept_apart() {
    let site = Site::open().await;
    let (viewer, ben) = (Desk::of(&site, VIEWER).await, Desk::of(&site, BEN).await);
    for path in [PRODUCTS, CATEGORIES, STOCK] {
        assert_eq!(viewer.get(path).await.status, StatusCode::OK, "{path}");
        assert_eq!(ben.get(path).await.problem(404), "not_found", "{path}");
    }
    assert_eq!(viewer.post(PRODUCTS, &net()).await.problem(403), "forbidden");
    assert_eq!(
        viewer.patch(&format!("{PRODUCTS}/1"), "*", &json!({ "name": "x" })).await.problem(403),
        "forbidden"
    );
    assert_eq!(ben.post(PRODUCTS, &net()).await.problem(404), "not_found");
    // At his own merchant, ids of another's are ids of nothing.
    let harbour = PRODUCTS.replace("lagoon", "harbour");
    for path in [
        format!("{harbour}/1"),
        format!("{}/1", STOCK.replace("lagoon", "harbour")),
        format!("{harbour}/1/variants/1"),
    ] {
        assert_eq!(ben.get(&path).await.problem(404), "not_found", "{path}");
    }
    assert_eq!(
        ben.patch(&format!("{harbour}/1"), "*", &json!({ "name": "x" })).await.problem(404),
        "not_found"
    );
    assert_eq!(ben.delete(&format!("{harbour}/1"), "*").await.problem(404), "not_found");
    let count = json!({ "on_hand": 1, "reason": "counted" });
    let level = format!("{}/1", STOCK.replace("lagoon", "harbour"));
    assert_eq!(ben.send(Method::PUT, &level, &[("if-match", "*")], &count).await.problem(404), "not_found");
    assert_eq!(site.database.query_one_text("SELECT count(*) FROM public.audit_log").await, "0");
}

#[tokio::test]
async fn visitors_search_narrow_and_page() {
    let site = Site::open().await;
    let shop = "/api/v1/storefront/lagoon";
    let names = |answer: &Answer| -> Vec<String> {
        answer.json()["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(|p| p["name"].as_str().unwrap().to_owned())
            .collect()
    };
    let found = site.get(&format!("{shop}/products?q=lagon%20net%2012"), &[]).await;
    assert_eq!(names(&found), ["Lagoon net 12"]);
    let cheap = site.get(&format!("{shop}/products?sort=price&max_price=1003"), &[]).await;
    assert_eq!(names(&cheap), ["Lagoon net 1", "Lagoon net 2", "Lagoon net 3"]);
    let first = site.get(&format!("{shop}/products?sort=-price&limit=2"), &[]).await;
    assert_eq!(names(&first), ["Lagoon net 49", "Lagoon net 48"]);
    let cursor = first.json()["page"]["next_cursor"].as_str().unwrap().to_owned();
    let second = site.get(&format!("{shop}/products?sort=-price&limit=2&cursor={cursor}"), &[]).await;
    assert_eq!(names(&second), ["Lagoon net 47", "Lagoon net 46"]);
    for other in [
        format!("{shop}/products?sort=price&limit=2&cursor={cursor}"),
        format!("{shop}/products?sort=-price&limit=2&q=net&cursor={cursor}"),
        format!("/api/v1/storefront/harbour/products?sort=-price&limit=2&cursor={cursor}"),
    ] {
        assert_eq!(site.get(&other, &[]).await.problem(400), "invalid_cursor", "{other}");
    }
    let facets = site.get(&format!("{shop}/facets?q=lagoon"), &[]).await.json();
    assert_eq!((&facets["count"], &facets["lowest"]), (&json!(45), &json!(1001)));
    let suggested = site.get(&format!("{shop}/search/suggestions?q=fine%20lag"), &[]).await.json();
    assert_eq!(suggested["data"], json!(["lagoon"]));
    assert_eq!(site.get(&format!("{shop}/search/suggestions"), &[]).await.json()["data"], json!([]));
}
