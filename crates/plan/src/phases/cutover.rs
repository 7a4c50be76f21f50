//! Cutover: the legacy login's unfiltered access ends, and with it everything that was kept for its sake.

use std::collections::BTreeSet;

use bastide_catalog::{Catalog, ForeignKey, KeyKind, TableKind};
use bastide_sql::{Ident, QualifiedName};

use super::{
    KEEPER, LEGACY_POLICY, Planning, assignment, is_ours,
    keys::{self, Fate, Successor, Uniqueness},
    loading, moves, not_null,
};
use crate::{
    ColumnOrigin, Phase, Refusal, Settlement, Step, access,
    inference::{How, hold_aside, settle_links as settle},
    steps::{
        AddTenantForeignKey, CloseTable, CloseView, DropLegacyKey, HoldAside, KeepLegacyWrites, LegacyKey,
        OwnMaterialisedView, ProtectPartitions, ReleaseLegacyWrites, SetTenantDefault, SettleLinks,
        ValidateConstraint, table_defaults,
    },
};

const PHASE: Phase = Phase::Cutover;

pub(super) fn plan(planning: &mut Planning<'_>) -> Result<(), Refusal> {
    assignment::reopen_quarantine(planning, PHASE);
    settle_links(planning);
    hold_rows_aside(planning);
    not_null::plan(planning, PHASE);
    let successors: Vec<(ForeignKey, Successor)> = keys::between_scoped(planning)?
        .into_iter()
        .filter_map(|(_, key, fate)| match fate {
            Fate::Successor(successor) => Some((key, *successor)),
            Fate::TenantWide | Fate::NamesATenant => None,
        })
        .collect();
    // Before the legacy uniques go: which ones do depends on the foreign keys there are.
    let uniques = legacy_uniques(planning);
    for (key, successor) in &successors {
        add_foreign_key(planning, key, successor);
    }
    reference_root(planning);
    for (key, successor) in successors.iter().filter(|(_, successor)| !successor.keep_legacy) {
        drop_foreign_key(planning, key, &successor.table);
    }
    for step in uniques {
        planning.emit(PHASE, Step::DropLegacyKey(step));
    }
    close_views(planning);
    own_materialised_views(planning);
    set_defaults(planning);
    close_tables(planning);
    protect_partitions(planning);
    loading::end(planning, PHASE);
    let keepers = keepers(planning);
    moves::end(planning, PHASE, &keepers);
    for (at, keeper) in keepers.iter().enumerate() {
        let still_read = keepers[at + 1..].iter().flat_map(KeepLegacyWrites::reads).collect();
        let step = ReleaseLegacyWrites { keeper: keeper.clone(), still_read };
        planning.emit(PHASE, Step::ReleaseLegacyWrites(step));
    }
    Ok(())
}

fn settle_links(planning: &mut Planning<'_>) {
    if planning.settled.is_empty() {
        return;
    }
    let scoped = planning.classification.scoped();
    let graph = planning.graph();
    let reused = |leaf: &QualifiedName| {
        let mut family = vec![leaf];
        // A leaf's column is as old as the column of the table it is a partition of.
        while let Some(name) = family.pop() {
            if let Some(column) = scoped.get(name) {
                return column.origin == ColumnOrigin::Reused;
            }
            family.extend(planning.catalog.table(name).into_iter().flat_map(|table| &table.parents));
        }
        false
    };
    let scripts = settle(&graph, &planning.settled, reused);
    let links = planning.settled.iter().map(|link| {
        let settlement = match link.how {
            How::Cut(_) => Settlement::Cut,
            How::Copy(_) => Settlement::Copy,
            How::Move => Settlement::Move,
        };
        (format!("{}:{}", link.table, link.foreign_key), settlement)
    });
    let step = SettleLinks {
        links: links.collect(),
        script: scripts.script,
        restore: scripts.restore,
        tables: scripts.tables,
        checks: scripts.checks,
    };
    planning.emit(PHASE, Step::SettleLinks(step));
}

fn hold_rows_aside(planning: &mut Planning<'_>) {
    let without_tenant = !assignment::not_null_at_once(planning) && assignment::needs_inference(planning);
    if !planning.hold_crossing && !without_tenant {
        return;
    }
    let scripts = hold_aside(&planning.graph());
    let name = if planning.hold_crossing { "crossing" } else { "without_tenant" }.to_owned();
    let step = HoldAside {
        script: scripts.script,
        restore: scripts.restore,
        tables: scripts.tables,
        layouts: scripts.layouts,
        name,
    };
    planning.emit(PHASE, Step::HoldAside(step));
}

