//! A database that a run has migrated holds version 1 already, when it was the shop that the run migrated.

use bastide_engine::{EngineError, MigrationGuard, OWN_SCHEMA, RunState};
use uuid::Uuid;

use crate::{
    Options, Say, SchemaError, State,
    built::Built,
    comparable::differences,
    loss::Made,
    record::{self, Entry},
};

/// The run whose outcome is version 1; `None` for an empty database. Changes nothing.
///
/// # Errors
/// When there are tables that no run left, or that are not version 1's.
pub(crate) async fn adoptable(
    guard: &mut MigrationGuard,
    options: &Options,
    say: Say<'_>,
) -> Result<Option<Uuid>, SchemaError> {
    let there = bastide_catalog::read(guard.client_mut()).await?;
    let Some(first) = there.tables.keys().next().cloned() else { return Ok(None) };
    let run = match bastide_engine::read_run(guard.client(), None).await {
        Ok((run, _)) => run,
        Err(EngineError::NoRun) => {
            let database = guard.database().to_owned();
            return Err(SchemaError::Foreign { database, first: first.to_string() });
        }
        Err(error) => return Err(error.into()),
    };
    let (state, next) = match run.state {
        RunState::CutOver | RunState::Finished => ("", ""),
        RunState::PendingCutover => ("pending cutover", "type `bastide rls cutover`"),
        RunState::RolledBack => {
            ("rolled back", "migrate again with `bastide rls migrate`, or name an empty database")
        }
        _ => ("not done", "`bastide rls status` says what is next"),
    };
    if !next.is_empty() {
        return Err(SchemaError::NotCutOver { run: run.id, state, next });
    }
    say("comparing what the run left with version 1 of the platform's schema");
    let built = Built::make(guard, options, 1).await?;
    let gone = built.made_role.then(|| format!("role {}: is gone", options.app_role));
    let differences = differences(guard, options, &there, &built).await;
    built.drop(guard, options).await?;
    let mut differences = differences?;
    differences.extend(gone);
    if !differences.is_empty() {
        return Err(SchemaError::NotTheShop { run: run.id, differences });
    }
    Ok(Some(run.id))
}

/// From now on version 1 is what that run left.
///
/// # Errors
/// As [`adoptable`].
pub(crate) async fn adopt(
    guard: &mut MigrationGuard,
    options: &Options,
    say: Say<'_>,
) -> Result<Option<Uuid>, SchemaError> {
    let (Some(run), Some(migration)) = (adoptable(guard, options, say).await?, options.migrations.get(1))
    else {
        return Ok(None);
    };
    let doing = SchemaError::server("recording what the run left as version 1");
    let transaction = guard.client_mut().transaction().await.map_err(&doing)?;
    transaction.batch_execute(OWN_SCHEMA).await.map_err(&doing)?;
    transaction.batch_execute(record::TABLES).await.map_err(&doing)?;
    let entry = Entry {
        version: migration.version,
        name: &migration.name,
        checksum: &migration.checksum,
        state: State::Done,
        transaction: true,
        // Its tables were there before any Bastide.
        down: "",
        made: &Made::default(),
        said: &migration.said(),
        adopted: Some(run),
        app_role: options.app_role.as_str(),
        seconds: 0.0,
    };
    record::write(&transaction, &entry).await?;
    transaction.commit().await.map_err(&doing)?;
    Ok(Some(run))
}
