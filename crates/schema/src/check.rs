//! Whether a database is what the files say: built again beside it, and compared.

use bastide_connect::Target;
use bastide_engine::{EngineError, MigrationGuard};
use serde::Serialize;

use crate::{
    Options, SchemaError, Status, VersionState,
    built::{Built, role_exists},
    comparable::{differences, fingerprint},
    record, status,
};

/// What [`check`] found.
#[derive(Clone, Debug, Serialize)]
pub struct Checked {
    pub version: i32,
    pub newest: i32,
    /// Empty when database and files agree.
    pub differences: Vec<String>,
    /// Why the schema was not built again, and only what was remembered at the last up was compared, which is weaker.
    pub weaker: Option<String>,
}

/// Compares the files' checksums, and the schema, which is built again in a scratch database and dropped. Where the login may not do
/// that, the schema is held against what was remembered of it at the last up.
///
/// # Errors
/// When the database cannot be reached or read.
pub async fn check(options: &Options) -> Result<Checked, SchemaError> {
    match MigrationGuard::acquire(&options.place.target).await {
        Ok(guard) => built(guard, options).await,
        Err(EngineError::MayNot { login, .. }) => {
            let why = format!("{login} may not make a database to build the schema in");
            remembered(&options.place.target, options, why).await
        }
        Err(error) => Err(error.into()),
    }
}

async fn built(mut guard: MigrationGuard, options: &Options) -> Result<Checked, SchemaError> {
    let applied = record::applied(guard.client()).await?;
    let status = status::of(&applied, &options.migrations);
    let mut found = of_files(&status);
    let comparable = status.version > 0 && !found.unknown;
    if comparable {
        // Building would make it, for the whole cluster.
        if !role_exists(&guard, &options.app_role).await? {
            found.differences.push(format!("role {}: is gone", options.app_role));
        } else {
            let here = bastide_catalog::read(guard.client_mut()).await?;
            let built = Built::make(&guard, options, status.version).await?;
            let differences = differences(&guard, options, &here, &built).await;
            built.drop(&guard, options).await?;
            found.differences.extend(differences?);
        }
    }
    Ok(found.checked(&status, None))
}

async fn remembered(target: &Target, options: &Options, why: String) -> Result<Checked, SchemaError> {
    let mut client = target.connect("bastide").await?;
    let applied = record::applied(&*client).await?;
    let status = status::of(&applied, &options.migrations);
    let mut found = of_files(&status);
    let here = fingerprint(&bastide_catalog::read(&mut client).await?, &options.app_role);
    match applied.last().and_then(|applied| applied.fingerprint.as_ref()) {
        Some(then) => found.differences.extend(then.changes(&here).iter().map(ToString::to_string)),
        None if status.version > 0 => {
            found.differences.push("nothing is remembered of the schema at the last up".to_owned());
        }
        None => {}
    }
    Ok(found.checked(&status, Some(why)))
}

struct Found {
    differences: Vec<String>,
    /// There is something of which there are no files, so that nothing can be built to compare with.
    unknown: bool,
}

impl Found {
    fn checked(self, status: &Status, weaker: Option<String>) -> Checked {
        Checked { version: status.version, newest: status.newest, differences: self.differences, weaker }
    }
}

fn of_files(status: &Status) -> Found {
    let mut found = Found { differences: Vec::new(), unknown: false };
    for version in &status.versions {
        let label = crate::migration::label(version.version, &version.name);
        let said = match version.state {
            VersionState::Applied => continue,
            VersionState::Pending => "is not applied: type `bastide schema up`",
            VersionState::Changed => "its files are not those that were applied",
            VersionState::Unknown => "is applied, and this Bastide has no files of it",
            VersionState::Started => "is begun and not ended: type `bastide schema up`",
            VersionState::Undoing => "is half undone: type `bastide schema down`",
        };
        found.unknown |= version.state == VersionState::Unknown;
        found.differences.push(format!("{label}: {said}"));
    }
    found
}
