//! What planning depends on, as hashes small enough to stand in a plan, yet fine enough to say what changed.

use std::{collections::BTreeMap, fmt};

use bastide_sql::Ident;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::{
    Acl, Catalog,
    aspects::{objects, role_object},
};

/// Comes and goes with Bastide's own schema.
const OUR_ROLE: &str = "bastide_owner";

/// One hash for each aspect of each object. Rows do not enter it: a plan does not grow stale by being in use.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fingerprint(BTreeMap<String, BTreeMap<String, String>>);

/// One object that is not as it was. [`Display`](fmt::Display) is a clause that starts with the object's kind and name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// For example `table public.orders`.
    pub object: String,
    pub kind: ChangeKind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    New,
    Gone,
    /// The aspects that differ, for example `columns`, `foreign keys`.
    Changed(Vec<String>),
}

impl Fingerprint {
    #[must_use]
    pub fn of(catalog: &Catalog) -> Self {
        let mut objects = objects(catalog);
        let relevant = roles_with_privileges(catalog);
        for name in catalog.roles.keys().filter(|name| !relevant.contains(name)) {
            objects.remove(&role_object(name));
        }
        let hashed = objects.into_iter().map(|(object, aspects)| {
            (object, aspects.into_iter().map(|(aspect, value)| (aspect, hash(value))).collect())
        });
        Self(hashed.collect())
    }

    /// What happened on the way from `self` to `later`, by object.
    #[must_use]
    pub fn changes(&self, later: &Self) -> Vec<Change> {
        let mut names: Vec<&String> = self.0.keys().chain(later.0.keys()).collect();
        names.sort();
        names.dedup();
        let mut changes = Vec::new();
        for name in names {
            let kind = match (self.0.get(name), later.0.get(name)) {
                (Some(before), Some(after)) if before == after => continue,
                (Some(before), Some(after)) => ChangeKind::Changed(differing(before, after)),
                (None, _) => ChangeKind::New,
                (_, None) => ChangeKind::Gone,
            };
            changes.push(Change { object: name.clone(), kind });
        }
        changes
    }
}

fn differing(before: &BTreeMap<String, String>, after: &BTreeMap<String, String>) -> Vec<String> {
    let mut aspects: Vec<String> = before.keys().chain(after.keys()).cloned().collect();
    aspects.sort();
    aspects.dedup();
    aspects.retain(|aspect| before.get(aspect) != after.get(aspect));
    aspects
}

/// 64 bits are plenty to notice a change by accident, and nobody gains by making one go unnoticed.
fn hash(mut value: Value) -> String {
    // The order of keys would otherwise hang on a feature of serde_json that any dependency may turn on.
    value.sort_all_objects();
    let digest = Sha256::digest(value.to_string());
    digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// Roles belong to the whole cluster. Those that matter here own or were granted something, are filtered by nothing, or
/// are members of, or have as members, one that matters. The server's predefined roles count by their members.
fn roles_with_privileges(catalog: &Catalog) -> Vec<&Ident> {
    let mut relevant: Vec<&Ident> = named(catalog);
    let unbound = catalog
        .roles
        .iter()
        .filter(|(_, role)| role.superuser || role.bypass_rls || role.member_of.iter().any(is_predefined));
    relevant.extend(unbound.map(|(name, _)| name));
    let mut at = 0;
    while at < relevant.len() {
        let next = relevant[at];
        let above = catalog.roles.get(next).into_iter().flat_map(|role| &role.member_of);
        let below =
            catalog.roles.iter().filter(|(_, role)| role.member_of.contains(next)).map(|(name, _)| name);
        for name in above.chain(below) {
            if !relevant.contains(&name) {
                relevant.push(name);
            }
        }
        at += 1;
    }
    relevant.retain(|name| name.as_str() != OUR_ROLE && !is_predefined(name));
    relevant
}

fn is_predefined(name: &Ident) -> bool {
    name.as_str().starts_with("pg_")
}

/// Owners, grantees and roles of policies.
fn named(catalog: &Catalog) -> Vec<&Ident> {
    fn grantees(acl: &Option<Acl>) -> impl Iterator<Item = &Ident> {
        acl.iter().flatten().filter_map(|item| item.grantee.as_ref())
    }
    let mut names = vec![&catalog.server.current_user, &catalog.server.database_owner];
    names.extend(grantees(&catalog.server.database_acl));
    for schema in catalog.schemas.values() {
        names.push(&schema.owner);
        names.extend(grantees(&schema.acl));
    }
    for table in catalog.tables.values() {
        names.push(&table.owner);
        names.extend(grantees(&table.acl));
        names.extend(table.columns.iter().flat_map(|column| grantees(&column.acl)));
        names.extend(table.policies.iter().flat_map(|policy| &policy.roles));
    }
    for view in catalog.views.values() {
        names.push(&view.owner);
        names.extend(grantees(&view.acl));
        names.extend(view.columns.iter().flat_map(|column| grantees(&column.acl)));
    }
    for sequence in catalog.sequences.values() {
        names.push(&sequence.owner);
        names.extend(grantees(&sequence.acl));
    }
    for function in &catalog.functions {
        names.push(&function.owner);
        names.extend(grantees(&function.acl));
    }
    for privilege in &catalog.default_privileges {
        names.push(&privilege.role);
        names.extend(privilege.acl.iter().filter_map(|item| item.grantee.as_ref()));
    }
    names.sort();
    names.dedup();
    names
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { object, kind } = self;
        match kind {
            ChangeKind::New => write!(f, "{object} is new"),
            ChangeKind::Gone => write!(f, "{object} is gone"),
            ChangeKind::Changed(aspects) => write!(f, "{object} changed ({})", aspects.join(", ")),
        }
    }
}
