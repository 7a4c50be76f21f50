//! Who still uses a legacy login: looked at again and again for a while, before cutover takes its access away. Takes no
//! lock and changes nothing.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use bastide_connect::Target;
use bastide_plan::{Plan, Step};
use serde::Serialize;
use tokio_postgres::{Client, Row};
use uuid::Uuid;

use crate::{EngineError, cutover, read_run};

/// Between two looks. A login that comes and goes within this can stay unseen.
const INTERVAL: Duration = Duration::from_millis(250);

const DOING: &str = "looking for sessions of legacy logins";

/// What was seen within the window.
#[derive(Clone, Debug, Default, Serialize)]
pub struct LegacyUse {
    pub seconds: f64,
    pub looks: u32,
    /// Those that can reach a scoped table. Neither the application's new login nor the one that Bastide runs as.
    pub logins: Vec<LegacyLogin>,
    /// The login that Bastide runs as, where somebody else uses it too. Cutover leaves it alone.
    pub own: Option<LegacyLogin>,
    /// Sessions that began and ended between two looks, whoever's they were.
    pub unseen: i64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LegacyLogin {
    pub login: String,
    pub bound: Bound,
    /// Different ones, within the window.
    pub sessions: usize,
    pub applications: BTreeSet<String>,
    pub clients: BTreeSet<String>,
    /// When its newest statement began; none where no session has run one yet.
    pub last_statement: Option<String>,
}

/// Whether row security binds a login.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    Bound,
    Superuser,
    BypassRls,
}

impl LegacyUse {
    /// Nobody but those it is meant for was there.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.logins.is_empty()
    }

    /// One line for each login.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let mut lines: Vec<String> = self.logins.iter().map(LegacyLogin::line).collect();
        if let Some(own) = &self.own {
            lines.push(format!(
                "{}; it is the login that Bastide runs as, and cutover leaves it alone",
                own.line()
            ));
        }
        lines
    }

    /// What this cannot have seen.
    #[must_use]
    pub fn blind(&self) -> String {
        let between = INTERVAL.as_secs_f64();
        let mut text = format!(
            "{} looks in {:.1} s: a login that stayed for less than {between} s, or comes less often than the window is long, can have been missed",
            self.looks, self.seconds
        );
        if self.unseen > 0 {
            text.push_str(&format!(
                "; the server counted up to {} session(s) of unknown logins that no look met",
                self.unseen
            ));
        }
        text
    }
}

impl LegacyLogin {
    fn line(&self) -> String {
        let list = |names: &BTreeSet<String>| names.iter().cloned().collect::<Vec<_>>().join(", ");
        let mut text = format!("login {} is in use: {} session(s)", self.login, self.sessions);
        if !self.applications.is_empty() {
            text.push_str(&format!(" of {}", list(&self.applications)));
        }
        if !self.clients.is_empty() {
            text.push_str(&format!(" from {}", list(&self.clients)));
        }
        if let Some(last) = &self.last_statement {
            text.push_str(&format!(", last statement {last}"));
        }
        text.push_str(match self.bound {
            Bound::Bound => "; after cutover it sees no rows without a tenant context",
            Bound::Superuser => {
                "; it is a superuser, which no policy can bind: give the application another login"
            }
            Bound::BypassRls => {
                "; it has BYPASSRLS, so no policy can bind it: give the application another login"
            }
        });
        text
    }
}

/// Watches the logins of the newest run (or `id`), which must be pending cutover, for `window`; `seen` is told after each
/// look how long there is to go. A window of nothing is one look.
///
/// # Errors
/// [`EngineError::WrongState`] for a run that is not pending cutover; when the server cannot be reached.
pub async fn watch_legacy_logins(
    target: &Target,
    id: Option<Uuid>,
    window: Duration,
    seen: &(dyn Fn(&LegacyUse, Duration) + Sync),
) -> Result<LegacyUse, EngineError> {
    let client = target.connect("bastide cutover").await?;
    let (run, _) = read_run(&client, id).await?;
    cutover::is_pending(&run)?;
    let mut watched = Watched::begin(&client, &run.plan).await?;
    let begun = Instant::now();
    loop {
        watched.look(&client).await?;
        let left = window.saturating_sub(begun.elapsed());
        seen(&watched.told(begun.elapsed()), left);
        if left.is_zero() {
            break;
        }
        tokio::time::sleep(INTERVAL.min(left)).await;
    }
    watched.count_unseen(&client).await?;
    Ok(watched.told(begun.elapsed()))
}

/// One look, through a connection there is.
pub(crate) async fn look(client: &Client, plan: &Plan) -> Result<LegacyUse, EngineError> {
    let mut watched = Watched::begin(client, plan).await?;
    watched.look(client).await?;
    Ok(watched.told(Duration::ZERO))
}

struct Watched {
    me: String,
    logins: Vec<String>,
    /// They have BYPASSRLS from the run, until cutover.
    lent: BTreeSet<String>,
    sessions_before: i64,
    began: time::OffsetDateTime,
    looks: u32,
    seen: BTreeMap<String, LegacyLogin>,
    /// Of each login, and of everybody who came since the window began.
    sessions: BTreeSet<(String, i32, String)>,
    came: BTreeSet<(i32, String)>,
    unseen: i64,
}

