//! The bench itself, small: it ends without an error of the shop, and would see a row that was missed.

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_shop_sells_through_it_all_and_a_missed_row_is_seen() {
    let server = bastide_testkit::server().await;
    let state = tempfile::tempdir().unwrap();
    let bench = Bench::on(server.postgres(), state.path());
    let measured = run(&bench, 0.001, Some(2)).await.unwrap();
    assert_eq!(measured.broken, None, "{}", measured.remarks);
    assert!(measured.measurements.iter().all(|m| m.ratio.is_finite()), "{:?}", measured.measurements);
    let has = |name: &str| measured.measurements.iter().any(|m| m.name == name);
    for name in [
        "migrate.p50.pending",
        "migrate.p99.cutover",
        "migrate.max.idle_after",
        "migrate.blocked.longest",
        "migrate.locked.step",
        "migrate.locked.batch",
        "migrate.backfill.rate",
        "migrate.backfill.rate.beside",
    ] {
        assert!(has(name), "{name} in {:?}", measured.measurements);
    }

    let size = Size::of(0.001);
    shop::fill(&bench.create(TEMPLATE).await.unwrap(), size).await.unwrap();
    let target = bench.clone(TEMPLATE, BESIDE).await.unwrap();
    by_hand::rate(&target).await.unwrap();
    let expected = there_from_the_start(size);
    truth::check(&target, expected).await.unwrap();
    let database = server.existing(BESIDE);
    for (harm, seen) in [
        ("UPDATE orders SET tenant_id = NULL WHERE id = 7", "orders: 1 rows without a tenant"),
        (
            "UPDATE order_lines SET tenant_id = tenant_id + 1 WHERE id = 7",
            "order_lines: 0 rows without a tenant, 1 of the wrong",
        ),
        (
            "DELETE FROM stock WHERE product_id = 9",
            "stock: 0 rows without a tenant, 0 of the wrong one, 39 rows of 40",
        ),
    ] {
        database.execute(harm).await;
        let said = truth::check(&target, expected).await.unwrap_err().to_string();
        assert!(said.contains(seen), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sale_that_waits_is_as_late_as_when_it_was_due_and_one_that_fails_is_counted() {
    let server = bastide_testkit::server().await;
    let state = tempfile::tempdir().unwrap();
    let bench = Bench::on(server.postgres(), state.path());
    let size = Size::of(0.001);
    shop::make_logins(bench.maintenance()).await.unwrap();
    let target = bench.create(TEMPLATE).await.unwrap();
    shop::fill(&target, size).await.unwrap();
    let selling =
        sales::start(&[target.with_user(shop::LEGACY, Some(shop::PASSWORD))], size, 1, false).await.unwrap();
    let database = server.existing(TEMPLATE);
    database.execute("BEGIN; LOCK orders, stock, order_lines; SELECT pg_sleep(1); COMMIT").await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    database.execute("ALTER TABLE orders ADD COLUMN colour text").await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    database.execute("REVOKE UPDATE ON stock FROM sales_legacy").await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let sold = selling.stop().await.unwrap();
    // Not only the four that were under way, but most of the hundred that were due in that second.
    let late = sold.sales.iter().filter(|(_, took)| *took > Duration::from_millis(200)).count();
    assert!(late > 30, "{late} of {}", sold.sales.len());
    assert!((1..=4).contains(&sold.prepared_again), "{}", sold.prepared_again);
    assert_eq!(sold.errors.keys().collect::<Vec<_>>(), ["42501"]);
    assert!(broken(&sold).unwrap().contains("42501"));
    let orders: i64 = target
        .connect("test")
        .await
        .unwrap()
        .query_one("SELECT count(*) FROM orders", &[])
        .await
        .unwrap()
        .get(0);
    assert_eq!(orders, size.orders + sold.orders);
}

#[test]
fn the_formulas_lead_to_rows_that_there_are() {
    for size in [0.001, 0.2, 1.0].map(Size::of) {
        for merchant in [1, size.merchants] {
            for any in [0, 1, 77_777] {
                let product = size.product(merchant, any);
                assert!((1..=size.products).contains(&product));
                assert_eq!(1 + product % size.merchants, merchant);
            }
        }
        for row in [1, 4711, size.orders] {
            assert!((1..=size.customers).contains(&size.customer_of(row)));
            assert!((1..=size.merchants).contains(&size.merchant_of(size.customer_of(row))));
        }
    }
    assert_eq!(Size::of(1.0).rows(), 5_000_200);
}
