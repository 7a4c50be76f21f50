//! A cart and its checkout over real requests, as a visitor.

mod site;

use axum::http::{Method, StatusCode};
use futures_util::future::join_all;
use serde_json::{Value, json};
use site::{Answer, Site};

const CARTS: &str = "/api/v1/storefront/lagoon/carts";

/// Somebody with a cart.
struct Shopper<'a> {
    site: &'a Site,
    cart: String,
    token: String,
}

impl<'a> Shopper<'a> {
    async fn of(site: &'a Site) -> Self {
        let made = site.ask(Method::POST, CARTS, &[]).await;
        assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
        let text = |name: &str| made.json()[name].as_str().unwrap().to_owned();
        Self { site, cart: format!("{CARTS}/{}", text("id")), token: text("token") }
    }

    async fn put(&self, variant: &str, quantity: i64) -> Answer {
        let path = format!("{}/lines/{variant}", self.cart);
        let body = json!({ "quantity": quantity });
        self.site.write(Method::PUT, &path, &body, &[("x-cart-token", &self.token)]).await
    }

    async fn buy(&self, key: &str, total: i64) -> Answer {
        let headers = [("x-cart-token", self.token.as_str()), ("idempotency-key", key)];
        self.site.post(&format!("{}/checkout", self.cart), &checkout(total), &headers).await
    }

    async fn get(&self, path: &str, token: &str) -> Answer {
        self.site.get(&format!("{}{path}", self.cart), &[("x-cart-token", token)]).await
    }
}

fn checkout(total: i64) -> Value {
    json!({
        "email": "Ann@example.test", "name": "Ann",
        "shipping_address": { "name": "Ann", "line1": "1 Quay", "city": "Brest", "country": "FR" },
        "billing_address": null, "payment": "cash_on_delivery", "total": { "amount": total, "currency": "EUR" }
    })
}

async fn stocked(on_hand: i64) -> (Site, String) {
    let site = Site::open().await;
    site.database
        .execute(&format!("UPDATE public.inventory_levels SET tracked = true, on_hand = {on_hand}"))
        .await;
    let variant = site.database.query_one_text("SELECT id FROM public.variants WHERE sku = 'A1'").await;
    (site, variant)
}

#[tokio::test]
async fn a_checkout_that_is_sent_again_is_one_order() {
    let (site, variant) = stocked(5).await;
    let ann = Shopper::of(&site).await;
    let cart = ann.put(&variant, 2).await;
    assert_eq!(
        (cart.status, &cart.json()["total"]["amount"]),
        (StatusCode::OK, &json!(2002)),
        "{}",
        cart.text
    );
    let all = join_all((0..4).map(|_| ann.buy("k", 2002))).await;
    all.iter()
        .for_each(|answer| assert!(matches!(answer.status.as_u16(), 201 | 409 | 503), "{}", answer.text));
    let first = ann.buy("k", 2002).await;
    assert_eq!((first.status, first.header("idempotency-replayed")), (StatusCode::CREATED, "true"));
    assert_eq!(ann.buy("another", 2002).await.problem(409), "cart_ordered");
    assert_eq!(ann.put(&variant, 1).await.problem(409), "cart_ordered");
    let order = ann.get("/order", &ann.token).await.json();
    assert_eq!(order, first.json());
    assert_eq!((&order["status"], &order["email"]), (&json!("pending"), &json!("ann@example.test")));
    let there = "SELECT (SELECT count(*) FROM public.payment_attempts) || ' ' || (SELECT count(*) FROM public.orders WHERE cart_id IS NOT NULL) || ' ' || \
        (SELECT l.on_hand FROM public.inventory_levels l JOIN public.variants v ON v.id = l.variant_id WHERE v.sku = 'A1')";
    assert_eq!(site.database.query_one_text(there).await, "1 1 3");
}

#[tokio::test]
async fn what_changed_meanwhile_is_said_and_nothing_ordered() {
    let (site, variant) = stocked(1).await;
    let ann = Shopper::of(&site).await;
    assert_eq!(ann.buy("k", 0).await.problem(409), "cart_empty");
    ann.put(&variant, 2).await;
    let changed = ann.buy("k", 2000).await;
    assert_eq!(changed.problem(409), "price_changed");
    assert_eq!(changed.json()["errors"][0]["message"], "is 2002 EUR by now");
    let short = ann.buy("k", 2002).await;
    assert_eq!(short.problem(409), "out_of_stock");
    assert_eq!(short.json()["errors"][0]["pointer"], format!("/lines/{variant}"));
    assert_eq!(ann.put(&variant, 1).await.status, StatusCode::OK);
    assert_eq!(ann.buy("k", 1001).await.status, StatusCode::CREATED, "what was refused left the key free");
}

#[tokio::test]
async fn a_cart_is_for_whoever_has_its_token() {
    let (site, variant) = stocked(5).await;
    let (ann, bob) = (Shopper::of(&site).await, Shopper::of(&site).await);
    ann.put(&variant, 1).await;
    assert_eq!(ann.buy("k", 1001).await.status, StatusCode::CREATED);
    for token in [bob.token.as_str(), "", "ct_", "nonsense"] {
        for path in ["", "/order"] {
            assert_eq!(ann.get(path, token).await.problem(404), "not_found", "{token} {path}");
        }
    }
    let thief = Shopper { site: &site, cart: ann.cart.clone(), token: bob.token.clone() };
    assert_eq!(thief.buy("k", 1001).await.problem(404), "not_found", "not even the stored answer");
    let kept = "SELECT count(*) FROM public.carts WHERE token_hash LIKE 'ct%'";
    assert_eq!(site.database.query_one_text(kept).await, "0");
}
