//! For tests only: a PostgreSQL of the test's own, within a second.
//!
//! Roles and settings belong to a whole server, so tests must not share one. Each [`server()`] is a copy of a cached
//! data folder, started on a free port and removed when dropped; [`template()`] caches one that has a fixture in it.
//! Everything here panics with a sentence that says what failed: in a test nobody could do more with an error.

mod cache;
mod database;
mod fingerprint;
mod legacy;
mod pgbouncer;
mod schema;
mod server;
pub mod truth;

pub use database::Database;
pub use fingerprint::{Columns, Fingerprints, diff};
pub use legacy::{legacy, legacy_data, legacy_dump};
pub use pgbouncer::PgBouncer;
pub use schema::Schema;
pub use server::{Server, server, server_with, template};
