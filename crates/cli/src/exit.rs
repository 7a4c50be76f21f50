//! Exit codes, which scripts rely on.

use std::process::ExitCode;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// Done; or isolated.
    Done = 0,
    /// Findings; or the run failed and was rolled back.
    Findings = 1,
    /// Unusable arguments, configuration or plan; open questions too.
    Unusable = 2,
    /// The database cannot be reached or may not be used.
    Database = 3,
    /// Stopped half-way; `rls status` says what next.
    HalfWay = 4,
    /// Another run holds the lock.
    Busy = 5,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// An error the operator can do something about, with the exit code that goes with it.
#[derive(Debug)]
pub(crate) struct Unusable(pub(crate) String);

impl std::fmt::Display for Unusable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unusable {}

/// The first cause that has an exit code of its own decides.
pub(crate) fn of(error: &anyhow::Error) -> Exit {
    for cause in error.chain() {
        if cause.is::<Unusable>()
            || cause.is::<bastide_plan::Refusal>()
            || cause.is::<bastide_plan::FileError>()
        {
            return Exit::Unusable;
        }
        if let Some(engine) = cause.downcast_ref::<bastide_engine::EngineError>() {
            return numbered(engine.exit_code());
        }
        if let Some(schema) = cause.downcast_ref::<bastide_schema::SchemaError>() {
            return numbered(schema.exit_code());
        }
        if cause.is::<bastide_connect::ConnectError>() {
            return Exit::Database;
        }
    }
    Exit::Database
}

fn numbered(code: u8) -> Exit {
    match code {
        1 => Exit::Findings,
        2 => Exit::Unusable,
        4 => Exit::HalfWay,
        5 => Exit::Busy,
        _ => Exit::Database,
    }
}
