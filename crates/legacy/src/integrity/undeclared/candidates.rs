//! Which columns could be a foreign key that nobody declared, and to which keys: by type, then by name.

use std::collections::BTreeSet;

use bastide_catalog::{Column, Table, TypeName};
use bastide_plan::Config;
use bastide_sql::{Ident, QualifiedName};

use super::names::speaks_of;

/// Columns of one table, and the keys whose type they have.
pub(crate) struct Candidate<'a> {
    pub(crate) table: &'a Table,
    pub(crate) columns: Vec<Ident>,
    pub(crate) family: Family,
    pub(crate) keys: Vec<CandidateKey<'a>>,
}

pub(crate) struct CandidateKey<'a> {
    pub(crate) table: &'a Table,
    pub(crate) columns: Vec<Ident>,
    pub(crate) named: bool,
}

/// Types whose values may be compared.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Family {
    /// Of these, small ones are in every key.
    Integers,
    Text,
    /// One type of its own: uuid, citext, a domain, an enum.
    Only(TypeName),
    /// Several columns, each of a comparable type.
    Composite,
}

/// Never a key that others refer to, or without equality.
const NO_KEYS: [&str; 16] = [
    "boolean",
    "date",
    "time",
    "timestamp",
    "interval",
    "real",
    "double",
    "json",
    "jsonb",
    "xml",
    "bytea",
    "point",
    "tsvector",
    "tsquery",
    "bit",
    "money",
];

pub(crate) fn family(type_name: &TypeName) -> Option<Family> {
    let name = type_name.as_str();
    let bare = name.split([' ', '(']).next().unwrap_or(name);
    match name {
        "smallint" | "integer" | "bigint" => Some(Family::Integers),
        _ if name.ends_with("[]") || NO_KEYS.contains(&bare) => None,
        _ if name == "text" || name.starts_with("character") => Some(Family::Text),
        // Numbers all the same, and as telling as those.
        _ if bare == "numeric" => Some(Family::Only(TypeName::trusted("numeric"))),
        _ => Some(Family::Only(type_name.clone())),
    }
}

impl Family {
    /// Whether being contained says little by itself.
    pub(crate) fn is_number(&self) -> bool {
        match self {
            Self::Integers => true,
            Self::Only(name) => name.as_str() == "numeric",
            Self::Text | Self::Composite => false,
        }
    }
}

/// Columns without a foreign key. Several columns first (their names match, so they are few), then single ones.
pub(crate) fn candidates<'a>(tables: &[&'a Table], config: &Config) -> Vec<Candidate<'a>> {
    let tables: Vec<&Table> = tables.iter().copied().filter(|table| !excluded(config, &table.name)).collect();
    let mut found: Vec<Candidate<'a>> =
        tables.iter().flat_map(|table| composite(config, table, &tables)).collect();
    for table in &tables {
        for column in &table.columns {
            found.extend(single(config, table, column, &tables));
        }
    }
    found
}

fn single<'a>(
    config: &Config,
    table: &'a Table,
    column: &Column,
    tables: &[&'a Table],
) -> Option<Candidate<'a>> {
    let columns = [column.name.clone()];
    if table.foreign_keys.iter().any(|key| key.columns.contains(&column.name))
        || declared(config, table, &columns)
    {
        return None;
    }
    let family = family(&column.type_name)?;
    let own_key = table.keys.iter().any(|key| key.columns == columns);
    let mut keys = Vec::new();
    for parent in tables {
        let same = parent.name == table.name;
        for key in single_keys(parent) {
            let comparable =
                parent.column(key).and_then(|key| self::family(&key.type_name)) == Some(family.clone());
            if !comparable || (same && *key == column.name) {
                continue;
            }
            let named = speaks_of(&column.name, &parent.name.name, key, same);
            // Numbers that count a table's own rows are in every table of as many.
            if !named && (same || (own_key && family.is_number())) {
                continue;
            }
            // One row for one row: the reference that is declared goes the other way.
            if own_key && refers_back(parent, key, table, &column.name) {
                continue;
            }
            keys.push(CandidateKey { table: parent, columns: vec![key.clone()], named });
        }
    }
    let columns = columns.to_vec();
    (!keys.is_empty()).then_some(Candidate { table, columns, family, keys })
}

/// Each key column once: a primary key and a unique index over the same column say the same.
fn single_keys(table: &Table) -> BTreeSet<&Ident> {
    let keys = table.keys.iter().filter_map(|key| match key.columns.as_slice() {
        [only] => Some(only),
        _ => None,
    });
    keys.collect()
}

fn refers_back(parent: &Table, key: &Ident, table: &Table, column: &Ident) -> bool {
    parent.foreign_keys.iter().any(|back| {
        back.references == table.name
            && back.columns.as_slice() == [key.clone()]
            && back.referenced_columns.as_slice() == [column.clone()]
    })
}

/// Tables with columns named as those of a key of several columns.
fn composite<'a>(config: &Config, table: &'a Table, tables: &[&'a Table]) -> Vec<Candidate<'a>> {
    let mut found = Vec::new();
    for parent in tables.iter().filter(|parent| parent.name != table.name) {
        for key in parent.keys.iter().filter(|key| key.columns.len() > 1) {
            let comparable = key.columns.iter().all(|name| {
                let of = |table: &Table| table.column(name).and_then(|column| family(&column.type_name));
                of(table).is_some() && of(table) == of(parent)
            });
            // Where each column has a foreign key, nothing is missing but perhaps this one; where it has been
            // declared already, nothing at all.
            let free = key
                .columns
                .iter()
                .any(|name| !table.foreign_keys.iter().any(|known| known.columns.contains(name)));
            if !comparable || !free || declared(config, table, &key.columns) {
                continue;
            }
            // The same key on both sides: which of the two refers to the other, names do not say.
            if table.keys.iter().any(|own| own.columns == key.columns) {
                continue;
            }
            found.push(Candidate {
                table,
                columns: key.columns.clone(),
                family: Family::Composite,
                keys: vec![CandidateKey { table: parent, columns: key.columns.clone(), named: true }],
            });
        }
    }
    found
}

fn declared(config: &Config, table: &Table, columns: &[Ident]) -> bool {
    let known = &config.declared.references;
    known.iter().any(|reference| reference.table == table.name && reference.columns == columns)
}

fn excluded(config: &Config, table: &QualifiedName) -> bool {
    config.exclude_tables.contains(table) || config.exclude_schemas.contains(&table.schema)
}
