//! What a table must be like before row security can keep its rows apart, each said with the table and the column.

use std::collections::{BTreeMap, BTreeSet};

use bastide_catalog::{Action, Catalog, Column, ForeignKey, Key, KeyKind, Table, View};
use bastide_sql::{Ident, QualifiedName};

use super::{Isolation, Treatment};
use crate::{access, phases::tables_read};

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CannotIsolate {
    #[error("{0} is not there: up.sql has to make every table that `isolate` names")]
    NoTable(QualifiedName),
    #[error("{0} was there before this migration; `isolate` names the tables that up.sql makes")]
    NotMade(QualifiedName),
    #[error(
        "{0} is made and not spoken of: add a line to `isolate`, `{0} tenant_id` for a scoped table, `{0} shared read` or `{0} closed`"
    )]
    NotSpokenOf(QualifiedName),
    #[error("{table} has no column {column}, which `isolate` names")]
    NoColumn { table: QualifiedName, column: Ident },
    #[error("{table}.{column} may be NULL, and such a row would be nobody's: declare it NOT NULL")]
    Nullable { table: QualifiedName, column: Ident },
    #[error(
        "{table}.{column} references no tenant: add FOREIGN KEY ({column}) REFERENCES {root} ({root_column}), by itself or in front of a key of a scoped table"
    )]
    NoTenant { table: QualifiedName, column: Ident, root: Box<QualifiedName>, root_column: Ident },
    #[error(
        "{table}.{column} is of type {found}, and the tenants' key of type {expected}: policies compare them, so give them the same"
    )]
    OtherType { table: QualifiedName, column: Ident, found: String, expected: String },
    #[error(
        "the key {key} of {table} is not led by {column}, so it would tell one tenant what another has: write {key} over ({column}, …)"
    )]
    KeyAcross { table: QualifiedName, column: Ident, key: Ident },
    #[error(
        "the foreign key {key} of {table} to {} does not hold the tenant on both sides, so a row could point into another tenant: write FOREIGN KEY ({column}, …) REFERENCES {} ({}, …)", .there.0, .there.0, .there.1
    )]
    KeyCrosses { table: QualifiedName, key: Ident, column: Ident, there: Box<(QualifiedName, Ident)> },
    #[error(
        "the foreign key {key} of {table} would set {column} to NULL as well: name the columns, ON DELETE SET NULL (…), without {column}"
    )]
    NullsTenant { table: QualifiedName, key: Ident, column: Ident },
    #[error(
        "{table} is read by everybody and its foreign key {key} references {references}, which is scoped: scope it, too, or close it"
    )]
    SharedReferences { table: QualifiedName, key: Ident, references: QualifiedName },
    #[error("{table} has the policy {policy}; leave policies and row security to `isolate`")]
    OwnPolicy { table: QualifiedName, policy: Ident },
    #[error(
        "{table} inherits from {parent}, whose rows it would show without that table's policy: make it a partition, or a table of its own"
    )]
    Inherits { table: QualifiedName, parent: QualifiedName },
    #[error("view {0} reads with its owner's rights: create it WITH (security_invoker = true)")]
    OwnersView(QualifiedName),
    #[error(
        "{to} holds {privilege} on materialised view {view}, whose copies no policy filters: leave its grants to `isolate`"
    )]
    OpenCopies { view: QualifiedName, to: String, privilege: String },
    #[error(
        "{to} holds {privilege} on {table}, which `isolate` does not give: by up.sql, or by ALTER DEFAULT PRIVILEGES of before; revoke it there"
    )]
    Open { table: QualifiedName, to: String, privilege: String },
}

pub(super) fn table<'a>(catalog: &'a Catalog, name: &QualifiedName) -> Result<&'a Table, CannotIsolate> {
    catalog.table(name).ok_or_else(|| CannotIsolate::NoTable(name.clone()))
}

pub(super) fn column<'a>(
    catalog: &'a Catalog,
    of: &QualifiedName,
    name: &Ident,
) -> Result<&'a Column, CannotIsolate> {
    let missing = || CannotIsolate::NoColumn { table: of.clone(), column: name.clone() };
    table(catalog, of)?.column(name).ok_or_else(missing)
}

