//! What a server refused an attempt with, and what that says.

use bastide_record::Verb;
use tokio_postgres::error::{DbError, SqlState};

/// The server's no.
#[derive(Clone, Debug)]
pub(super) struct Refusal {
    pub(super) code: SqlState,
    /// The server names a constraint or column of its own: the row had passed the policy by then. An exception of the
    /// same class raised by a trigger names none.
    pub(super) by_constraint: bool,
    pub(super) constraint: Option<String>,
    /// The context could not even be set.
    pub(super) early: bool,
}

impl Refusal {
    pub(super) fn of(error: &DbError, early: bool) -> Self {
        Self {
            code: error.code().clone(),
            by_constraint: error.constraint().is_some() || error.column().is_some(),
            constraint: error.constraint().map(str::to_owned),
            early,
        }
    }

    /// What is in the setting is no tenant's key (class 22), or no token for one (28000).
    pub(super) fn no_key(&self) -> bool {
        self.code.code().starts_with("22") || self.code == SqlState::INVALID_AUTHORIZATION_SPECIFICATION
    }

    pub(super) fn not_permitted(&self) -> bool {
        !self.early && self.code == SqlState::INSUFFICIENT_PRIVILEGE
    }

    /// An integrity check (class 23) of the server's own.
    pub(super) fn constraint(&self) -> bool {
        !self.early && self.by_constraint && self.code.code().starts_with("23")
    }

    /// PostgreSQL has no such statement for this kind of relation, whoever asks: MERGE into a view (before 17) or into
    /// what has rules, ON CONFLICT where a trigger or a rule writes, any write of a view that cannot be written.
    pub(super) fn unknown_to_it(&self, verb: Verb) -> bool {
        let codes: &[&str] = match verb {
            Verb::Merge | Verb::MergeInsert | Verb::OnConflict => &["42809", "55000", "0A000", "42P10"],
            Verb::Insert | Verb::Update | Verb::Returning | Verb::Delete => &["42809", "55000"],
            _ => &[],
        };
        !self.early && codes.contains(&self.code.code())
    }

    /// The server gave up rather than answered: timeouts, locks, deadlocks.
    pub(super) fn passing(&self) -> bool {
        ["57014", "55P03", "40P01", "40001", "25006"].contains(&self.code.code())
    }

    pub(super) fn words(&self) -> String {
        let early = if self.early { ", already when the context was set" } else { "" };
        match self.code.code() {
            "57014" => format!("gave up after 5 s (57014){early}"),
            "55P03" => format!("gave up after it had waited 250 ms for a lock (55P03){early}"),
            code => format!("refused with {code}{early}"),
        }
    }
}
