//! The sentences that say why a table has its class.

use bastide_sql::{Ident, QualifiedName};

use crate::{Usage, refusal::thousands};

/// One reference on the way from a table up to a scoped one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hop {
    pub(super) table: QualifiedName,
    pub(super) columns: Vec<Ident>,
}

/// `references public.merchants through orders.customer_id → customers.merchant_id`
pub(super) fn references(target: &QualifiedName, path: &[Hop]) -> String {
    let steps: Vec<String> = path.iter().map(|hop| hop_text(target, hop)).collect();
    format!("references {target} through {}", steps.join(" → "))
}

fn hop_text(target: &QualifiedName, hop: &Hop) -> String {
    // The schema only where it differs from the one the reader has just seen.
    let table =
        if hop.table.schema == target.schema { hop.table.name.to_string() } else { hop.table.to_string() };
    match hop.columns.as_slice() {
        [only] => format!("{table}.{only}"),
        many => format!("{table}.({})", many.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")),
    }
}

pub(super) fn used_by_many(usage: Usage) -> String {
    format!("used by several tenants: {} of {} used rows", thousands(usage.by_many), thousands(used(usage)))
}

pub(super) fn used_by_one(usage: Usage) -> String {
    format!("used by one tenant each: {} of {} used rows", thousands(usage.by_one), thousands(used(usage)))
}

pub(super) fn hardly_used(usage: Usage) -> String {
    match used(usage) {
        0 => "no row that has a tenant references its rows".to_owned(),
        1 => "only 1 of its rows is used by rows that have a tenant, too few to tell".to_owned(),
        few => format!("only {few} of its rows are used by rows that have a tenant, too few to tell"),
    }
}

pub(super) fn used(usage: Usage) -> u64 {
    usage.by_one + usage.by_many
}
