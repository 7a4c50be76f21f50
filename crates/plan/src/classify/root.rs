//! The tenant root: which table, and by which key its rows are known.

use bastide_catalog::{Catalog, Column, Table, TableKind};
use bastide_sql::{Ident, QualifiedName, Sql};
use sha2::{Digest, Sha256};

use crate::{Config, Refusal, RootChoice, Tenant, TenantRoot, phases::is_ours};

/// # Errors
/// When the configuration names no table that can be a tenant root, or a new root's name is taken.
pub fn find_root(catalog: &Catalog, config: &Config) -> Result<TenantRoot, Refusal> {
    match &config.root {
        RootChoice::Existing(name) => existing(catalog, config, name),
        RootChoice::New(name) => match catalog.table(name) {
            // A plan for a database that such a plan has already been run on.
            Some(table) if is_ours(table) => existing(catalog, config, name),
            Some(_) => Err(Refusal::NewRootTaken { root: name.clone(), what: "table" }),
            None => new(catalog, config, name),
        },
    }
}

fn existing(catalog: &Catalog, config: &Config, name: &QualifiedName) -> Result<TenantRoot, Refusal> {
    let not_a_table = |what| Refusal::RootNotATable { root: name.clone(), what };
    let Some(table) = catalog.table(name) else {
        return Err(match catalog.views.get(name) {
            Some(view) if view.materialised => not_a_table("a materialised view"),
            Some(_) => not_a_table("a view"),
            None => Refusal::RootNotFound { root: name.clone(), near: near(catalog, name) },
        });
    };
    match table.kind {
        TableKind::Partitioned => return Err(not_a_table("a partitioned table")),
        TableKind::Partition => return Err(not_a_table("a partition")),
        TableKind::Foreign => return Err(not_a_table("a foreign table")),
        TableKind::Ordinary if !table.parents.is_empty() => {
            return Err(not_a_table("an inheritance child"));
        }
        TableKind::Ordinary if !table.children.is_empty() => {
            return Err(not_a_table("a table that others inherit from"));
        }
        TableKind::Ordinary => {}
    }
    if super::rules::excluded(config, name).is_some() {
        return Err(Refusal::RootExcluded { root: name.clone() });
    }
    let key = match root_key(table, |column| column.collation.is_none()) {
        Some(key) => key,
        None => return Err(without_key(table)),
    };
    let key_type = table.column(&key).map_or_else(|| Sql::trusted("text"), |column| column.type_name.clone());
    Ok(TenantRoot { table: name.clone(), key, key_type, new: false, first_tenant: None })
}

/// The primary key when it is one column, else the first other key that identifies a row by one column.
fn root_key(table: &Table, fits: impl Fn(&Column) -> bool) -> Option<Ident> {
    table.keys.iter().find_map(|key| match key.columns.as_slice() {
        [only] if !key.deferrable && table.column(only).is_some_and(|c| c.not_null && fits(c)) => {
            Some(only.clone())
        }
        _ => None,
    })
}

fn without_key(table: &Table) -> Refusal {
    let root = table.name.clone();
    let loose = root_key(table, |column| column.collation.is_some());
    match loose.and_then(|key| Some((table.column(&key)?.collation.clone()?, key))) {
        Some((collation, key)) => Refusal::RootKeyCollation { root, key, collation: Box::new(collation) },
        None => Refusal::RootWithoutKey { root },
    }
}

fn new(catalog: &Catalog, config: &Config, name: &QualifiedName) -> Result<TenantRoot, Refusal> {
    let taken = |what| Refusal::NewRootTaken { root: name.clone(), what };
    if catalog.views.contains_key(name) {
        return Err(taken("view"));
    }
    if catalog.sequences.contains_key(name) {
        return Err(taken("sequence"));
    }
    if super::rules::excluded(config, name).is_some() {
        return Err(Refusal::RootExcluded { root: name.clone() });
    }
    if !catalog.schemas.contains_key(&name.schema) {
        return Err(Refusal::NewRootSchema { root: name.clone(), schema: name.schema.clone() });
    }
    let database = &catalog.server.database;
    let identity = format!(
        "{}/{}/{}/{name}",
        catalog.server.system_identifier.as_deref().unwrap_or_default(),
        catalog.server.database_oid,
        database.as_str(),
    );
    let first = Tenant {
        id: uuid_from(&identity),
        name: database.as_str().to_owned(),
        slug: slug(database.as_str()),
    };
    Ok(TenantRoot {
        table: name.clone(),
        key: Ident::constant("id"),
        key_type: Sql::trusted("uuid"),
        new: true,
        first_tenant: Some(first),
    })
}

/// The same text always gives the same id, so that a plan made twice is the same plan. Shaped as a version 8 uuid.
pub(crate) fn uuid_from(text: &str) -> String {
    let digest = Sha256::digest(text.as_bytes());
    let mut bytes = [0_u8; 16];
    bytes.copy_from_slice(&digest[..16]);
    bytes[6] = (bytes[6] & 0x0f) | 0x80;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let mut out = String::with_capacity(36);
    for (at, byte) in bytes.iter().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            out.push('-');
        }
        out.push_str(&format!("{byte:02x}"));
    }
    out
}

/// Lower-case letters, digits and single hyphens.
#[must_use]
pub fn slug(name: &str) -> String {
    let mut out = String::new();
    for c in name.chars() {
        if c.is_ascii_alphanumeric() {
            out.push(c.to_ascii_lowercase());
        } else if !out.ends_with('-') {
            out.push('-');
        }
    }
    let trimmed = out.trim_matches('-');
    if trimmed.is_empty() { "tenant".to_owned() } else { trimmed.to_owned() }
}

/// Tables whose name differs by little: the same name in another case or schema, or a letter or two.
pub(crate) fn near(catalog: &Catalog, name: &QualifiedName) -> Vec<QualifiedName> {
    let wanted = name.name.as_str().to_lowercase();
    let mut found: Vec<(usize, &QualifiedName)> = catalog
        .tables
        .keys()
        .map(|other| (distance(&wanted, &other.name.as_str().to_lowercase()), other))
        .filter(|(distance, _)| *distance <= 2.min(wanted.chars().count() / 2))
        .collect();
    found.sort();
    found.into_iter().take(3).map(|(_, name)| name.clone()).collect()
}

/// Levenshtein's, by characters.
pub(crate) fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, c) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, d) in b.iter().enumerate() {
            let change = diagonal + usize::from(c != *d);
            diagonal = row[j + 1];
            row[j + 1] = change.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_uuids_and_depend_on_the_text() {
        insta::assert_snapshot!(uuid_from("a"), @"ca978112-ca1b-8dca-bac2-31b39a23dc4d");
        assert_ne!(uuid_from("a"), uuid_from("b"));
    }

    #[test]
    fn slugs_are_plain() {
        assert_eq!(slug("My Shop_2"), "my-shop-2");
        assert_eq!(slug("??"), "tenant");
    }

    #[test]
    fn distance_counts_changed_letters() {
        assert_eq!(distance("merchants", "merchant"), 1);
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}
