//! Stock under many hands at once, on a real server.

mod shop;

use std::{collections::BTreeMap, num::NonZeroU32, sync::Arc, time::Duration};

use bastide_commerce::{
    Changed, Version,
    drafts::{Adjustment, Count},
    queries::inventory::{self, Adjusted, Quantities, Shortage, Stocked},
    rows::Reason,
};
use bastide_tenancy::{PoolConfig, TenantId, TenantPool};
use bastide_testkit::{Database, Server};
use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};
use uuid::Uuid;

const LAGOON: &str = "aaaaaaaa-0000-4000-8000-000000000001";
const HARBOUR: &str = "bbbbbbbb-0000-4000-8000-000000000002";
const MINUTE: Duration = Duration::from_secs(60);

fn tenant(id: &str) -> TenantId {
    TenantId::new(id).unwrap()
}

fn quantities(pairs: &[(i64, u32)]) -> Quantities {
    pairs.iter().map(|(variant, quantity)| (*variant, NonZeroU32::new(*quantity).unwrap())).collect()
}

/// Counted, `on_hand` of each of the variants there are.
async fn counted(on_hand: i64) -> (Server, Database, TenantPool) {
    let (server, database) = shop::migrated().await;
    database
        .execute(&format!("UPDATE public.inventory_levels SET tracked = true, on_hand = {on_hand}"))
        .await;
    let config = PoolConfig { size: 8, wait: Duration::from_secs(20), ..PoolConfig::default() };
    let pool = shop::pool(&database, config).await;
    (server, database, pool)
}

/// The smallest variant ids of a merchant.
async fn variants(database: &Database, tenant: &str, count: usize) -> Vec<i64> {
    let sql =
        format!("SELECT id FROM public.variants WHERE tenant_id = '{tenant}' ORDER BY id LIMIT {count}");
    database.query_rows(&sql).await.iter().map(|id| id.parse().unwrap()).collect()
}

async fn reserve(pool: &TenantPool, holder: Uuid, wanted: &Quantities, lasting: Duration) -> Stocked {
    let mut tx = pool.begin(&tenant(LAGOON)).await.unwrap();
    let came = inventory::reserve(&mut tx, holder, wanted, lasting).await.unwrap();
    tx.commit().await.unwrap();
    came
}

async fn take(pool: &TenantPool, holder: Uuid, wanted: &Quantities) -> Stocked {
    let mut tx = pool.begin(&tenant(LAGOON)).await.unwrap();
    let came = inventory::take(&mut tx, holder, wanted, "order 1").await.unwrap();
    tx.commit().await.unwrap();
    came
}

#[tokio::test]
async fn a_reservation_holds_for_its_holder_until_its_time_is_up() {
    let (_server, database, pool) = counted(5).await;
    let one = variants(&database, LAGOON, 1).await[0];
    let (ann, bob) = (Uuid::from_u128(1), Uuid::from_u128(2));
    let level = async || inventory::level(&pool, &tenant(LAGOON), one).await.unwrap().unwrap();

    assert_eq!(reserve(&pool, ann, &quantities(&[(one, 3)]), MINUTE).await, Stocked::Done);
    assert_eq!((level().await.reserved, level().await.available), (3, 2));
    let short = |wanted, available| Stocked::Short(vec![Shortage { variant_id: one, wanted, available }]);
    assert_eq!(reserve(&pool, bob, &quantities(&[(one, 3)]), MINUTE).await, short(3, 2));
    assert_eq!(take(&pool, bob, &quantities(&[(one, 3)])).await, short(3, 2));
    // Anew, not on top.
    assert_eq!(reserve(&pool, ann, &quantities(&[(one, 5)]), MINUTE).await, Stocked::Done);
    assert_eq!(level().await.reserved, 5);

    database.execute("UPDATE public.reservations SET expires_at = now() - interval '1 second'").await;
    assert_eq!((level().await.reserved, level().await.available), (0, 5), "nothing has to sweep it");
    assert_eq!(take(&pool, bob, &quantities(&[(one, 4)])).await, Stocked::Done);
    assert_eq!(take(&pool, ann, &quantities(&[(one, 2)])).await, short(2, 1), "she came too late");
    let told = "SELECT delta || ' ' || on_hand || ' ' || reason || ' ' || note FROM public.stock_adjustments";
    assert_eq!(database.query_rows(told).await, ["-4 1 sold order 1"]);
}

