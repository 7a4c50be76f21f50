//! A catalog taken apart into named objects and, of each, named aspects: the form in which two catalogs are compared,
//! by hash ([`Fingerprint`](crate::Fingerprint)) or in full ([`Catalog::diff`]).
//!
//! Every struct is destructured without `..`, so that a new field of the model must be given its place here. Left out
//! are only what rows change or what never means anything: OIDs, row estimates and sizes.

use std::collections::BTreeMap;

use bastide_sql::Ident;
use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    Acl, Catalog, Column, DefaultPrivilege, Function, Publication, Role, Schema, Sequence, Server,
    Subscription, Table, View,
};

/// By the object as a message names it, for example `table public.orders`.
pub(crate) type Objects = BTreeMap<String, Aspects>;

/// What is absent, empty or false has no entry.
pub(crate) type Aspects = BTreeMap<String, Value>;

pub(crate) fn objects(catalog: &Catalog) -> Objects {
    let Catalog {
        server,
        schemas,
        tables,
        views,
        sequences,
        functions,
        roles,
        default_privileges,
        publications,
        subscriptions,
        event_triggers,
    } = catalog;
    let mut objects = Objects::new();
    of_server(server, &mut objects);
    objects.extend(schemas.iter().map(|(name, schema)| (format!("schema {name}"), of_schema(schema))));
    objects.extend(tables.values().map(|table| (format!("table {}", table.name), of_table(table))));
    for view in views.values() {
        let kind = if view.materialised { "materialised view" } else { "view" };
        objects.insert(format!("{kind} {}", view.name), of_view(view));
    }
    objects
        .extend(sequences.iter().map(|(name, sequence)| (format!("sequence {name}"), of_sequence(sequence))));
    of_functions(functions, &mut objects);
    objects.extend(roles.iter().map(|(name, role)| (role_object(name), of_role(role))));
    for privilege in default_privileges {
        let (name, aspects) = of_default_privilege(privilege);
        objects.insert(name, aspects);
    }
    for Publication { name, all_tables, tables, listed } in publications {
        let aspects =
            Build::new().with("scope", all_tables).with("tables", tables).with("column lists", listed).done();
        objects.insert(format!("publication {name}"), aspects);
    }
    for Subscription { name, enabled, tables } in subscriptions {
        let aspects = Build::new().with("enabled", enabled).with("tables", tables).done();
        objects.insert(format!("subscription {name}"), aspects);
    }
    for trigger in event_triggers {
        // Of what a trigger calls nothing is planned by; that it is there, and asleep or not, is told.
        let aspects = Build::new().with("asleep", !trigger.fires()).done();
        objects.insert(format!("event trigger {}", trigger.name), aspects);
    }
    objects
}

pub(crate) fn role_object(name: &Ident) -> String {
    format!("role {name}")
}

/// Which server it is (its identity, the database's name, who reads) is no aspect: that is compared by itself where a
/// plan is bound to its database. Minor releases change nothing we plan.
fn of_server(server: &Server, objects: &mut Objects) {
    let Server {
        version,
        database: _,
        current_user: _,
        system_identifier: _,
        database_oid: _,
        database_owner,
        database_acl,
        database_settings,
        public_parameters,
        sealed_context,
        extensions,
    } = server;
    let aspects = Build::new()
        .with("major version", version / 10_000)
        .with("owner", database_owner)
        .with("grants", grants(database_acl, &[]))
        .with("settings", database_settings)
        .with("parameters PUBLIC may set", public_parameters)
        .with("sealed tenant context", sealed_context)
        .done();
    objects.insert("the database".to_owned(), aspects);
    for (name, version) in extensions {
        objects.insert(extension_object(name), Build::new().with("version", version).done());
    }
}

fn extension_object(name: &str) -> String {
    format!("extension {name}")
}

fn of_schema(schema: &Schema) -> Aspects {
    let Schema { owner, acl } = schema;
    Build::new().with("owner", owner).with("grants", grants(acl, &[])).done()
}

fn of_table(table: &Table) -> Aspects {
    let Table {
        name: _,
        oid: _,
        kind,
        owner,
        acl,
        columns,
        keys,
        foreign_keys,
        checks,
        indexes,
        triggers,
        rules,
        policies,
        row_security,
        force_row_security,
        partition_columns,
        parents,
        children,
        of_type,
        estimated_rows: _,
        bytes: _,
        persistence,
    } = table;
    Build::new()
        .with("kind", kind)
        .with("owner", owner)
        .with("grants", grants(acl, columns))
        .with("columns", shapes(columns))
        .with("keys", keys)
        .with("foreign keys", foreign_keys)
        .with("checks", checks)
        .with("indexes", indexes)
        .with("triggers", triggers)
        .with("rules", rules)
        .with("policies", policies)
        .with("row security", row_security)
        .with("forced row security", force_row_security)
        .with("partition key", partition_columns)
        .with("parents", parents)
        .with("children", children)
        .with("row type", of_type)
        .with("persistence", persistence)
        .done()
}

