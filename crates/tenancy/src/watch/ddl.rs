//! What the event trigger noted, where a plan installed it: when the schema was changed, and by whom.

use bastide_sql::{Literal, sql};
use serde::Serialize;
use tokio_postgres::error::SqlState;

use crate::{Error, TenantPool, bound};

/// One statement that created, altered, granted or dropped something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// As the server writes it.
    pub at: String,
    pub login: String,
    /// The run of Bastide's that did it.
    pub run: Option<String>,
    pub command: String,
    pub object: String,
}

/// How far the notes were read: not at all, or up to an id.
#[derive(Default)]
pub(super) struct Notes(Option<i64>);

impl Notes {
    /// The changes since the last call. The first only finds the place.
    pub(super) async fn news(&mut self, pool: &TenantPool) -> Result<Vec<Change>, Error> {
        let after = self.0.map_or_else(|| sql!("NULL"), |id| sql!("{}", Literal::text(id.to_string())));
        let lease = pool.lease(None).await?;
        let answer = bound::ask(&lease, &sql!("SELECT * FROM bastide.ddl_since({}::bigint)", after)).await;
        let rows = match answer {
            Ok(rows) => rows,
            // No plan installed it.
            Err(error) if error.code() == Some(&SqlState::UNDEFINED_FUNCTION) => Vec::new(),
            Err(error) => return Err(error.into()),
        };
        lease.settle();
        let first = self.0.is_none();
        let newest = rows.last().and_then(|row| row.get("id")?.parse().ok());
        self.0 = newest.or(self.0).or(Some(0));
        let changes = rows.iter().filter(|_| !first).map(|row| Change {
            at: bound::text(row, "at"),
            login: bound::text(row, "login"),
            run: row.get("run").map(str::to_owned),
            command: bound::text(row, "command"),
            object: bound::text(row, "object"),
        });
        Ok(changes.collect())
    }
}
