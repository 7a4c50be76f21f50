//! The shop that is migrated: merchants, what they sell, to whom, and a large table of order lines. Products and customers
//! know their merchant; stock, orders and lines do not. Whose a row really is stands in a text of it, where nobody but
//! [`truth`](super::truth) looks.

use anyhow::Context;
use bastide_connect::Target;

/// Of both logins of the shop, on a server that goes away with the bench.
pub(super) const PASSWORD: &str = "bastide-bench";

/// Owns the tables.
pub(super) const OWNER: &str = "sales_owner";
/// Neither owner nor superuser.
pub(super) const LEGACY: &str = "sales_legacy";

const SCHEMA: &str = include_str!("schema.sql");
const KEYS: &str = include_str!("keys.sql");

/// How many rows of each; the workload finds its way among them by these formulas, as the statements below made them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Size {
    pub(super) merchants: i64,
    pub(super) customers: i64,
    pub(super) products: i64,
    pub(super) orders: i64,
    pub(super) lines: i64,
}

impl Size {
    /// At 1 five million rows.
    #[expect(clippy::cast_possible_truncation, reason = "fifty million at most")]
    pub(super) fn of(scale: f64) -> Self {
        let scaled = |rows: f64| (rows * scale).ceil() as i64;
        let products = scaled(40_000.0).max(40);
        Self {
            // Each has at least four products.
            merchants: (products / 4).min(200),
            customers: scaled(300_000.0),
            products,
            orders: scaled(1_200_000.0),
            lines: scaled(3_420_000.0),
        }
    }

    pub(super) fn rows(self) -> i64 {
        self.merchants + self.customers + self.products + self.without_tenant()
    }

    /// Stock, orders and lines.
    pub(super) fn without_tenant(self) -> i64 {
        self.products + self.orders + self.lines
    }

    /// Merchants differ in size.
    pub(super) fn merchant_of(self, customer: i64) -> i64 {
        let at = customer % self.merchants;
        1 + at * at / self.merchants
    }

    pub(super) fn customer_of(self, order: i64) -> i64 {
        1 + order * 7919 % self.customers
    }

    /// One of the merchant's products.
    pub(super) fn product(self, merchant: i64, any: i64) -> i64 {
        (1 + any % (self.products / self.merchants - 1)) * self.merchants + merchant - 1
    }
}

pub(super) async fn make_logins(maintenance: &Target) -> anyhow::Result<()> {
    let client = maintenance.connect("bastide bench").await?;
    client
        .batch_execute(
            "CREATE ROLE sales_owner LOGIN PASSWORD 'bastide-bench';
             CREATE ROLE sales_legacy LOGIN PASSWORD 'bastide-bench'",
        )
        .await?;
    client.close().await;
    Ok(())
}

/// Fills an empty database; the same rows every time.
pub(super) async fn fill(target: &Target, size: Size) -> anyhow::Result<()> {
    let client = target.connect("bastide bench").await?;
    client.batch_execute(SCHEMA).await.context("the shop's schema")?;
    let Size { merchants, customers, products, orders, lines } = size;
    for (table, statement, parameters) in [
        (
            "merchants",
            "INSERT INTO merchants SELECT i, 'merchant-' || i, 'Merchant ' || i FROM generate_series(1, $1::bigint) AS i",
            vec![merchants],
        ),
        (
            "customers",
            "INSERT INTO customers SELECT i, 1 + (i % $2::bigint) * (i % $2::bigint) / $2::bigint, 'c' || i || '@shop.example', md5(i::text)
             FROM generate_series(1, $1::bigint) AS i",
            vec![customers, merchants],
        ),
        (
            "products",
            "INSERT INTO products SELECT i, 1 + i % $2::bigint, 'P' || i, md5(i::text), 100 + i % 9900 FROM generate_series(1, $1::bigint) AS i",
            vec![products, merchants],
        ),
        (
            "stock",
            "INSERT INTO stock SELECT id, 1000000, 'M' || merchant_id || '-' || id FROM products WHERE id <= $1::bigint",
            vec![products],
        ),
        (
            "orders",
            "INSERT INTO orders
             SELECT i, c.id, 'M' || c.merchant_id || '-' || i, 'sent', 5000 + i % 20000, timestamptz '2020-01-01 00:00:00Z' + i * interval '13 seconds', md5(i::text)
             FROM generate_series(1, $1::bigint) AS i JOIN customers AS c ON c.id = 1 + i * 7919 % $2::bigint ORDER BY i",
            vec![orders, customers],
        ),
        (
            "order_lines",
            "INSERT INTO order_lines
             SELECT i, o.id, (1 + i * 31 % ($3::bigint / $4::bigint - 1)) * $4::bigint + c.merchant_id - 1, 1 + i % 3, 100 + i % 9900, 'M' || c.merchant_id || '-' || i
             FROM generate_series(1, $1::bigint) AS i JOIN orders AS o ON o.id = 1 + (i - 1) * $2::bigint / $1::bigint JOIN customers AS c ON c.id = o.customer_id
             ORDER BY i",
            vec![lines, orders, products, merchants],
        ),
    ] {
        let parameters: Vec<_> = parameters.iter().map(|p| p as &(dyn tokio_postgres::types::ToSql + Sync)).collect();
        client.execute(statement, &parameters).await.context(table)?;
    }
    client.batch_execute(KEYS).await.context("the shop's keys and indexes")?;
    client.batch_execute("VACUUM (FREEZE, ANALYZE)").await?;
    client.close().await;
    Ok(())
}
