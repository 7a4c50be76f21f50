//! SQL text that cannot be injected into: identifiers, literals and the fragments assembled from them.
//!
//! Every statement Bastide sends to a database it does not know is assembled by [`sql!`], whose arguments must
//! implement [`Fragment`]. `&str` and `String` do not, so a name read from a catalog or typed by a user can only
//! reach the server as an [`Ident`] or a [`Literal`]. Nothing here does I/O.

#[cfg(test)]
mod against_server;
mod expression;
mod fragment;
mod ident;
mod literal;
mod lock;

pub use expression::{Expression, ExpressionError};
pub use fragment::{Fragment, Joined, Sql, join, placeholders};
pub use ident::{Ident, IdentError, QualifiedName, QualifiedNameError};
pub use literal::Literal;
pub use lock::LockMode;
