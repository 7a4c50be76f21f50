//! Assignment: every row gets its tenant, with evidence, while the shop goes on selling.

use std::collections::{BTreeMap, BTreeSet};

use bastide_catalog::Table;
use bastide_sql::{Ident, QualifiedName, Sql};

use super::{KEEPER, Planning, is_ours, moves, not_null};
use crate::{
    ColumnOrigin, Phase, Step, TenantColumn,
    inference::{Given, REOPENING, SECOND, assign_script, declare_script, give},
    quarantine::first_tenant,
    steps::{
        AddTenant, AddTenantColumn, Backfill, CreateContext, CreateTenantRoot, GiveKeys, InferTenants,
        KeepLegacyWrites, SetTenantDefault, TenantSource,
    },
};

const PHASE: Phase = Phase::Assignment;

pub(super) fn plan(planning: &mut Planning<'_>) {
    // Policies rest on the context functions: where there are policies of ours, there is a context.
    if !planning.catalog.tables.values().any(is_ours) {
        let root_type = planning.root().key_type.clone();
        planning.emit(PHASE, Step::CreateContext(CreateContext { root_type }));
    }
    create_root(planning);
    if let Some(step) = planning.quarantine.clone() {
        planning.emit(PHASE, Step::AddTenant(step));
    }
    let kinds = planning.kinds.iter().map(|kind| kind.step.clone());
    let proposed = planning.proposed.iter().map(|(step, _)| step.clone());
    for step in kinds.chain(proposed).collect::<Vec<_>>() {
        planning.emit(PHASE, Step::AddTenant(step));
    }
    let declared = declared(planning);
    add_columns(planning);
    if planning.root().new {
        declare(planning, declared);
    } else {
        infer(planning);
    }
    if not_null_at_once(planning) {
        not_null::plan(planning, PHASE);
    }
    set_defaults(planning);
}

/// Without a quarantine a legacy write may leave its row without a tenant, and must not fail: NOT NULL comes at cutover.
pub(super) fn not_null_at_once(planning: &Planning<'_>) -> bool {
    planning.root().new || planning.quarantine.is_some()
}

/// Whether any row may still be without a tenant, so that inference has something to do.
pub(crate) fn needs_inference(planning: &Planning<'_>) -> bool {
    !planning.root().new
        && planning.scoped_but_root().iter().any(|(table, column)| lacks_tenants(planning, table, column))
}

fn lacks_tenants(planning: &Planning<'_>, table: &QualifiedName, column: &TenantColumn) -> bool {
    planning.column(table, &column.name).is_none_or(|column| !column.not_null)
}

fn create_root(planning: &mut Planning<'_>) {
    let root = planning.root();
    let Some(tenant) = root.first_tenant.as_ref().filter(|_| root.new) else { return };
    let create = CreateTenantRoot {
        table: root.table.clone(),
        key: root.key.clone(),
        key_type: root.key_type.clone(),
    };
    planning.emit(PHASE, Step::CreateTenantRoot(create));
    let add: AddTenant = first_tenant(root, tenant);
    planning.emit(PHASE, Step::AddTenant(add));
}

fn add_columns(planning: &mut Planning<'_>) {
    let constant = planning.root().first_tenant.as_ref().map(|tenant| tenant.id.clone());
    for (table, column) in planning.scoped_but_root() {
        if column.origin != ColumnOrigin::Added || planning.column(&table, &column.name).is_some() {
            continue;
        }
        let step = AddTenantColumn {
            table,
            column: column.name,
            type_name: column.type_name,
            constant: constant.clone(),
        };
        planning.emit(PHASE, Step::AddTenantColumn(step));
    }
}

/// The scoped tables that have no tenant column yet.
fn declared(planning: &Planning<'_>) -> Vec<QualifiedName> {
    let mut tables = planning.scoped_but_root();
    tables.retain(|(table, column)| planning.column(table, &column.name).is_none());
    tables.into_iter().map(|(table, _)| table).collect()
}

/// A new root's first tenant owns every row because the operator says so, and that is the evidence.
fn declare(planning: &mut Planning<'_>, tables: Vec<QualifiedName>) {
    if !tables.is_empty() {
        let script = declare_script(&tables);
        planning.emit(PHASE, Step::InferTenants(InferTenants { pass: 1, script, reads: Vec::new() }));
    }
}

