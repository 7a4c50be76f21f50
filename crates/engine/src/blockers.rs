//! Who is in the way of a lock: asked after we stepped back, so that the operator knows whom to talk to.

use bastide_plan::Script;
use bastide_record::Blocker;
use bastide_sql::{LockMode, sql};
use tokio_postgres::Client;

/// Up to three sessions, the oldest transaction first. Nothing that goes wrong here may stop the run: then nobody is named.
pub(crate) async fn blockers(client: &Client, script: &Script) -> Vec<String> {
    match ask(client, script, 0).await {
        Ok(blockers) => blockers.into_iter().map(|blocker| blocker.who).collect(),
        Err(error) => {
            tracing::debug!(%error, "could not ask who holds the lock");
            Vec::new()
        }
    }
}

/// The same for whoever watches the run: who is in the way of the session `migrating`, to which the script belongs. Only
/// those whose lock conflicts, and those the server itself says it waits for: a watcher does not know whether we stepped back.
pub(crate) async fn in_the_way(
    client: &Client,
    script: &Script,
    migrating: i32,
) -> Result<Vec<Blocker>, tokio_postgres::Error> {
    ask(client, script, migrating).await
}

async fn ask(
    client: &Client,
    script: &Script,
    migrating: i32,
) -> Result<Vec<Blocker>, tokio_postgres::Error> {
    let relations: Vec<String> =
        script.locked.iter().map(|name| sql!("{}", name).as_str().to_owned()).collect();
    let modes = conflicting(script.lock.unwrap_or(LockMode::RowExclusive));
    let rows = client.query(QUERY, &[&relations, &modes, &migrating]).await?;
    rows.iter().map(|row| Ok(Blocker { pid: row.try_get(0)?, who: row.try_get(1)? })).collect()
}

/// Row locks are not in pg_locks, so where no table lock conflicts, whoever writes to the table is named instead. A
/// concurrent index build waits for every old transaction, whatever it touches: they come last. A prepared transaction has no
/// session; as in pg_blocking_pids, its pid is 0. $3 is the migrating session,
/// when somebody else asks.
const QUERY: &str = "
WITH RECURSIVE wanted(oid) AS (
    SELECT pg_catalog.to_regclass(name)::oid FROM unnest($1::text[]) AS name
  UNION
    SELECT i.inhrelid FROM pg_inherits i JOIN wanted w ON i.inhparent = w.oid
), holders AS (
    SELECT l.pid, bool_or(l.mode = ANY($2::text[])) AS conflicts
      FROM pg_locks l
     WHERE l.locktype = 'relation' AND l.granted AND l.pid NOT IN (pg_backend_pid(), $3)
       AND l.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
       AND l.relation IN (SELECT w.oid FROM wanted w)
       AND (l.mode = ANY($2::text[]) OR l.mode IN ('RowExclusiveLock', 'RowShareLock'))
     GROUP BY l.pid
), prepared AS (
    SELECT DISTINCT x.gid, x.owner, x.prepared
      FROM pg_locks l
      JOIN pg_locks own ON own.locktype = 'transactionid' AND own.pid IS NULL AND own.virtualtransaction = l.virtualtransaction
      JOIN pg_prepared_xacts x ON x.transaction = own.transactionid
     WHERE l.locktype = 'relation' AND l.pid IS NULL AND x.database = current_database()
       AND l.relation IN (SELECT w.oid FROM wanted w) AND l.mode = ANY($2::text[])
), named AS (
    SELECT h.pid FROM holders h WHERE h.conflicts OR ($3 = 0 AND NOT EXISTS (SELECT 1 FROM holders o WHERE o.conflicts))
  UNION
    SELECT unnest(pg_blocking_pids($3)) WHERE $3 <> 0
  UNION
    SELECT o.pid FROM pg_stat_activity o
     WHERE $3 = 0 AND o.datname = current_database() AND o.pid <> pg_backend_pid() AND NOT EXISTS (SELECT 1 FROM holders)
       AND o.xact_start < clock_timestamp() - interval '1 second'
)
SELECT a.pid, a.who FROM (
SELECT 0 AS pid, p.prepared AS since,
       format('prepared transaction %L (%s, for %s s): COMMIT PREPARED or ROLLBACK PREPARED ends it',
              p.gid, p.owner, round(extract(epoch FROM clock_timestamp() - p.prepared))) AS who
  FROM prepared p
UNION ALL
SELECT a.pid, a.xact_start,
       format('pid %s (%s%s, in a transaction for %s s%s)',
              a.pid, coalesce(a.usename, a.backend_type),
              CASE WHEN a.application_name <> '' THEN ', ' || a.application_name ELSE '' END,
              coalesce(round(extract(epoch FROM clock_timestamp() - a.xact_start))::text, '?'),
              CASE WHEN a.query <> '' THEN ': ' || left(regexp_replace(regexp_replace(a.query, '''[^'']*''?', '''…''', 'g'), '\\s+', ' ', 'g'), 60) ELSE '' END)
  FROM named n JOIN pg_stat_activity a USING (pid)
) a ORDER BY a.since NULLS LAST
 LIMIT 3";

/// The modes that keep others (and us) from `mode`: PostgreSQL's table of conflicting lock modes.
fn conflicting(mode: LockMode) -> Vec<&'static str> {
    const NAMES: [&str; 8] = [
        "AccessShareLock",
        "RowShareLock",
        "RowExclusiveLock",
        "ShareUpdateExclusiveLock",
        "ShareLock",
        "ShareRowExclusiveLock",
        "ExclusiveLock",
        "AccessExclusiveLock",
    ];
    let picked: &[usize] = match mode {
        LockMode::AccessShare => &[7],
        LockMode::RowShare => &[6, 7],
        LockMode::RowExclusive => &[4, 5, 6, 7],
        LockMode::ShareUpdateExclusive => &[3, 4, 5, 6, 7],
        LockMode::Share => &[2, 3, 5, 6, 7],
        LockMode::ShareRowExclusive => &[2, 3, 4, 5, 6, 7],
        LockMode::Exclusive => &[1, 2, 3, 4, 5, 6, 7],
        LockMode::AccessExclusive => &[0, 1, 2, 3, 4, 5, 6, 7],
    };
    picked.iter().map(|at| NAMES[*at]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conflicts_are_mutual() {
        let all = [
            LockMode::AccessShare,
            LockMode::RowShare,
            LockMode::RowExclusive,
            LockMode::ShareUpdateExclusive,
            LockMode::Share,
            LockMode::ShareRowExclusive,
            LockMode::Exclusive,
            LockMode::AccessExclusive,
        ];
        let names: Vec<&str> = conflicting(LockMode::AccessExclusive);
        for (i, one) in all.into_iter().enumerate() {
            for (j, other) in all.into_iter().enumerate() {
                assert_eq!(
                    conflicting(one).contains(&names[j]),
                    conflicting(other).contains(&names[i]),
                    "{one} and {other}"
                );
            }
        }
    }
}
