//! Rows of the root that the plan makes: the tenant that receives what no evidence settles, and tenants it proposes. Made
//! from the catalog alone; whether the root's constraints and triggers take them only the server knows.

use bastide_catalog::{Catalog, Column, Table, TypeName};
use bastide_sql::{Ident, QualifiedName, Sql};

use crate::{
    Class, Proposal, Tenant, TenantRoot,
    classify::{slug, uuid_from},
    steps::AddTenant,
};

const NAME: &str = "quarantine";

/// The step that adds the quarantine tenant ([`crate::Survey::quarantine_refused`]).
///
/// # Errors
/// One sentence, when no value can be made for the key or for a column that must have one.
pub fn quarantine(
    catalog: &Catalog,
    root: &TenantRoot,
    class_of: impl Fn(&QualifiedName) -> Option<Class>,
) -> Result<AddTenant, String> {
    let id = key_value(catalog, root, NAME, "-1".to_owned())?;
    let step = row(catalog, root, class_of, id, &Named { name: NAME, slug: NAME })?;
    Ok(AddTenant { quarantine: true, ..step })
}

/// The step that adds a proposed tenant ([`crate::Proposal`]). Its id follows from the row that stands for it, so that a plan
/// made again names the same tenant.
///
/// # Errors
/// As [`quarantine`].
pub fn proposed(
    catalog: &Catalog,
    root: &TenantRoot,
    class_of: impl Fn(&QualifiedName) -> Option<Class>,
    proposal: &Proposal,
) -> Result<AddTenant, String> {
    let seed = format!("{}/{}", proposal.table, proposal.key.join("/"));
    made(catalog, root, class_of, &seed, &Named { name: &proposal.name, slug: &proposal.slug })
}

/// The step that adds a category's tenant.
pub(crate) fn of_category(
    catalog: &Catalog,
    root: &TenantRoot,
    class_of: impl Fn(&QualifiedName) -> Option<Class>,
    category: &str,
) -> Result<AddTenant, String> {
    let slug = slug(category);
    made(catalog, root, class_of, &format!("category/{category}"), &Named { name: category, slug: &slug })
}

fn made(
    catalog: &Catalog,
    root: &TenantRoot,
    class_of: impl Fn(&QualifiedName) -> Option<Class>,
    seed: &str,
    named: &Named<'_>,
) -> Result<AddTenant, String> {
    let room = if root.key_type.as_str() == "smallint" { 4 } else { 8 };
    let digits = uuid_from(seed).chars().filter(char::is_ascii_digit).take(room).collect::<String>();
    // Negative, so that the root's sequence never meets it; -1 is quarantine's.
    let number = format!("-{}", 2 + digits.parse::<u32>().unwrap_or(0));
    let id = match kind(&root.key_type) {
        Kind::Text => shortened(&root.key_type, named.slug),
        _ => key_value(catalog, root, seed, number)?,
    };
    row(catalog, root, class_of, id, named)
}

/// The column of the root that holds a tenant's slug, if one is so called.
#[must_use]
pub fn slug_column<'a>(catalog: &'a Catalog, root: &TenantRoot) -> Option<&'a Ident> {
    let columns = &catalog.table(&root.table)?.columns;
    columns.iter().map(|column| &column.name).find(|name| name.as_str() == "slug")
}

struct Named<'a> {
    name: &'a str,
    slug: &'a str,
}

fn row(
    catalog: &Catalog,
    root: &TenantRoot,
    class_of: impl Fn(&QualifiedName) -> Option<Class>,
    id: String,
    named: &Named<'_>,
) -> Result<AddTenant, String> {
    let Some(table) = catalog.table(&root.table) else {
        return Err(format!("{} is not there yet", root.table));
    };
    let (mut values, mut borrowed) = (Vec::new(), Vec::new());
    for column in table.columns.iter().filter(|column| column.name != root.key && column.generated.is_none())
    {
        match column_value(table, column, named)? {
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
        quarantine: false,
    })
}

/// The tenant that [`quarantine`] makes.
pub(crate) fn tenant(step: &AddTenant) -> Tenant {
    Tenant { id: step.id.clone(), name: NAME.to_owned(), slug: NAME.to_owned() }
}

fn key_value(catalog: &Catalog, root: &TenantRoot, seed: &str, number: String) -> Result<String, String> {
    Ok(match kind(&root.key_type) {
        Kind::Uuid => {
            let server = &catalog.server;
            let identity = server.system_identifier.as_deref().unwrap_or_default();
            uuid_from(&format!("{identity}/{}/{}/{seed}", server.database_oid, root.table))
        }
        Kind::Integer | Kind::Numeric => number,
        Kind::Text => shortened(&root.key_type, seed),
        _ => return Err(format!("no value can be made for its key {} of type {}", root.key, root.key_type)),
    })
}

/// `None`: the column takes care of itself.
fn column_value(table: &Table, column: &Column, named: &Named<'_>) -> Result<Option<Value>, String> {
    let kind = kind(&column.type_name);
    let text = match column.name.as_str() {
        "slug" => Some(named.slug),
        "name" => Some(named.name),
        _ => None,
    };
    if let Some(text) = text.filter(|_| kind == Kind::Text) {
        return Ok(Some(Value::Text(shortened(&column.type_name, text))));
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
        Kind::Text => shortened(&column.type_name, named.slug),
        Kind::Uuid => uuid_from(&format!("{}/{}/{}", table.name, column.name, named.slug)),
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

/// As much of the text as `character varying(n)` holds.
fn shortened(type_name: &Sql, text: &str) -> String {
    text.chars().take(length(type_name).unwrap_or(usize::MAX)).collect()
}

fn length(type_name: &Sql) -> Option<usize> {
    let declared = type_name
        .as_str()
        .split_once('(')
        .and_then(|(_, rest)| rest.split_once(')'))
        .and_then(|(digits, _)| digits.parse::<usize>().ok());
    declared.or((type_name.as_str() == "character").then_some(1))
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
