//! Copies what inference recorded into the tenant column, in keyset batches, without firing user triggers.

use bastide_catalog::TypeName;
use bastide_sql::{Ident, QualifiedName};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backfill {
    /// Of the inference whose findings it writes.
    pub pass: u32,
    pub table: QualifiedName,
    pub column: Ident,
    pub type_name: TypeName,
    /// Empty for a table without a key: rows are then known by a hash of their original columns.
    pub key: Vec<(Ident, TypeName)>,
    pub original_columns: Vec<Ident>,
    /// The column was there before: undoing puts NULL back into the rows this run filled. An added column just goes.
    pub reused: bool,
}
