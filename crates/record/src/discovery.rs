//! What `legacy discover` found: whose the rows of each table are, as far as can be said without changing anything.

use bastide_plan::{Evidence, LinkSurvey, Question, TenantColumn, TenantRoot};
use bastide_sql::{Ident, QualifiedName};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::{Integrity, Roots};

/// Bumped when a reader of the JSON could misread it.
pub const DISCOVERY_FORMAT: u32 = 1;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Discovery {
    pub format: u32,
    /// Version of the binary that looked.
    pub bastide: String,
    #[serde(with = "time::serde::rfc3339")]
    pub taken_at: OffsetDateTime,
    pub seconds: f64,
    pub database: DiscoveredDatabase,
    pub limits: Limits,
    /// `None` when none was named, or the one named cannot be one (see `obstacles`).
    pub root: Option<TenantRoot>,
    /// Other tables, measured as the root; only where none was named, or the one named cannot be one or is no boundary.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub other_roots: Option<Roots>,
    /// Rows of the root.
    pub tenants: Option<u64>,
    /// Why `plan` would refuse this database as it is, each with what to type next.
    pub obstacles: Vec<String>,
    /// Why the tenants of rows were not counted, where they were not; never in part.
    pub tenants_not_counted: Option<String>,
    /// Partitions are told with the table they belong to.
    pub tables: Vec<TableFound>,
    /// Every reference between scoped tables.
    pub links: Vec<LinkSurvey>,
    /// References between scoped tables that were not followed to the end.
    pub links_not_counted: Vec<NotLookedAt>,
    /// What a plan would ask.
    pub questions: Vec<Question>,
    pub notes: Vec<String>,
    pub categories: Vec<CategoryFound>,
    pub integrity: Integrity,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiscoveredDatabase {
    pub name: Ident,
    pub server_version: u32,
    pub login: Ident,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    pub time_limit_seconds: u32,
    /// Tables with more rows than this, by the server's estimate, are sampled.
    pub sample_above: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { time_limit_seconds: 300, sample_above: 1_000_000 }
    }
}

/// How many, and how that is known.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "how", rename_all = "snake_case")]
pub enum Count {
    Exact {
        rows: u64,
    },
    /// Scaled up from a sample of the pages.
    Sampled {
        rows: u64,
        percent: f64,
    },
    NotCounted {
        why: String,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotLookedAt {
    pub object: String,
    pub why: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FoundClass {
    Scoped,
    Shared,
    /// Nothing in the schema or in the rows settles it; a plan asks.
    Unclear,
    /// The operator left it out.
    Excluded,
}

impl FoundClass {
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Scoped => "scoped",
            Self::Shared => "shared",
            Self::Unclear => "unclear",
            Self::Excluded => "excluded",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TableFound {
    pub table: QualifiedName,
    pub class: FoundClass,
    /// One sentence: the evidence.
    pub because: String,
    pub tenant_column: Option<TenantColumn>,
    /// How many partitions hold its rows; 0 for a table that is not partitioned.
    pub partitions: u64,
    /// The server's, for tables that it has looked at.
    pub estimated_rows: Option<u64>,
    pub bytes: u64,
    pub rows: Count,
    /// Of scoped tables, where tenants were counted; always exact.
    pub tenants: Option<Tenants>,
}

/// What is known of a scoped table's rows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tenants {
    /// Rows whose tenant column is filled.
    pub had: u64,
    /// Rows whose tenant follows from unanimous evidence.
    pub could_have: u64,
    /// The same, by the path the evidence came along.
    pub evidence: Vec<Evidence>,
    pub conflicting: u64,
    pub unreachable: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CategoryFound {
    pub name: String,
    /// By `[[category]]`, rather than a default.
    pub declared: bool,
    pub tables: Vec<CategoryOfTable>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CategoryOfTable {
    pub table: QualifiedName,
    pub why: String,
    pub rows: Count,
    /// Of these, rows without a tenant; where tenants were counted.
    pub without_tenant: Option<Count>,
    /// Of those, rows that no evidence reaches; the others conflict.
    pub unreachable: Option<Count>,
    /// Up to three keys.
    pub samples: Vec<String>,
}

impl Count {
    /// `None` when it was not counted.
    #[must_use]
    pub fn rows(&self) -> Option<u64> {
        match self {
            Self::Exact { rows } | Self::Sampled { rows, .. } => Some(*rows),
            Self::NotCounted { .. } => None,
        }
    }

    /// Whether something was found, or may be there: what was not counted is not nothing.
    #[must_use]
    pub fn may_be_some(&self) -> bool {
        self.rows() != Some(0)
    }

    /// Of two parts of a table. What was not counted in one was not counted of both.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        match (self, other) {
            (Self::NotCounted { why }, _) | (_, Self::NotCounted { why }) => Self::NotCounted { why },
            (Self::Exact { rows }, Self::Exact { rows: more }) => Self::Exact { rows: rows + more },
            (Self::Sampled { rows, percent }, Self::Sampled { rows: more, percent: of_more }) => {
                Self::Sampled { rows: rows + more, percent: percent.min(of_more) }
            }
            (Self::Sampled { rows, percent }, Self::Exact { rows: more })
            | (Self::Exact { rows }, Self::Sampled { rows: more, percent }) => {
                Self::Sampled { rows: rows + more, percent }
            }
        }
    }
}
