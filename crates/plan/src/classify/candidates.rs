//! Which tables could be the tenant root, by structure alone: many tables and rows below, few rows of its own, and few
//! tables that it reaches in more than one way, since each of those may join two tenants.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use bastide_catalog::Catalog;
use bastide_sql::QualifiedName;

use super::{family::Families, find_root};
use crate::{Config, RootChoice};

/// A table with a usable key that others reference, directly or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CandidateRoot {
    pub table: QualifiedName,
    /// Tables below it; partitions count with their table.
    pub tables: usize,
    /// Tables below it that refer to several tables among those and it.
    pub merging: usize,
    /// Rows below it and of its own, by the server's estimate.
    pub rows_below: u64,
    pub rows: u64,
}

/// Whose rows often are the parties that own others. A name is the weakest of hints: it only changes who is looked at first.
const PARTIES: [&str; 12] = [
    "tenant", "merchant", "shop", "store", "company", "organi", "customer", "client", "seller", "vendor",
    "account", "brand",
];

/// Best first. The configured root is not among them.
#[must_use]
pub fn candidate_roots(catalog: &Catalog, config: &Config) -> Vec<CandidateRoot> {
    let families = Families::of(catalog);
    let mut above: BTreeMap<&QualifiedName, BTreeSet<&QualifiedName>> = BTreeMap::new();
    for table in catalog.tables.values() {
        for key in table.foreign_keys.iter().filter(|key| !key.inherited) {
            let (child, parent) = (families.head(&table.name), families.head(&key.references));
            if child != parent && super::rules::excluded(config, child).is_none() {
                above.entry(child).or_default().insert(parent);
            }
        }
    }
    let rows = |name: &QualifiedName| {
        let members = families.members(name).iter().filter_map(|member| catalog.table(member));
        members.map(|table| u64::try_from(table.estimated_rows).unwrap_or(0)).sum::<u64>()
    };
    let mut found: Vec<CandidateRoot> = Vec::new();
    for name in catalog.tables.keys() {
        let root = RootChoice::Existing(name.clone());
        if root == config.root || find_root(catalog, &Config { root, ..config.clone() }).is_err() {
            continue;
        }
        let below = below(name, &above);
        let merging = below.iter().filter(|table| {
            above.get(**table).is_some_and(|parents| {
                parents.iter().filter(|parent| **parent == name || below.contains(*parent)).count() > 1
            })
        });
        let candidate = CandidateRoot {
            table: name.clone(),
            tables: below.len(),
            merging: merging.count(),
            rows_below: below.iter().map(|table| rows(table)).sum(),
            rows: rows(name),
        };
        // A table with as many rows as all below it says of each what it says of itself.
        if candidate.tables > 0 && candidate.rows_below >= candidate.rows * 2 {
            found.push(candidate);
        }
    }
    found.sort_by_key(|candidate| {
        let per_mille = candidate.tables * 1000 / (1 + candidate.merging);
        let party = if is_party(&candidate.table) { 2 } else { 1 };
        (Reverse(per_mille * party), Reverse(candidate.rows_below), candidate.rows, candidate.table.clone())
    });
    found
}

fn is_party(table: &QualifiedName) -> bool {
    let name = table.name.as_str().to_lowercase();
    PARTIES.iter().any(|party| name.contains(party))
}

/// Whatever references the table, directly or not.
fn below<'a>(
    name: &QualifiedName,
    above: &BTreeMap<&'a QualifiedName, BTreeSet<&'a QualifiedName>>,
) -> BTreeSet<&'a QualifiedName> {
    let mut below: BTreeSet<&QualifiedName> = BTreeSet::new();
    loop {
        let reached = above.iter().filter(|(child, parents)| {
            **child != name
                && !below.contains(**child)
                && parents.iter().any(|parent| *parent == name || below.contains(*parent))
        });
        let more: Vec<&QualifiedName> = reached.map(|(child, _)| *child).collect();
        if more.is_empty() {
            return below;
        }
        below.extend(more);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{existing, shop};

    #[test]
    fn the_root_of_the_shop_is_found() {
        let mut catalog = shop().catalog();
        for table in catalog.tables.values_mut() {
            table.estimated_rows = if table.name.name.as_str() == "merchants" { 10 } else { 1000 };
        }
        let found = candidate_roots(&catalog, &existing("products"));
        assert_eq!(found[0].table.to_string(), "public.merchants", "{found:?}");
        assert!(candidate_roots(&catalog, &existing("merchants")).iter().all(|c| c.table != found[0].table));
    }
}
