//! Reads what the rows of a legacy database say about whose they are.
//!
//! [`survey`] runs the set-wise SQL of `bastide_plan::inference` and brings back counts. It changes nothing: everything
//! happens in one transaction that is rolled back. Deciding is the planner's work.
//!
//! [`integrity`] looks in the same transaction for what is wrong with the rows before anything moves. [`discover`] does both,
//! with less: no root, few rights, little time. [`roots`] surveys other tables as the tenant root.

mod around;
mod code;
mod discover;
mod error;
mod event_triggers;
mod integrity;
mod proposals;
mod quarantine;
mod reading;
mod replication;
mod roots;
mod rules;
mod survey;
mod validate;

pub use discover::{Asked, discover};
pub use error::SurveyError;
pub use integrity::{IntegrityLimits, integrity};
pub use roots::{RootLimits, roots};
pub use survey::survey;
pub use validate::{Totals, Upgrade, validate};
