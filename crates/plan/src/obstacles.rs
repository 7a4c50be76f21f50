//! What in the schema stands in the way of a plan, looked for before any step is planned.

use std::collections::BTreeSet;

use bastide_catalog::{Acl, AclItem, Catalog, Policy, Table, TableKind, TriggerEnabled, View};
use bastide_sql::{Ident, QualifiedName};

use crate::{
    Class, Config, LinkSurvey, Refusal, Survey,
    access::is_superuser,
    classify::Classification,
    inference::{How, SettledLink},
    phases::{KEEPER, MOVES, is_foreign_policy, is_ours, unreachable_views},
    refusal::CrossingLink,
};

const OLDEST: u32 = 150_000;
/// What row security does not filter.
const UNFILTERED: [&str; 4] = ["TRUNCATE", "REFERENCES", "TRIGGER", "MAINTAIN"];

pub(crate) fn find(
    catalog: &Catalog,
    config: &Config,
    classification: &Classification,
) -> Result<(), Refusal> {
    if catalog.server.version < OLDEST {
        return Err(Refusal::ServerVersion { version: catalog.server.version });
    }
    app_role(catalog, &config.app_role)?;
    open_beforehand(catalog, &config.app_role)?;
    for (name, classified) in &classification.tables {
        let Some(table) = catalog.table(name) else { continue };
        if classified.class == Class::Scoped {
            scoped(classification, table)?;
        }
        if classified.class == Class::Shared && table.kind == TableKind::Foreign {
            return Err(Refusal::SharedForeignTable { table: name.clone() });
        }
        open_to_public(table, classified.class)?;
    }
    for (name, why) in unreachable_views(catalog, classification, &config.app_role) {
        let privileges = catalog.views.get(&name).map(open_view).unwrap_or_default();
        if !privileges.is_empty() {
            return Err(Refusal::OpenToPublic { object: name, why, privileges });
        }
    }
    Ok(())
}

fn scoped(classification: &Classification, table: &Table) -> Result<(), Refusal> {
    let name = &table.name;
    // What a table had before the first run is asked about. What somebody added to ours since, and opens it, is not.
    let opens = |policy: &&Policy| policy.permissive && is_foreign_policy(&policy.name);
    let foreign: Vec<Ident> = table.policies.iter().filter(opens).map(|policy| policy.name.clone()).collect();
    if !foreign.is_empty() && is_ours(table) {
        return Err(Refusal::ForeignPolicies { table: name.clone(), policies: foreign });
    }
    // What we write to a table: the quarantine's row into the root, tenants into the others.
    let is_root = *name == classification.root.table;
    let filled = classification
        .tenant_column(name)
        .is_some_and(|column| table.column(&column.name).is_some_and(|column| column.not_null));
    let fires = table.triggers.iter().find(|trigger| {
        matches!(trigger.enabled, TriggerEnabled::Always | TriggerEnabled::Replica)
            && trigger.name.as_str() != MOVES
            && if is_root { trigger.on_insert } else { trigger.on_update && !filled }
    });
    if let Some(trigger) = fires {
        return Err(Refusal::TriggerAlwaysFires {
            table: name.clone(),
            trigger: trigger.name.clone(),
            enabled: trigger.enabled,
        });
    }
    let taken = |trigger: &str| {
        table.triggers.iter().any(|t| t.name.as_str() == trigger && t.function.schema.as_str() != "bastide")
    };
    if let Some(trigger) = [KEEPER, MOVES].into_iter().find(|trigger| taken(trigger)) {
        return Err(Refusal::TriggerNameTaken { table: name.clone(), trigger: Ident::constant(trigger) });
    }
    rules(classification, table)
}

/// What verification would fail for, and what would rewrite our own writes.
fn rules(classification: &Classification, table: &Table) -> Result<(), Refusal> {
    for rule in &table.rules {
        let (name, rule_name) = (table.name.clone(), rule.name.clone());
        if matches!(rule.enabled, TriggerEnabled::Always | TriggerEnabled::Replica) {
            return Err(Refusal::RuleAlwaysFires { table: name, rule: rule_name, enabled: rule.enabled });
        }
        let outside = rule.touches.iter().find(|touched| !classification.is_scoped(touched));
        if let Some(touched) = outside {
            let (touched, owner) = (touched.clone(), table.owner.clone());
            return Err(Refusal::RuleLeads {
                table: name,
                rule: rule_name,
                touched: Box::new(touched),
                owner,
            });
        }
    }
    Ok(())
}

fn open_to_public(table: &Table, class: Class) -> Result<(), Refusal> {
    let lists = table.acl.iter().chain(table.columns.iter().filter_map(|column| column.acl.as_ref()));
    let mut privileges = of_public(lists);
    let why = match class {
        Class::Scoped => {
            privileges.retain(|kind| UNFILTERED.contains(&kind.as_str()));
            "row security does not filter all that can be done to it"
        }
        Class::Shared => {
            privileges.retain(|kind| kind != "SELECT");
            "it is shared, so the application may only read it"
        }
        Class::Closed => "it is closed to the application",
    };
    if privileges.is_empty() {
        return Ok(());
    }
    Err(Refusal::OpenToPublic { object: table.name.clone(), why: why.to_owned(), privileges })
}

