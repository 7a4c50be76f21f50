//! Why there is no connection, and what to try.

use std::io;

use crate::MINIMUM_MAJOR;

#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    #[error(
        "the database URL cannot be used: {0}; write it as postgresql://user:password@host:5432/database"
    )]
    BadUrl(#[from] BadUrl),

    #[error(
        "cannot reach PostgreSQL at {host}: {source}; check host and port, and that the server runs and listens there"
    )]
    Unreachable { host: String, source: io::Error },

    #[error(
        "PostgreSQL at {host} did not answer within {seconds} s; check host, port and firewall, or raise connect_timeout"
    )]
    NoAnswer { host: String, seconds: u64 },

    #[error(
        "PostgreSQL at {host} does not accept this password for the user `{user}` (it says the same of users that do not \
         exist); check the URL, or PGPASSWORD"
    )]
    WrongPassword { user: String, host: String },

    #[error(
        "PostgreSQL at {host} asks the user `{user}` for a password; put it into the URL, or set PGPASSWORD"
    )]
    NoPassword { user: String, host: String },

    #[error(
        "PostgreSQL at {host} does not let the user `{user}` in: {message}; check the role, and pg_hba.conf on the server"
    )]
    NotAllowed { user: String, host: String, message: String },

    #[error(
        "there is no database `{database}` at {host}; `psql -l` lists those there are, `createdb {database}` makes it"
    )]
    NoSuchDatabase { database: String, host: String },

    #[error(
        "the user `{user}` may not connect to the database `{database}`; its owner can `GRANT CONNECT ON DATABASE` to that user"
    )]
    NoConnectPrivilege { user: String, database: String },

    #[error(
        "PostgreSQL at {host} is version {version}; Bastide needs {MINIMUM_MAJOR} or newer: upgrade the server first"
    )]
    TooOld { version: String, host: String },

    #[error(
        "PostgreSQL at {host} has no connection left: {message}; close some, or raise max_connections or the role's limit"
    )]
    TooMany { host: String, message: String },

    #[error("PostgreSQL at {host} is not accepting connections just now: {message}; try again in a moment")]
    Starting { host: String, message: String },

    #[error("no encrypted connection to {host}: {problem}")]
    Tls { host: String, problem: String },

    #[error("PostgreSQL at {host} refused the connection: {message} (SQLSTATE {code})")]
    Refused { host: String, code: String, message: String },

    #[error(
        "{host} did not answer as PostgreSQL does: {problem}; check that host and port are a PostgreSQL server's"
    )]
    NotPostgres { host: String, problem: String },
}

/// What is wrong with a URL. Repeats names of options only: anything else might be a piece of a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadUrl {
    #[error("it is empty")]
    Empty,
    #[error("it begins with neither postgresql:// nor key=value")]
    Scheme,
    #[error(
        "the port is not a number between 1 and 65535 (characters such as / : @ # in a password must be percent-encoded)"
    )]
    Port,
    #[error(
        "an `@` follows its first / or ?; in a password, / ? @ # and % must be percent-encoded (/ is %2F, ? is %3F)"
    )]
    Unencoded,
    #[error("its {0} is not percent-encoded UTF-8")]
    Encoding(&'static str),
    #[error("the address in brackets does not end")]
    Bracket,
    #[error("its option {0}, counted from 1, is not of the form key=value")]
    Pair(usize),
    #[error("a quoted value does not end")]
    Quote,
    #[error("`{0}` is not an option Bastide knows; remove it")]
    Unknown(String),
    #[error("its option {0}, counted from 1, is not one Bastide knows")]
    UnknownAt(usize),
    #[error("the value of `{0}` is not one of {1}")]
    Value(&'static str, &'static str),
    #[error("it names {hosts} hosts, but {other} values of `{option}`")]
    Counts { option: &'static str, hosts: usize, other: usize },
    #[error("it names no user, and neither PGUSER nor USER is set")]
    NoUser,
}
