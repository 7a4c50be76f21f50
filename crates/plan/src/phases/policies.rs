//! Policies: strict for the application's login, while the legacy logins go on as before.

use std::collections::BTreeSet;

use bastide_catalog::{Acl, Column, Sequence};
use bastide_sql::{Ident, QualifiedName};

use super::{
    Planning, global_keys, is_ours,
    keys::{self, Fate, Uniqueness},
    loading, row_security, views,
};
use crate::{
    Class, Phase, Refusal, Step, access,
    steps::{
        AddTenantKey, ColumnGrant, CreateAppRole, GrantApp, GrantObject, ProtectTable, RestrictFunction,
        RestrictTemporary, SealContext,
    },
};

const PHASE: Phase = Phase::Policies;

pub(super) fn plan(planning: &mut Planning<'_>) -> Result<(), Refusal> {
    if !planning.catalog.roles.contains_key(planning.app()) {
        let database = planning.catalog.server.database.clone();
        let role = planning.app().clone();
        planning.emit(PHASE, Step::CreateAppRole(CreateAppRole { role, database }));
    }
    seal_context(planning);
    add_keys(planning)?;
    loading::plan(planning, PHASE)?;
    protect_tables(planning)?;
    let views = views::plan(planning, PHASE);
    restrict_functions(planning);
    grant(planning, &views);
    Ok(())
}

fn seal_context(planning: &mut Planning<'_>) {
    let server = &planning.catalog.server;
    if !planning.config.declared.sealed_context || server.sealed_context {
        return;
    }
    let (database, owner, previous) =
        (server.database.clone(), server.database_owner.clone(), server.database_acl.clone());
    let app_role = planning.app().clone();
    let mut roles: BTreeSet<Ident> = access::logins(&planning.catalog, &app_role).cloned().collect();
    for held in previous.iter().flatten() {
        if held.privileges.iter().any(|privilege| privilege.kind == "TEMPORARY") {
            roles.retain(|role| held.grantee.as_ref() != Some(role));
        }
    }
    roles.remove(&owner);
    let root_type = planning.root().key_type.clone();
    planning.emit(PHASE, Step::SealContext(SealContext { root_type }));
    let roles = roles.into_iter().collect();
    planning.emit(
        PHASE,
        Step::RestrictTemporary(RestrictTemporary { database, owner, app_role, roles, previous }),
    );
}

fn add_keys(planning: &mut Planning<'_>) -> Result<(), Refusal> {
    for (table, key, fate) in keys::between_scoped(planning)? {
        match fate {
            Fate::TenantWide if key.validated => {}
            Fate::TenantWide => global_keys::ask_not_valid(planning, &table, &key)?,
            Fate::NamesATenant => {
                planning.note(format!(
                    "{} of {table} references a tenant by a column that is not the table's tenant column; it stays as it \
                     is, so such a row may name another tenant",
                    key.name
                ));
                global_keys::ask_foreign_key(planning, &table, &key)?;
            }
            Fate::Successor(successor) => {
                if successor.keep_legacy {
                    planning.note(format!(
                        "{} of {table} is MATCH FULL over several columns; it stays beside its tenant-wide successor",
                        key.name
                    ));
                }
                add_key(planning, &key.references, &successor.referenced_columns, None);
            }
        }
    }
    for (name, column) in planning.scoped_but_root() {
        let Some(table) = planning.catalog.table(&name).cloned() else { continue };
        for key in &table.keys {
            match keys::uniqueness(planning, &table, &column.name, key) {
                Uniqueness::Stays => {}
                Uniqueness::StaysGlobal { why, mend } => {
                    planning.note(format!("the unique key {} of {name} stays global: {why}", key.name));
                    global_keys::ask_unique(planning, &name, &key.name, why, &mend)?;
                }
                Uniqueness::PerTenant => {
                    let columns: Vec<Ident> =
                        std::iter::once(&column.name).chain(&key.columns).cloned().collect();
                    add_key(planning, &name, &columns, Some(&key.name));
                }
            }
        }
        for index in &table.indexes {
            let fate = keys::index_uniqueness(planning, &table, &column.name, index);
            if let Uniqueness::StaysGlobal { why, mend } = fate {
                planning.note(format!("the unique index {} of {name} stays global: {why}", index.name));
                global_keys::ask_unique(planning, &name, &index.name, why, &mend)?;
            }
        }
    }
    Ok(())
}

