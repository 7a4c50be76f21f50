//! Optimisation: the indexes and statistics that policies want.

use std::collections::BTreeSet;

use bastide_catalog::Table;
use bastide_sql::{Ident, QualifiedName};

use super::Planning;
use crate::{
    Phase, Step,
    steps::{AddTenantIndex, AnalyzeTable},
};

const PHASE: Phase = Phase::Optimisation;

pub(super) fn plan(planning: &mut Planning<'_>) {
    let mut changed = changed_tables(planning);
    for (name, column) in planning.scoped_but_root() {
        let Some(table) = planning.catalog.table(&name) else { continue };
        if leads_with(table, &column.name) {
            continue;
        }
        let key = table.row_key().map(|key| key.columns.as_slice()).unwrap_or_default();
        let rest = key.iter().filter(|part| **part != column.name);
        let mut step = AddTenantIndex {
            table: name.clone(),
            name: planning.index_name(&name.schema, name.name.as_str(), "_tenant_idx"),
            columns: std::iter::once(&column.name).chain(rest).cloned().collect(),
            leaves: Vec::new(),
            partitioned: !table.holds_rows(),
        };
        for leaf in planning.leaves(&name) {
            let index = planning.index_name(&leaf.schema, leaf.name.as_str(), "_tenant_idx");
            step.leaves.push((leaf, index));
        }
        planning.emit(PHASE, Step::AddTenantIndex(step));
        changed.insert(name);
    }
    for table in changed {
        // The partitioned table's ANALYZE does its partitions.
        if planning.catalog.table(&table).is_some_and(|table| !planning.is_partition(table)) {
            planning.emit(PHASE, Step::AnalyzeTable(AnalyzeTable { table }));
        }
    }
}

pub(crate) fn leads_with(table: &Table, column: &Ident) -> bool {
    let keys = table.keys.iter().filter_map(|key| key.columns.first());
    let indexes = table.indexes.iter().filter(|index| index.valid && !index.partial);
    keys.chain(indexes.filter_map(|index| index.columns.first().and_then(Option::as_ref)))
        .any(|first| first == column)
}

fn changed_tables(planning: &Planning<'_>) -> BTreeSet<QualifiedName> {
    let changed = planning.steps.iter().filter_map(|planned| match &planned.step {
        Step::AddTenantColumn(step) => Some(&step.table),
        Step::Backfill(step) => Some(&step.table),
        Step::AddTenantKey(step) => Some(&step.table),
        _ => None,
    });
    let mut changed: BTreeSet<QualifiedName> = changed.cloned().collect();
    // A column added to a parent is in its children too.
    let children = planning.scoped_but_root().into_iter().map(|(name, _)| name).filter(|name| {
        planning
            .catalog
            .table(name)
            .is_some_and(|table| table.parents.iter().any(|parent| changed.contains(parent)))
    });
    let children: Vec<QualifiedName> = children.collect();
    changed.extend(children);
    changed
}
