//! Which tables could be the tenant root, as far as the schema and the rows say.

use bastide_sql::{Ident, QualifiedName};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Roots {
    /// Those that were measured, best first.
    pub measured: Vec<RootFigures>,
    /// Those that were not, in the order in which they would have been, each with the reason.
    pub unmeasured: Vec<UnmeasuredRoot>,
}

impl Roots {
    pub fn boundaries(&self) -> impl Iterator<Item = &RootFigures> {
        self.measured.iter().filter(|root| root.boundary)
    }
}

/// What the survey says about one candidate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RootFigures {
    pub root: QualifiedName,
    pub tenants: u64,
    /// Tenants that own at least one row of another table.
    pub tenants_with_rows: u64,
    /// Of the tenant that owns most, in percent of all rows that have a tenant.
    pub largest_percent: f64,
    /// Besides the root.
    pub tables_scoped: u64,
    /// Tables whose class only the operator can say.
    pub tables_unclear: u64,
    /// Rows of scoped tables besides the root; of them conflicting or unreachable; and of the whole database, estimated.
    pub rows_scoped: u64,
    pub conflicting: u64,
    pub unreachable: u64,
    pub rows_in_all: u64,
    pub worst_link: Option<WorstLink>,
    /// No table has more than 1 % of its rows crossing by one link, and there are several tenants to keep apart.
    pub boundary: bool,
    /// One sentence.
    pub because: String,
}

/// The link by which the greatest share of a table's rows cross.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WorstLink {
    pub table: QualifiedName,
    pub foreign_key: Ident,
    pub references: QualifiedName,
    pub crossing: u64,
    pub table_rows: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnmeasuredRoot {
    pub root: QualifiedName,
    pub why: String,
}