/// The tables to be scoped with their columns, each before its partitions.
pub(super) fn members(
    catalog: &Catalog,
    wanted: &Isolation<'_>,
) -> Result<Vec<(QualifiedName, Ident)>, CannotIsolate> {
    let mut members: Vec<(QualifiedName, Ident)> = Vec::new();
    for (name, treatment) in wanted.tables {
        table(catalog, name)?;
        if !wanted.made.contains(name) {
            return Err(CannotIsolate::NotMade(name.clone()));
        }
        let (Treatment::Root(column) | Treatment::Scoped { column, .. }) = treatment else { continue };
        members.push((name.clone(), column.clone()));
    }
    let mut at = 0;
    while let Some((name, column)) = members.get(at).cloned() {
        for child in &table(catalog, &name)?.children {
            if !members.iter().any(|(known, _)| known == child) {
                members.push((child.clone(), column.clone()));
            }
        }
        at += 1;
    }
    Ok(members)
}

pub(super) fn check(
    catalog: &Catalog,
    wanted: &Isolation<'_>,
    scoped: &BTreeMap<QualifiedName, Ident>,
) -> Result<(), CannotIsolate> {
    let tables = catalog.tables.values().filter(|table| wanted.made.contains(&table.name));
    for table in tables {
        let treatment = spoken_of(catalog, wanted, table)?;
        no_more_open(wanted, table, treatment)?;
        match treatment {
            Treatment::Root(_) => no_policy(table)?,
            Treatment::Scoped { column, legacy_keys } => {
                no_policy(table)?;
                of_a_tenant(catalog, wanted, table, column)?;
                keys(catalog, table, column, *legacy_keys)?;
                foreign_keys(table, column, scoped)?;
            }
            Treatment::Shared => {
                let crosses = |key: &&ForeignKey| scoped.contains_key(&key.references);
                if let Some(key) = table.foreign_keys.iter().find(crosses) {
                    return Err(CannotIsolate::SharedReferences {
                        table: table.name.clone(),
                        key: key.name.clone(),
                        references: key.references.clone(),
                    });
                }
            }
            Treatment::Closed => {}
        }
    }
    // The root's own keys span tenants, as it does; its references do not.
    if let Some((root, Treatment::Root(column))) =
        wanted.tables.iter().find(|(_, treatment)| matches!(treatment, Treatment::Root(_)))
    {
        foreign_keys(table(catalog, root)?, column, scoped)?;
    }
    catalog
        .views
        .values()
        .filter(|view| wanted.made.contains(&view.name))
        .try_for_each(|view| self::view(catalog, wanted, scoped, view))
}

/// Row security filters neither TRUNCATE nor a table that has none; what PUBLIC holds every login does.
fn no_more_open(wanted: &Isolation<'_>, table: &Table, treatment: &Treatment) -> Result<(), CannotIsolate> {
    let columns = table.columns.iter().filter_map(|column| column.acl.as_ref());
    let held = access::of_app(table.acl.iter().chain(columns), wanted.app_role);
    let given =
        |(to, kind): &(Option<Ident>, String)| to.is_some() && treatment.gives().contains(&kind.as_str());
    match held.into_iter().find(|held| !given(held)) {
        None => Ok(()),
        Some((to, privilege)) => Err(CannotIsolate::Open {
            table: table.name.clone(),
            to: to.map_or_else(|| "PUBLIC".to_owned(), |to| to.to_string()),
            privilege,
        }),
    }
}

/// A partition is spoken of by the table it is a partition of.
fn spoken_of<'a>(
    catalog: &Catalog,
    wanted: &'a Isolation<'_>,
    table: &Table,
) -> Result<&'a Treatment, CannotIsolate> {
    let (mut at, mut seen) = (table, BTreeSet::new());
    loop {
        if let Some((_, treatment)) = wanted.tables.iter().find(|(name, _)| *name == at.name) {
            return Ok(treatment);
        }
        let next = at.parents.first().and_then(|parent| catalog.table(parent));
        match next {
            Some(parent) if parent.holds_rows() => {
                return Err(CannotIsolate::Inherits {
                    table: table.name.clone(),
                    parent: parent.name.clone(),
                });
            }
            Some(parent) if seen.insert(parent.name.clone()) => at = parent,
            _ => return Err(CannotIsolate::NotSpokenOf(table.name.clone())),
        }
    }
}

fn no_policy(table: &Table) -> Result<(), CannotIsolate> {
    match table.policies.first() {
        None => Ok(()),
        Some(policy) => {
            Err(CannotIsolate::OwnPolicy { table: table.name.clone(), policy: policy.name.clone() })
        }
    }
}

