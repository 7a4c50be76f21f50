//! What the server has to have left: room in its table of locks, and connections.

use crate::{EngineError, Event, Listener, MigrationGuard};

/// The run's own, and its backup's: below this somebody else may be refused.
const CONNECTIONS: i64 = 5;

const CAPACITY: &str = "
SELECT current_setting('max_locks_per_transaction')::bigint,
       current_setting('max_connections')::bigint + current_setting('max_prepared_transactions')::bigint,
       (SELECT count(*) FROM pg_locks WHERE locktype = 'relation' AND NOT fastpath),
       (SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE c.relkind IN ('r', 'p') AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'bastide') AND n.nspname !~ '^pg_'),
       current_setting('max_connections')::bigint - current_setting('superuser_reserved_connections')::bigint
         - coalesce(current_setting('reserved_connections', true)::bigint, 0)
         - (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend')";

pub(crate) async fn check(guard: &MigrationGuard, listener: Listener<'_>) -> Result<(), EngineError> {
    let reading = "asking how much the server has left";
    let row = guard.client().query_one(CAPACITY, &[]).await.map_err(EngineError::server(reading))?;
    let number = |at: usize| row.try_get::<_, i64>(at).map_err(EngineError::server(reading));
    let locks =
        Locks { per_transaction: number(0)?, sessions: number(1)?, held: number(2)?, tables: number(3)? };
    if let Some(enough) = locks.enough() {
        return Err(EngineError::Preflight(format!(
            "pg_dump locks all {} tables at once, and the server can hold {} locks, of which {} are held; set max_locks_per_transaction to {enough} or more (it is {}) and restart the server",
            locks.tables,
            locks.capacity(),
            locks.held,
            locks.per_transaction
        )));
    }
    let free = number(4)?;
    if free < CONNECTIONS {
        let text = format!(
            "the server has {} connection(s) left, and the run takes up to {CONNECTIONS}: whoever comes next may be refused, or the run may; raise max_connections or end idle sessions",
            free.max(0)
        );
        listener(&Event::Notice { text });
    }
    Ok(())
}

struct Locks {
    per_transaction: i64,
    sessions: i64,
    held: i64,
    tables: i64,
}

impl Locks {
    fn capacity(&self) -> i64 {
        self.per_transaction * self.sessions
    }

    /// What `max_locks_per_transaction` has to be, where it is too little.
    fn enough(&self) -> Option<i64> {
        let needed = self.tables + self.held;
        (needed > self.capacity()).then(|| (needed * 5 / 4).div_euclid(self.sessions.max(1)) + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::Locks;

    #[test]
    fn all_tables_have_to_be_locked_at_once() {
        let locks = |held, tables| Locks { per_transaction: 64, sessions: 100, held, tables };
        assert_eq!(locks(0, 6400).enough(), None);
        assert_eq!(locks(0, 6401).enough(), Some(81));
        assert_eq!(locks(6000, 500).enough(), Some(82));
    }
}
