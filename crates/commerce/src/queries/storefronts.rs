//! How a merchant's shop looks.

use bastide_tenancy::{Query, TenantId, TenantPool};

use crate::{Error, rows::Storefront};

pub(super) const OF_TENANT: Query =
    Query::new("SELECT theme FROM public.storefront_configs ORDER BY merchant_id LIMIT 1", &[]);

/// The default look when the merchant has chosen none.
///
/// # Errors
/// When the database gives no answer.
pub async fn of_tenant(pool: &TenantPool, tenant: &TenantId) -> Result<Storefront, Error> {
    pool.read(tenant, &OF_TENANT, &[])
        .await?
        .first()
        .map_or_else(|| Ok(Storefront::default()), Storefront::try_from)
}
