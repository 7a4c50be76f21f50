//! How often something was tried, counted in the database: for every server behind one address alike.

use std::time::Duration;

use bastide_tenancy::{Kind, Lookup, TenantPool};

use crate::Error;

/// So many in so long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    pub most: u32,
    pub within: Duration,
}

pub(super) const COUNT: Lookup = Lookup::new(
    "SELECT wait FROM bastide.count_attempt($1, $2, $3) AS wait",
    &[Kind::Text, Kind::Int4, Kind::Int4],
);

/// Counts one more, and says how long to wait when there were too many already.
///
/// # Errors
/// When the database gives no answer.
pub async fn count(pool: &TenantPool, subject: &str, limit: Limit) -> Result<Option<Duration>, Error> {
    let most = i32::try_from(limit.most).unwrap_or(i32::MAX);
    let seconds = i32::try_from(limit.within.as_secs()).unwrap_or(i32::MAX);
    let rows = pool.lookup(&COUNT, &[&subject, &most, &seconds]).await?;
    let wrong = Error::Column { entity: "attempt", column: "wait" };
    let wait: i32 = rows.first().and_then(|row| row.try_get("wait").ok()).ok_or(wrong)?;
    Ok(u64::try_from(wait).ok().filter(|wait| *wait > 0).map(Duration::from_secs))
}

pub(super) const FORGET: Lookup =
    Lookup::new("SELECT forgotten FROM bastide.forget_attempts($1) AS forgotten", &[Kind::Text]);

/// # Errors
/// When the database gives no answer.
pub async fn forget(pool: &TenantPool, subject: &str) -> Result<(), Error> {
    pool.lookup(&FORGET, &[&subject]).await?;
    Ok(())
}