fn of_a_tenant(
    catalog: &Catalog,
    wanted: &Isolation<'_>,
    table: &Table,
    name: &Ident,
) -> Result<(), CannotIsolate> {
    let found = column(catalog, &table.name, name)?;
    let root = column(catalog, wanted.root, wanted.root_column)?;
    if !found.not_null {
        return Err(CannotIsolate::Nullable { table: table.name.clone(), column: name.clone() });
    }
    if found.type_name != root.type_name {
        return Err(CannotIsolate::OtherType {
            table: table.name.clone(),
            column: name.clone(),
            found: found.type_name.to_string(),
            expected: root.type_name.to_string(),
        });
    }
    let names_a_tenant = |key: &ForeignKey| {
        key.references == *wanted.root
            && key
                .columns
                .iter()
                .zip(&key.referenced_columns)
                .any(|(ours, theirs)| ours == name && theirs == wanted.root_column)
    };
    if table.foreign_keys.iter().any(names_a_tenant) {
        return Ok(());
    }
    Err(CannotIsolate::NoTenant {
        table: table.name.clone(),
        column: name.clone(),
        root: Box::new(wanted.root.clone()),
        root_column: wanted.root_column.clone(),
    })
}

fn keys(catalog: &Catalog, table: &Table, column: &Ident, legacy: bool) -> Result<(), CannotIsolate> {
    let stays = |key: &Key| legacy && (key.kind == KeyKind::Primary || table.tells_nothing(&key.columns));
    let of_keys = table
        .keys
        .iter()
        .filter(|key| key.columns.first() != Some(column) && !stays(key))
        .filter(|key| !catalog.key_comes_with_parent(table, key))
        .map(|key| &key.name);
    let of_indexes = table
        .indexes
        .iter()
        .filter(|index| index.unique || index.exclusion)
        .filter(|index| index.columns.first() != Some(&Some(column.clone())))
        .filter(|index| !catalog.index_comes_with_parent(table, index))
        .map(|index| &index.name);
    match of_keys.chain(of_indexes).next() {
        None => Ok(()),
        Some(key) => Err(CannotIsolate::KeyAcross {
            table: table.name.clone(),
            column: column.clone(),
            key: key.clone(),
        }),
    }
}

fn foreign_keys(
    table: &Table,
    column: &Ident,
    scoped: &BTreeMap<QualifiedName, Ident>,
) -> Result<(), CannotIsolate> {
    for key in table.foreign_keys.iter().filter(|key| !key.inherited) {
        let Some(there) = scoped.get(&key.references) else { continue };
        let pairs = || key.columns.iter().zip(&key.referenced_columns);
        if !pairs().any(|(ours, theirs)| ours == column && theirs == there) {
            return Err(CannotIsolate::KeyCrosses {
                table: table.name.clone(),
                key: key.name.clone(),
                column: column.clone(),
                there: Box::new((key.references.clone(), there.clone())),
            });
        }
        let nulls = |action: Action, listed: &[Ident]| {
            matches!(action, Action::SetNull | Action::SetDefault)
                && (listed.is_empty() || listed.contains(column))
        };
        if nulls(key.on_delete, &key.on_delete_columns) || nulls(key.on_update, &[]) {
            return Err(CannotIsolate::NullsTenant {
                table: table.name.clone(),
                key: key.name.clone(),
                column: column.clone(),
            });
        }
    }
    Ok(())
}

fn view(
    catalog: &Catalog,
    wanted: &Isolation<'_>,
    scoped: &BTreeMap<QualifiedName, Ident>,
    view: &View,
) -> Result<(), CannotIsolate> {
    let copies = |name: &QualifiedName| catalog.views.get(name).is_some_and(|view| view.materialised);
    let tenants =
        tables_read(catalog, &view.name).iter().any(|read| scoped.contains_key(read) || copies(read));
    if view.materialised {
        let open = view.acl.iter().flatten().find(|item| {
            !item.privileges.is_empty() && item.grantee.as_ref().is_none_or(|to| to == wanted.app_role)
        });
        if let Some(item) = open.filter(|_| tenants) {
            return Err(CannotIsolate::OpenCopies {
                view: view.name.clone(),
                to: item.grantee.as_ref().map_or_else(|| "PUBLIC".to_owned(), ToString::to_string),
                privilege: item
                    .privileges
                    .iter()
                    .map(|held| held.kind.as_str())
                    .collect::<Vec<_>>()
                    .join(", "),
            });
        }
        return Ok(());
    }
    if !view.security_invoker {
        return Err(CannotIsolate::OwnersView(view.name.clone()));
    }
    Ok(())
}
