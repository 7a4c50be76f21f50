//! What a shop knows: its rows and the queries that read them.
//!
//! One entity has one file in [`rows`] (what a row is) and one in [`queries`] (how it is read). Every query goes through
//! [`bastide_tenancy`], which alone decides whose rows there are.
//!
//! No query names the tenant column. Which one it is was decided when the database was migrated (a reused `merchant_id` here, an
//! added `tenant_id` there), and the policy compares it with an index condition of its own. Should shops one day live on several
//! clusters, the door knows the tenant of every statement before it is sent and can route by it.

mod country;
pub mod drafts;
mod example;
mod money;
mod options;
pub mod order_state;
pub mod payment;
pub mod pricing;
pub mod queries;
pub mod rows;
mod slug;
pub mod subdomain;
mod version;

pub use country::is_country;
pub use example::Example;
pub use money::Money;
pub use options::misfits;
pub use slug::Slug;
pub use version::{Changed, Version};

/// Why a query gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Door(#[from] bastide_tenancy::Error),
    /// A column that is missing, NULL or of another type than the code expects.
    #[error("{entity}: column {column} is not what was expected")]
    Column { entity: &'static str, column: &'static str },
}

impl Error {
    /// Whether the database refused a row because of this constraint.
    #[must_use]
    pub fn violates(&self, constraint: &str) -> bool {
        matches!(self, Self::Door(bastide_tenancy::Error::Database(error)) if error.constraint.as_deref() == Some(constraint))
    }
}
