//! An error of the server's, in a form that can be shown, kept in the journal and decided upon.

use std::fmt;

use tokio_postgres::error::SqlState;

/// What the server (or the connection) said. Its detail is left out on purpose: it quotes rows' values.
#[derive(Clone, Debug)]
pub struct ServerSaid {
    code: Option<SqlState>,
    message: String,
}

impl ServerSaid {
    #[must_use]
    pub fn code(&self) -> Option<&SqlState> {
        self.code.as_ref()
    }

    /// The connection is gone; whether the last message was carried out is not known.
    #[must_use]
    pub fn lost(&self) -> bool {
        match &self.code {
            None => true,
            Some(code) => {
                code.code().starts_with("08")
                    || [SqlState::ADMIN_SHUTDOWN, SqlState::CRASH_SHUTDOWN, SqlState::CANNOT_CONNECT_NOW]
                        .contains(code)
            }
        }
    }

    /// The same message may succeed a moment later, and nothing of it has happened.
    #[must_use]
    pub fn passes(&self) -> bool {
        self.code.as_ref().is_some_and(|code| {
            [
                SqlState::LOCK_NOT_AVAILABLE,
                SqlState::T_R_DEADLOCK_DETECTED,
                SqlState::T_R_SERIALIZATION_FAILURE,
                SqlState::QUERY_CANCELED,
            ]
            .contains(code)
        })
    }

    /// The server's disk is full. Going back needs room as well, so nobody is helped by it.
    #[must_use]
    pub fn out_of_room(&self) -> bool {
        self.code == Some(SqlState::DISK_FULL)
    }

    /// `statement_timeout` ran out (or an operator cancelled us).
    #[must_use]
    pub fn timed_out(&self) -> bool {
        self.code == Some(SqlState::QUERY_CANCELED)
    }
}

impl From<tokio_postgres::Error> for ServerSaid {
    fn from(error: tokio_postgres::Error) -> Self {
        if let Some(db) = error.as_db_error() {
            return Self { code: Some(db.code().clone()), message: db.message().to_owned() };
        }
        // Anything that did not come from the server and is no broken connection is a bug of ours (a wrong column
        // type); giving it a class of its own keeps it from being retried for ever.
        let broken = error.is_closed()
            || std::error::Error::source(&error).is_some_and(|source| source.is::<std::io::Error>());
        let message = match std::error::Error::source(&error) {
            Some(source) => format!("{error}: {source}"),
            None => error.to_string(),
        };
        Self { code: (!broken).then_some(SqlState::INTERNAL_ERROR), message }
    }
}

impl fmt::Display for ServerSaid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.code {
            Some(code) if self.out_of_room() => {
                write!(f, "{} ({}; make room on the server's disk first)", self.message, code.code())
            }
            Some(code) => write!(f, "{} ({})", self.message, code.code()),
            None => f.write_str(&self.message),
        }
    }
}

impl std::error::Error for ServerSaid {}
