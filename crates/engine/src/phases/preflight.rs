//! Everything that can be known to stand in the way before anything is changed.

use bastide_catalog::cves::{self, Opens};
use bastide_plan::{Phase, Plan};
use tokio_postgres::Client;

use crate::{
    BackupChoice, EngineError, Event, Listener, MigrateOptions, MigrationGuard,
    phases::{analysis, capacity},
    space, tools,
};

/// A transaction this old will make us wait for its locks, and a concurrent index build wait for its end.
const LONG: i32 = 60;

/// # Errors
/// On the first thing that forbids the run. What only needs attention is a [`Event::Notice`].
pub(crate) async fn check(
    guard: &mut MigrationGuard,
    options: &MigrateOptions,
    listener: Listener<'_>,
) -> Result<(), EngineError> {
    let doing = |text: &str| listener(&Event::Activity { phase: Phase::Preflight, text: text.to_owned() });
    doing("the plan and its questions");
    answered(&options.plan)?;
    same_database(guard, &options.plan).await?;
    doing("the server's version");
    patched(guard.client(), listener).await?;
    doing("the schema, against the plan");
    analysis::fresh(guard, &options.plan).await?;
    doing("client programs and disk");
    // Also without a backup: rollback compares schema dumps.
    tools::find("pg_dump", guard).await?;
    if !matches!(options.backup, BackupChoice::None(_)) {
        tools::find("pg_restore", guard).await?;
    }
    space::check(guard, &options.plan, &options.place.state_dir, &options.backup, listener).await?;
    capacity::check(guard, listener).await?;
    doing("sessions, replication and leftovers");
    for (query, parameters) in NOTES {
        let long: &(dyn tokio_postgres::types::ToSql + Sync) = &LONG;
        let rows = guard
            .client()
            .query(*query, if *parameters { std::slice::from_ref(&long) } else { &[] })
            .await
            .map_err(EngineError::server("looking at sessions and replication"))?;
        for row in rows {
            let text = row.try_get(0).map_err(EngineError::server("looking at sessions and replication"))?;
            listener(&Event::Notice { text });
        }
    }
    Ok(())
}

fn answered(plan: &Plan) -> Result<(), EngineError> {
    let open: Vec<_> = plan.open().collect();
    match open.first() {
        None => Ok(()),
        Some(first) => Err(EngineError::OpenQuestions {
            count: open.len(),
            first: format!("{} ({})", first.text, first.id),
        }),
    }
}

async fn same_database(guard: &MigrationGuard, plan: &Plan) -> Result<(), EngineError> {
    let reading = "reading which database this is";
    let row = guard
        .client()
        .query_one(
            "SELECT oid, (SELECT system_identifier::text FROM pg_control_system()) FROM pg_database WHERE datname = current_database()",
            &[],
        )
        .await
        .map_err(EngineError::server(reading))?;
    let oid: u32 = row.try_get(0).map_err(EngineError::server(reading))?;
    let system: Option<String> = row.try_get(1).map_err(EngineError::server(reading))?;
    let same_server = plan.database.system_identifier.is_none() || plan.database.system_identifier == system;
    if same_server && plan.database.oid == oid {
        return Ok(());
    }
    Err(EngineError::OtherDatabase {
        planned: plan.database.name.to_string(),
        found: if same_server {
            guard.database().to_owned()
        } else {
            format!("{} on another server", guard.database())
        },
    })
}

async fn patched(client: &Client, listener: Listener<'_>) -> Result<(), EngineError> {
    let reading = "reading the server's version";
    let version: i32 = client
        .query_one("SELECT current_setting('server_version_num')::int", &[])
        .await
        .and_then(|row| row.try_get(0))
        .map_err(EngineError::server(reading))?;
    let version = version.unsigned_abs();
    if let Some(refusal) = refusal(version) {
        return Err(EngineError::Preflight(refusal));
    }
    if let Some(text) = known_holes(version) {
        listener(&Event::Notice { text });
    }
    Ok(())
}

/// Why no table should be moved to row security on this server: it shows rows that row security hides.
fn refusal(version: u32) -> Option<String> {
    let open = || cves::affecting(version).filter(|cve| cve.opens == Opens::Rows);
    let minor = open().filter_map(|cve| cve.fixed_in(version)).max()?;
    let ids: Vec<&str> = open().map(|cve| cve.id).collect();
    Some(format!(
        "{} shows rows that row security hides ({}); update the server to {}.{minor} or later first",
        cves::name(version),
        ids.join(", "),
        version / 10_000
    ))
}

