//! Which column of a scoped table names its tenant.

use std::collections::{BTreeMap, BTreeSet};

use bastide_catalog::{Catalog, Table, TableKind};
use bastide_sql::{Ident, QualifiedName};

use super::{Classified, family::Families};
use crate::{Class, ColumnOrigin, Refusal, TenantColumn, TenantRoot, phases::is_ours};

/// `MaxHeapAttributeNumber`; dropped columns count too, but the server alone knows them.
const MOST_COLUMNS: usize = 1600;

pub(super) fn choose(
    catalog: &Catalog,
    root: &TenantRoot,
    tables: &mut BTreeMap<QualifiedName, Classified>,
) -> Result<(), Refusal> {
    let families = Families::of(catalog);
    for (head, members) in families.heads() {
        if tables.get(head).is_none_or(|classified| classified.class != Class::Scoped) {
            continue;
        }
        let column = if *head == root.table {
            TenantColumn {
                name: root.key.clone(),
                type_name: root.key_type.clone(),
                origin: ColumnOrigin::RootKey,
            }
        } else {
            let members: Vec<&Table> = members.iter().filter_map(|name| catalog.table(name)).collect();
            for member in &members {
                supported(catalog, member)?;
            }
            of_family(root, &members)?
        };
        for member in members {
            if let Some(classified) = tables.get_mut(member) {
                classified.tenant_column = Some(column.clone());
            }
        }
    }
    Ok(())
}

fn of_family(root: &TenantRoot, members: &[&Table]) -> Result<TenantColumn, Refusal> {
    let column = |name: Ident, origin| TenantColumn { name, type_name: root.key_type.clone(), origin };
    if let Some(name) = ours(root, members) {
        return Ok(column(name, ColumnOrigin::Reused));
    }
    // Every member must have the column, and those whose own keys speak must agree.
    let named: Vec<BTreeSet<&Ident>> = members.iter().map(|table| references_to_root(root, table)).collect();
    let candidates: BTreeSet<&Ident> = named.iter().flatten().copied().collect();
    if let [only] = candidates.into_iter().collect::<Vec<_>>().as_slice()
        && members.iter().all(|table| writable_of_type(root, table, only))
        && single_reference(root, members)
    {
        return Ok(column((*only).clone(), ColumnOrigin::Reused));
    }
    let free = |name: &Ident| members.iter().all(|table| table.column(name).is_none());
    let names = [Ident::constant("tenant_id"), Ident::constant("bastide_tenant_id")];
    let table = members.first().map(|table| table.name.clone()).unwrap_or_else(|| root.table.clone());
    let Some(name) = names.into_iter().find(free) else {
        return Err(Refusal::ColumnTaken { table });
    };
    if let Some(full) = members.iter().find(|table| table.columns.len() >= MOST_COLUMNS) {
        return Err(Refusal::TooManyColumns { table: full.name.clone(), columns: full.columns.len() });
    }
    Ok(column(name, ColumnOrigin::Added))
}

/// Columns that by themselves reference the root's key, and have exactly its type.
fn references_to_root<'a>(root: &TenantRoot, table: &'a Table) -> BTreeSet<&'a Ident> {
    table
        .foreign_keys
        .iter()
        .filter(|key| key.references == root.table && key.referenced_columns == [root.key.clone()])
        .filter_map(|key| key.columns.first())
        .filter(|name| writable_of_type(root, table, name))
        .collect()
}

/// A second reference to the root, of whatever type, leaves open which of them is meant.
fn single_reference(root: &TenantRoot, members: &[&Table]) -> bool {
    members.iter().all(|table| {
        let columns: BTreeSet<&[Ident]> = table
            .foreign_keys
            .iter()
            .filter(|key| key.references == root.table && key.referenced_columns == [root.key.clone()])
            .map(|key| key.columns.as_slice())
            .collect();
        columns.len() <= 1
    })
}

fn writable_of_type(root: &TenantRoot, table: &Table, name: &Ident) -> bool {
    table.column(name).is_some_and(|column| {
        // A policy compares by the column's collation, and tenants that it calls equal would see each other's rows.
        column.type_name == root.key_type
            && column.collation.is_none()
            && column.generated.is_none()
            && column.identity.is_none()
    })
}

/// The column an earlier run added: its table has our policy, so its name alone tells.
fn ours(root: &TenantRoot, members: &[&Table]) -> Option<Ident> {
    if !members.iter().any(|table| is_ours(table)) {
        return None;
    }
    let names = [Ident::constant("bastide_tenant_id"), Ident::constant("tenant_id")];
    names.into_iter().find(|name| members.iter().all(|table| writable_of_type(root, table, name)))
}

fn supported(catalog: &Catalog, table: &Table) -> Result<(), Refusal> {
    let refuse = |what| Err(Refusal::UnsupportedTable { table: table.name.clone(), what });
    let parents = || table.parents.iter().filter_map(|name| catalog.table(name));
    match table.kind {
        TableKind::Foreign => refuse("a foreign table"),
        TableKind::Ordinary if parents().any(|parent| parent.kind == TableKind::Foreign) => {
            refuse("a child of a foreign table")
        }
        _ if table.of_type.is_some() => {
            refuse("a typed table (CREATE TABLE … OF), to which no column can be added")
        }
        _ => Ok(()),
    }
}
