//! Whether both sides came to the same: per table and tenant, how many rows, and a sum of hashes over key and tenant.

use std::collections::BTreeMap;

use bastide_connect::Target;
use bastide_sql::{Ident, sql};

use super::shape::Case;

/// (table, tenant) → rows and their hash. A row without a tenant counts under NULL.
pub(crate) type Shares = BTreeMap<(&'static str, Option<i64>), (i64, String)>;

pub(crate) async fn shares(target: &Target, case: Case) -> anyhow::Result<Shares> {
    let client = target.connect("bastide bench").await?;
    let mut shares = Shares::new();
    for hop in case.hops() {
        let query = sql!(
            "SELECT tenant_id, count(*), sum(hash_record_extended(ROW(id, tenant_id), 0)::numeric)::text FROM {} GROUP BY 1",
            Ident::constant(hop.table)
        );
        for row in client.query(query.as_str(), &[]).await? {
            shares.insert((hop.table, row.try_get(0)?), (row.try_get(1)?, row.try_get(2)?));
        }
    }
    client.close().await;
    Ok(shares)
}

/// Nothing when they are the same; else what differs, a few of them.
pub(crate) fn difference(bastide: &Shares, by_hand: &Shares) -> Option<String> {
    let keys = bastide.keys().chain(by_hand.keys());
    let mut differing: Vec<_> = keys.filter(|key| bastide.get(key) != by_hand.get(key)).collect();
    differing.sort();
    differing.dedup();
    if differing.is_empty() && !bastide.is_empty() {
        return None;
    }
    let rows = |shares: &Shares, key| shares.get(key).map_or(0, |(rows, _)| *rows);
    let shown = differing.iter().take(3).map(|key| {
        let tenant = key.1.map_or_else(|| "no tenant".to_owned(), |tenant| format!("tenant {tenant}"));
        format!("{} of {tenant}: {} rows, by hand {}", key.0, rows(bastide, key), rows(by_hand, key))
    });
    Some(format!(
        "{} shares of {} differ: {}",
        differing.len(),
        by_hand.len(),
        shown.collect::<Vec<_>>().join("; ")
    ))
}
