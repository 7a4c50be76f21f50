//! Foreign keys and checks. Unique and exclusion constraints come with their indexes.

use super::{
    ByOid, ReadError,
    rows::{Reader, Record},
};
use crate::{Action, Check, ForeignKey};

#[derive(Default)]
pub(super) struct Constraints {
    pub(super) foreign_keys: Vec<ForeignKey>,
    pub(super) checks: Vec<Check>,
}

pub(super) async fn read(reader: &Reader<'_>, relations: &[u32]) -> Result<ByOid<Constraints>, ReadError> {
    let mut constraints: ByOid<Constraints> = ByOid::new();
    for row in reader.rows("constraints", include_str!("constraints.sql"), &[&relations]).await? {
        let of_relation = constraints.entry(row.get("relation")?).or_default();
        if row.get("is_foreign_key")? {
            of_relation.foreign_keys.push(foreign_key(&row)?);
        } else {
            of_relation.checks.push(Check {
                name: row.ident("name")?,
                definition: row.definition("definition")?,
                validated: row.get("validated")?,
            });
        }
    }
    Ok(constraints)
}

fn foreign_key(row: &Record) -> Result<ForeignKey, ReadError> {
    let actions = [
        ("a", Action::NoAction),
        ("r", Action::Restrict),
        ("c", Action::Cascade),
        ("n", Action::SetNull),
        ("d", Action::SetDefault),
    ];
    Ok(ForeignKey {
        name: row.ident("name")?,
        columns: row.idents("columns")?,
        references: row.qualified("referenced_schema", "referenced_name")?,
        referenced_columns: row.idents("referenced_columns")?,
        on_update: row.code("on_update", &actions)?,
        on_delete: row.code("on_delete", &actions)?,
        on_delete_columns: row.idents("on_delete_columns")?,
        match_full: row.get("match_full")?,
        deferrable: row.get("is_deferrable")?,
        initially_deferred: row.get("is_deferred")?,
        validated: row.get("validated")?,
        inherited: row.get("inherited")?,
        definition: row.definition("definition")?,
    })
}