fn of_view(view: &View) -> Aspects {
    let View {
        name: _,
        materialised: _,
        owner,
        acl,
        columns,
        security_invoker,
        security_barrier,
        options,
        reads,
        has_unique_index,
        triggers,
        rules,
        definition,
    } = view;
    Build::new()
        .with("owner", owner)
        .with("grants", grants(acl, columns))
        .with("columns", shapes(columns))
        .with("security_invoker", security_invoker)
        .with("security_barrier", security_barrier)
        .with("options", options)
        .with("tables read", reads)
        .with("unique index", has_unique_index)
        .with("triggers", triggers)
        .with("rules", rules)
        .with("definition", definition)
        .done()
}

fn of_sequence(sequence: &Sequence) -> Aspects {
    let Sequence { owner, acl, owned_by } = sequence;
    Build::new().with("owner", owner).with("grants", grants(acl, &[])).with("column", owned_by).done()
}

/// An extension's functions count as one aspect of the extension: there may be thousands.
fn of_functions(functions: &[Function], objects: &mut Objects) {
    let mut of_extensions: BTreeMap<&str, Vec<&Function>> = BTreeMap::new();
    for function in functions {
        let Function {
            name,
            arguments,
            kind,
            owner,
            acl,
            security_definer,
            leakproof,
            volatility,
            language,
            settings,
            returns_trigger,
            extension,
            source,
        } = function;
        if let Some(extension) = extension {
            of_extensions.entry(extension).or_default().push(function);
            continue;
        }
        let aspects = Build::new()
            .with("kind", kind)
            .with("owner", owner)
            .with("grants", grants(acl, &[]))
            .with("security definer", security_definer)
            .with("leakproof", leakproof)
            .with("volatility", volatility)
            .with("language", language)
            .with("settings", settings)
            .with("result", returns_trigger)
            .with("body", source)
            .done();
        objects.insert(format!("function {name}({arguments})"), aspects);
    }
    for (extension, functions) in of_extensions {
        let aspects = Build::new().with("functions", functions).done();
        objects.entry(extension_object(extension)).or_default().extend(aspects);
    }
}

fn of_role(role: &Role) -> Aspects {
    let Role {
        superuser,
        bypass_rls,
        create_role,
        create_db,
        replication,
        login,
        inherit,
        member_of,
        settings,
    } = role;
    Build::new()
        .with("superuser", superuser)
        .with("bypassrls", bypass_rls)
        .with("createrole", create_role)
        .with("createdb", create_db)
        .with("replication", replication)
        .with("login", login)
        .with("inherit", inherit)
        .with("memberships", member_of)
        .with("settings", settings)
        .done()
}

fn of_default_privilege(privilege: &DefaultPrivilege) -> (String, Aspects) {
    let DefaultPrivilege { role, schema, object, acl } = privilege;
    let kind = match object {
        'r' => "tables",
        'S' => "sequences",
        'f' => "functions",
        'T' => "types",
        'n' => "schemas",
        'L' => "large objects",
        _ => "other objects",
    };
    let place = schema.as_ref().map(|schema| format!(" in schema {schema}")).unwrap_or_default();
    let grants = json!({ "object": to_value(acl) });
    (format!("default privileges of {role} on {kind}{place}"), Build::new().with("grants", grants).done())
}

/// `None` (the built-in defaults) and an empty list (everything revoked) are different things.
fn grants(acl: &Option<Acl>, columns: &[Column]) -> Option<Value> {
    let mut grants = serde_json::Map::new();
    if let Some(acl) = acl {
        grants.insert("object".to_owned(), to_value(acl));
    }
    for column in columns {
        if let Some(acl) = &column.acl {
            grants.insert(format!("column {}", column.name), to_value(acl));
        }
    }
    (!grants.is_empty()).then_some(Value::Object(grants))
}

/// Columns without their grants, which are counted among the table's.
fn shapes(columns: &[Column]) -> Vec<Column> {
    columns.iter().map(|column| Column { acl: None, ..column.clone() }).collect()
}

fn to_value(value: &impl Serialize) -> Value {
    serde_json::to_value(value).expect("the model is plain data whose maps have string keys")
}

struct Build(Aspects);

impl Build {
    fn new() -> Self {
        Self(Aspects::new())
    }

    fn with(mut self, name: &str, value: impl Serialize) -> Self {
        let value = to_value(&value);
        let absent = match &value {
            Value::Null | Value::Bool(false) => true,
            Value::Array(items) => items.is_empty(),
            Value::String(text) => text.is_empty(),
            Value::Bool(true) | Value::Number(_) | Value::Object(_) => false,
        };
        if !absent {
            self.0.insert(name.to_owned(), value);
        }
        self
    }

    fn done(self) -> Aspects {
        self.0
    }
}
