//! Probes as data: which attempts there are, and what came of each. A matrix is drawn from this and from nothing else.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What is attempted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verb {
    /// Does anything filter a read at all? Asked with `row_security = off`, reading no row.
    ZeroRow,
    Select,
    CopyOut,
    Insert,
    /// `INSERT … ON CONFLICT DO NOTHING`, then `DO UPDATE`, on a key that is there.
    OnConflict,
    Merge,
    /// `MERGE … WHEN NOT MATCHED THEN INSERT`.
    MergeInsert,
    Update,
    /// `UPDATE … RETURNING`, or `DELETE … RETURNING` where only that is granted.
    Returning,
    Delete,
    /// An UPDATE that would give a row of one's own to another tenant.
    Move,
    CopyIn,
    /// By privilege only.
    Truncate,
    /// A function's call.
    Execute,
    /// A read of what no grant lets the application reach.
    Closed,
    /// Put into the setting what is no token of one's own, where contexts are sealed.
    Forge,
    /// Has a new connection a tenant before anybody has set one?
    Preset,
}

/// Which tenant the session has, and whose rows the attempt is aimed at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Context {
    /// As a tenant, at its own rows: what the others are compared with.
    Own,
    /// As a tenant, at another one's rows.
    Other,
    /// No tenant was set.
    #[serde(alias = "none")]
    Unset,
    /// The setting is the empty string.
    Empty,
    /// The setting holds no key.
    Malformed,
    /// A tenant was set, then `RESET`.
    AfterReset,
    /// The transaction before, on the same connection, had a tenant: what a pool hands to the next request.
    AfterReturn,
    /// The same, then `DISCARD ALL`.
    AfterDiscard,
    /// A tenant was set, then `RESET ALL`.
    AfterResetAll,
    /// A tenant was set behind a savepoint, then rolled back to it.
    AfterRollbackTo,
    /// The transaction before had a tenant, and a statement of it failed.
    AfterFailure,
    /// The transaction before had a tenant, and its `COMMIT AND CHAIN` began this one.
    AfterChain,
}

/// The way by which the object is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Path {
    Table,
    Partition,
    View,
    Function,
    /// A row that refers to a row of another tenant; the object is `table:constraint`.
    ForeignKey,
    /// A statement prepared as one tenant and executed as another.
    Prepared,
    /// A cursor opened as one tenant and read as another.
    Cursor,
    /// The same with `SCROLL`, read forth and back.
    ScrollCursor,
    /// The same with `WITH HOLD`, read after its transaction.
    HeldCursor,
    /// The connection itself; the object is the role.
    Session,
}

/// One square of the matrix.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Cell {
    /// As the catalog has it.
    pub object: String,
    pub path: Path,
    pub verb: Verb,
    pub context: Context,
}

/// An attempt, as the application's login, to do what isolation forbids (or, in context `own`, what it allows).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    #[serde(flatten)]
    pub cell: Cell,
    #[serde(flatten)]
    pub outcome: Outcome,
    /// The same act where it must succeed, and what came of it.
    pub control: String,
    /// A psql script that shows a breach again.
    pub reproduce: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    Held,
    Breached { how: String },
    Untested { why: String },
}

impl Verb {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ZeroRow => "zero_row",
            Self::Select => "select",
            Self::CopyOut => "copy_out",
            Self::Insert => "insert",
            Self::OnConflict => "on_conflict",
            Self::Merge => "merge",
            Self::MergeInsert => "merge_insert",
            Self::Update => "update",
            Self::Returning => "returning",
            Self::Delete => "delete",
            Self::Move => "move",
            Self::CopyIn => "copy_in",
            Self::Truncate => "truncate",
            Self::Execute => "execute",
            Self::Closed => "closed",
            Self::Forge => "forge",
            Self::Preset => "preset",
        }
    }
}

impl Context {
    /// In the order of a matrix.
    pub const ALL: [Self; 12] = [
        Self::Own,
        Self::Other,
        Self::Unset,
        Self::Empty,
        Self::Malformed,
        Self::AfterReset,
        Self::AfterReturn,
        Self::AfterDiscard,
        Self::AfterResetAll,
        Self::AfterRollbackTo,
        Self::AfterFailure,
        Self::AfterChain,
    ];

    /// The first of them, in which every verb is tried; in the others only a read is.
    pub const OF_EVERY_VERB: usize = 7;

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Own => "own",
            Self::Other => "other",
            Self::Unset => "unset",
            Self::Empty => "empty",
            Self::Malformed => "malformed",
            Self::AfterReset => "after_reset",
            Self::AfterReturn => "after_return",
            Self::AfterDiscard => "after_discard",
            Self::AfterResetAll => "after_reset_all",
            Self::AfterRollbackTo => "after_rollback_to",
            Self::AfterFailure => "after_failure",
            Self::AfterChain => "after_chain",
        }
    }
}

impl Path {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Table => "table",
            Self::Partition => "partition",
            Self::View => "view",
            Self::Function => "function",
            Self::ForeignKey => "foreign_key",
            Self::Prepared => "prepared",
            Self::Cursor => "cursor",
            Self::ScrollCursor => "scroll_cursor",
            Self::HeldCursor => "held_cursor",
            Self::Session => "session",
        }
    }
}

impl Cell {
    /// Of whatever the application reaches, the zero-row probe and the read without a context must have an answer.
    #[must_use]
    pub fn never_untested(&self) -> bool {
        matches!(self.path, Path::Table | Path::Partition | Path::View)
            && matches!((self.verb, self.context), (Verb::ZeroRow, _) | (Verb::Select, Context::Unset))
    }

    /// The cell without its object, as a baseline names it.
    #[must_use]
    pub fn id(&self) -> String {
        format!("probe:{}:{}:{}", self.path, self.verb, self.context)
    }
}

impl Probe {
    #[must_use]
    pub fn untested(&self) -> bool {
        matches!(self.outcome, Outcome::Untested { .. })
    }

    #[must_use]
    pub fn breached(&self) -> bool {
        matches!(self.outcome, Outcome::Breached { .. })
    }
}

macro_rules! shown {
    ($($kind:ident)*) => {
        $(impl fmt::Display for $kind {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        })*
    };
}

shown! { Verb Context Path }

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = self.verb.as_str().replace('_', " ");
        let context = self.context.as_str().replace('_', " ");
        let path = self.path.as_str().replace('_', " ");
        write!(f, "{verb} {} (context: {context}; by: {path})", self.object)
    }
}
