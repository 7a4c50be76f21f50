//! Lists of privileges: put back exactly, and projected.
//!
//! `pg_dump` prints grants in the order the catalog holds them, and a REVOKE followed by a GRANT moves an entry to the
//! end. So a list that has to be restored is emptied and replayed whole.

use bastide_catalog::{Acl, AclItem, Privilege};
use bastide_sql::{Fragment, Ident, Sql, join, sql};

/// Privileges in the order of their bits, which is the order `aclexplode` lists them in.
const ORDER: [&str; 15] = [
    "INSERT",
    "SELECT",
    "UPDATE",
    "DELETE",
    "TRUNCATE",
    "REFERENCES",
    "TRIGGER",
    "EXECUTE",
    "USAGE",
    "CREATE",
    "TEMPORARY",
    "CONNECT",
    "SET",
    "ALTER SYSTEM",
    "MAINTAIN",
];

/// A privilege's keyword. One this release does not know becomes an identifier, which the server refuses.
pub(super) fn keyword(privilege: &str) -> Sql {
    match ORDER.iter().find(|known| **known == privilege) {
        Some(known) => Sql::trusted(*known),
        None => sql!("{}", Ident::derived(privilege, "")),
    }
}

pub(super) fn keywords<T: AsRef<str>>(privileges: &[T]) -> Sql {
    sql!("{}", join(privileges.iter().map(|privilege| keyword(privilege.as_ref())), ", "))
}

/// The statements that make `object`'s list what it was. `strangers` are roles that may hold a privilege now and did not
/// before; `object` reads like `ROUTINE "public"."f"(integer)`.
pub(super) fn replay(object: &Sql, owner: &Ident, previous: &Acl, strangers: &[Ident]) -> Vec<Sql> {
    let mut holders: Vec<&Ident> = vec![owner];
    for role in previous.iter().filter_map(|item| item.grantee.as_ref()).chain(strangers) {
        if !holders.contains(&role) {
            holders.push(role);
        }
    }
    let mut statements = vec![sql!("REVOKE ALL ON {} FROM PUBLIC, {} CASCADE", object, join(holders, ", "))];
    for item in previous {
        statements.extend(grants(object, owner, item));
    }
    statements
}

/// The statements that make an emptied column's list what it was; `object` reads like `TABLE "public"."v"`.
pub(super) fn column_grants(object: &Sql, column: &Ident, owner: &Ident, list: &Acl) -> Vec<Sql> {
    let mut statements = Vec::new();
    for item in list {
        let grantee = item.grantee.as_ref().map_or_else(|| sql!("PUBLIC"), |role| sql!("{}", role));
        let made = item.privileges.iter().map(|held| {
            let option = if held.grantable { sql!(" WITH GRANT OPTION") } else { sql!("") };
            sql!("GRANT {} ({}) ON {} TO {}{}", keyword(&held.kind), column, object, grantee, option)
        });
        statements.extend(in_name_of(&item.grantor, owner, made.collect()));
    }
    statements
}

/// What a superuser grants counts as granted by the owner; anybody else's grant is made in their name.
fn in_name_of(grantor: &Ident, owner: &Ident, mut statements: Vec<Sql>) -> Vec<Sql> {
    if grantor != owner && !statements.is_empty() {
        statements.insert(0, sql!("SET LOCAL ROLE {}", grantor));
        statements.push(sql!("SET LOCAL ROLE NONE"));
    }
    statements
}

fn grants(object: &Sql, owner: &Ident, item: &AclItem) -> Vec<Sql> {
    let grantee = match &item.grantee {
        Some(role) => sql!("{}", role),
        None => sql!("PUBLIC"),
    };
    let mut statements = Vec::new();
    for grantable in [false, true] {
        let kinds: Vec<&str> =
            item.privileges.iter().filter(|p| p.grantable == grantable).map(|p| p.kind.as_str()).collect();
        if !kinds.is_empty() {
            let option = if grantable { sql!(" WITH GRANT OPTION") } else { sql!("") };
            statements.push(sql!("GRANT {} ON {} TO {}{}", keywords(&kinds), object, grantee, option));
        }
    }
    in_name_of(&item.grantor, owner, statements)
}

/// What an owner holds on a table when nothing was ever granted.
pub(crate) fn table_defaults(owner: &Ident, server_version: u32) -> Acl {
    let mut kinds = ORDER[..7].to_vec();
    if server_version >= 170_000 {
        kinds.push("MAINTAIN");
    }
    vec![entry(owner, owner, &kinds)]
}

