//! The platform's own schema: numbered migrations in `migrations/`, compiled in, applied and undone one by one under the
//! migration lock, and recorded in the database with what undoes them.
//!
//! A migration is `up.sql`, `down.sql` and, where it makes tables, `isolate`, which says of each how it is kept apart. The policies,
//! grants and defaults themselves are rendered by the steps of `bastide-plan`, as for a legacy schema. Nothing here prints.

mod adopt;
mod apply;
mod built;
mod check;
mod comparable;
mod down;
mod error;
mod lines;
mod loss;
mod migration;
mod ours;
mod record;
mod statements;
mod status;
pub mod tenants;
mod up;

pub use check::{Checked, check};
pub use comparable::comparable;
pub use down::{Undone, down, losses};
pub use error::SchemaError;
pub use loss::{Loss, LostColumn, LostTable};
pub use migration::{Files, Migration, Migrations};
pub use record::{Applied, Change, State, history};
pub use status::{Status, VersionState, VersionStatus, status};
pub use up::{Rendered, Up, dry_run, up};

use bastide_engine::Place;
use bastide_sql::Ident;

/// Where, with which files, and for whom.
#[derive(Clone, Debug)]
pub struct Options {
    pub place: Place,
    /// The application's login, made where it is missing.
    pub app_role: Ident,
    /// For a login that is made; without it one is generated into a file.
    pub app_password: Option<String>,
    pub migrations: Migrations,
}

/// What happens meanwhile, for whoever shows it.
pub type Say<'a> = &'a (dyn Fn(&str) + Send + Sync);