#[tokio::test]
async fn all_of_it_or_none() {
    let (_server, database, pool) = counted(2).await;
    let ids = variants(&database, LAGOON, 2).await;
    let foreign = variants(&database, HARBOUR, 1).await[0];
    let ann = Uuid::from_u128(1);
    let none = |variant_id, available| Stocked::Short(vec![Shortage { variant_id, wanted: 3, available }]);
    assert_eq!(take(&pool, ann, &quantities(&[(ids[0], 1), (ids[1], 3)])).await, none(ids[1], 2));
    assert_eq!(
        reserve(&pool, ann, &quantities(&[(ids[0], 1), (foreign, 3)]), MINUTE).await,
        none(foreign, 0),
        "another merchant's"
    );
    let untouched = "SELECT (SELECT count(*) FROM public.reservations) + (SELECT count(*) FROM public.inventory_levels WHERE on_hand <> 2)";
    assert_eq!(database.query_one_text(untouched).await, "0");

    // What is not counted is sold without end.
    database
        .execute(&format!(
            "UPDATE public.inventory_levels SET tracked = false, on_hand = 0 WHERE variant_id = {}",
            ids[0]
        ))
        .await;
    assert_eq!(take(&pool, ann, &quantities(&[(ids[0], 900)])).await, Stocked::Done);
    let level = inventory::level(&pool, &tenant(LAGOON), ids[0]).await.unwrap().unwrap();
    assert_eq!((level.on_hand, level.tracked), (0, false));
}

#[tokio::test]
async fn what_comes_back_and_what_is_corrected_is_told() {
    let (_server, database, pool) = counted(5).await;
    let one = variants(&database, LAGOON, 1).await[0];
    let (ann, ada) = (Uuid::from_u128(1), Uuid::from_u128(9));
    assert_eq!(take(&pool, ann, &quantities(&[(one, 5)])).await, Stocked::Done);
    let mut tx = pool.begin(&tenant(LAGOON)).await.unwrap();
    inventory::put_back(&mut tx, &quantities(&[(one, 2)]), "order 1", Some(ada)).await.unwrap();
    let adjustment = |delta| Adjustment { delta, reason: Reason::Damaged, note: "wet".to_owned() };
    let Adjusted::Now(level) = inventory::adjust(&mut tx, one, &adjustment(-2), ada).await.unwrap() else {
        panic!("there were two")
    };
    assert_eq!((level.on_hand, level.version), (0, 4));
    assert_eq!(
        inventory::adjust(&mut tx, one, &adjustment(-1), ada).await.unwrap(),
        Adjusted::Impossible { on_hand: 0 }
    );
    assert_eq!(inventory::adjust(&mut tx, -1, &adjustment(1), ada).await.unwrap(), Adjusted::Gone);
    let count = Count { on_hand: 7, tracked: true, reason: Reason::Counted, note: String::new() };
    let stale = inventory::set(&mut tx, one, Version::Exactly(3), &count, ada).await.unwrap();
    assert_eq!(stale, Changed::Stale { current: 4 });
    assert!(matches!(
        inventory::set(&mut tx, one, Version::Exactly(4), &count, ada).await.unwrap(),
        Changed::Now(_)
    ));
    tx.commit().await.unwrap();
    let page = inventory::history(&pool, &tenant(LAGOON), one, None, 10).await.unwrap();
    let told: Vec<_> = page.rows.iter().map(|row| (row.delta, row.on_hand, row.reason.as_str())).collect();
    assert_eq!(told, [(7, 7, "counted"), (-2, 0, "damaged"), (2, 2, "returned"), (-5, 0, "sold")]);
    let below = inventory::levels(&pool, &tenant(LAGOON), Some(6), None, 100).await.unwrap();
    assert!(below.rows.len() == 49 && below.rows.iter().all(|level| level.variant_id != one));
    assert!(inventory::level(&pool, &tenant(HARBOUR), one).await.unwrap().is_none());
}

#[derive(Clone, Debug)]
enum Do {
    /// For so many seconds: 0 is over at once.
    Reserve(Vec<(usize, u32)>, u64),
    Take(Vec<(usize, u32)>),
    Release,
}

