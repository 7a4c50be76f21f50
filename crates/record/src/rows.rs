//! What `legacy validate` says of the rows: every check, every table it looked at, and what came of it.

use bastide_sql::Ident;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowsVerdict {
    pub run: String,
    pub bastide: String,
    pub database: Ident,
    pub server_version: u32,
    #[serde(with = "time::serde::rfc3339")]
    pub taken_at: OffsetDateTime,
    /// Totals that differ from those before were a failure.
    pub exact: bool,
    pub checks: Vec<RowsCheck>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowsCheck {
    /// Stable: `tenants`, `links`, `sums`, `keys`, `evidence`.
    pub id: String,
    /// What holds when it passes.
    pub claim: String,
    pub looked: Vec<Looked>,
}

/// One object that a check looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Looked {
    /// A table, a reference or a key, as the catalog has it.
    pub object: String,
    pub state: LookedState,
    /// Rows that the check looked at.
    pub rows: u64,
    pub message: String,
    /// Up to five keys of rows that are not as they should be.
    pub samples: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LookedState {
    Held,
    /// It holds for the rows there are, which are not those of before: somebody wrote since.
    Changed,
    /// Cutover settles it, as the plan says.
    PendingCutover,
    Failed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckState {
    Passed,
    PendingCutover,
    Failed,
    /// It looked at no row, which proves nothing.
    NothingToCheck,
}

impl RowsCheck {
    #[must_use]
    pub fn state(&self) -> CheckState {
        match self.looked.iter().map(|looked| looked.state).max() {
            Some(LookedState::Failed) => CheckState::Failed,
            _ if self.looked.iter().all(|looked| looked.rows == 0) => CheckState::NothingToCheck,
            Some(LookedState::PendingCutover) => CheckState::PendingCutover,
            _ => CheckState::Passed,
        }
    }
}

impl RowsVerdict {
    pub fn failures(&self) -> impl Iterator<Item = (&RowsCheck, &Looked)> {
        self.checks.iter().flat_map(|check| {
            check.looked.iter().filter(|looked| looked.state == LookedState::Failed).map(move |l| (check, l))
        })
    }

    /// The gravest state of any check; one that looked at nothing says nothing beside others.
    #[must_use]
    pub fn state(&self) -> CheckState {
        let any = |state| self.checks.iter().any(|check| check.state() == state);
        [CheckState::Failed, CheckState::PendingCutover, CheckState::Passed]
            .into_iter()
            .find(|state| any(*state))
            .unwrap_or(CheckState::NothingToCheck)
    }

    /// Nothing failed, and something was really looked at.
    #[must_use]
    pub fn holds(&self) -> bool {
        matches!(self.state(), CheckState::Passed | CheckState::PendingCutover)
    }
}
