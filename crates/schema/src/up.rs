//! Forward: what is pending, one version after the other.

use bastide_engine::MigrationGuard;
use serde::Serialize;

use crate::{
    Applied, Migration, Options, Say, SchemaError, State, adopt, apply, built::Built,
    comparable::fingerprint, record,
};

/// What was applied.
#[derive(Clone, Debug, Serialize)]
pub struct Up {
    /// Before.
    pub from: i32,
    pub to: i32,
    /// As folders are named; first what was adopted.
    pub applied: Vec<String>,
    /// Version 1 is what this run left.
    pub adopted: Option<uuid::Uuid>,
}

/// What would be sent for one version.
#[derive(Clone, Debug, Serialize)]
pub struct Rendered {
    pub version: i32,
    pub name: String,
    pub statements: Vec<String>,
}

/// Applies every version up to `to`, or all there are. A database with tables in it must be one that a run left as version 1 is.
///
/// # Errors
/// [`SchemaError::exit_code`] says which of the ways it ended. Each version is applied whole or not at all, unless it runs outside
/// of a transaction: then [`SchemaError::Half`] says so.
pub async fn up(options: &Options, to: Option<i32>, say: Say<'_>) -> Result<Up, SchemaError> {
    let mut guard = MigrationGuard::acquire(&options.place.target).await?;
    let applied = record::applied(guard.client()).await?;
    let to = target(options, &applied, to)?;
    let from = finished(&applied);
    let mut went = Up { from, to: from.max(to), applied: Vec::new(), adopted: None };
    let mut next = from + 1;
    if applied.is_empty() && to > 0 {
        went.adopted = adopt::adopt(&mut guard, options, say).await?;
        if went.adopted.is_some() {
            went.applied.extend(options.migrations.get(1).map(Migration::label));
            next = 2;
        }
    }
    for version in next..=to {
        let migration = known(options, version)?;
        say(&format!("applying {}", migration.label()));
        apply::forward(&mut guard, options, migration, apply::Password::Given).await?;
        went.applied.push(migration.label());
    }
    if !went.applied.is_empty() {
        note_fingerprint(&mut guard, options).await?;
    }
    Ok(went)
}

/// What [`up`] would send, tried in a scratch database that is dropped again; this one is not changed.
///
/// # Errors
/// As [`up`].
pub async fn dry_run(options: &Options, to: Option<i32>) -> Result<Vec<Rendered>, SchemaError> {
    let mut guard = MigrationGuard::acquire(&options.place.target).await?;
    let applied = record::applied(guard.client()).await?;
    let to = target(options, &applied, to)?;
    let mut from = finished(&applied);
    if applied.is_empty() && adopt::adoptable(&mut guard, options, &|_| {}).await?.is_some() {
        from = 1;
    }
    let mut built = Built::make(&guard, options, to).await?;
    let mut rendered = std::mem::take(&mut built.rendered);
    built.drop(&guard, options).await?;
    rendered.retain(|version| version.version > from);
    Ok(rendered)
}

/// For who cannot build it again to compare.
pub(crate) async fn note_fingerprint(
    guard: &mut MigrationGuard,
    options: &Options,
) -> Result<(), SchemaError> {
    let catalog = bastide_catalog::read(guard.client_mut()).await?;
    record::fingerprint(guard.client(), &fingerprint(&catalog, &options.app_role)).await
}

pub(crate) fn known(options: &Options, version: i32) -> Result<&Migration, SchemaError> {
    let newest = options.migrations.newest();
    options.migrations.get(version).ok_or(SchemaError::NoVersion { asked: version, newest })
}

/// The version to come to, when what is applied lets us go on.
fn target(options: &Options, applied: &[Applied], to: Option<i32>) -> Result<i32, SchemaError> {
    let newest = options.migrations.newest();
    let to = to.unwrap_or(newest);
    if to < 0 || to > newest {
        return Err(SchemaError::NoVersion { asked: to, newest });
    }
    for applied in applied {
        let Some(migration) = options.migrations.get(applied.version) else {
            return Err(SchemaError::Newer { there: applied.version, newest });
        };
        if migration.checksum != applied.checksum {
            return Err(SchemaError::Changed { label: applied.label() });
        }
        if applied.state == State::Undoing {
            return Err(SchemaError::HalfUndone { label: applied.label(), version: applied.version });
        }
    }
    Ok(to)
}

/// The last version that is applied whole.
fn finished(applied: &[Applied]) -> i32 {
    applied
        .iter()
        .filter(|applied| applied.state == State::Done)
        .map(|applied| applied.version)
        .max()
        .unwrap_or(0)
}
