//! Keys and the indexes that are none.

use super::{
    ByOid, ReadError,
    rows::{Reader, Record},
};
use crate::{Index, Key, KeyKind};

#[derive(Default)]
pub(super) struct Indexes {
    /// The primary key first, then by name.
    pub(super) keys: Vec<Key>,
    pub(super) others: Vec<Index>,
}

pub(super) async fn read(reader: &Reader<'_>, relations: &[u32]) -> Result<ByOid<Indexes>, ReadError> {
    let mut indexes: ByOid<Indexes> = ByOid::new();
    for row in reader.rows("indexes", include_str!("indexes.sql"), &[&relations]).await? {
        let of_relation = indexes.entry(row.get("relation")?).or_default();
        if row.get("plain")? {
            of_relation.keys.push(key(&row)?);
        } else {
            of_relation.others.push(other(&row)?);
        }
    }
    Ok(indexes)
}

fn key(row: &Record) -> Result<Key, ReadError> {
    let kind = match row.get::<Option<&str>>("constraint_type")? {
        Some("p") => KeyKind::Primary,
        Some(_) => KeyKind::Unique,
        None => KeyKind::UniqueIndex,
    };
    let definition = if kind == KeyKind::UniqueIndex { "index_definition" } else { "constraint_definition" };
    Ok(Key {
        name: row.ident("name")?,
        kind,
        columns: row.idents("columns")?,
        deferrable: row.get("is_deferrable")?,
        definition: row.definition(definition)?,
    })
}

fn other(row: &Record) -> Result<Index, ReadError> {
    let exclusion = row.get::<Option<&str>>("constraint_type")? == Some("x");
    Ok(Index {
        name: row.ident("name")?,
        unique: row.get("is_unique")?,
        valid: row.get("is_valid")?,
        columns: row.idents_or_none("columns")?,
        partial: row.get("is_partial")?,
        exclusion,
        definition: row.definition(if exclusion { "constraint_definition" } else { "index_definition" })?,
    })
}
