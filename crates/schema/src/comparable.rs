//! A catalog reduced to what the files decide, so that two databases can be held against each other: who owns an object, what
//! logins besides the application's were granted, what an operator sets on roles and the database, and partitions made as time goes on
//! are not the files' to say. `rls validate` looks at those.

use bastide_catalog::{Acl, AclItem, Catalog, Fingerprint, Function, Privilege, Table, TableKind};
use bastide_connect::Connected;
use bastide_engine::MigrationGuard;
use bastide_sql::Ident;
use tokio_postgres::Client;

use crate::{Options, SchemaError, built::Built, ours};

const OUR_ROLE: &str = "bastide_owner";

/// What is compared of a catalog.
#[must_use]
pub fn comparable(catalog: &Catalog, app_role: &Ident) -> Catalog {
    let mut reduced = catalog.clone();
    let owner = Ident::constant("owner");
    let known = [app_role.clone(), Ident::constant(OUR_ROLE)];
    let of = |role: &mut Ident, acl: &mut Option<Acl>, opening: &[&str]| {
        let held = acl.take();
        *acl = Some(grants(held, role, &known, opening));
        if role.as_str() != OUR_ROLE {
            *role = owner.clone();
        }
    };
    for schema in reduced.schemas.values_mut() {
        of(&mut schema.owner, &mut schema.acl, &[]);
    }
    for table in reduced.tables.values_mut() {
        let was = table.owner.clone();
        of(&mut table.owner, &mut table.acl, &[]);
        for column in &mut table.columns {
            column.acl = column
                .acl
                .take()
                .map(|acl| grants(Some(acl), &was, &known, &[]))
                .filter(|acl| !acl.is_empty());
        }
    }
    for view in reduced.views.values_mut() {
        let was = view.owner.clone();
        of(&mut view.owner, &mut view.acl, &[]);
        for column in &mut view.columns {
            column.acl = column
                .acl
                .take()
                .map(|acl| grants(Some(acl), &was, &known, &[]))
                .filter(|acl| !acl.is_empty());
        }
    }
    for sequence in reduced.sequences.values_mut() {
        of(&mut sequence.owner, &mut sequence.acl, &[]);
    }
    reduced.functions.retain(|function| function.extension.is_none());
    for Function { owner, acl, .. } in &mut reduced.functions {
        of(owner, acl, &["EXECUTE"]);
    }
    reduced.roles.retain(|name, _| name == app_role);
    for role in reduced.roles.values_mut() {
        role.settings.clear();
        role.member_of.clear();
    }
    reduced.default_privileges.clear();
    reduced.publications.clear();
    reduced.subscriptions.clear();
    reduced.event_triggers.clear();
    let server = &mut reduced.server;
    server.database_owner = owner;
    server.database_acl = None;
    server.database_settings.clear();
    server.public_parameters.clear();
    server.sealed_context = false;
    server.extensions.clear();
    reduced
}

/// Those of the roles that the files name, and of PUBLIC, in one order. Without a list PUBLIC holds what it does by default.
fn grants(acl: Option<Acl>, owner: &Ident, known: &[Ident], by_default: &[&str]) -> Acl {
    let privilege = |kind: &&str| Privilege { kind: (*kind).to_owned(), grantable: false };
    let default = || AclItem {
        grantee: None,
        grantor: owner.clone(),
        privileges: by_default.iter().map(privilege).collect(),
    };
    let mut acl = acl.unwrap_or_else(|| vec![default()]);
    acl.retain(|item| {
        !item.privileges.is_empty()
            && item.grantee.as_ref().is_none_or(|grantee| grantee != owner && known.contains(grantee))
    });
    for item in &mut acl {
        item.grantor = Ident::constant("owner");
        item.privileges.sort_by(|a, b| a.kind.cmp(&b.kind));
    }
    acl.sort_by(|a, b| a.grantee.cmp(&b.grantee));
    acl
}

/// Takes out of `there` the partitions that `expected` does not know: a shop makes one whenever a new year begins.
fn without_later_partitions(there: &mut Catalog, expected: &Catalog) {
    let later = |table: &Table| {
        table.kind == TableKind::Partition
            && !expected.tables.contains_key(&table.name)
            && table.parents.iter().any(|parent| expected.tables.contains_key(parent))
    };
    let gone: Vec<_> =
        there.tables.values().filter(|table| later(table)).map(|table| table.name.clone()).collect();
    there.tables.retain(|name, _| !gone.contains(name));
    for table in there.tables.values_mut() {
        table.children.retain(|child| !gone.contains(child));
    }
}

/// What is remembered at each up, for who may not make a database to compare with.
pub(crate) fn fingerprint(catalog: &Catalog, app_role: &Ident) -> Fingerprint {
    Fingerprint::of(&comparable(catalog, app_role))
}

/// Between the schema as it was built and what is here; a line each.
pub(crate) async fn differences(
    guard: &MigrationGuard,
    options: &Options,
    there: &Catalog,
    built: &Built,
) -> Result<Vec<String>, SchemaError> {
    let mut beside: Connected =
        options.place.target.with_database(built.database.as_str()).connect("bastide").await?;
    let expected = comparable(&bastide_catalog::read(&mut beside).await?, &options.app_role);
    let mut there = comparable(there, &options.app_role);
    without_later_partitions(&mut there, &expected);
    let mut differences = expected.diff(&there);
    let (beside, here): (&Client, &Client) = (&beside, guard.client());
    let with_migrations = built.rendered.len() > 1;
    differences.extend(ours::differences(beside, here, &options.app_role, with_migrations).await?);
    Ok(differences)
}
