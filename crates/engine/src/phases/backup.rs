//! One snapshot for the backup and for the fingerprints, so that both speak of the same rows.

use bastide_plan::Phase;

use crate::{BackupChoice, EngineError, Event, backup, fingerprint, journal, run::Course, tools};

pub(crate) async fn run(course: &mut Course<'_>) -> Result<(), EngineError> {
    if fingerprint::stored(course.guard.client(), course.run).await?.is_some() {
        // Resumed after the snapshot: what it saw is on record, and the rows have moved on.
        return Ok(());
    }
    let listener = course.listener;
    let say = |text: &str| listener(&Event::Activity { phase: Phase::Backup, text: text.to_owned() });
    say("the schema as pg_dump prints it");
    let schema = tools::schema_dump(&course.guard).await?;
    let choice = course.options.backup;
    if choice == BackupChoice::None {
        say("no backup, as asked; fingerprints of every table");
    } else {
        say("backup and fingerprints, from one snapshot");
    }
    let state_dir = course.options.place.state_dir.clone();
    let (record, before) = backup::take(&mut course.guard, &state_dir, choice, schema).await?;
    if let Some(mut record) = record {
        say(if choice == BackupChoice::Restore {
            "restoring the backup and counting its rows"
        } else {
            "reading the backup's contents"
        });
        if let Err(error) = backup::verify(&course.guard, &mut record, &before, choice).await {
            tracing::warn!(path = record.path, "the backup that failed verification is kept for inspection");
            return Err(error);
        }
        journal::backed_up(course.guard.client(), course.run, &record).await?;
    }
    fingerprint::store(&course.guard, course.run, &before).await
}
