//! Pure planning: `(Catalog, Survey, Config) -> Plan`.
//!
//! No I/O, no clock, no randomness: the same inputs give the same plan, byte for byte, so a plan can be reviewed, kept
//! in version control and compared. What has to be measured first (how rows are used, which links cross) is asked for
//! as data ([`classify::Classification::wanted`]) and comes back as a [`Survey`]; reading it is `bastide-legacy`'s work.
//!
//! The other half of the crate is what a plan is made of: [`Step`], a closed enum with one file per variant in which the
//! change and its exact undoing stand side by side.

mod access;
mod boundary;
mod categories;
pub mod classify;
mod code;
mod config;
mod declared;
mod file;
#[cfg(test)]
mod fixture;
pub mod inference;
pub mod isolate;
mod kinds;
mod links;
mod notes;
mod obstacles;
mod phases;
mod plan;
mod planner;
mod quarantine;
mod refusal;
mod replication;
mod script;
mod settlement;
mod standing;
pub mod steps;
mod survey;

pub use boundary::crossing_links;
pub use categories::{
    Age, Category, CategoryCounts, Condition, Share, TableCategory, categories, category_counts, table_rows,
};
pub use config::{Config, RootChoice};
pub use declared::{Declarations, DeclaredReference, GivenKey, GivenKeys, NewTenants, Rule, WatchSettings};
pub use file::{Answer, FileError, PlanFile, read_plan, write_plan};
pub use kinds::{KindTenant, kinds, sorted};
pub use notes::unbound_functions;
pub use plan::*;
pub use planner::plan;
pub use quarantine::{proposed, quarantine, slug_column};
pub use refusal::{BetterRoots, CrossingLink, Refusal, no_schema_to_exclude, no_table_to_exclude, thousands};
pub use script::{Mode, Script};
pub use settlement::Settlement;
pub use steps::{Step, StepId};
pub use survey::*;
