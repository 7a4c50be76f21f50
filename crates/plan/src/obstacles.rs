//! What in the schema stands in the way of a plan, looked for before any step is planned.

use std::collections::{BTreeMap, BTreeSet};

use bastide_catalog::{
    Acl, AclItem, Catalog, DECISIVE_PARAMETERS, FunctionKind, Policy, Table, TableKind, TriggerEnabled,
    Volatility,
};
use bastide_sql::{Ident, QualifiedName};

use crate::{
    Class, Config, LinkSurvey, Refusal, Survey,
    access::{is_superuser, of_app},
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
    preset(catalog, &config.app_role)?;
    schemas(catalog, &config.app_role)?;
    pure_context_reader(catalog)?;
    definers(catalog, &config.app_role)?;
    for (name, classified) in &classification.tables {
        let Some(table) = catalog.table(name) else { continue };
        if classified.class == Class::Scoped {
            scoped(classification, table)?;
        }
        if classified.class == Class::Shared && table.kind == TableKind::Foreign {
            return Err(Refusal::SharedForeignTable { table: name.clone() });
        }
        open(table, classified.class, &config.app_role)?;
    }
    sequences(catalog, classification, &config.app_role)?;
    let unreachable: BTreeMap<QualifiedName, String> =
        unreachable_views(catalog, classification, &config.app_role).into_iter().collect();
    for view in catalog.views.values() {
        let lists = || view.acl.iter().chain(view.columns.iter().filter_map(|column| column.acl.as_ref()));
        if let Some(why) = unreachable.get(&view.name) {
            let why = why.clone();
            refuse(of_app(lists(), &config.app_role), &view.name, why, &config.app_role)?;
        } else if !view.rules.is_empty() {
            let mut open = of_app(lists(), &config.app_role);
            open.retain(|(_, kind)| ["INSERT", "UPDATE", "DELETE"].contains(&kind.as_str()));
            let why = "its rules write with the rights of its owner".to_owned();
            refuse(open, &view.name, why, &config.app_role)?;
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

fn open(table: &Table, class: Class, app: &Ident) -> Result<(), Refusal> {
    let lists = table.acl.iter().chain(table.columns.iter().filter_map(|column| column.acl.as_ref()));
    let mut open = of_app(lists, app);
    let why = match class {
        Class::Scoped => {
            open.retain(|(_, kind)| UNFILTERED.contains(&kind.as_str()));
            "row security does not filter all that can be done to it"
        }
        Class::Shared => {
            open.retain(|(_, kind)| kind != "SELECT");
            "it is shared, so the application may only read it"
        }
        Class::Closed => "it is closed to the application",
    };
    refuse(open, &table.name, why.to_owned(), app)?;
    let passed_on = table.acl.iter().flatten().filter(|item| item.grantee.as_ref() == Some(app));
    match passed_on.flat_map(|item| &item.privileges).find(|privilege| privilege.grantable) {
        Some(_) if class == Class::Scoped => Err(Refusal::AppRole {
            role: app.clone(),
            why: format!("may grant {} to others (WITH GRANT OPTION)", table.name),
        }),
        _ => Ok(()),
    }
}

/// PUBLIC's first: with them taken away, the login's own are left.
fn refuse(
    open: BTreeSet<(Option<Ident>, String)>,
    object: &QualifiedName,
    why: String,
    app: &Ident,
) -> Result<(), Refusal> {
    let of = |grantee: Option<&Ident>| -> Vec<String> {
        let open = open.iter().filter(|(held_by, _)| held_by.as_ref() == grantee);
        open.map(|(_, kind)| kind.clone()).collect()
    };
    let (public, own) = (of(None), of(Some(app)));
    if !public.is_empty() {
        return Err(Refusal::OpenToPublic { object: object.clone(), why, privileges: public });
    }
    if !own.is_empty() {
        let (object, role) = (object.to_string(), app.clone());
        return Err(Refusal::OpenToApp { object, why, privileges: own, role });
    }
    Ok(())
}

/// Whoever may set one makes the inserts of every tenant fail.
fn sequences(catalog: &Catalog, classification: &Classification, app: &Ident) -> Result<(), Refusal> {
    for (name, sequence) in &catalog.sequences {
        let Some((table, _)) =
            sequence.owned_by.as_ref().filter(|(table, _)| classification.is_scoped(table))
        else {
            continue;
        };
        let mut open = of_app(sequence.acl.iter(), app);
        open.retain(|(_, kind)| kind == "UPDATE");
        let why = format!(
            "it numbers the rows of {table}, and whoever resets it makes every tenant's inserts fail"
        );
        refuse(open, name, why, app)?;
    }
    Ok(())
}

/// What PUBLIC has is what databases from before PostgreSQL 15 come with. What the login has, it was given.
fn schemas(catalog: &Catalog, app: &Ident) -> Result<(), Refusal> {
    let given = |acl: &Option<Acl>, object: String, why: &str| {
        let open = of_app(acl.iter(), app);
        let role = app.clone();
        match open.contains(&(Some(role.clone()), "CREATE".to_owned())) {
            true => Err(Refusal::OpenToApp {
                object,
                why: why.to_owned(),
                privileges: vec!["CREATE".to_owned()],
                role,
            }),
            false => Ok(()),
        }
    };
    for (name, schema) in &catalog.schemas {
        given(&schema.acl, format!("SCHEMA {name}"), "what is made there, others run and trust")?;
    }
    let server = &catalog.server;
    given(&server.database_acl, format!("DATABASE {}", server.database), "a schema made there is one's own")
}

/// Settings that decide whose rows a connection sees, or whether policies and keys hold for it.
fn preset(catalog: &Catalog, app: &Ident) -> Result<(), Refusal> {
    const DECISIVE: [&str; 4] = ["bastide.tenant", "role", "session_replication_role", "row_security"];
    let find = |settings: &[String]| {
        let mut names = settings.iter().map(|setting| setting.split('=').next().unwrap_or_default());
        names.find(|name| DECISIVE.contains(&name.to_ascii_lowercase().as_str())).map(str::to_owned)
    };
    let database = &catalog.server.database;
    if let Some(setting) = find(&catalog.server.database_settings) {
        let reset = format!("ALTER DATABASE {database} RESET {setting}");
        return Err(Refusal::Preset { of: format!("the database {database}"), setting, reset });
    }
    match catalog.roles.get(app).and_then(|role| find(&role.settings)) {
        Some(setting) => Err(Refusal::Preset {
            of: format!("the application's login {app}"),
            reset: format!("ALTER ROLE {app} RESET {setting}"),
            setting,
        }),
        None => Ok(()),
    }
}

/// What PUBLIC may run is taken from it by a step. What the login may run by name, somebody meant.
fn definers(catalog: &Catalog, app: &Ident) -> Result<(), Refusal> {
    let mut definers = catalog.functions.iter().filter(|function| {
        function.security_definer && !function.returns_trigger && function.extension.is_none()
    });
    let named = (Some(app.clone()), "EXECUTE".to_owned());
    match definers.find(|function| of_app(function.acl.iter(), app).contains(&named)) {
        Some(function) => Err(Refusal::OpenToApp {
            object: format!("ROUTINE {}({})", function.name, function.arguments),
            why: format!("it is SECURITY DEFINER and reads as {}, whoever calls it", function.owner),
            privileges: vec!["EXECUTE".to_owned()],
            role: app.clone(),
        }),
        None => Ok(()),
    }
}

/// As verification looks for them: by the words of the context.
fn pure_context_reader(catalog: &Catalog) -> Result<(), Refusal> {
    let pure = catalog.functions.iter().find(|function| {
        let source = function.source.to_lowercase();
        let reads = source.contains("current_tenant") || source.contains("bastide.tenant");
        function.volatility == Volatility::Immutable && reads && function.kind != FunctionKind::Aggregate
    });
    match pure {
        Some(function) => {
            let function = format!("{}({})", function.name, function.arguments);
            Err(Refusal::PureContextReader { function })
        }
        None => Ok(()),
    }
}

/// Grants that open what is not there yet, and a setting that opens everything.
fn open_beforehand(catalog: &Catalog, app: &Ident) -> Result<(), Refusal> {
    let opens = |parameter: &&String| DECISIVE_PARAMETERS.contains(&parameter.as_str());
    if let Some(parameter) = catalog.server.public_parameters.iter().find(opens) {
        return Err(Refusal::ParameterOpenToPublic { parameter: parameter.clone() });
    }
    let to_app = |item: &&AclItem| item.grantee.as_ref().is_none_or(|grantee| grantee == app);
    for default in catalog.default_privileges.iter().filter(|default| default.object == 'n') {
        let creates = |item: &&AclItem| item.privileges.iter().any(|privilege| privilege.kind == "CREATE");
        if let Some(item) = default.acl.iter().filter(to_app).find(creates) {
            let (role, grantee) = (default.role.clone(), item.grantee.clone());
            return Err(Refusal::SchemasOpenByDefault { role, grantee });
        }
    }
    for default in catalog.default_privileges.iter().filter(|default| default.object == 'r') {
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
    if role.create_db {
        return refuse("has CREATEDB, by which it can copy a database it is let into".to_owned());
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
    let sequences = catalog.sequences.iter().map(|(name, sequence)| (&sequence.owner, name));
    let objects = tables.chain(views).chain(functions).chain(sequences).find(|(owner, _)| *owner == role);
    let database = &catalog.server;
    let schemas = || catalog.schemas.iter().find(|(_, schema)| schema.owner == *role);
    objects
        .map(|(_, name)| name.to_string())
        .or_else(|| schemas().map(|(name, _)| format!("the schema {name}")))
        .or_else(|| (database.database_owner == *role).then(|| format!("the database {}", database.database)))
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
