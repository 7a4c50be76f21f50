//! From a database URL to a connection.
//!
//! [`Target::parse`] reads what libpq reads (URLs, `key=value`, the `PG…` variables); [`Target::connect`] follows
//! libpq's `sslmode` and answers with a [`ConnectError`] that says what to try. Neither shows a password, ever.

mod connected;
mod error;
mod parameters;
mod target;
mod tls;

pub use connected::Connected;
pub use error::{BadUrl, ConnectError};
pub use target::Target;

/// The oldest server Bastide works with: 14 lacks `security_invoker` views and column lists of SET NULL.
pub const MINIMUM_MAJOR: u32 = 15;
