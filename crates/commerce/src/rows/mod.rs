//! What a row is, one entity per file.

mod answer;
mod api_key;
mod cart;
mod catalogue;
mod category;
mod change;
mod crossing;
mod inventory;
mod media;
mod merchant;
mod migration;
mod order;
mod placed_order;
mod product;
mod search;
mod session;
mod shop_product;
mod storefront;
mod team;
mod user;
mod variant;

pub use answer::StoredAnswer;
pub use api_key::{ApiKey, KeyAccess};
pub use cart::{Cart, CartLine};
pub use catalogue::{ProductDetail, ProductOption, ProductStatus, ProductSummary};
pub use category::{Category, CategoryNode};
pub use change::{Change, ChangePosition};
pub use crossing::{Crossing, CrossingKind};
pub use inventory::{AdjustmentPosition, LevelPosition, Reason, StockAdjustment, StockLevel};
pub use media::Picture;
pub use merchant::{Merchant, MerchantMembership};
pub use migration::MigrationStatus;
pub use order::{Order, OrderPosition};
pub use placed_order::{PlacedLine, PlacedOrder};
pub use product::{Product, ProductPosition};
pub use search::{CategoryFacet, Facets, OptionFacet, SearchPosition};
pub use session::{OpenSession, Rotation};
pub use shop_product::{ShopProduct, ShopVariant};
pub use storefront::{Accent, Storefront};
pub use team::{Invitation, TeamMember};
pub use user::Login;
pub use variant::{Variant, VariantStatus, VersionedVariant};

use bastide_tenancy::{FromSql, Row};
use serde::de::DeserializeOwned;

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

    pub(crate) fn json<T: DeserializeOwned>(&self, column: &'static str) -> Result<T, Error> {
        let value: serde_json::Value = self.get(column)?;
        serde_json::from_value(value).map_err(|_| self.wrong(column))
    }

    pub(crate) fn wrong(&self, column: &'static str) -> Error {
        Error::Column { entity: self.entity, column }
    }
}
