//! Gives way: while a statement of ours runs for long, a second connection looks whether somebody has to wait for us, and
//! then cancels it. What is tried again later costs us time; who waits for us is a shop that does not sell.

use std::{future::Future, time::Duration};

use bastide_connect::{Connected, Target};
use tokio_postgres::Error;

/// Between two looks, and how long somebody may have waited by then: together, and with the time that a look takes, they stay
/// within the 100 ms of DESIGN.md §3, guarantee 4.
const LOOK: Duration = Duration::from_millis(40);
const WAITED: Duration = Duration::from_millis(50);

/// The second connection's `application_name`.
pub(crate) const WATCHER: &str = "bastide watcher";

/// The second connection, opened when a statement first runs for long enough to be looked at.
#[derive(Default)]
pub(crate) struct Watcher {
    client: Option<Connected>,
}

impl Watcher {
    /// Carries `work` out, which the session `ours` does. With who was given way to, when it was cancelled for somebody.
    pub(super) async fn over<T>(
        &mut self,
        target: &Target,
        ours: i32,
        work: impl Future<Output = Result<T, Error>>,
    ) -> (Result<T, Error>, Option<String>) {
        tokio::pin!(work);
        let mut given_way = None;
        loop {
            tokio::select! {
                biased;
                done = &mut work => return (done, given_way),
                () = tokio::time::sleep(LOOK) => {}
            }
            let look = self.look(target, ours);
            tokio::pin!(look);
            tokio::select! {
                biased;
                // A look under way is seen to its end: what it cancels must not be our next statement.
                done = &mut work => return (done, look.await.or(given_way)),
                who = &mut look => given_way = who.or(given_way),
            }
        }
    }

    /// Nothing that goes wrong here may stop the run: then nobody is given way to.
    async fn look(&mut self, target: &Target, ours: i32) -> Option<String> {
        match self.cancel_for_who_waits(target, ours).await {
            Ok(who) => who,
            Err(error) => {
                tracing::debug!(error, "could not look who waits for us");
                self.client = None;
                None
            }
        }
    }

    async fn cancel_for_who_waits(&mut self, target: &Target, ours: i32) -> Result<Option<String>, String> {
        let told = |error: Error| error.to_string();
        let client = match self.client.take() {
            Some(client) => client,
            None => {
                let client = target.connect(WATCHER).await.map_err(|error| error.to_string())?;
                client.batch_execute(SETTINGS).await.map_err(told)?;
                client
            }
        };
        let waited = i32::try_from(WAITED.as_millis()).unwrap_or(i32::MAX);
        let row = client.query_opt(QUERY, &[&ours, &waited]).await.map_err(told)?;
        let who = row.map(|row| row.try_get(0)).transpose().map_err(told)?;
        self.client = Some(client);
        Ok(who)
    }
}

const SETTINGS: &str = "SET search_path = pg_catalog; SET statement_timeout = '2s'";

/// Looks and cancels at once. Who stands behind us in a queue waits for us as much as who waits for what we hold.
const QUERY: &str = "
WITH waiting AS MATERIALIZED (
    SELECT l.pid FROM pg_locks l
     WHERE NOT l.granted AND l.waitstart < clock_timestamp() - make_interval(secs => $2::int / 1000.0)
       AND l.pid <> $1 AND $1 = ANY (pg_blocking_pids(l.pid))
     LIMIT 1
)
SELECT format('pid %s (%s%s)', a.pid, coalesce(a.usename, a.backend_type),
              CASE WHEN a.application_name <> '' THEN ', ' || a.application_name ELSE '' END)
  FROM waiting JOIN pg_stat_activity a USING (pid)
 WHERE pg_cancel_backend($1)";