fn open_view(view: &View) -> Vec<String> {
    of_public(view.acl.iter().chain(view.columns.iter().filter_map(|column| column.acl.as_ref())))
}

/// Grants that open what is not there yet, and a setting that opens everything.
fn open_beforehand(catalog: &Catalog, app: &Ident) -> Result<(), Refusal> {
    const UNCHECKED: &str = "session_replication_role";
    if catalog.server.public_parameters.iter().any(|parameter| parameter == UNCHECKED) {
        return Err(Refusal::ParameterOpenToPublic { parameter: UNCHECKED.to_owned() });
    }
    for default in catalog.default_privileges.iter().filter(|default| default.object == 'r') {
        let to_app = |item: &&AclItem| item.grantee.as_ref().is_none_or(|grantee| grantee == app);
        let Some(item) = default.acl.iter().find(to_app) else { continue };
        return Err(Refusal::OpenByDefault {
            role: default.role.clone(),
            schema: default.schema.clone(),
            grantee: item.grantee.clone(),
            privileges: item.privileges.iter().map(|privilege| privilege.kind.clone()).collect(),
        });
    }
    Ok(())
}

fn of_public<'a>(lists: impl Iterator<Item = &'a Acl>) -> Vec<String> {
    let items = lists.flatten().filter(|item| item.grantee.is_none());
    let kinds: BTreeSet<String> =
        items.flat_map(|item| item.privileges.iter().map(|privilege| privilege.kind.clone())).collect();
    kinds.into_iter().collect()
}

/// An application's login that is there already must be bound by row security, and own nothing.
fn app_role(catalog: &Catalog, name: &Ident) -> Result<(), Refusal> {
    let refuse = |why: String| Err(Refusal::AppRole { role: name.clone(), why });
    let Some(role) = catalog.roles.get(name) else { return Ok(()) };
    if is_superuser(catalog, name) {
        return refuse("is a superuser, whom row security does not bind".to_owned());
    }
    if role.bypass_rls {
        return refuse("has BYPASSRLS, so row security does not bind it".to_owned());
    }
    if role.create_role || role.replication {
        return refuse("has CREATEROLE or REPLICATION, by which it can get around row security".to_owned());
    }
    if !role.login {
        return refuse("cannot log in (NOLOGIN)".to_owned());
    }
    if let Some(other) = role.member_of.first() {
        return refuse(format!("is a member of {other}, whose rights it can take"));
    }
    if let Some(owned) = owned_by(catalog, name) {
        return refuse(format!("owns {owned}"));
    }
    Ok(())
}

fn owned_by(catalog: &Catalog, role: &Ident) -> Option<String> {
    let tables = catalog.tables.values().map(|table| (&table.owner, &table.name));
    let views = catalog.views.values().map(|view| (&view.owner, &view.name));
    let functions = catalog.functions.iter().map(|function| (&function.owner, &function.name));
    let objects = tables.chain(views).chain(functions).find(|(owner, _)| *owner == role);
    let schemas = || catalog.schemas.iter().find(|(_, schema)| schema.owner == *role);
    objects
        .map(|(_, name)| name.to_string())
        .or_else(|| schemas().map(|(name, _)| format!("the schema {name}")))
}

/// Links on which more than 1 % of a table's rows cross mean that the root is no boundary; but for rows that several
/// tenants use, as the operator said, and are to have a copy of each.
pub(crate) fn boundary(
    catalog: &Catalog,
    survey: &Survey,
    root: &QualifiedName,
    settled: &[SettledLink],
) -> Result<(), Refusal> {
    let copied = |link: &LinkSurvey| {
        settled.iter().any(|answer| {
            matches!(answer.how, How::Copy(_))
                && answer.table == link.table
                && answer.foreign_key == link.foreign_key
        })
    };
    let links: Vec<CrossingLink> = survey
        .links
        .iter()
        .filter(|link| !copied(link))
        .map(|link| CrossingLink {
            link: link.clone(),
            table_rows: rows_of(catalog, survey, &link.table).max(link.rows),
        })
        .filter(|crossing| crossing.link.crossing * 100 > crossing.table_rows)
        .collect();
    if links.is_empty() {
        Ok(())
    } else {
        Err(Refusal::NotABoundary { root: root.clone(), links, better: None })
    }
}

/// Of the table itself, or of its partitions.
pub(crate) fn rows_of(catalog: &Catalog, survey: &Survey, table: &QualifiedName) -> u64 {
    if let Some(found) = survey.tables.get(table) {
        return found.rows;
    }
    let partitions = catalog.table(table).filter(|table| !table.holds_rows());
    partitions.into_iter().flat_map(|table| &table.children).map(|leaf| rows_of(catalog, survey, leaf)).sum()
}

#[cfg(test)]
mod tests;
