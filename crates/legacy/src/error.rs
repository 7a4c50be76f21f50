//! What can stop a survey.

use bastide_plan::Refusal;
use bastide_sql::QualifiedName;
use tokio_postgres::error::SqlState;

#[derive(Debug, thiserror::Error)]
pub enum SurveyError {
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Somebody holds a lock that even reading has to wait for.
    #[error(
        "could not {what}: another session holds a lock on it for longer than {seconds} s; try again when it has ended"
    )]
    Locked { what: String, seconds: u32 },
    /// Only where a limit was given.
    #[error("stopped after {seconds} s, before it could {what}")]
    OutOfTime { what: String, seconds: u64 },
    #[error("could not {what}: {}", server_message(source))]
    Server { what: String, source: tokio_postgres::Error },
    /// Found by trying.
    #[error(
        "an event trigger refuses the temporary tables that planning makes and takes back ({said}), and may refuse the run's own changes; here fire {triggers}. Run {remedy}, which you can take back when the run has ended"
    )]
    EventTrigger { said: String, triggers: String, remedy: String },
    /// The operator's own expression or file.
    #[error("[[rule]] {rule} (of {table}): {said}; mend it in bastide.toml and try again")]
    Rule { rule: String, table: QualifiedName, said: String },
    /// Classification asks again for what it was told.
    #[error("could not classify the tables: the use of {tables} was measured and is asked for again")]
    Circular { tables: String },
}

/// How long a read waits for a lock.
pub(crate) const LOCK_TIMEOUT_SECONDS: u32 = 5;

impl SurveyError {
    /// For `map_err`: `what` completes "could not …".
    pub(crate) fn during(what: impl Into<String>) -> impl FnOnce(tokio_postgres::Error) -> Self {
        let what = what.into();
        move |source| {
            if source.code() == Some(&SqlState::LOCK_NOT_AVAILABLE) {
                Self::Locked { what, seconds: LOCK_TIMEOUT_SECONDS }
            } else {
                Self::Server { what, source }
            }
        }
    }
}

impl SurveyError {
    /// For `map_err`: the server refused what a rule says. Time and locks are not the rule's fault.
    pub(crate) fn of_rule(rule: &str, table: &QualifiedName) -> impl FnOnce(tokio_postgres::Error) -> Self {
        let (rule, table) = (rule.to_owned(), table.clone());
        move |error| match error.code() {
            Some(&SqlState::LOCK_NOT_AVAILABLE | &SqlState::QUERY_CANCELED) | None => {
                Self::during(format!("try the rule {rule}"))(error)
            }
            Some(_) => Self::Rule { rule, table, said: server_message(&error) },
        }
    }

    /// Why something was not counted. What is the connection's fault, or the settings', stays an error.
    pub(crate) fn without_rows(self) -> Result<String, Self> {
        match &self {
            Self::Server { source, .. } if source.as_db_error().is_none() => Err(self),
            Self::OutOfTime { seconds, .. } => Ok(format!("stopped after {seconds} s")),
            Self::Locked { .. } | Self::Server { .. } => Ok(self.to_string()),
            Self::Refused(_) | Self::Rule { .. } | Self::Circular { .. } | Self::EventTrigger { .. } => {
                Err(self)
            }
        }
    }

    /// The server's own words, where it has some.
    pub(crate) fn said(&self) -> String {
        match self {
            Self::Server { source, .. } => server_message(source),
            other => other.to_string(),
        }
    }

    pub(crate) fn code(&self) -> Option<&SqlState> {
        match self {
            Self::Server { source, .. } => source.code(),
            _ => None,
        }
    }
}

fn server_message(error: &tokio_postgres::Error) -> String {
    error.as_db_error().map_or_else(|| error.to_string(), |db| db.message().to_owned())
}
