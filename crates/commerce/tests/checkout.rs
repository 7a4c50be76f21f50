//! Checkouts under many hands at once, on a real server.

mod shop;

use std::{collections::BTreeMap, num::NonZeroU32, sync::Arc, time::Duration};

use bastide_commerce::{
    order_state::Terms,
    payment::Reference,
    queries::{
        carts::{self, CartKey},
        checkout::{self, Buyer, Payment, Placed, Priced},
        inventory::{self, Shortage},
    },
    rows::Cart,
};
use bastide_tenancy::{PoolConfig, TenantId, TenantPool};
use bastide_testkit::{Database, Server};
use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};
use serde_json::json;
use uuid::Uuid;

const LAGOON: &str = "aaaaaaaa-0000-4000-8000-000000000001";
const HARBOUR: &str = "bbbbbbbb-0000-4000-8000-000000000002";

/// Three of lagoon's variants, so many of each.
struct Fair {
    _server: Server,
    database: Database,
    pool: TenantPool,
    variants: Vec<i64>,
}

impl Fair {
    async fn open(on_hand: i64) -> Self {
        let (server, database) = shop::migrated().await;
        database
            .execute(&format!("UPDATE public.inventory_levels SET tracked = true, on_hand = {on_hand}"))
            .await;
        let config = PoolConfig { size: 8, wait: Duration::from_secs(20), ..PoolConfig::default() };
        let pool = shop::pool(&database, config).await;
        let sql = format!("SELECT id FROM public.variants WHERE tenant_id = '{LAGOON}' ORDER BY id LIMIT 3");
        let variants = database.query_rows(&sql).await.iter().map(|id| id.parse().unwrap()).collect();
        Self { _server: server, database, pool, variants }
    }

    /// A cart with these, by their place.
    async fn cart(&self, wanted: &[(usize, i32)]) -> CartKey {
        let key = CartKey { id: Uuid::new_v4(), token_hash: format!("{:064x}", Uuid::new_v4().as_u128()) };
        let mut tx = self.pool.begin(&lagoon()).await.unwrap();
        carts::make(&mut tx, &key).await.unwrap();
        for (variant, quantity) in wanted {
            assert!(carts::set_line(&mut tx, key.id, self.variants[*variant], *quantity).await.unwrap());
        }
        tx.commit().await.unwrap();
        key
    }

    async fn read(&self, key: &CartKey) -> Cart {
        carts::get(&self.pool, &lagoon(), key, "EUR").await.unwrap().unwrap()
    }

    async fn buy(&self, key: &CartKey) -> Result<i64, Refused> {
        let shown = self.read(key).await.total.amount;
        let mut tx = self.pool.begin(&lagoon()).await.unwrap();
        let cart = match checkout::price(&mut tx, key, "EUR", shown).await.unwrap() {
            Priced::Ready(cart) => cart,
            other => return Err(Refused::Price(other)),
        };
        match checkout::place(&mut tx, &cart, &checkout::number(), &buyer(), &payment(key)).await.unwrap() {
            Placed::Now { order } => {
                tx.commit().await.unwrap();
                Ok(order)
            }
            Placed::Short(short) => Err(Refused::Short(short)),
        }
    }

    async fn one(&self, sql: &str) -> String {
        self.database.query_one_text(sql).await
    }
}

#[derive(Debug, PartialEq)]
enum Refused {
    Price(Priced),
    Short(Vec<Shortage>),
}

fn lagoon() -> TenantId {
    TenantId::new(LAGOON).unwrap()
}

fn buyer() -> Buyer {
    let address = json!({ "name": "Ann", "line1": "1 Quay", "city": "Brest", "country": "FR" });
    Buyer {
        email: "ann@example.test".to_owned(),
        name: "Ann".to_owned(),
        shipping_address: address.clone(),
        billing_address: address,
    }
}

fn payment(key: &CartKey) -> Payment {
    Payment {
        provider: "manual",
        reference: Reference::of_checkout(key.id),
        terms: Terms::InAdvance,
        stage: "due",
    }
}

#[tokio::test]
async fn an_order_says_what_its_cart_said() {
    let fair = Fair::open(5).await;
    let key = fair.cart(&[(0, 2), (1, 1)]).await;
    let cart = fair.read(&key).await;
    assert_eq!((cart.lines.len(), cart.total.amount, cart.ordered), (2, 2 * 1001 + 1002, false));
    let order = fair.buy(&key).await.unwrap();
    let told = format!(
        "SELECT o.status || ' ' || o.total_cents || ' ' || o.subtotal_cents || ' ' || c.email || ' ' || a.stage || ' ' || a.amount_cents || ' ' || e.kind \
         FROM public.orders o JOIN public.customers c ON c.id = o.customer_id JOIN public.payment_attempts a ON a.order_id = o.id \
         JOIN public.order_events e ON e.order_id = o.id WHERE o.id = {order}"
    );
    assert_eq!(fair.one(&told).await, "pending 3004 3004 ann@example.test due 3004 placed");
    let lines = format!(
        "SELECT sum(total_cents) || ' ' || count(variant_id) FROM public.order_lines WHERE order_id = {order}"
    );
    assert_eq!(fair.one(&lines).await, "3004 2");
    let left = fair
        .database
        .query_rows("SELECT on_hand FROM public.inventory_levels ORDER BY variant_id LIMIT 3")
        .await;
    assert_eq!(left, ["3", "4", "5"]);
    assert!(fair.read(&key).await.ordered);
    assert_eq!(fair.buy(&key).await, Err(Refused::Price(Priced::Ordered)), "once is enough");
    let again = fair.cart(&[(2, 1)]).await;
    fair.buy(&again).await.unwrap();
    let customers = "SELECT count(*) FROM public.customers WHERE email = 'ann@example.test'";
    assert_eq!(fair.one(customers).await, "1", "found, not made again");
}