fn infer(planning: &mut Planning<'_>) {
    for (table, column) in planning.scoped_but_root() {
        keep_legacy_writes(planning, table, column);
    }
    moves::plan(planning, PHASE);
    let targets: Vec<(QualifiedName, TenantColumn)> = parents_first(planning)
        .into_iter()
        .filter(|(table, column)| lacks_tenants(planning, table, column))
        .filter(|(table, _)| planning.catalog.table(table).is_some_and(Table::holds_rows))
        .collect();
    if targets.is_empty() {
        return;
    }
    let graph = planning.graph();
    let reads: Vec<QualifiedName> =
        graph.nodes.iter().filter(|node| node.scoped).map(|node| node.table.clone()).collect();
    let quarantine = planning.quarantine.as_ref().map(|step| step.id.clone());
    give_keys(planning);
    // Rows that came in while the first pass ran, from parents it had not reached yet, are settled by the second.
    for pass in [1, SECOND] {
        let script = assign_script(&graph, quarantine.as_deref(), pass);
        planning.emit(PHASE, Step::InferTenants(InferTenants { pass, script, reads: reads.clone() }));
        for (table, column) in &targets {
            if let Some(step) = backfill(planning, pass, table, column) {
                planning.emit(PHASE, Step::Backfill(step));
            }
        }
    }
}

/// What CSV files gave; later passes look it up again.
fn give_keys(planning: &mut Planning<'_>) {
    for rule in &planning.config.declared.rules {
        let (Some(keys), Some(table)) = (&rule.keys, planning.catalog.table(&rule.table)) else { continue };
        let types: Vec<_> = keys
            .columns
            .iter()
            .filter_map(|name| table.column(name).map(|column| column.type_name.clone()))
            .collect();
        let script = give(Given::Run, &rule.name, &types, &planning.root().key_type, keys);
        let step = GiveKeys { rule: rule.name.clone(), keys: keys.rows.len(), script };
        planning.emit(PHASE, Step::GiveKeys(step));
    }
}

/// At cutover: rows that went into quarantine because nothing was known of them may be known by now, above all those the
/// legacy application wrote since (a new customer has no order yet).
pub(super) fn reopen_quarantine(planning: &mut Planning<'_>, phase: Phase) {
    let Some(quarantine) = planning.quarantine.as_ref().map(|step| step.id.clone()) else { return };
    let targets: Vec<(QualifiedName, TenantColumn)> = parents_first(planning)
        .into_iter()
        .filter(|(table, _)| planning.catalog.table(table).is_some_and(Table::holds_rows))
        .collect();
    let graph = planning.graph();
    let reads = graph.nodes.iter().filter(|node| node.scoped).map(|node| node.table.clone()).collect();
    let script = assign_script(&graph.reopen(&quarantine), None, REOPENING);
    planning.emit(phase, Step::InferTenants(InferTenants { pass: REOPENING, script, reads }));
    for (table, column) in &targets {
        if let Some(step) = backfill(planning, REOPENING, table, column) {
            let step = Backfill { reopens: Some(quarantine.clone()), ..step };
            planning.emit(phase, Step::Backfill(step));
        }
    }
}

fn keep_legacy_writes(planning: &mut Planning<'_>, table: QualifiedName, column: TenantColumn) {
    let Some(found) = planning.catalog.table(&table) else { return };
    // A trigger on a partitioned table is one on each partition, later ones included.
    let covered =
        planning.is_partition(found) || found.triggers.iter().any(|trigger| trigger.name.as_str() == KEEPER);
    if covered || !planning.is_open(&table) {
        return;
    }
    let parents = sources(planning, found, &column.name);
    let always_given = planning.column(&table, &column.name).is_some_and(|column| column.not_null);
    if always_given && parents.is_empty() {
        return;
    }
    let step = KeepLegacyWrites {
        table,
        column: column.name,
        type_name: column.type_name,
        reused: column.origin == ColumnOrigin::Reused,
        parents,
        quarantine: planning.quarantine.as_ref().map(|step| step.id.clone()),
    };
    planning.emit(PHASE, Step::KeepLegacyWrites(step));
}

/// The references a row of the table can learn its tenant from.
pub(super) fn sources(planning: &Planning<'_>, table: &Table, column: &Ident) -> Vec<TenantSource> {
    table
        .foreign_keys
        .iter()
        .filter(|key| !key.inherited && !key.columns.contains(column))
        .filter_map(|key| source(planning, table, &key.columns, &key.references, &key.referenced_columns))
        .chain(declared_sources(planning, table))
        .collect()
}

