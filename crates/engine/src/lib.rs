//! Runs a plan: takes the lock, keeps the journal, sends each step's script, undoes it, picks up where a killed run
//! stopped, and takes the backup.
//!
//! Nothing here prints. Whoever starts a run passes a [`Listener`] and gets [`Event`]s; what happened is also in the
//! journal (schema `bastide`), which [`status`] reads back as a [`RunRecord`] and its [`StepRecord`]s. The only way to a connection
//! that may change something is [`MigrationGuard`], which holds the advisory lock.

mod app_login;
mod backup;
mod blockers;
mod bootstrap;
mod cutover;
mod dry_run;
mod error;
mod event;
mod fault;
mod fingerprint;
mod finish;
mod guard;
mod journal;
mod legacy_use;
mod message;
mod options;
mod phases;
mod planning;
mod platform;
mod pressure;
mod read_run;

mod rollback;
mod run;
mod runner;
mod scratch;
mod seal;
mod server_said;
mod space;
#[cfg(test)]
mod test_plan;
mod tools;
mod upgrade;
mod validate;
mod watch;

pub use app_login::{forget_password, login_of_newest_run, password_statement};
pub use backup::{Manifest, check_backup};
pub use bastide_legacy::Asked;
pub use bastide_record::{
    Acknowledgement, BackupChoice, BackupRecord, PhaseRecord, RunRecord, RunState, StepRecord, StepState,
};
pub use bootstrap::{OWN_SCHEMA, ensure_owner};
pub use cutover::cutover;
pub use dry_run::{RenderedStep, dry_run};
pub use error::EngineError;
pub use event::{Event, Listener, StepEnded, StepOutcome};
#[doc(hidden)]
pub use fault::point as fault_point;
pub use finish::{Discarded, discards, finish};
pub use guard::MigrationGuard;
pub use legacy_use::{Bound, LegacyLogin, LegacyUse, watch_legacy_logins};
pub use options::{MigrateOptions, OnFailure, Place, without_backup};
pub use planning::{discover, make_plan};
pub use pressure::Limits;
pub use read_run::{Head, read_run, status};
pub use rollback::{Undone, rollback};
pub use run::{RunOutcome, migrate, resume};
pub use runner::Patience;
pub use scratch::Scratch;
pub use seal::{SealKey, add_seal_key, retire_seal_key, seal_keys};
pub use server_said::ServerSaid;
pub use upgrade::{Upgraded, upgrade_again};
pub use validate::validate_rows;
pub use watch::Watch;