#[tokio::test]
async fn what_a_cart_cannot_be_bought_for_is_said() {
    let fair = Fair::open(5).await;
    let key = fair.cart(&[(0, 2), (1, 6)]).await;
    let short = Shortage { variant_id: fair.variants[1], wanted: 6, available: 5 };
    assert_eq!(fair.buy(&key).await, Err(Refused::Short(vec![short])));
    let price = async |key: &CartKey, tenant: &str, shown| {
        let mut tx = fair.pool.begin(&TenantId::new(tenant).unwrap()).await.unwrap();
        checkout::price(&mut tx, key, "EUR", shown).await.unwrap()
    };
    assert!(
        matches!(price(&key, LAGOON, 1).await, Priced::Changed(cart) if cart.total.amount == 2 * 1001 + 6 * 1002)
    );
    assert_eq!(price(&key, HARBOUR, 1).await, Priced::Gone, "it is lagoon's");
    let forged = CartKey { token_hash: "0".repeat(64), ..key.clone() };
    assert_eq!(price(&forged, LAGOON, 1).await, Priced::Gone);
    assert_eq!(price(&fair.cart(&[]).await, LAGOON, 0).await, Priced::Empty);
    fair.database
        .execute(&format!("UPDATE public.variants SET status = 'archived' WHERE id = {}", fair.variants[0]))
        .await;
    assert_eq!(price(&key, LAGOON, 1).await, Priced::OffSale(vec![fair.variants[0]]));
    let wrote = "SELECT (SELECT count(*) FROM public.payment_attempts) + (SELECT count(*) FROM public.stock_adjustments)";
    assert_eq!(fair.one(wrote).await, "0");
}

/// Many carts at once, each bought by two browsers: no more is sold than there was, each cart once, and every total is the sum of its lines.
#[test]
fn concurrent_checkouts_never_oversell() {
    const STOCK: i64 = 12;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let fair = Arc::new(runtime.block_on(Fair::open(STOCK)));
    let line = prop::collection::btree_map(0_usize..3, 1_i32..6, 1..4);
    let shoppers = prop::collection::vec(line, 2..8);
    let mut runner = TestRunner::new(Config { cases: 12, failure_persistence: None, ..Config::default() });
    let held = runner.run(&shoppers, |shoppers| {
        runtime.block_on(async {
            fair.database
                .execute(&format!(
                    "DELETE FROM public.orders WHERE cart_id IS NOT NULL; DELETE FROM public.carts; UPDATE public.inventory_levels SET on_hand = {STOCK}"
                ))
                .await;
            let mut keys = Vec::new();
            for shopper in &shoppers {
                let wanted: Vec<_> = shopper.iter().map(|(variant, quantity)| (*variant, *quantity)).collect();
                keys.push(fair.cart(&wanted).await);
            }
            let under_way: Vec<_> = [keys.clone(), keys]
                .concat()
                .into_iter()
                .map(|key| {
                    let fair = fair.clone();
                    tokio::spawn(async move { fair.buy(&key).await })
                })
                .collect();
            let mut bought = Vec::new();
            for buying in under_way {
                bought.push(buying.await.unwrap());
            }
            let mut sold: BTreeMap<usize, i64> = BTreeMap::new();
            for (at, shopper) in shoppers.iter().enumerate() {
                let both = [&bought[at], &bought[at + shoppers.len()]];
                let done = both.iter().filter(|came| came.is_ok()).count();
                prop_assert!(done <= 1, "{both:?}");
                let all = shopper.iter().filter(|_| done == 1);
                all.for_each(|(variant, quantity)| *sold.entry(*variant).or_default() += i64::from(*quantity));
            }
            let left = fair.database.query_rows("SELECT on_hand FROM public.inventory_levels ORDER BY variant_id LIMIT 3").await;
            for (variant, left) in left.iter().enumerate() {
                let left: i64 = left.parse().unwrap();
                prop_assert_eq!(left, STOCK - sold.get(&variant).copied().unwrap_or(0));
                prop_assert!(left >= 0);
            }
            // Who was refused would not have found enough at the end, either, unless somebody gave up meanwhile: nobody does.
            for (at, shopper) in shoppers.iter().enumerate() {
                if bought[at].is_err() && bought[at + shoppers.len()].is_err() {
                    prop_assert!(shopper.iter().any(|(variant, quantity)| left[*variant].parse::<i64>().unwrap() < i64::from(*quantity)));
                }
            }
            let wrong = "SELECT count(*) FROM public.orders o WHERE o.cart_id IS NOT NULL AND o.total_cents <> o.shipping_cents + o.tax_cents + \
                (SELECT sum(l.total_cents) FROM public.order_lines l WHERE l.order_id = o.id)";
            prop_assert_eq!(fair.one(wrong).await, "0");
            Ok(())
        })
    });
    held.unwrap();
}

#[tokio::test]
async fn what_another_holds_is_not_sold() {
    let fair = Fair::open(3).await;
    let (key, holder) = (fair.cart(&[(0, 2)]).await, Uuid::new_v4());
    let two = [(fair.variants[0], NonZeroU32::new(2).unwrap())].into();
    let mut tx = fair.pool.begin(&lagoon()).await.unwrap();
    assert_eq!(
        inventory::reserve(&mut tx, holder, &two, Duration::from_secs(60)).await.unwrap(),
        inventory::Stocked::Done
    );
    tx.commit().await.unwrap();
    let short = Shortage { variant_id: fair.variants[0], wanted: 2, available: 1 };
    assert_eq!(fair.buy(&key).await, Err(Refused::Short(vec![short])));
}
