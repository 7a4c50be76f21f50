//! What a step renders to: the very value that dry run prints, the journal stores and the runner executes.

use bastide_sql::{LockMode, QualifiedName, Sql};
use serde::{Deserialize, Serialize};

/// A newer binary must be able to run an older run's inverse, so this type's JSON is part of the journal's format:
/// extend it, never rename or reinterpret a field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Script {
    pub mode: Mode,
    /// Run first in every transaction of this script (`SET LOCAL …`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub prelude: Vec<Sql>,
    pub statements: Vec<Sql>,
    /// The strongest lock taken, and on what: taken up front, in this order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lock: Option<LockMode>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub locked: Vec<QualifiedName>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// All statements, the journal row and COMMIT in one short transaction, sent in one message; tried again when a lock
    /// cannot be had within 50 ms.
    Transaction,
    /// The same, but it scans (VALIDATE, inference): its locks let others read and write, and it may take long.
    LongTransaction,
    /// Each statement by itself, outside a transaction (`CONCURRENTLY`); running the whole list again is harmless.
    Autocommit,
    /// One statement, run again and again: `$1` is the cursor (text, NULL at first), `$2` the most rows to touch (bigint).
    /// It returns one row: the next cursor (text, NULL when there is nothing left) and the rows it changed (bigint).
    Batches,
    /// Nothing to do: another step's inverse takes this change with it.
    Nothing,
}

impl Script {
    #[must_use]
    pub fn transaction(lock: LockMode, locked: Vec<QualifiedName>, statements: Vec<Sql>) -> Self {
        Self { mode: Mode::Transaction, prelude: Vec::new(), statements, lock: Some(lock), locked }
    }

    /// A short transaction that locks no table of the user's.
    #[must_use]
    pub fn unlocked(statements: Vec<Sql>) -> Self {
        Self { mode: Mode::Transaction, prelude: Vec::new(), statements, lock: None, locked: Vec::new() }
    }

    #[must_use]
    pub fn long(lock: LockMode, locked: Vec<QualifiedName>, statements: Vec<Sql>) -> Self {
        Self { mode: Mode::LongTransaction, prelude: Vec::new(), statements, lock: Some(lock), locked }
    }

    #[must_use]
    pub fn autocommit(lock: LockMode, locked: Vec<QualifiedName>, statements: Vec<Sql>) -> Self {
        Self { mode: Mode::Autocommit, prelude: Vec::new(), statements, lock: Some(lock), locked }
    }

    #[must_use]
    pub fn batches(table: QualifiedName, prelude: Vec<Sql>, statement: Sql) -> Self {
        Self {
            mode: Mode::Batches,
            prelude,
            statements: vec![statement],
            lock: Some(LockMode::RowExclusive),
            locked: vec![table],
        }
    }

    #[must_use]
    pub fn nothing() -> Self {
        Self {
            mode: Mode::Nothing,
            prelude: Vec::new(),
            statements: Vec::new(),
            lock: None,
            locked: Vec::new(),
        }
    }
}
