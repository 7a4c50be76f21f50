//! What the numbers depend on besides us.

use std::fmt::Write;

use crate::server::Bench;

/// Those that move a bulk UPDATE by more than a few per cent.
const SETTINGS: [&str; 11] = [
    "fsync",
    "synchronous_commit",
    "full_page_writes",
    "shared_buffers",
    "work_mem",
    "maintenance_work_mem",
    "max_wal_size",
    "checkpoint_timeout",
    "autovacuum",
    "max_parallel_workers_per_gather",
    "jit",
];

/// Over one, five and fifteen minutes; `None` where the system does not say.
pub(crate) fn load() -> Option<String> {
    let text = std::fs::read_to_string("/proc/loadavg").ok()?;
    Some(text.split_whitespace().take(3).collect::<Vec<_>>().join(" "))
}

/// `before` is the load before the bench began.
pub(crate) async fn conditions(bench: &Bench, before: Option<String>) -> anyhow::Result<String> {
    let client = bench.maintenance().connect("bastide bench").await?;
    let unknown = || "unknown".to_owned();
    let cores = std::thread::available_parallelism().map_or_else(|_| unknown(), |n| n.to_string());
    let build = if cfg!(debug_assertions) { "not optimised" } else { "optimised" };
    let mut out = format!(
        "{cores} cores; load average {} before, {} after; PostgreSQL {}; Bastide's binary {build}\n",
        before.unwrap_or_else(unknown),
        load().unwrap_or_else(unknown),
        client.server_version()
    );
    let mut settings = Vec::new();
    for name in SETTINGS {
        let row = client.query_one("SELECT current_setting($1)", &[&name]).await?;
        settings.push(format!("{name} {}", row.try_get::<_, String>(0)?));
    }
    writeln!(out, "{}", settings.join(", "))?;
    Ok(out)
}
