//! What a row is, one entity per file.

mod answer;
mod crossing;
mod merchant;
mod migration;
mod order;
mod product;
mod storefront;
mod user;

pub use answer::StoredAnswer;
pub use crossing::{Crossing, CrossingKind};
pub use merchant::{Merchant, MerchantMembership};
pub use migration::MigrationStatus;
pub use order::{Order, OrderPosition};
pub use product::{Product, ProductPosition};
pub use storefront::{Accent, Storefront};
pub use user::Login;

use bastide_tenancy::{FromSql, Row};

use crate::Error;

/// Reads columns by name, so that a wrong one is an error that names it, never a panic.
pub(crate) struct Columns<'a> {
    pub(crate) entity: &'static str,
    pub(crate) row: &'a Row,
}

impl<'a> Columns<'a> {
    pub(crate) fn get<T: FromSql<'a>>(&self, column: &'static str) -> Result<T, Error> {
        self.row.try_get(column).map_err(|_| Error::Column { entity: self.entity, column })
    }
}
