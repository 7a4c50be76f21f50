//! Tables that follow a table: its partitions, and those that inherit from it.

use bastide_catalog::{Catalog, Table};
use bastide_sql::QualifiedName;

/// The table and everything below it, each once.
pub(super) fn family(catalog: &Catalog, table: &QualifiedName) -> Vec<QualifiedName> {
    let mut members = vec![table.clone()];
    let mut at = 0;
    while let Some(next) = members.get(at).cloned() {
        for child in catalog.tables.get(&next).into_iter().flat_map(|t| &t.children) {
            if !members.contains(child) {
                members.push(child.clone());
            }
        }
        at += 1;
    }
    members
}

/// Applies a change to the table and, as the server does, to everything below it; `local` is true for the table itself.
pub(super) fn each_member(
    catalog: &mut Catalog,
    table: &QualifiedName,
    mut change: impl FnMut(&mut Table, bool),
) {
    for member in family(catalog, table) {
        if let Some(found) = catalog.tables.get_mut(&member) {
            change(found, member == *table);
        }
    }
}
