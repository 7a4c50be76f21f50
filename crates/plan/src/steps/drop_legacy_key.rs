//! A legacy unique or simple foreign key whose tenant-wide successor is in place.

use bastide_sql::{Ident, QualifiedName, Sql};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DropLegacyKey {
    pub table: QualifiedName,
    pub name: Ident,
    pub kind: LegacyKey,
    /// `pg_get_constraintdef` / `pg_get_indexdef`: what the inverse runs.
    pub definition: Sql,
    pub columns: Vec<Ident>,
    /// Of a partitioned table, where nothing can be built CONCURRENTLY or NOT VALID.
    pub partitioned: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LegacyKey {
    UniqueConstraint,
    UniqueIndex,
    ForeignKey { references: QualifiedName, validated: bool },
}
