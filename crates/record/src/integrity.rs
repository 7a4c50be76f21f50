//! What is wrong, or easily goes wrong, with the rows of a database before anything moves. A figure that was not measured
//! is not here as zero: it is in [`Integrity::unmeasured`].

use bastide_plan::DeclaredReference;
use bastide_sql::{Ident, QualifiedName};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Integrity {
    pub dangling: Vec<Dangling>,
    /// Best first.
    pub suggested: Vec<SuggestedReference>,
    pub global_keys: Vec<GlobalKey>,
    pub duplicates: Vec<Duplicates>,
    pub duplicate_slugs: Vec<DuplicateSlugs>,
    pub unmeasured: Vec<Unmeasured>,
}

/// How much of a table was read.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Extent {
    Whole,
    /// `TABLESAMPLE SYSTEM`: whole pages, so figures are those of the sample and not scaled up.
    Sample {
        percent: f64,
    },
}

impl Extent {
    /// ` (in a sample of 0.5 %)`, nothing for the whole.
    #[must_use]
    pub fn in_words(self) -> String {
        match self {
            Self::Whole => String::new(),
            Self::Sample { percent } => format!(" (in a sample of {percent:.2} %)"),
        }
    }
}

/// Rows of a declared foreign key whose value has no parent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Dangling {
    pub table: QualifiedName,
    pub foreign_key: Ident,
    pub columns: Vec<Ident>,
    pub references: QualifiedName,
    pub trust: Trust,
    /// Rows looked at whose reference is not NULL.
    pub rows: u64,
    pub dangling: u64,
    /// Up to five values without a parent, each with a row that has it.
    pub samples: Vec<String>,
    pub extent: Extent,
}

/// What the server promises about a foreign key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trust {
    /// Listed whether or not rows dangle.
    NotValid,
    /// Some of its triggers do not fire. Listed whether or not rows dangle.
    TriggersDisabled,
    /// Valid and enforced. Listed only when rows dangle all the same: written while no trigger fired.
    Enforced,
}

/// A foreign key that nobody declared, as the data suggest it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SuggestedReference {
    pub reference: DeclaredReference,
    /// It is a column of the tenant root that is referenced: a tenant code.
    pub tenant_code: bool,
    /// Distinct values looked at, a bounded number, and how many of them the referenced key has.
    pub distinct: u64,
    pub contained: u64,
    /// Rows with a value; `None` when this count took too long (then it is in [`Integrity::unmeasured`] as well).
    pub rows: Option<DanglingRows>,
    pub strength: Strength,
    pub because: String,
    /// Other keys that have the values too.
    pub rivals: Vec<String>,
    /// A `[[reference]]` for `bastide.toml`.
    pub toml: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DanglingRows {
    /// Rows looked at whose value is not NULL.
    pub rows: u64,
    pub dangling: u64,
    pub samples: Vec<String>,
    pub extent: Extent,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strength {
    Weak,
    Likely,
    Strong,
}

/// A unique key of a scoped table that holds over all tenants today. Once it holds per tenant, two tenants may have one value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GlobalKey {
    pub table: QualifiedName,
    pub key: Ident,
    pub columns: Vec<Ident>,
}

/// Columns that look like a natural key and are none, and the values that occur more than once. Values of which a row
/// has no tenant yet count as undecided, unless a tenant has them twice already.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Duplicates {
    pub table: QualifiedName,
    pub columns: Vec<Ident>,
    /// Rows looked at with a value in each column.
    pub rows: u64,
    pub distinct: u64,
    /// Values that one tenant has more than once: a key per tenant would refuse them.
    pub within_tenant: u64,
    /// Values that several tenants have, once each: a key per tenant would allow them, a global one not.
    pub across_tenants: u64,
    pub undecided: u64,
    /// Up to five values that one tenant has more than once; of others where there are none.
    pub samples: Vec<String>,
    pub extent: Extent,
}

/// Values of a column of the tenant root that several tenants have, where each should have its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DuplicateSlugs {
    pub table: QualifiedName,
    pub column: Ident,
    pub kind: SlugKind,
    pub groups: u64,
    /// Tenants in those groups.
    pub rows: u64,
    /// Up to five, most frequent first.
    pub samples: Vec<DuplicateSlug>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SlugKind {
    /// Looks like what is told apart by in a URL; compared without regard to case.
    Slug,
    /// A name or a code: two tenants may have one, but nobody can tell them apart by it.
    Name,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DuplicateSlug {
    pub value: String,
    /// Keys of up to five tenants that have it.
    pub keys: Vec<String>,
}

/// A question that went unanswered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unmeasured {
    /// Completes "could not …".
    pub what: String,
    pub why: String,
}
