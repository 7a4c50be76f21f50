//! Whether every row has its tenant, and the right one: those that were there and those that were sold meanwhile.

use anyhow::bail;
use bastide_connect::Target;

/// Rows that nothing was found wrong with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Rows {
    pub(super) stock: i64,
    pub(super) orders: i64,
    pub(super) lines: i64,
}

/// `expected`: those of the beginning and those whose COMMIT was acknowledged.
pub(super) async fn check(target: &Target, expected: Rows) -> anyhow::Result<()> {
    let client = target.connect("bastide bench").await?;
    let tables = [
        (
            "stock",
            expected.stock,
            "SELECT count(*), count(*) FILTER (WHERE tenant_id IS NULL), count(*) FILTER (WHERE tenant_id::text <> split_part(substr(shelf, 2), '-', 1)) FROM stock",
        ),
        (
            "orders",
            expected.orders,
            "SELECT count(*), count(*) FILTER (WHERE tenant_id IS NULL), count(*) FILTER (WHERE tenant_id::text <> split_part(substr(number, 2), '-', 1)) FROM orders",
        ),
        (
            "order_lines",
            expected.lines,
            "SELECT count(*), count(*) FILTER (WHERE tenant_id IS NULL), count(*) FILTER (WHERE tenant_id::text <> split_part(substr(label, 2), '-', 1)) FROM order_lines",
        ),
    ];
    let mut wrong = Vec::new();
    for (table, expected, query) in tables {
        let row = client.query_one(query, &[]).await?;
        let (rows, missed, strange): (i64, i64, i64) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        if (rows, missed, strange) != (expected, 0, 0) {
            wrong.push(format!(
                "{table}: {missed} rows without a tenant, {strange} of the wrong one, {rows} rows of {expected}"
            ));
        }
    }
    client.close().await;
    if !wrong.is_empty() {
        bail!("rows were missed: {}", wrong.join("; "));
    }
    Ok(())
}