pub(super) fn sequence_defaults(owner: &Ident) -> Acl {
    vec![entry(owner, owner, &["SELECT", "UPDATE", "USAGE"])]
}

pub(super) fn schema_defaults(owner: &Ident) -> Acl {
    vec![entry(owner, owner, &["USAGE", "CREATE"])]
}

pub(super) fn function_defaults(owner: &Ident) -> Acl {
    let mut public = entry(owner, owner, &["EXECUTE"]);
    public.grantee = None;
    vec![public, entry(owner, owner, &["EXECUTE"])]
}

pub(super) fn database_defaults(owner: &Ident) -> Acl {
    let mut public = entry(owner, owner, &["TEMPORARY", "CONNECT"]);
    public.grantee = None;
    vec![public, entry(owner, owner, &["CREATE", "TEMPORARY", "CONNECT"])]
}

fn entry(grantee: &Ident, grantor: &Ident, kinds: &[&str]) -> AclItem {
    let privileges =
        kinds.iter().map(|kind| Privilege { kind: (*kind).to_owned(), grantable: false }).collect();
    AclItem { grantee: Some(grantee.clone()), grantor: grantor.clone(), privileges }
}

/// Projects a GRANT by the owner.
pub(super) fn granted<T: AsRef<str>>(acl: &mut Acl, owner: &Ident, grantee: &Ident, privileges: &[T]) {
    let kinds: Vec<&str> = privileges.iter().map(AsRef::as_ref).collect();
    match acl.iter_mut().find(|item| item.grantee.as_ref() == Some(grantee) && item.grantor == *owner) {
        None => {
            let mut item = entry(grantee, owner, &kinds);
            sort(&mut item.privileges);
            acl.push(item);
        }
        Some(item) => {
            for kind in kinds {
                if !item.privileges.iter().any(|held| held.kind == kind) {
                    item.privileges.push(Privilege { kind: kind.to_owned(), grantable: false });
                }
            }
            sort(&mut item.privileges);
        }
    }
}

/// Projects a change of owner: entries that come to name the same two roles become one.
pub(super) fn handed_over(acl: &mut Acl, from: &Ident, to: &Ident) {
    for item in std::mem::take(acl) {
        let owned = |role: Ident| if role == *from { to.clone() } else { role };
        let (grantee, grantor) = (item.grantee.map(owned), owned(item.grantor));
        match acl.iter_mut().find(|other| other.grantee == grantee && other.grantor == grantor) {
            None => acl.push(AclItem { grantee, grantor, privileges: item.privileges }),
            Some(other) => {
                for privilege in item.privileges {
                    if !other.privileges.iter().any(|held| held.kind == privilege.kind) {
                        other.privileges.push(privilege);
                    }
                }
                sort(&mut other.privileges);
            }
        }
    }
}

/// Projects a REVOKE by the owner of one privilege from one role.
pub(super) fn revoked(acl: &mut Acl, owner: &Ident, grantee: &Ident, kind: &str) {
    for item in acl.iter_mut() {
        if item.grantee.as_ref() == Some(grantee) && item.grantor == *owner {
            item.privileges.retain(|held| held.kind != kind);
        }
    }
    acl.retain(|item| !item.privileges.is_empty());
}

/// A list that says what none would say is read as none.
pub(super) fn forget_defaults(list: &mut Option<Acl>, defaults: &Acl) {
    let same = |acl: &Acl| acl.len() == defaults.len() && defaults.iter().all(|item| acl.contains(item));
    if list.as_ref().is_some_and(same) {
        *list = None;
    }
}

/// Projects a REVOKE by the owner from PUBLIC.
pub(super) fn revoked_from_public(acl: &mut Acl, kind: &str) {
    for item in acl.iter_mut().filter(|item| item.grantee.is_none()) {
        item.privileges.retain(|held| held.kind != kind);
    }
    acl.retain(|item| !item.privileges.is_empty());
}

fn sort(privileges: &mut [Privilege]) {
    privileges.sort_by_key(|p| ORDER.iter().position(|known| *known == p.kind).unwrap_or(ORDER.len()));
}

/// `ROUTINE` covers functions, procedures and aggregates alike.
pub(super) fn routine(name: &dyn Fragment, arguments: &Sql) -> Sql {
    sql!("ROUTINE {}({})", name, arguments)
}
