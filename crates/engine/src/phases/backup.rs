//! One snapshot for the backup and for the fingerprints, so that both speak of the same rows.

use bastide_plan::Phase;

use crate::{EngineError, Event, backup, fingerprint, run::Course, tools};

/// A snapshot held for longer than this is worth a word: vacuum removed nothing that died meanwhile.
const LONG: f64 = 60.0;

pub(crate) async fn run(course: &mut Course<'_>) -> Result<(), EngineError> {
    if fingerprint::stored(course.guard.client(), course.run).await?.is_some() {
        // Resumed after the snapshot: what it saw is on record, and the rows have moved on.
        return Ok(());
    }
    let listener = course.listener;
    let say = |text: &str| listener(&Event::Activity { phase: Phase::Backup, text: text.to_owned() });
    say("the schema as pg_dump prints it");
    let schema = tools::schema_dump(&course.guard).await?;
    let options = course.options;
    let (record, before) =
        backup::take(&mut course.guard, &options.place.state_dir, &options.backup, &schema, &say).await?;
    if let Some(seconds) = record.as_ref().and_then(|record| record.snapshot_seconds).filter(|s| *s > LONG) {
        let text = format!(
            "the backup held one snapshot for {seconds:.0} s, during which vacuum removed no row that died"
        );
        listener(&Event::Notice { text });
    }
    fingerprint::store(&course.guard, course.run, &before, record.as_ref()).await
}
