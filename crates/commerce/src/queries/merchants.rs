//! Merchants, before the tenant is known.

use bastide_tenancy::{Kind, Lookup, TenantPool};
use uuid::Uuid;

use crate::{
    Error,
    rows::{Merchant, MerchantMembership},
};

pub(super) const BY_SLUG: Lookup =
    Lookup::new("SELECT id, slug, name, currency, status FROM bastide.merchant_by_slug($1)", &[Kind::Text]);

/// # Errors
/// When the database gives no answer.
pub async fn by_slug(pool: &TenantPool, slug: &str) -> Result<Option<Merchant>, Error> {
    pool.lookup(&BY_SLUG, &[&slug]).await?.first().map(Merchant::try_from).transpose()
}

pub(super) const OF_USER: Lookup =
    Lookup::new("SELECT id, slug, name, role FROM bastide.merchants_of($1)", &[Kind::Uuid]);

/// The merchants somebody works for, closed ones left out, by name.
///
/// # Errors
/// When the database gives no answer.
pub async fn of_user(pool: &TenantPool, user: Uuid) -> Result<Vec<MerchantMembership>, Error> {
    pool.lookup(&OF_USER, &[&user]).await?.iter().map(MerchantMembership::try_from).collect()
}
