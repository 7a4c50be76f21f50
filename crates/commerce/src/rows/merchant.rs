//! A merchant: the tenant.

use bastide_tenancy::{Row, TenantId, TenantIdError};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::Columns;
use crate::Error;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Merchant {
    pub id: Uuid,
    pub slug: String,
    pub name: String,
    pub currency: String,
    pub status: String,
}

impl Merchant {
    /// Suspended, closed and half-made merchants have no storefront.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.status == "active"
    }

    /// A closed merchant is gone for its team, too; a suspended one still sees its own orders.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.status == "closed"
    }

    /// # Errors
    /// Never, for a uuid; the signature says so to nobody but the compiler.
    pub fn tenant(&self) -> Result<TenantId, TenantIdError> {
        TenantId::new(self.id.to_string())
    }
}

impl TryFrom<&Row> for Merchant {
    type Error = Error;

    fn try_from(row: &Row) -> Result<Self, Error> {
        let columns = Columns { entity: "merchant", row };
        Ok(Self {
            id: columns.get("id")?,
            slug: columns.get("slug")?,
            name: columns.get("name")?,
            currency: columns.get("currency")?,
            status: columns.get("status")?,
        })
    }
}

/// A merchant somebody works for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct MerchantMembership {
    pub id: Uuid,
    pub slug: String,
    pub name: String,
    pub role: String,
}

impl TryFrom<&Row> for MerchantMembership {
    type Error = Error;

    fn try_from(row: &Row) -> Result<Self, Error> {
        let columns = Columns { entity: "membership", row };
        Ok(Self {
            id: columns.get("id")?,
            slug: columns.get("slug")?,
            name: columns.get("name")?,
            role: columns.get("role")?,
        })
    }
}