fn source(
    planning: &Planning<'_>,
    table: &Table,
    columns: &[Ident],
    parent: &QualifiedName,
    parent_columns: &[Ident],
) -> Option<TenantSource> {
    let parent_tenant = planning.classification.tenant_column(parent)?.name.clone();
    let collations = columns.iter().zip(parent_columns).filter_map(|(own, theirs)| {
        let loose = |table: &Table, column| table.column(column).and_then(|found| found.collation.clone());
        let default = || QualifiedName::new(Ident::constant("pg_catalog"), Ident::constant("default"));
        let collation = loose(planning.catalog.table(parent)?, theirs);
        Some((theirs.clone(), collation.or_else(|| loose(table, own).map(|_| default()))?))
    });
    Some(TenantSource {
        columns: columns.to_vec(),
        parent: parent.clone(),
        parent_columns: parent_columns.to_vec(),
        parent_tenant,
        collations: collations.collect(),
    })
}

fn declared_sources(planning: &Planning<'_>, table: &Table) -> Vec<TenantSource> {
    let declared =
        planning.config.declared.references.iter().filter(|reference| reference.table == table.name);
    declared
        .filter_map(|r| source(planning, table, &r.columns, &r.references, &r.referenced_columns))
        .collect()
}

fn backfill(
    planning: &Planning<'_>,
    pass: u32,
    table: &QualifiedName,
    column: &TenantColumn,
) -> Option<Backfill> {
    let found = planning.catalog.table(table)?;
    let type_of = |name: &Ident| found.column(name).map(|column| column.type_name.clone());
    // A key that holds the tenant column names no row while that column is empty.
    let key = found.row_key().filter(|key| !key.columns.contains(&column.name));
    let key = key.map(|key| key.columns.clone()).unwrap_or_default();
    let key: Vec<_> = key.into_iter().filter_map(|name| type_of(&name).map(|kind| (name, kind))).collect();
    Some(Backfill {
        pass,
        table: table.clone(),
        column: column.name.clone(),
        type_name: column.type_name.clone(),
        key,
        original_columns: found
            .columns
            .iter()
            .map(|original| original.name.clone())
            .filter(|name| *name != column.name)
            .collect(),
        reused: column.origin == ColumnOrigin::Reused,
        reopens: None,
    })
}

/// Tables in an order in which what a row references is filled before the row itself, as far as cycles allow.
fn parents_first(planning: &Planning<'_>) -> Vec<(QualifiedName, TenantColumn)> {
    let mut open: BTreeMap<QualifiedName, TenantColumn> = planning.scoped_but_root().into_iter().collect();
    let mut ordered = Vec::with_capacity(open.len());
    while !open.is_empty() {
        let mut ready: BTreeSet<QualifiedName> = open
            .keys()
            .filter(|name| {
                planning.catalog.table(name).is_none_or(|table| {
                    table
                        .foreign_keys
                        .iter()
                        .all(|key| key.references == table.name || !open.contains_key(&key.references))
                })
            })
            .cloned()
            .collect();
        if ready.is_empty() {
            // A cycle: one of its tables has to go first.
            ready.extend(open.keys().next().cloned());
        }
        for name in ready {
            if let Some(column) = open.remove(&name) {
                ordered.push((name, column));
            }
        }
    }
    ordered
}

fn set_defaults(planning: &mut Planning<'_>) {
    let constant = planning.root().first_tenant.as_ref().map(|tenant| tenant.id.clone());
    for (table, column) in planning.scoped_but_root() {
        let Some(found) = planning.column(&table, &column.name) else { continue };
        // A default that legacy statements rely on stays until cutover.
        let legacy = column.origin == ColumnOrigin::Reused && found.default.is_some();
        if legacy || found.default.as_ref().is_some_and(reads_context) {
            continue;
        }
        let step = SetTenantDefault {
            table,
            column: column.name,
            type_name: column.type_name,
            constant: constant.clone(),
            previous: found.default.clone(),
        };
        planning.emit(PHASE, Step::SetTenantDefault(step));
    }
}

/// Our own default, as the server prints it, with or without a constant to fall back on.
pub(crate) fn reads_context(default: &Sql) -> bool {
    default.as_str().contains("bastide.current_tenant()")
}

/// The default that has a constant to fall back on.
pub(super) fn falls_back(default: &Sql) -> bool {
    default.as_str().contains("COALESCE")
}