fn add_key(planning: &mut Planning<'_>, name: &QualifiedName, columns: &[Ident], succeeds: Option<&Ident>) {
    let Some(table) = planning.catalog.table(name) else { return };
    if keys::has_key(table, columns) {
        return;
    }
    let stem = succeeds.map_or_else(
        || {
            let rest: Vec<&str> = columns.iter().skip(1).map(Ident::as_str).collect();
            format!("{}_{}", name.name.as_str(), rest.join("_"))
        },
        |key| key.as_str().to_owned(),
    );
    let mut step = AddTenantKey {
        table: name.clone(),
        name: planning.index_name(&name.schema, &stem, "_tenant_key"),
        columns: columns.to_vec(),
        leaves: Vec::new(),
        partitioned: !table.holds_rows(),
    };
    for leaf in planning.leaves(name) {
        let stem = format!("{}_{}", leaf.name.as_str(), step.name.as_str());
        let index = planning.index_name(&leaf.schema, &stem, "_leaf");
        step.leaves.push((leaf, index));
    }
    planning.emit(PHASE, Step::AddTenantKey(step));
}

fn protect_tables(planning: &mut Planning<'_>) -> Result<(), Refusal> {
    for (name, column) in planning.scoped() {
        let enabled = row_security::set_aside(planning, PHASE, &name)?;
        let Some(table) = planning.catalog.table(&name) else { continue };
        if table.row_security && is_ours(table) {
            continue;
        }
        let legacy_roles = match enabled {
            true => Vec::new(),
            false => access::legacy_roles(&planning.catalog, table, planning.app()),
        };
        let step = ProtectTable {
            legacy_roles,
            enabled,
            table: name,
            column: column.name,
            type_name: column.type_name,
            app_role: planning.app().clone(),
        };
        planning.emit(PHASE, Step::ProtectTable(step));
    }
    Ok(())
}

/// A SECURITY DEFINER function that everybody may run reads with its owner's rights, whoever asks.
fn restrict_functions(planning: &mut Planning<'_>) {
    let app = planning.app();
    for function in planning.catalog.functions.clone() {
        // A trigger function runs by its trigger only.
        let reachable = function.acl.is_none() || access::public(function.acl.as_ref());
        if !function.security_definer || function.returns_trigger || !reachable {
            continue;
        }
        if let Some(extension) = &function.extension {
            planning.note(format!(
                "{} runs with its owner's rights and everybody may run it; it belongs to the extension {extension} and is \
                 left as it is",
                function.name
            ));
            continue;
        }
        let mut roles: BTreeSet<Ident> = access::logins(&planning.catalog, app).cloned().collect();
        let named = function.acl.iter().flatten().filter_map(|item| item.grantee.as_ref());
        for role in named.chain([&function.owner]) {
            roles.remove(role);
        }
        let step = RestrictFunction {
            function: function.name,
            arguments: function.arguments,
            owner: function.owner,
            roles: roles.into_iter().collect(),
            previous: function.acl,
        };
        planning.emit(PHASE, Step::RestrictFunction(step));
    }
}