/// What does not stand in the way, and should be known.
fn known_holes(version: u32) -> Option<String> {
    let minor = cves::affecting(version).filter_map(|cve| cve.fixed_in(version)).max()?;
    let ids: Vec<&str> = cves::affecting(version).map(|cve| cve.id).collect();
    Some(format!(
        "{} has known holes ({}); update it to {}.{minor} or later soon",
        cves::name(version),
        ids.join(", "),
        version / 10_000
    ))
}

/// Each returns sentences; the flag says whether it takes [`LONG`].
const NOTES: &[(&str, bool)] = &[
    (
        "SELECT format('pid %s (%s%s) has had a transaction open for %s s; steps that need its tables will wait for it', a.pid, a.usename, CASE WHEN a.application_name <> '' THEN ', ' || a.application_name ELSE '' END, round(extract(epoch FROM clock_timestamp() - a.xact_start))) FROM pg_stat_activity a WHERE a.datname = current_database() AND a.pid <> pg_backend_pid() AND a.xact_start < clock_timestamp() - make_interval(secs => $1::int) ORDER BY a.xact_start LIMIT 5",
        true,
    ),
    (
        "SELECT format('prepared transaction %s (by %s, since %s) keeps its locks until somebody ends it with COMMIT PREPARED or ROLLBACK PREPARED', quote_literal(p.gid), p.owner, to_char(p.prepared, 'YYYY-MM-DD HH24:MI')) FROM pg_prepared_xacts p WHERE p.database = current_database()",
        false,
    ),
    (
        "SELECT format('publication %s sends rows to subscribers; a subscriber without the new tenant column stops: add it there first', quote_ident(p.pubname)) FROM pg_publication p",
        false,
    ),
    (
        "SELECT format('subscription %s writes here; its rows get their tenant only where triggers fire for replication', quote_ident(s.subname)) FROM pg_subscription s JOIN pg_database d ON d.oid = s.subdbid WHERE d.datname = current_database()",
        false,
    ),
    (
        "SELECT format('replication slot %s is inactive and has the server keep WAL (%s so far), the run''s too: start its reader, or drop it with SELECT pg_drop_replication_slot(%L)', quote_ident(r.slot_name), pg_size_pretty(pg_wal_lsn_diff(pg_current_wal_lsn(), r.restart_lsn)), r.slot_name) FROM pg_replication_slots r WHERE NOT r.active AND r.restart_lsn IS NOT NULL",
        false,
    ),
    (
        "SELECT format('slot %s (%s) is being read: a reader that does not know the new tenant columns may stop, and then WAL piles up here', quote_ident(r.slot_name), r.plugin) FROM pg_replication_slots r WHERE r.active AND r.slot_type = 'logical' AND r.database = current_database()",
        false,
    ),
    (
        "SELECT format('%s is preset for %s; Bastide''s own sessions override it, and probes run under what the application''s login has', c, coalesce('role ' || quote_ident(pg_get_userbyid(nullif(s.setrole, 0))), 'the database')) FROM pg_db_role_setting s, unnest(s.setconfig) AS c WHERE s.setdatabase IN (0, (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())) AND (s.setrole = 0 OR pg_get_userbyid(s.setrole) = current_user) AND split_part(c, '=', 1) IN ('statement_timeout', 'lock_timeout', 'transaction_timeout', 'idle_in_transaction_session_timeout', 'idle_session_timeout', 'default_transaction_read_only', 'session_replication_role')",
        false,
    ),
    (
        "SELECT format('index %s is invalid (a build that failed); it protects and speeds up nothing: drop it or REINDEX it', i.indexrelid::regclass) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace WHERE NOT i.indisvalid AND n.nspname NOT LIKE 'pg\\_%' AND c.relkind = 'i'",
        false,
    ),
    (
        "SELECT format('event trigger %s fires for every change of the schema, ours too', quote_ident(e.evtname)) FROM pg_event_trigger e WHERE e.evtenabled <> 'D'",
        false,
    ),
    (
        "SELECT 'row security would be off for nobody: row_security is preset for this database, which sessions may override' WHERE EXISTS (SELECT FROM pg_db_role_setting s, unnest(s.setconfig) AS c WHERE c LIKE 'row\\_security=%')",
        false,
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_minor_releases_are_refused_and_patched_ones_are_not() {
        let old = refusal(150_013).unwrap();
        assert!(old.starts_with("PostgreSQL 15.13 ") && old.contains("CVE-2025-8713"), "{old}");
        assert!(old.ends_with("to 15.14 or later first"), "{old}");
        assert!(refusal(160_004).unwrap().contains("CVE-2024-10976, CVE-2025-8713"));
        assert_eq!((refusal(150_014), refusal(180_000)), (None, None));
        let soon = known_holes(150_018).unwrap();
        assert!(soon.contains("CVE-2026-14666") && soon.ends_with("to 15.20 or later soon"), "{soon}");
        assert_eq!(known_holes(180_007), None);
    }
}
