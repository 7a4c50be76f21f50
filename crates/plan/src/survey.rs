//! What was measured in the rows. Filled by `bastide-legacy`, read by the planner; plain data.

use std::collections::BTreeMap;

use bastide_sql::{Ident, QualifiedName};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Survey {
    /// Rows of the tenant root.
    pub tenants: u64,
    /// Of every scoped table that holds rows (partitions by themselves).
    pub tables: BTreeMap<QualifiedName, TableSurvey>,
    /// Of every foreign key between scoped tables.
    pub links: Vec<LinkSurvey>,
    /// Of every table that classification asked about.
    pub usage: BTreeMap<QualifiedName, Usage>,
    /// Why the root cannot take a quarantine row, as the server said it; `None` when it can.
    pub quarantine_refused: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableSurvey {
    pub rows: u64,
    /// Rows whose tenant column was already filled.
    pub had_tenant: u64,
    /// Rows that unanimous evidence settles, by the path it came along.
    pub inferred: Vec<Evidence>,
    /// Rows whose evidence names more than one tenant.
    pub conflicting: u64,
    /// Rows no evidence reaches.
    pub unreachable: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Evidence {
    /// For example `orders.customer_id → customers.merchant_id`.
    pub path: String,
    pub rows: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkSurvey {
    pub table: QualifiedName,
    pub foreign_key: Ident,
    pub references: QualifiedName,
    /// Rows whose reference is not NULL.
    pub rows: u64,
    /// Rows whose reference would join two tenants (quarantine counts as one), after inference.
    pub crossing: u64,
    /// A few keys of crossing rows, as the server prints them, for the report.
    pub samples: Vec<String>,
}

/// How the rows of a table without a path to the root are used by rows that have a tenant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    pub rows: u64,
    /// Rows referenced by exactly one tenant's rows.
    pub by_one: u64,
    /// Rows referenced by several tenants' rows.
    pub by_many: u64,
}
