//! The tenant that receives rows no evidence settles: a row of the root, made without asking for anything.

use bastide_catalog::{Catalog, Column, Table, TypeName};
use bastide_sql::{Ident, QualifiedName, Sql};

use crate::{Class, Tenant, TenantRoot, classify::uuid_from, steps::AddTenant};

const NAME: &str = "quarantine";

/// The step that adds the quarantine tenant; whether the root's constraints and triggers take it only the server knows
/// ([`crate::Survey::quarantine_refused`]).
///
/// # Errors
/// One sentence, when no value can be made for the key or for a column that must have one.
pub fn quarantine(
    catalog: &Catalog,
    root: &TenantRoot,
    class_of: impl Fn(&QualifiedName) -> Option<Class>,
) -> Result<AddTenant, String> {
    let Some(table) = catalog.table(&root.table) else {
        return Err(format!("{} is not there yet", root.table));
    };
    let id = key_value(catalog, root)?;
    let (mut values, mut borrowed) = (Vec::new(), Vec::new());
    for column in table.columns.iter().filter(|column| column.name != root.key && column.generated.is_none())
    {
        match column_value(table, column)? {
            Some(Value::Text(value)) => values.push((column.name.clone(), column.type_name.clone(), value)),
            // A reference to a scoped table would cross to whatever tenant its row has.
            Some(Value::Reference(table, theirs)) if class_of(&table) != Some(Class::Scoped) => {
                borrowed.push((column.name.clone(), table, theirs));
            }
            Some(Value::Reference(table, _)) => {
                return Err(format!(
                    "its column {} must reference a row of {table}, which is a tenant's",
                    column.name
                ));
            }
            None => {}
        }
    }
    Ok(AddTenant {
        root: root.table.clone(),
        key: root.key.clone(),
        key_type: root.key_type.clone(),
        id,
        values,
        borrowed,
        quarantine: true,
    })
}

/// The tenant that [`quarantine`] makes.
pub(crate) fn tenant(step: &AddTenant) -> Tenant {
    Tenant { id: step.id.clone(), name: NAME.to_owned(), slug: NAME.to_owned() }
}

fn key_value(catalog: &Catalog, root: &TenantRoot) -> Result<String, String> {
    Ok(match kind(&root.key_type) {
        Kind::Uuid => {
            let server = &catalog.server;
            let identity = server.system_identifier.as_deref().unwrap_or_default();
            uuid_from(&format!("{identity}/{}/{}/{NAME}", server.database_oid, root.table))
        }
        Kind::Integer | Kind::Numeric => "-1".to_owned(),
        Kind::Text => shortened(&root.key_type),
        _ => return Err(format!("no value can be made for its key {} of type {}", root.key, root.key_type)),
    })
}

/// `None`: the column takes care of itself.
fn column_value(table: &Table, column: &Column) -> Result<Option<Value>, String> {
    let kind = kind(&column.type_name);
    let names_it = ["slug", "name"].contains(&column.name.as_str()) && kind == Kind::Text;
    if names_it {
        return Ok(Some(Value::Text(shortened(&column.type_name))));
    }
    if !column.not_null || column.default.is_some() || column.identity.is_some() {
        return Ok(None);
    }
    let refers = table.foreign_keys.iter().find(|key| key.columns.contains(&column.name));
    if let Some(key) = refers {
        return match key.referenced_columns.as_slice() {
            [theirs] => Ok(Some(Value::Reference(key.references.clone(), theirs.clone()))),
            _ => Err(format!("its column {} must reference a row of {}", column.name, key.references)),
        };
    }
    Ok(Some(Value::Text(match kind {
        Kind::Text => shortened(&column.type_name),
        Kind::Uuid => uuid_from(&format!("{}/{}/{NAME}", table.name, column.name)),
        Kind::Integer | Kind::Numeric => "0".to_owned(),
        Kind::Boolean => "false".to_owned(),
        Kind::Date => "1970-01-01".to_owned(),
        Kind::Timestamp => "1970-01-01 00:00:00+00".to_owned(),
        Kind::Time => "00:00:00".to_owned(),
        Kind::Interval => "0".to_owned(),
        Kind::Json | Kind::Array => "{}".to_owned(),
        Kind::Bytes => "\\x".to_owned(),
        Kind::Network => "0.0.0.0".to_owned(),
        Kind::Other => {
            return Err(format!(
                "no value can be made for its column {} of type {}",
                column.name, column.type_name
            ));
        }
    })))
}

/// What a column of the quarantine tenant gets.
enum Value {
    Text(String),
    /// Any row of a table will do.
    Reference(QualifiedName, Ident),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Uuid,
    Integer,
    Numeric,
    Text,
    Boolean,
    Date,
    Timestamp,
    Time,
    Interval,
    Json,
    Array,
    Bytes,
    Network,
    Other,
}

/// By the name `format_type` gives, without its length.
fn kind(type_name: &TypeName) -> Kind {
    let text = type_name.as_str();
    if text.ends_with("[]") {
        return Kind::Array;
    }
    match text.split('(').next().unwrap_or(text).trim_end() {
        "uuid" => Kind::Uuid,
        "smallint" | "integer" | "bigint" => Kind::Integer,
        "numeric" | "real" | "double precision" => Kind::Numeric,
        "text" | "character varying" | "character" | "bpchar" | "citext" | "public.citext" => Kind::Text,
        "boolean" => Kind::Boolean,
        "date" => Kind::Date,
        "interval" => Kind::Interval,
        "json" | "jsonb" => Kind::Json,
        "bytea" => Kind::Bytes,
        "inet" | "cidr" => Kind::Network,
        other if other.starts_with("timestamp") => Kind::Timestamp,
        other if other.starts_with("time") => Kind::Time,
        _ => Kind::Other,
    }
}

/// As much of the name as `character varying(n)` holds.
fn shortened(type_name: &Sql) -> String {
    let length = type_name
        .as_str()
        .split_once('(')
        .and_then(|(_, rest)| rest.split_once(')'))
        .and_then(|(digits, _)| digits.parse::<usize>().ok());
    let bare_character = type_name.as_str() == "character";
    NAME.chars().take(length.unwrap_or(if bare_character { 1 } else { NAME.len() })).collect()
}

/// The value of a new root's row besides its key.
pub(crate) fn first_tenant(root: &TenantRoot, tenant: &Tenant) -> AddTenant {
    let text = || Sql::trusted("text");
    AddTenant {
        root: root.table.clone(),
        key: root.key.clone(),
        key_type: root.key_type.clone(),
        id: tenant.id.clone(),
        values: vec![
            (Ident::constant("slug"), text(), tenant.slug.clone()),
            (Ident::constant("name"), text(), tenant.name.clone()),
        ],
        borrowed: Vec::new(),
        quarantine: false,
    }
}
