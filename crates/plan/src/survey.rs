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
    /// Of every declared rule, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<RuleSurvey>,
    /// Groups of rows that nothing reaches and that hang together, the largest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub proposals: Vec<Proposal>,
    /// Why no groups were looked for, where rows are unreachable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_grouped: Option<String>,
    /// Slugs of the root that several tenants have, up to five of each column.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub repeated_slugs: Vec<RepeatedSlugs>,
    /// Why they were not looked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slugs_not_looked_at: Option<String>,
    /// Functions that people wrote.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub code: Vec<Code>,
    /// Statements that pg_stat_statements has seen, where it is installed: those that a new column may break.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub seen: Vec<SeenStatement>,
    /// Slots of logical replication that read this database: somebody subscribes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub slots: Vec<String>,
    /// Tables of whose rows the server lets nobody change one, and what it says: published without a replica identity.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unchangeable: Vec<(QualifiedName, String)>,
    #[serde(default)]
    pub around: Around,
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

/// What stands around the tables, as PUBLIC, or an application's login that is there already, gets at it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Around {
    /// Triggers of foreign keys that are switched off, by the table they are on.
    pub keys_off: BTreeMap<QualifiedName, Vec<KeyOff>>,
    /// Large objects with a grant.
    pub large_objects: u64,
    /// `lo_compat_privileges`: no grant is needed.
    pub large_objects_open: bool,
    pub foreign_servers: Vec<Ident>,
    pub foreign_wrappers: Vec<Ident>,
    /// What the server gives to nobody by itself.
    pub withheld: Vec<Withheld>,
    /// Privileges on parameters that only superusers may set.
    pub parameters: Vec<ParameterGrant>,
    /// Functions of the server's own that were made LEAKPROOF, with their arguments.
    pub leakproof_builtins: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyOff {
    pub foreign_key: Ident,
    pub trigger: Ident,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParameterGrant {
    pub parameter: String,
    /// `SET` or `ALTER SYSTEM`.
    pub privilege: String,
    /// `None` is PUBLIC.
    pub grantee: Option<Ident>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Withheld {
    /// As a statement names it.
    pub object: String,
    pub routine: bool,
    pub privileges: String,
    /// `None` is PUBLIC.
    pub grantee: Option<Ident>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Code {
    /// With its arguments' types.
    pub function: String,
    pub language: String,
    /// Kept by the server as a tree (`RETURN`, `BEGIN ATOMIC`): its stars were spelt out when it was made.
    pub parsed: bool,
    pub source: String,
    /// A set, or a record.
    pub returns_rows: bool,
    /// The table whose row type it returns.
    pub returns: Option<QualifiedName>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeenStatement {
    pub text: String,
    /// Who ran it, of the roles that are still there.
    pub logins: Vec<Ident>,
    pub calls: u64,
}

/// A column of the root by which tenants are told apart in URLs, and does not tell them apart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RepeatedSlugs {
    pub column: Ident,
    /// Values, compared without regard to case, that several tenants have.
    pub values: u64,
    /// Some of them, each with keys of tenants that have it.
    pub samples: Vec<(String, Vec<String>)>,
}

/// Rows that hang together and belong to no tenant: perhaps one that was lost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proposal {
    /// The row that stands for all: its table, and its key's values as text.
    pub table: QualifiedName,
    pub key: Vec<String>,
    pub rows: u64,
    /// How many of each table, partitions by themselves.
    pub tables: Vec<(QualifiedName, u64)>,
    /// From the rows themselves, and what says so.
    pub name: String,
    pub named_by: String,
    pub slug: String,
    /// A few keys of `table`.
    pub samples: Vec<String>,
    /// Why the root cannot take it, as the server said it.
    pub refused: Option<String>,
}

/// What a declared rule comes to, over all rows of its table.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleSurvey {
    pub rows: u64,
    /// Rows whose value no tenant has, and up to five such values.
    pub unknown: u64,
    pub unknown_values: Vec<String>,
    /// Rows whose tenant column is filled and says otherwise; the column counts.
    pub overruled: u64,
    /// Keys given in a file that no row has, and up to five of them (JSON).
    pub keys_of_no_row: u64,
    pub missing_keys: Vec<String>,
    /// Later rules that give some of the rows to another tenant: which, how many, up to five keys.
    pub contradicted: Vec<(usize, u64, Vec<String>)>,
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