fn add_foreign_key(planning: &mut Planning<'_>, key: &ForeignKey, successor: &Successor) {
    let table = &successor.table;
    if planning.catalog.table(table).is_none_or(|found| successor.is_there(found)) {
        return;
    }
    let step = AddTenantForeignKey {
        table: table.clone(),
        name: planning.constraint_name(table, key.name.as_str(), "_tenant"),
        columns: successor.columns.clone(),
        references: key.references.clone(),
        referenced_columns: successor.referenced_columns.clone(),
        on_update: key.on_update,
        on_delete: key.on_delete,
        on_delete_columns: successor.on_delete_columns(),
        deferrable: key.deferrable,
        initially_deferred: key.initially_deferred,
        leaves: Vec::new(),
        partitioned: false,
    };
    emit_foreign_key(planning, step);
}

/// A tenant column of ours names a tenant there is.
fn reference_root(planning: &mut Planning<'_>) {
    let root = planning.root();
    for (table, column) in planning.scoped_but_root() {
        let Some(found) = planning.catalog.table(&table) else { continue };
        let covered = found
            .foreign_keys
            .iter()
            .any(|key| key.references == root.table && key.columns == [column.name.clone()]);
        // A partition gets the partitioned table's.
        if covered || planning.is_partition(found) {
            continue;
        }
        let step = AddTenantForeignKey {
            name: planning.constraint_name(&table, table.name.as_str(), "_tenant_fkey"),
            table,
            columns: vec![column.name],
            references: root.table.clone(),
            referenced_columns: vec![root.key.clone()],
            on_update: bastide_catalog::Action::NoAction,
            on_delete: bastide_catalog::Action::NoAction,
            on_delete_columns: Vec::new(),
            deferrable: false,
            initially_deferred: false,
            leaves: Vec::new(),
            partitioned: false,
        };
        emit_foreign_key(planning, step);
    }
}

fn emit_foreign_key(planning: &mut Planning<'_>, mut step: AddTenantForeignKey) {
    for leaf in planning.leaves(&step.table) {
        let name = planning.constraint_name(&leaf, step.name.as_str(), "_leaf");
        step.leaves.push((leaf, name));
    }
    let (table, name, referenced) = (step.table.clone(), step.name.clone(), step.references.clone());
    let partitioned = planning.catalog.table(&step.table).is_some_and(|table| !table.holds_rows());
    step.partitioned = partitioned;
    planning.emit(PHASE, Step::AddTenantForeignKey(step));
    // On a partitioned table the step itself validates leaf by leaf: no key can be NOT VALID there.
    if !partitioned {
        let validate = ValidateConstraint { table, name, referenced: Some(referenced) };
        planning.emit(PHASE, Step::ValidateConstraint(validate));
    }
}

fn drop_foreign_key(planning: &mut Planning<'_>, key: &ForeignKey, table: &QualifiedName) {
    let Some(found) = planning.catalog.table(table) else { return };
    let step = DropLegacyKey {
        table: table.clone(),
        name: key.name.clone(),
        kind: LegacyKey::ForeignKey { references: key.references.clone(), validated: key.validated },
        definition: key.definition.clone(),
        columns: key.columns.clone(),
        partitioned: found.kind == TableKind::Partitioned,
    };
    planning.emit(PHASE, Step::DropLegacyKey(step));
}

fn legacy_uniques(planning: &Planning<'_>) -> Vec<DropLegacyKey> {
    let mut found = Vec::new();
    for (name, column) in planning.scoped_but_root() {
        let Some(table) = planning.catalog.table(&name) else { continue };
        for key in &table.keys {
            if !matches!(keys::uniqueness(planning, table, &column.name, key), Uniqueness::PerTenant) {
                continue;
            }
            let kind = match key.kind {
                KeyKind::UniqueIndex => LegacyKey::UniqueIndex,
                KeyKind::Unique | KeyKind::Primary => LegacyKey::UniqueConstraint,
            };
            found.push(DropLegacyKey {
                table: name.clone(),
                name: key.name.clone(),
                kind,
                definition: key.definition.clone(),
                columns: key.columns.clone(),
                partitioned: table.kind == TableKind::Partitioned,
            });
        }
    }
    found
}

/// Copies of rows, and views that read as somebody whom no policy binds, would show a legacy login everything as before.
fn close_views(planning: &mut Planning<'_>) {
    let bound =
        |role: &Ident| !access::is_unfiltered(&planning.catalog, role) || loading::is_lent(planning, role);
    let mut steps = Vec::new();
    for view in planning.catalog.views.values() {
        let reached = !view.materialised && (view.security_invoker || bound(&view.owner));
        let closes = |table: &QualifiedName| planning.is_scoped(table) && planning.is_open(table);
        if reached || !tables_read(&planning.catalog, &view.name).iter().any(closes) {
            continue;
        }
        let columns =
            view.columns.iter().filter_map(|column| Some((column.name.clone(), column.acl.clone()?)));
        let version = planning.catalog.server.version;
        let mut step = CloseView {
            view: view.name.clone(),
            owner: view.owner.clone(),
            previous: view.acl.clone().unwrap_or_else(|| table_defaults(&view.owner, version)),
            columns: columns.collect(),
            unbound: Vec::new(),
        };
        step.unbound = step.holders().into_iter().filter(|role| !bound(role)).collect();
        if step.takes() {
            steps.push(step);
        }
    }
    for step in steps {
        planning.emit(PHASE, Step::CloseView(step));
    }
}

