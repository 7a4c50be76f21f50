//! A typed snapshot of a live schema: what the planner plans against, what the posture checks read, and what two
//! runs compare to find out what changed between them.
//!
//! [`read`] is the only function here that talks to a server. It reads one consistent snapshot (REPEATABLE READ), and
//! renders nothing itself: types, defaults, predicates and constraint definitions are the server's own words
//! (`format_type`, `pg_get_expr`, `pg_get_constraintdef`), with every name qualified.
//!
//! Two snapshots are compared by hash ([`Fingerprint`], small enough to stand in a plan) or in full ([`Catalog::diff`]).

mod as_pairs;
mod aspects;
mod builtins;
mod diff;
mod fingerprint;
mod functions;
mod model;
#[cfg(feature = "read")]
mod read;
mod telling;

pub use builtins::{DECISIVE_PARAMETERS, LEAKPROOF_BUILTINS, WITHHELD};
pub use fingerprint::{Change, ChangeKind, Fingerprint};
pub use functions::{PathFault, search_path};
pub use model::*;
#[cfg(feature = "read")]
pub use read::{ReadError, read};
