//! The only door to a serving connection.
//!
//! Nothing outside this crate can hold a PostgreSQL connection of the serving login: what leaves here is rows. A statement
//! runs inside a transaction whose tenant context was set by this crate, or it is one of the named look-ups that find out
//! which tenant is meant. So "the handler forgot the WHERE" and "the handler forgot the context" are both impossible to write.
//!
//! Three promises, each with a test that would fail without it:
//!
//! * **One tenant per transaction.** The context is transaction-local, and a connection goes back to the pool only when
//!   the answer to COMMIT or ROLLBACK has been read. Whatever else happens (a dropped future, a deadline, a lost server),
//!   the connection is closed instead.
//! * **One round trip per read.** BEGIN, context, query and COMMIT leave in one flush.
//! * **Bound, or not at all.** [`TenantPool::connect`] refuses a login that row-level security does not bind, and a [`Watch`] shuts the
//!   pool of a running server for as long as it sees a breach.
//!
//! Through a transaction-mode pooler (PgBouncer before 1.21 cannot follow named statements, and refuses start-up options) set
//! [`PoolConfig::transaction_pooler`]: statements are then unnamed and time-outs travel with BEGIN. Everything else holds as it is,
//! because nothing here relies on session state.

mod bound;
mod connector;
mod error;
mod gate;
mod lease;
mod pool;
mod query;
mod seal;
mod tenant;
mod tx;
mod watch;

pub use bound::Unbound;
pub use error::{DatabaseError, Error};
pub use pool::{PoolConfig, TenantPool};
pub use query::{Kind, Lookup, Query};
pub use seal::{BadSealKeys, SealKeys};
pub use tenant::{TenantId, TenantIdError};
pub use tx::TenantTx;
pub use watch::{Change, Drift, Outcome, Probe, Round, Standing, Watch};

/// Where to connect: what [`TenantPool::connect`] takes.
pub use bastide_connect::{ConnectError, Target};
/// What a statement takes and gives, re-exported so that callers need no driver of their own.
pub use tokio_postgres::{
    Row,
    types::{FromSql, ToSql},
};

/// Bind parameters, in the order of the query's [`Kind`]s.
pub type Parameters<'a> = &'a [&'a (dyn ToSql + Sync)];
