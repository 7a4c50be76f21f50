//! What can go wrong at the door, told apart by what the caller should do about it.

use tokio_postgres::error::SqlState;

use crate::{ConnectError, Unbound};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The server could not read the tenant as the root key's type. To a visitor: there is no such tenant.
    #[error("the tenant id does not have the form of this database's tenant keys")]
    MalformedTenant,
    /// The database does not open what our key sealed, or no longer in time.
    #[error(
        "the database refused the sealed tenant context; compare the keys (`bastide context keys`) and the clocks"
    )]
    Seal,
    /// Every connection is lent and none came back in time. Worth a retry, later.
    #[error("all database connections are in use")]
    Busy,
    /// The watch saw that tenants are not kept apart: nothing is lent until it sees that they are.
    #[error("tenants are not kept apart at the moment, so nothing is served")]
    NotIsolated,
    /// The statement took longer than it may.
    #[error("the database did not answer in time")]
    Deadline,
    /// There was no connection, and what to try.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// A connection was lost.
    #[error("the database cannot be reached: {0}")]
    Unreachable(String),
    /// A statement of this transaction failed or was dropped half-way, so it was rolled back instead of committed.
    #[error("the transaction was rolled back because one of its statements did not complete")]
    Aborted,
    /// SQLSTATE 42501: row-level security or a missing grant refused the statement.
    #[error("the database refused the statement: {0}")]
    Denied(DatabaseError),
    #[error("{0}")]
    Database(DatabaseError),
    /// The statement's parameters or columns are not what the code expects: a defect of ours.
    #[error("statement and code disagree: {0}")]
    Mismatch(String),
    #[error("{0}")]
    Unbound(#[from] Unbound),
    #[error("{0}")]
    Configuration(String),
}

/// What the server reported, without values: its detail line may quote a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatabaseError {
    /// SQLSTATE.
    pub code: String,
    pub table: Option<String>,
    pub column: Option<String>,
    pub constraint: Option<String>,
}

impl std::fmt::Display for DatabaseError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SQLSTATE {}", self.code)?;
        for (what, name) in
            [("table", &self.table), ("column", &self.column), ("constraint", &self.constraint)]
        {
            if let Some(name) = name {
                write!(f, ", {what} {name}")?;
            }
        }
        Ok(())
    }
}

impl Error {
    /// Whether the same read on another connection may succeed: the connection was lost, or a cached statement no longer
    /// fits a table that was altered meanwhile (0A000).
    pub(crate) fn worth_another_connection(&self) -> bool {
        match self {
            Self::Unreachable(_) => true,
            Self::Database(error) => error.code == SqlState::FEATURE_NOT_SUPPORTED.code(),
            _ => false,
        }
    }
}

impl From<tokio_postgres::Error> for Error {
    fn from(error: tokio_postgres::Error) -> Self {
        let Some(database) = error.as_db_error() else {
            // Display of a driver error names neither host nor password.
            return if error.is_closed()
                || std::error::Error::source(&error).is_some_and(|source| source.is::<std::io::Error>())
            {
                Self::Unreachable(error.to_string())
            } else {
                Self::Mismatch(error.to_string())
            };
        };
        let code = database.code();
        let described = DatabaseError {
            code: code.code().to_owned(),
            table: database.table().map(str::to_owned),
            column: database.column().map(str::to_owned),
            constraint: database.constraint().map(str::to_owned),
        };
        if *code == SqlState::INSUFFICIENT_PRIVILEGE {
            Self::Denied(described)
        } else if *code == SqlState::INVALID_AUTHORIZATION_SPECIFICATION {
            Self::Seal
        } else if *code == SqlState::QUERY_CANCELED {
            Self::Deadline
        } else if code.code().starts_with("57P") || code.code().starts_with("08") {
            Self::Unreachable(format!("the server closed the connection (SQLSTATE {})", code.code()))
        } else {
            Self::Database(described)
        }
    }
}
