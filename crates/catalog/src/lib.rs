//! A typed snapshot of a live schema: what the planner plans against, what the posture checks read, and what two
//! runs compare to find out what changed between them.
//!
//! [`read`] and [`read_within`] are the only functions here that talk to a server. They read one consistent snapshot, and
//! render nothing themselves: types, defaults, predicates and constraint definitions are the server's own words
//! (`format_type`, `pg_get_expr`, `pg_get_constraintdef`), with every name qualified.
//!
//! Two snapshots are compared by hash ([`Fingerprint`], small enough to stand in a plan) or in full ([`Catalog::diff`]).

mod as_pairs;
mod aspects;
mod builtins;
pub mod cves;
mod diff;
mod fingerprint;
mod functions;
mod model;
#[cfg(feature = "read")]
mod read;
mod telling;

pub use builtins::{DECISIVE_PARAMETERS, LEAKPROOF_BUILTINS, WITHHELD, shows_statistics};
pub use fingerprint::{Change, ChangeKind, Fingerprint};
pub use functions::{PathFault, search_path};
pub use model::*;
#[cfg(feature = "read")]
pub use read::{ReadError, read, read_within};
