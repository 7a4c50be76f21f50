//! The reference: one big `UPDATE … FROM` per table, parents first, with nobody else there.

use std::time::Instant;

use anyhow::Context;
use bastide_connect::Target;

const UPDATES: [(&str, &str, &str); 3] = [
    (
        "stock",
        "ALTER TABLE stock ADD COLUMN tenant_id bigint",
        "UPDATE stock AS s SET tenant_id = p.merchant_id FROM products AS p WHERE p.id = s.product_id",
    ),
    (
        "orders",
        "ALTER TABLE orders ADD COLUMN tenant_id bigint",
        "UPDATE orders AS o SET tenant_id = c.merchant_id FROM customers AS c WHERE c.id = o.customer_id",
    ),
    (
        "order_lines",
        "ALTER TABLE order_lines ADD COLUMN tenant_id bigint",
        "UPDATE order_lines AS l SET tenant_id = o.tenant_id FROM orders AS o WHERE o.id = l.order_id",
    ),
];

/// Rows per second.
pub(super) async fn rate(target: &Target) -> anyhow::Result<f64> {
    let client = target.connect("bastide bench").await?;
    let (mut rows, mut seconds) = (0, 0.0);
    for (table, add, update) in UPDATES {
        client.batch_execute(add).await.context(table)?;
        let begun = Instant::now();
        rows += client.execute(update, &[]).await.context(table)?;
        seconds += begun.elapsed().as_secs_f64();
    }
    client.close().await;
    Ok(rows as f64 / seconds)
}
