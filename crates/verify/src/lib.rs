//! Is this database isolated? Two answers that check each other: *posture* reads the catalog and names each weakness
//! ([`Finding`]); *probes* try, as the application's own login, to do what isolation forbids ([`Probe`]).
//!
//! Nothing here needs a plan file: which tables are scoped, and by which column, is what `bastide.scoped_tables` says;
//! the rest is the server's own catalog. Nothing here writes: every attempt runs in a transaction that is rolled back, or
//! (what a session keeps beyond it) that only reads, and the only traces a probe can leave are sequence values that its refused inserts drew.

mod app;
mod error;
mod findings;
mod posture;
mod probes;
mod verdict;

use std::fmt;

use posture::Posture;

pub use app::App;
pub use error::VerifyError;
pub use findings::{CHECKS, Check};
pub use verdict::{Cell, Context, DatabaseId, Finding, Outcome, Path, Probe, Severity, Verb, Verdict};

/// How to verify.
#[derive(Clone, Copy, Default)]
pub struct Options<'a> {
    /// A live shop: read-only probes, no scan of a whole tenant, no write that is rolled back.
    pub production: bool,
    /// Told what is being looked at. Called on the verifying task: must be quick.
    pub progress: Option<&'a (dyn Fn(Progress<'_>) + Send + Sync)>,
}

/// Where verification stands; `done` of `total` objects probed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress<'a> {
    Posture { checks: usize },
    Probing { object: &'a str, done: usize, total: usize },
}

impl fmt::Debug for Options<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options").field("production", &self.production).finish_non_exhaustive()
    }
}

impl Options<'_> {
    fn report(&self, progress: Progress<'_>) {
        if let Some(listener) = self.progress {
            listener(progress);
        }
    }
}

/// Posture and probes. `owner` must see every row (a superuser, or a role with BYPASSRLS): the counts that probes are
/// compared with come from it.
///
/// # Errors
/// When the database cannot be read or the application's login cannot connect. A weakness is never an error.
pub async fn verify(
    owner: &mut tokio_postgres::Client,
    app: App<'_>,
    options: Options<'_>,
) -> Result<Verdict, VerifyError> {
    let session = app.open(owner).await?;
    let role = session.role().await?;
    let posture = Posture::read(owner, &role).await?;
    options.report(Progress::Posture { checks: CHECKS.len() });
    let findings = findings::all(&posture);
    let login = app.login();
    let pooler = session.pooler().await?;
    let mut probes = probes::run(owner, &session, login, &posture, pooler, options).await?;
    probes::compare(&mut probes, &findings, &posture);
    Ok(Verdict {
        app_role: role.as_str().to_owned(),
        own_login: session.own_login(),
        scoped_tables: posture.declared().count(),
        database: posture.database(),
        production: options.production,
        pooler,
        findings,
        probes,
    })
}

/// The findings alone, for the application's role `app`, which need not be able to log in.
///
/// # Errors
/// When the database cannot be read.
pub async fn posture(
    owner: &mut tokio_postgres::Client,
    app: &bastide_sql::Ident,
) -> Result<Vec<Finding>, VerifyError> {
    Ok(findings::all(&Posture::read(owner, app).await?))
}