fn grant(planning: &mut Planning<'_>, views: &[QualifiedName]) {
    let mut wanted: Vec<(GrantObject, Vec<&str>)> = Vec::new();
    for (name, _) in planning.scoped() {
        let Some(table) = planning.catalog.table(&name) else { continue };
        // Children are reached through their parents.
        if table.parents.iter().any(|parent| planning.is_scoped(parent)) {
            continue;
        }
        let root = name == planning.root().table;
        let privileges = if root { vec!["SELECT", "UPDATE"] } else { access::ROW_PRIVILEGES.to_vec() };
        wanted.push((GrantObject::Table(name), privileges));
    }
    for (name, classified) in &planning.classification.tables {
        let child = planning.catalog.table(name).is_some_and(|table| {
            table.parents.iter().any(|parent| planning.classification.class(parent) == Some(Class::Shared))
        });
        if classified.class == Class::Shared && !child {
            wanted.push((GrantObject::Table(name.clone()), vec!["SELECT"]));
        }
    }
    wanted.extend(views.iter().map(|view| (GrantObject::Table(view.clone()), vec!["SELECT"])));
    for (name, sequence) in &planning.catalog.sequences {
        if feeds_scoped(planning, name, sequence) {
            wanted.push((GrantObject::Sequence(name.clone()), vec!["USAGE"]));
        }
    }
    let schemas: BTreeSet<Ident> = wanted
        .iter()
        .filter_map(|(object, _)| match object {
            GrantObject::Table(name) | GrantObject::Sequence(name) => Some(name.schema.clone()),
            GrantObject::Schema(_) => None,
        })
        .collect();
    let schemas = schemas.into_iter().map(|schema| (GrantObject::Schema(schema), vec!["USAGE"]));
    for (object, privileges) in schemas.chain(wanted) {
        let missing = missing(planning, &object, &privileges);
        if missing.is_empty() {
            continue;
        }
        let columns = held_of_columns(planning, &object, &missing);
        let step = GrantApp { object, privileges: missing, role: planning.app().clone(), columns };
        planning.emit(PHASE, Step::GrantApp(step));
    }
}

/// Whether inserting into a scoped table takes numbers from the sequence. The root's does not: the application adds no tenants.
fn feeds_scoped(planning: &Planning<'_>, name: &QualifiedName, sequence: &Sequence) -> bool {
    let counts = |table: &QualifiedName| planning.is_scoped(table) && *table != planning.root().table;
    match &sequence.owned_by {
        Some((table, _)) => counts(table),
        // Nobody's by declaration: whose default calls it? The server prints such a default in one way only.
        None => {
            let quoted = name.to_string().replace('\'', "''");
            let call = format!("nextval('{quoted}'::regclass)");
            let calls =
                |column: &Column| column.default.as_ref().is_some_and(|default| default.as_str() == call);
            let mut tables = planning.catalog.tables.values();
            tables.any(|table| counts(&table.name) && table.columns.iter().any(calls))
        }
    }
}

/// Those the application's login does not hold yet: undoing must not take back what was never given.
fn missing(planning: &Planning<'_>, object: &GrantObject, privileges: &[&str]) -> Vec<String> {
    let catalog = &planning.catalog;
    let acl: Option<&Acl> = match object {
        GrantObject::Schema(schema) => catalog.schemas.get(schema).and_then(|schema| schema.acl.as_ref()),
        GrantObject::Sequence(name) => catalog.sequences.get(name).and_then(|sequence| sequence.acl.as_ref()),
        GrantObject::Table(name) => match catalog.table(name) {
            Some(table) => table.acl.as_ref(),
            None => catalog.views.get(name).and_then(|view| view.acl.as_ref()),
        },
    };
    let held = |kind: &str| {
        acl.into_iter().flatten().any(|item| {
            item.grantee.as_ref() == Some(planning.app())
                && item.privileges.iter().any(|privilege| privilege.kind == kind)
        })
    };
    privileges.iter().filter(|kind| !held(kind)).map(|kind| (*kind).to_owned()).collect()
}

fn held_of_columns(planning: &Planning<'_>, object: &GrantObject, privileges: &[String]) -> Vec<ColumnGrant> {
    let GrantObject::Table(name) = object else { return Vec::new() };
    let table = planning.catalog.table(name).map(|table| &table.columns);
    let columns = table.or_else(|| planning.catalog.views.get(name).map(|view| &view.columns));
    let mut held = Vec::new();
    for column in columns.into_iter().flatten() {
        let items = column.acl.iter().flatten().filter(|item| item.grantee.as_ref() == Some(planning.app()));
        for privilege in items.flat_map(|item| &item.privileges) {
            if privileges.contains(&privilege.kind) {
                held.push(ColumnGrant {
                    column: column.name.clone(),
                    privilege: privilege.kind.clone(),
                    grantable: privilege.grantable,
                });
            }
        }
    }
    held
}