fn acts() -> impl Strategy<Value = Vec<Do>> {
    let wanted = || prop::collection::vec((0_usize..3, 1_u32..4), 1..4);
    let act = prop_oneof![
        3 => (wanted(), 0_u64..3).prop_map(|(wanted, seconds)| Do::Reserve(wanted, seconds)),
        4 => wanted().prop_map(Do::Take),
        1 => Just(Do::Release),
    ];
    prop::collection::vec(act, 1..8)
}

/// Each shopper acts after their own plan, all at once. What was taken by them all is what is missing, and never more than there was; at no
/// moment do carts hold more than there is.
#[test]
fn nothing_is_sold_twice() {
    const STOCK: i64 = 12;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let (_server, database, pool) = runtime.block_on(counted(STOCK));
    let database = Arc::new(database);
    let ids = Arc::new(runtime.block_on(variants(&database, LAGOON, 3)));
    let mut runner = TestRunner::new(Config { cases: 8, failure_persistence: None, ..Config::default() });
    let plans = prop::collection::vec(acts(), 10..16);
    runner
        .run(&plans, |plans| {
            runtime.block_on(async {
                database
                    .execute(&format!(
                        "DELETE FROM public.reservations; DELETE FROM public.stock_adjustments; UPDATE public.inventory_levels SET on_hand = {STOCK}"
                    ))
                    .await;
                let watch = tokio::spawn(held_too_much(database.clone()));
                let shoppers = plans.into_iter().enumerate().map(|(number, plan)| {
                    let (pool, ids) = (pool.clone(), ids.clone());
                    tokio::spawn(async move { shop(&pool, Uuid::from_u128(number as u128), &ids, plan).await })
                });
                let mut taken: BTreeMap<i64, i64> = BTreeMap::new();
                for shopper in shoppers.collect::<Vec<_>>() {
                    for (variant, quantity) in shopper.await.unwrap() {
                        *taken.entry(variant).or_default() += quantity;
                    }
                }
                assert!(!watch.is_finished(), "carts held more than there was: {:?}", watch.await);
                watch.abort();
                for id in ids.iter() {
                    let left = format!(
                        "SELECT on_hand || ' ' || coalesce((SELECT sum(-delta) FROM public.stock_adjustments a WHERE a.variant_id = l.variant_id), 0) \
                         FROM public.inventory_levels l WHERE variant_id = {id}"
                    );
                    let sold = taken.get(id).copied().unwrap_or(0);
                    assert!(sold <= STOCK);
                    assert_eq!(database.query_one_text(&left).await, format!("{} {sold}", STOCK - sold));
                }
            });
            Ok(())
        })
        .unwrap();
}

/// What this shopper got.
async fn shop(pool: &TenantPool, holder: Uuid, ids: &[i64], plan: Vec<Do>) -> Quantity {
    let mut got = Quantity::new();
    let chosen = |wanted: &[(usize, u32)]| {
        wanted
            .iter()
            .map(|(at, quantity)| (ids[*at], NonZeroU32::new(*quantity).unwrap()))
            .collect::<Quantities>()
    };
    for act in plan {
        match act {
            Do::Reserve(wanted, seconds) => {
                let _came: Stocked =
                    reserve(pool, holder, &chosen(&wanted), Duration::from_secs(seconds)).await;
            }
            Do::Take(wanted) => {
                let wanted = chosen(&wanted);
                if take(pool, holder, &wanted).await == Stocked::Done {
                    wanted.iter().for_each(|(variant, quantity)| {
                        *got.entry(*variant).or_default() += i64::from(quantity.get());
                    });
                }
            }
            Do::Release => {
                let mut tx = pool.begin(&tenant(LAGOON)).await.unwrap();
                inventory::release(&mut tx, holder).await.unwrap();
                tx.commit().await.unwrap();
            }
        }
    }
    got
}

type Quantity = BTreeMap<i64, i64>;

/// Ends only when it has seen it. Asks the clock, not when its statement began: what it sees may be younger than that.
async fn held_too_much(database: Arc<Database>) -> Vec<String> {
    loop {
        let sql = "SELECT l.variant_id::text FROM public.inventory_levels l WHERE l.on_hand < \
            (SELECT sum(quantity) FROM public.reservations r WHERE r.variant_id = l.variant_id AND r.expires_at > clock_timestamp())";
        let rows = database.query_rows(sql).await;
        if !rows.is_empty() {
            return rows;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