/// Under FORCE an ordinary owner would refresh its copy to nothing.
fn own_materialised_views(planning: &mut Planning<'_>) {
    let views: Vec<_> = planning
        .catalog
        .views
        .values()
        .filter(|view| {
            let unfiltered = access::is_unfiltered(&planning.catalog, &view.owner);
            view.materialised && (!unfiltered || loading::is_lent(planning, &view.owner))
        })
        .map(|view| (view.name.clone(), view.owner.clone(), tables_read(&planning.catalog, &view.name)))
        .filter(|(_, _, reads)| reads.iter().any(|table| planning.is_scoped(table)))
        .collect();
    for (view, previous_owner, reads) in views {
        let step = OwnMaterialisedView { view, previous_owner, reads: reads.into_iter().collect() };
        planning.emit(PHASE, Step::OwnMaterialisedView(step));
    }
}

/// Through views as well.
pub(crate) fn tables_read(catalog: &Catalog, view: &QualifiedName) -> BTreeSet<QualifiedName> {
    let (mut seen, mut open) = (BTreeSet::new(), vec![view.clone()]);
    while let Some(next) = open.pop().and_then(|name| catalog.views.get(&name)) {
        open.extend(next.reads.iter().filter(|read| seen.insert((*read).clone())).cloned());
    }
    seen
}

fn set_defaults(planning: &mut Planning<'_>) {
    for (table, column) in planning.scoped_but_root() {
        let Some(found) = planning.column(&table, &column.name) else { continue };
        let default = found.default.as_ref();
        if default
            .is_some_and(|default| assignment::reads_context(default) && !assignment::falls_back(default))
        {
            continue;
        }
        let previous = default.cloned();
        let step = SetTenantDefault {
            table,
            column: column.name,
            type_name: column.type_name,
            constant: None,
            previous,
        };
        planning.emit(PHASE, Step::SetTenantDefault(step));
    }
}

fn close_tables(planning: &mut Planning<'_>) {
    for (name, column) in planning.scoped() {
        let Some(table) = planning.catalog.table(&name).filter(|table| is_ours(table)) else { continue };
        if !planning.is_open(&name) {
            continue;
        }
        let legacy = table.policies.iter().find(|policy| policy.name.as_str() == LEGACY_POLICY);
        let step = CloseTable {
            legacy_roles: legacy.map(|policy| policy.roles.clone()).unwrap_or_default(),
            replaced: planning.replaced(table),
            forced: table.force_row_security,
            table: name,
            column: column.name,
            type_name: column.type_name,
            app_role: planning.app().clone(),
        };
        planning.emit(PHASE, Step::CloseTable(step));
    }
}

/// A shop that keeps making partitions has made some by then.
fn protect_partitions(planning: &mut Planning<'_>) {
    let closed: Vec<CloseTable> = planning
        .steps
        .iter()
        .filter_map(|planned| match &planned.step {
            Step::CloseTable(step) => Some(step.clone()),
            _ => None,
        })
        .collect();
    for step in closed {
        let Some(table) = planning.catalog.table(&step.table) else { continue };
        if table.holds_rows() || planning.is_partition(table) {
            continue;
        }
        let mut known = vec![step.table.clone()];
        let mut at = 0;
        while let Some(next) = known.get(at).and_then(|name| planning.catalog.table(name)) {
            known.extend(next.children.iter().cloned());
            at += 1;
        }
        let CloseTable { table, column, type_name, .. } = step;
        planning.emit(PHASE, Step::ProtectPartitions(ProtectPartitions { table, column, type_name, known }));
    }
}

/// The triggers this plan made, where they still are.
fn keepers(planning: &Planning<'_>) -> Vec<KeepLegacyWrites> {
    let planned = planning.steps.iter().filter_map(|planned| match &planned.step {
        Step::KeepLegacyWrites(keeper) => Some(keeper.clone()),
        _ => None,
    });
    let still_there = |keeper: &KeepLegacyWrites| {
        planning
            .catalog
            .table(&keeper.table)
            .is_some_and(|table| table.triggers.iter().any(|trigger| trigger.name.as_str() == KEEPER))
    };
    planned.filter(still_there).collect()
}
