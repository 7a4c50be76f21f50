//! The state of the newest run, which the application's login can see only through this one function.

use bastide_tenancy::{Lookup, TenantPool};

use crate::{Error, rows::MigrationStatus};

pub(super) const STATUS: Lookup = Lookup::new(
    "SELECT state, phase, steps_done, steps_total, started_at, ended_at FROM bastide.migration_status()",
    &[],
);

/// None when this database was never migrated, or its run is finished and its journal discarded.
///
/// # Errors
/// When the database gives no answer.
pub async fn status(pool: &TenantPool) -> Result<Option<MigrationStatus>, Error> {
    pool.lookup(&STATUS, &[]).await?.first().map(MigrationStatus::try_from).transpose()
}
