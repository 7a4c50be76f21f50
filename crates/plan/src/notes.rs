//! What the operator should know about a database that stops no plan.

use std::collections::BTreeMap;

use bastide_catalog::Catalog;
use bastide_sql::Ident;

use crate::{
    Class, Config,
    access::{holds, is_superuser, is_unfiltered, logins as logins_of},
    classify::Classification,
};

pub(crate) fn of(catalog: &Catalog, config: &Config, classification: &Classification) -> Vec<String> {
    let mut notes = Vec::new();
    owners(catalog, classification, &mut notes);
    logins(catalog, config, &mut notes);
    rules(catalog, classification, &mut notes);
    references(catalog, classification, &mut notes);
    notes.extend(unbound_functions(catalog, &config.app_role));
    declared(config, classification, &mut notes);
    let awake = catalog.event_triggers.iter().filter(|trigger| trigger.fires());
    let names: Vec<Ident> = awake.map(|trigger| trigger.name.clone()).collect();
    if !names.is_empty() {
        let names = listed(&names);
        notes.push(format!("event triggers see every step that changes the schema: {names}"));
    }
    notes
}

/// Functions through which a login that row security binds still does what their owners may: what they touch is in their
/// bodies, which nobody can read for sure, so they are named and left as they are.
#[must_use]
pub fn unbound_functions(catalog: &Catalog, app: &Ident) -> Vec<String> {
    let mut notes = Vec::new();
    for function in &catalog.functions {
        let ours = function.name.schema.as_str() == "bastide" || function.extension.is_some();
        if ours
            || !function.security_definer
            || function.returns_trigger
            || !is_unfiltered(catalog, &function.owner)
        {
            continue;
        }
        let may = |login: &&Ident| holds(catalog, login, &function.owner, function.acl.as_ref(), "EXECUTE");
        let everybody = function.acl.is_none();
        let users: Vec<Ident> = logins_of(catalog, app)
            .filter(|login| !is_unfiltered(catalog, login))
            .filter(|login| everybody || may(login))
            .cloned()
            .collect();
        if !users.is_empty() {
            notes.push(format!(
                "{}({}) runs as {}, whom no policy binds, and {} may run it, after cutover too: read what it does, and take \
                 EXECUTE away where that is too much",
                function.name,
                function.arguments,
                function.owner,
                listed(&users)
            ));
        }
    }
    notes
}

/// A reference that leads nowhere says nothing, and one that no key enforces says it only until somebody writes otherwise.
fn declared(config: &Config, classification: &Classification, notes: &mut Vec<String>) {
    for reference in &config.declared.references {
        let (from, to) = (&reference.table, &reference.references);
        let columns: Vec<String> = reference.columns.iter().map(ToString::to_string).collect();
        let outside = [from, to].into_iter().find(|table| !classification.is_scoped(table));
        notes.push(match outside {
            Some(table) => format!(
                "the declared reference of {from} ({}) to {to} says nothing of tenants, since {table} is not scoped",
                columns.join(", ")
            ),
            None => format!(
                "the declared reference of {from} ({}) to {to} carries evidence, but no key of the schema will hold it inside a tenant",
                columns.join(", ")
            ),
        });
    }
}

fn owners(catalog: &Catalog, classification: &Classification, notes: &mut Vec<String>) {
    let mut owned: BTreeMap<&Ident, usize> = BTreeMap::new();
    for table in catalog.tables.values().filter(|table| classification.is_scoped(&table.name)) {
        if is_superuser(catalog, &table.owner) {
            *owned.entry(&table.owner).or_default() += 1;
        }
    }
    for (owner, tables) in owned {
        let tables = if tables == 1 {
            "1 scoped table belongs".to_owned()
        } else {
            format!("{tables} scoped tables belong")
        };
        notes.push(format!("{tables} to the superuser {owner}, whom row security never binds"));
    }
}

fn logins(catalog: &Catalog, config: &Config, notes: &mut Vec<String>) {
    for (name, role) in catalog.roles.iter().filter(|(name, role)| role.login && **name != config.app_role) {
        if *name == catalog.server.current_user {
            continue;
        }
        if role.superuser {
            notes.push(format!(
                "the login {name} is a superuser: cutover cannot bind it; give its users another login"
            ));
        } else if role.bypass_rls {
            notes.push(format!("the login {name} has BYPASSRLS: cutover cannot bind it"));
        }
    }
}

fn rules(catalog: &Catalog, classification: &Classification, notes: &mut Vec<String>) {
    for table in catalog.tables.values().filter(|table| classification.is_scoped(&table.name)) {
        if !table.rules.is_empty() {
            let names: Vec<Ident> = table.rules.iter().map(|rule| rule.name.clone()).collect();
            let (name, rules) = (&table.name, listed(&names));
            notes.push(format!("{name} has rules, which act with its owner's rights: {rules}"));
        }
    }
}

/// Foreign keys between a scoped table and one that is not.
fn references(catalog: &Catalog, classification: &Classification, notes: &mut Vec<String>) {
    for table in catalog.tables.values() {
        let Some(own) = classification.class(&table.name) else { continue };
        for key in table.foreign_keys.iter().filter(|key| !key.inherited) {
            let Some(theirs) = classification.class(&key.references) else { continue };
            let (name, key, other) = (&table.name, &key.name, &key.references);
            match (own, theirs) {
                (Class::Scoped, Class::Closed) => notes.push(format!(
                    "{name} references {other} by {key}, which is closed: the application can tell whether a key is there"
                )),
                (Class::Shared | Class::Closed, Class::Scoped) => notes.push(format!(
                    "{name}, which is {own}, references the scoped {other} by {key}; the key stays as it is"
                )),
                _ => {}
            }
        }
    }
}

fn listed(names: &[Ident]) -> String {
    names.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