impl Watched {
    async fn begin(client: &Client, plan: &Plan) -> Result<Self, EngineError> {
        let failed = |error: tokio_postgres::Error| EngineError::server(DOING)(error);
        let scoped: Vec<String> = plan
            .tables
            .iter()
            .filter(|(_, decision)| decision.tenant_column.is_some())
            .map(|(table, _)| bastide_sql::sql!("{}", table).as_str().to_owned())
            .collect();
        // Whoever may become a role that may touch a row, or may reach it past every grant.
        let logins = client
            .query(
                "SELECT l.rolname FROM pg_roles l WHERE l.rolcanlogin AND l.rolname <> $2 AND (l.rolsuper OR EXISTS (SELECT FROM pg_roles r, unnest($1::text[]) AS t, pg_class c WHERE c.oid = to_regclass(t) AND pg_has_role(l.oid, r.oid, 'MEMBER') AND (c.relowner = r.oid OR has_table_privilege(r.oid, c.oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE') OR has_any_column_privilege(r.oid, c.oid, 'SELECT, INSERT, UPDATE'))))",
                &[&scoped, &plan.config.app_role.as_str()],
            )
            .await
            .map_err(failed)?;
        let logins = logins.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>().map_err(failed)?;
        let lent = plan.steps.iter().filter_map(|planned| match &planned.step {
            Step::EndBypass(step) => Some(step.role.as_str().to_owned()),
            _ => None,
        });
        let lent = lent.collect();
        client.batch_execute("SELECT pg_stat_force_next_flush()").await.map_err(failed)?;
        let row = client
            .query_one("SELECT current_user::text, sessions, clock_timestamp() FROM pg_stat_database WHERE datname = current_database()", &[])
            .await
            .map_err(failed)?;
        Ok(Self {
            me: row.try_get(0).map_err(failed)?,
            sessions_before: row.try_get(1).map_err(failed)?,
            began: row.try_get(2).map_err(failed)?,
            logins,
            lent,
            looks: 0,
            seen: BTreeMap::new(),
            sessions: BTreeSet::new(),
            came: BTreeSet::new(),
            unseen: 0,
        })
    }

    async fn look(&mut self, client: &Client) -> Result<(), EngineError> {
        let rows = client
            .query(
                "SELECT a.usename::text, a.pid, a.backend_start::text, nullif(a.application_name, ''), coalesce(host(a.client_addr), 'a local socket'), to_char(a.query_start, 'YYYY-MM-DD HH24:MI:SS TZ'), r.rolsuper, r.rolbypassrls, a.backend_start > $1 FROM pg_stat_activity a JOIN pg_roles r ON r.oid = a.usesysid WHERE a.datname = current_database() AND a.pid <> pg_backend_pid() AND a.backend_type = 'client backend' AND NOT (a.usename = current_user AND a.application_name ~ '^bastide( |$)')",
                &[&self.began],
            )
            .await
            .map_err(EngineError::server(DOING))?;
        self.looks += 1;
        for row in &rows {
            self.meet(row).map_err(EngineError::server(DOING))?;
        }
        Ok(())
    }

    fn meet(&mut self, row: &Row) -> Result<(), tokio_postgres::Error> {
        let login: String = row.try_get(0)?;
        let (pid, since): (i32, String) = (row.try_get(1)?, row.try_get(2)?);
        if row.try_get(8)? {
            self.came.insert((pid, since.clone()));
        }
        if !self.logins.contains(&login) {
            return Ok(());
        }
        let bound = match (row.try_get(6)?, row.try_get(7)?) {
            (true, _) => Bound::Superuser,
            (false, true) if !self.lent.contains(&login) => Bound::BypassRls,
            (false, _) => Bound::Bound,
        };
        let seen = self.seen.entry(login.clone()).or_insert_with(|| LegacyLogin {
            login: login.clone(),
            bound,
            sessions: 0,
            applications: BTreeSet::new(),
            clients: BTreeSet::new(),
            last_statement: None,
        });
        if self.sessions.insert((login, pid, since)) {
            seen.sessions += 1;
        }
        seen.applications.extend(row.try_get::<_, Option<String>>(3)?);
        seen.clients.insert(row.try_get(4)?);
        // All are printed in this session's time zone, so the later one is the greater text.
        seen.last_statement = seen.last_statement.take().max(row.try_get(5)?);
        Ok(())
    }

    /// The server counts every session of the database, if not whose it was.
    async fn count_unseen(&mut self, client: &Client) -> Result<(), EngineError> {
        let sessions: i64 = client
            .query_one("SELECT sessions FROM pg_stat_database WHERE datname = current_database()", &[])
            .await
            .and_then(|row| row.try_get(0))
            .map_err(EngineError::server(DOING))?;
        let met = i64::try_from(self.came.len()).unwrap_or(i64::MAX);
        self.unseen = (sessions - self.sessions_before).saturating_sub(met).max(0);
        Ok(())
    }

    fn told(&self, took: Duration) -> LegacyUse {
        let (own, logins) = self.seen.values().cloned().partition(|seen| seen.login == self.me);
        let own: Vec<LegacyLogin> = own;
        LegacyUse {
            seconds: took.as_secs_f64(),
            looks: self.looks,
            logins,
            own: own.into_iter().next(),
            unseen: self.unseen,
        }
    }
}
