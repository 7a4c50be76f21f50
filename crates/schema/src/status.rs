//! Where a database stands: read only, without the lock.

use bastide_connect::Target;
use serde::Serialize;
use time::OffsetDateTime;

use crate::{Applied, Migrations, SchemaError, State, record};

#[derive(Clone, Debug, Serialize)]
pub struct Status {
    /// The last version that is applied whole; 0 when none is.
    pub version: i32,
    /// The last of this Bastide's files.
    pub newest: i32,
    pub versions: Vec<VersionStatus>,
}

#[derive(Clone, Debug, Serialize)]
pub struct VersionStatus {
    pub version: i32,
    pub name: String,
    pub state: VersionState,
    #[serde(with = "time::serde::rfc3339::option")]
    pub applied_at: Option<OffsetDateTime>,
    pub applied_by: Option<String>,
    pub seconds: Option<f64>,
    /// The run that left it, when no migration made it.
    pub adopted: Option<uuid::Uuid>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum VersionState {
    Pending,
    Applied,
    /// Applied from files that are others now.
    Changed,
    /// Applied by a newer Bastide: there are no files.
    Unknown,
    /// Of one that runs outside of a transaction: not all of its statements have run.
    Started,
    /// Not all of the statements that undo it have run.
    Undoing,
}

impl Status {
    /// Whether nothing stands half-way.
    #[must_use]
    pub fn half_way(&self) -> bool {
        self.versions
            .iter()
            .any(|version| matches!(version.state, VersionState::Started | VersionState::Undoing))
    }
}

/// # Errors
/// When the database cannot be reached, or the login may not read the record.
pub async fn status(target: &Target, migrations: &Migrations) -> Result<Status, SchemaError> {
    let client = target.connect("bastide").await?;
    let applied = record::applied(&*client).await?;
    Ok(of(&applied, migrations))
}

pub(crate) fn of(applied: &[Applied], migrations: &Migrations) -> Status {
    let found = |version| applied.iter().find(|applied| applied.version == version);
    let pending = |version: i32, name: &str| VersionStatus {
        version,
        name: name.to_owned(),
        state: VersionState::Pending,
        applied_at: None,
        applied_by: None,
        seconds: None,
        adopted: None,
    };
    let told = |applied: &Applied, state| VersionStatus {
        version: applied.version,
        name: applied.name.clone(),
        state,
        applied_at: Some(applied.applied_at),
        applied_by: Some(applied.applied_by.clone()),
        seconds: Some(applied.seconds),
        adopted: applied.adopted,
    };
    let mut versions: Vec<VersionStatus> = migrations
        .all()
        .iter()
        .map(|migration| match found(migration.version) {
            None => pending(migration.version, &migration.name),
            Some(applied) if applied.state == State::Started => told(applied, VersionState::Started),
            Some(applied) if applied.state == State::Undoing => told(applied, VersionState::Undoing),
            Some(applied) if applied.checksum != migration.checksum => told(applied, VersionState::Changed),
            Some(applied) => told(applied, VersionState::Applied),
        })
        .collect();
    let newer = applied.iter().filter(|applied| applied.version > migrations.newest());
    versions.extend(newer.map(|applied| told(applied, VersionState::Unknown)));
    let whole = applied.iter().filter(|applied| applied.state == State::Done).map(|applied| applied.version);
    Status { version: whole.max().unwrap_or(0), newest: migrations.newest(), versions }
}
