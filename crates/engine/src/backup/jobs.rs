//! How many tables are dumped or restored at a time.

use crate::{EngineError, MigrationGuard};

/// More would wait for the same disk.
const MOST: usize = 8;

/// As many as this machine has processors, and as the server has connections to spare.
pub(super) async fn free(guard: &MigrationGuard) -> Result<usize, EngineError> {
    let doing = "counting free connections";
    let free: i64 = guard
        .client()
        .query_one(
            "SELECT current_setting('max_connections')::bigint - current_setting('superuser_reserved_connections')::bigint - coalesce(current_setting('reserved_connections', true)::bigint, 0) - (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend')",
            &[],
        )
        .await
        .and_then(|row| row.try_get(0))
        .map_err(EngineError::server(doing))?;
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    Ok(jobs(processors, usize::try_from(free).unwrap_or(0)))
}

/// Half of the free connections stay free; several jobs need one more, which leads them.
fn jobs(processors: usize, free: usize) -> usize {
    processors.min(MOST).min((free / 2).saturating_sub(1)).max(1)
}

#[cfg(test)]
mod tests {
    use super::jobs;

    #[test]
    fn the_shop_keeps_its_connections() {
        assert_eq!(jobs(2, 57), 2);
        assert_eq!(jobs(64, 90), 8);
        assert_eq!(jobs(8, 10), 4);
        assert_eq!(jobs(8, 3), 1);
        assert_eq!(jobs(1, 0), 1);
    }
}
