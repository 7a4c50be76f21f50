//! Whose rows follow a row that a legacy statement moves to another tenant, until cutover.

use bastide_catalog::{Table, TableKind};
use bastide_sql::{Ident, QualifiedName};

use super::{MOVES, Planning, assignment::sources};
use crate::{
    ColumnOrigin, Phase, Step, TenantColumn,
    steps::{Below, CarryMoves, EndMoves, KeepLegacyWrites, TenantSource},
};

/// A table of this size is read within a millisecond: its rows are found without an index.
const SMALL: i64 = 1 << 20;

pub(super) fn plan(planning: &mut Planning<'_>, phase: Phase) {
    let scoped = planning.scoped_but_root();
    let below: Vec<Below> = scoped
        .iter()
        .filter(|(_, column)| column.origin == ColumnOrigin::Added)
        .filter_map(|(table, column)| below(planning, table, column))
        .collect();
    for (table, column) in scoped {
        let Some(found) = planning.catalog.table(&table) else { continue };
        let covered = planning.is_partition(found) || has_trigger(found) || !planning.is_open(&table);
        if covered {
            continue;
        }
        let mut follow = Vec::new();
        for below in &below {
            let leads: Vec<&TenantSource> =
                below.sources.iter().filter(|source| source.parent == table).collect();
            if leads.is_empty() {
                continue;
            }
            match leads.iter().find(|source| !found_at_once(planning, below, &source.columns)) {
                None => follow.push(below.clone()),
                Some(source) => {
                    let columns: Vec<String> = source.columns.iter().map(ToString::to_string).collect();
                    planning.note(format!(
                        "{} has no index on ({}): when a legacy statement moves a row of {table} to another tenant, the rows below \
                         it do not follow at once, and cutover settles them as links that cross",
                        below.table,
                        columns.join(", ")
                    ));
                }
            }
        }
        if follow.is_empty() {
            continue;
        }
        let step = CarryMoves {
            table,
            column: column.name,
            type_name: column.type_name,
            below: follow,
            quarantine: planning.quarantine.as_ref().map(|step| step.id.clone()),
        };
        planning.emit(phase, Step::CarryMoves(step));
    }
}

/// At cutover: those this plan made, where they still are. `kept`: the keepers that go after them.
pub(super) fn end(planning: &mut Planning<'_>, phase: Phase, kept: &[KeepLegacyWrites]) {
    let planned = planning.steps.iter().filter_map(|planned| match &planned.step {
        Step::CarryMoves(carrier) => Some(carrier.clone()),
        _ => None,
    });
    let carriers: Vec<CarryMoves> =
        planned.filter(|carrier| planning.catalog.table(&carrier.table).is_some_and(has_trigger)).collect();
    for (at, carrier) in carriers.iter().enumerate() {
        let rest = &carriers[at + 1..];
        let read = rest.iter().flat_map(CarryMoves::reads);
        let step = EndMoves {
            carrier: carrier.clone(),
            still_read: read.chain(kept.iter().flat_map(KeepLegacyWrites::reads)).collect(),
            still_written: rest.iter().flat_map(CarryMoves::writes).collect(),
        };
        planning.emit(phase, Step::EndMoves(step));
    }
}

fn below(planning: &Planning<'_>, table: &QualifiedName, column: &TenantColumn) -> Option<Below> {
    let found = planning.catalog.table(table)?;
    if planning.is_partition(found) || !planning.is_open(table) {
        return None;
    }
    let sources = sources(planning, found, &column.name);
    Some(Below {
        table: table.clone(),
        column: column.name.clone(),
        type_name: column.type_name.clone(),
        sources,
    })
}

/// Whether the rows that reference one row are found without reading a large table: the legacy statement waits for it.
fn found_at_once(planning: &Planning<'_>, below: &Below, columns: &[Ident]) -> bool {
    let Some(table) = planning.catalog.table(&below.table) else { return false };
    let leads = |index: &[&Ident]| {
        index.get(..columns.len()).is_some_and(|first| columns.iter().all(|column| first.contains(&column)))
    };
    let by_key = table.keys.iter().any(|key| leads(&key.columns.iter().collect::<Vec<_>>()));
    let by_index = table.indexes.iter().any(|index| {
        let columns: Vec<&Ident> = index.columns.iter().map_while(Option::as_ref).collect();
        index.valid && !index.partial && !index.exclusion && leads(&columns)
    });
    by_key || by_index || (table.kind != TableKind::Partitioned && table.bytes <= SMALL)
}

fn has_trigger(table: &Table) -> bool {
    table.triggers.iter().any(|trigger| trigger.name.as_str() == MOVES)
}
