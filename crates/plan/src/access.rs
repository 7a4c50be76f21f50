//! Who may do what, read off the catalog's grants.

use std::collections::BTreeSet;

use bastide_catalog::{Acl, AclItem, Catalog, Table, View};
use bastide_sql::{Ident, QualifiedName};

/// What can be done to rows.
pub(crate) const ROW_PRIVILEGES: [&str; 4] = ["SELECT", "INSERT", "UPDATE", "DELETE"];

/// Whether PUBLIC was granted anything.
pub(crate) fn public(acl: Option<&Acl>) -> bool {
    acl.into_iter().flatten().any(|item| item.grantee.is_none() && !item.privileges.is_empty())
}

/// The grants on a table or view.
pub(crate) fn acl<'a>(catalog: &'a Catalog, name: &QualifiedName) -> Option<&'a Acl> {
    match catalog.table(name) {
        Some(table) => table.acl.as_ref(),
        None => catalog.views.get(name).and_then(|view| view.acl.as_ref()),
    }
}

/// Whether the list names `role` with `privilege`.
pub(crate) fn granted(acl: Option<&Acl>, role: &Ident, privilege: &str) -> bool {
    let named = |item: &AclItem| item.grantee.as_ref() == Some(role);
    acl.into_iter()
        .flatten()
        .any(|item| named(item) && item.privileges.iter().any(|held| held.kind == privilege))
}

/// What PUBLIC (`None`) and the application's login were granted.
pub(crate) fn of_app<'a>(
    lists: impl Iterator<Item = &'a Acl>,
    app: &Ident,
) -> BTreeSet<(Option<Ident>, String)> {
    let items = lists.flatten().filter(|item| item.grantee.as_ref().is_none_or(|grantee| grantee == app));
    items
        .flat_map(|item| item.privileges.iter().map(|held| (item.grantee.clone(), held.kind.clone())))
        .collect()
}

/// Whether `role` holds `privilege`: as a superuser, as the owner, or by a grant to it, to a role it inherits from, or to PUBLIC.
pub(crate) fn holds(
    catalog: &Catalog,
    role: &Ident,
    owner: &Ident,
    acl: Option<&Acl>,
    privilege: &str,
) -> bool {
    if is_superuser(catalog, role) {
        return true;
    }
    let roles = inherited(catalog, role);
    let granted = |acl: &Acl| {
        acl.iter().any(|item| {
            item.grantee.as_ref().is_none_or(|grantee| roles.contains(grantee))
                && item.privileges.iter().any(|held| held.kind == privilege)
        })
    };
    // Without a list the owner has everything; with one, what it says.
    roles.contains(owner) || acl.is_some_and(granted)
}

pub(crate) fn is_superuser(catalog: &Catalog, role: &Ident) -> bool {
    catalog.roles.get(role).is_some_and(|role| role.superuser)
}

/// Whether row security, FORCE included, does not apply to `role`.
pub(crate) fn is_unfiltered(catalog: &Catalog, role: &Ident) -> bool {
    // Ours has BYPASSRLS; a projected catalog does not list it.
    role.as_str() == "bastide_owner"
        || catalog.roles.get(role).is_some_and(|role| role.superuser || role.bypass_rls)
}

/// Whether `role` has all that `owner` has, as itself or by membership: then the owner's exemption from row security is its
/// own, too.
pub(crate) fn acts_as(catalog: &Catalog, role: &Ident, owner: &Ident) -> bool {
    inherited(catalog, role).contains(owner)
}

/// The roles whose privileges `role` has without SET ROLE, itself included.
fn inherited(catalog: &Catalog, role: &Ident) -> BTreeSet<Ident> {
    let mut found = BTreeSet::from([role.clone()]);
    let mut open = vec![role.clone()];
    while let Some(next) = open.pop() {
        let Some(known) = catalog.roles.get(&next).filter(|role| role.inherit) else { continue };
        for parent in &known.member_of {
            if found.insert(parent.clone()) {
                open.push(parent.clone());
            }
        }
    }
    found
}

/// Logins that are not superusers, the application's left out.
pub(crate) fn logins<'a>(catalog: &'a Catalog, app: &'a Ident) -> impl Iterator<Item = &'a Ident> {
    catalog
        .roles
        .iter()
        .filter(move |(name, role)| role.login && !role.superuser && *name != app && !predefined(name))
        .map(|(name, _)| name)
}

/// The roles that lose rows when row security comes on, unless a policy names them: everyone with privileges on the
/// table but its owner, those it does not bind, and the application.
pub(crate) fn legacy_roles(catalog: &Catalog, table: &Table, app: &Ident) -> Vec<Ident> {
    let lists = || table.acl.iter().chain(table.columns.iter().filter_map(|column| column.acl.as_ref()));
    let mut roles: BTreeSet<Ident> = lists().flatten().filter_map(|item| item.grantee.clone()).collect();
    if lists().any(|acl| public(Some(acl))) {
        roles.extend(logins(catalog, app).cloned());
    }
    // These two read and write everything without any grant.
    let everything = [Ident::constant("pg_read_all_data"), Ident::constant("pg_write_all_data")];
    let by_membership =
        catalog.roles.iter().filter(|(_, role)| role.member_of.iter().any(|r| everything.contains(r)));
    roles.extend(by_membership.map(|(name, _)| name.clone()));
    roles.retain(|role| {
        *role != table.owner && role != app && !predefined(role) && !is_unfiltered(catalog, role)
    });
    roles.into_iter().collect()
}

fn predefined(role: &Ident) -> bool {
    role.as_str().starts_with("pg_")
}

/// Everyone besides superusers who can use the view: its owner and its grantees.
pub(crate) fn users_of_view(catalog: &Catalog, view: &View, app: &Ident) -> BTreeSet<Ident> {
    let mut users = BTreeSet::from([view.owner.clone()]);
    users.extend(view.acl.iter().flatten().filter_map(|item| item.grantee.clone()));
    if public(view.acl.as_ref()) {
        users.extend(logins(catalog, app).cloned());
    }
    users.retain(|role| role != app && !is_superuser(catalog, role));
    users
}
