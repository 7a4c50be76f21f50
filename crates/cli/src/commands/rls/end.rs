//! `bastide rls rollback | finish`: the two ways a run ends.

use bastide_engine::Discarded;
use bastide_plan::Phase;
use serde::Serialize;

use crate::{
    args::{RunId, Yes},
    context::Context,
    exit::{Exit, Unusable},
    progress::Progress,
};

#[derive(Serialize)]
struct RolledBack {
    run: String,
    state: bastide_record::RunState,
    steps_undone: usize,
    written_since: Vec<String>,
    notes: Vec<String>,
}

pub(crate) async fn rollback(
    context: &Context,
    run: &RunId,
    to: Option<Phase>,
    yes: Yes,
) -> anyhow::Result<Exit> {
    let place = context.place()?;
    let id = context.run_id(run.run.as_deref())?;
    let what =
        to.map_or_else(|| "the whole run".to_owned(), |phase| format!("what came after phase {phase}"));
    ask(context, yes, &format!("Undo {what} in {}?", place.target.database()))?;
    let progress = Progress::new(&context.printer);
    let undone = bastide_engine::rollback(&place, id, to, &|event| progress.event(event)).await;
    progress.end();
    let undone = undone?;
    let steps_undone =
        undone.steps.iter().filter(|step| step.state == bastide_record::StepState::Undone).count();
    let result = RolledBack {
        run: undone.run.id.to_string(),
        state: undone.run.state,
        steps_undone,
        written_since: undone.written_since,
        notes: undone.notes,
    };
    context.printer.result(&result, || {
        let mut text = format!("run {} rolled back: {steps_undone} steps undone", result.run);
        if to.is_none() {
            text.push_str("; the schema dump is as it was before, byte for byte");
        }
        for table in &result.written_since {
            text.push_str(&format!("\n{table}: rows were written since the run began; they are kept"));
        }
        for note in &result.notes {
            text.push_str(&format!("\n{note}"));
        }
        text
    })?;
    Ok(Exit::Done)
}

pub(crate) async fn finish(context: &Context, run: &RunId, yes: Yes) -> anyhow::Result<Exit> {
    let target = context.target()?;
    let id = context.run_id(run.run.as_deref())?;
    let discarded = bastide_engine::discards(&target, id).await?;
    for line in discards(&discarded) {
        context.printer.note(&line);
    }
    if let Err(refused) =
        ask(context, yes, "Discard all that? `bastide rls rollback` is impossible afterwards.")
    {
        context.printer.result(&discarded, || discards(&discarded).join("\n"))?;
        return Err(refused);
    }
    let record = bastide_engine::finish(&target, Some(discarded.run)).await?;
    let result = Finished { run: record.id.to_string(), state: record.state, discarded };
    context
        .printer
        .result(&result, || format!("run {} is finished; it can no longer be rolled back", result.run))?;
    Ok(Exit::Done)
}

#[derive(Serialize)]
struct Finished {
    run: String,
    state: bastide_record::RunState,
    discarded: Discarded,
}

fn discards(discarded: &Discarded) -> Vec<String> {
    let mut lines = vec![format!(
        "finishing discards {} journal entries, the evidence of {} rows and {} changed values ({} on disk); `bastide rls rollback` is no longer possible then",
        discarded.journal_entries,
        discarded.rows_with_evidence,
        discarded.changed_values,
        room(discarded.bytes)
    )];
    for (table, rows) in &discarded.held_rows {
        lines.push(format!("{table}: {rows} rows held aside"));
    }
    if discarded.held() > 0 {
        lines.push(format!(
            "these {} rows are in no other table, and finishing deletes them for good; look at them first: SELECT relation, key, reason, row FROM bastide.held WHERE run_id = '{}' AND restored_at IS NULL",
            discarded.held(),
            discarded.run
        ));
    }
    lines
}

fn room(bytes: i64) -> String {
    match bytes {
        ..1_048_576 => format!("{} kB", bytes / 1024),
        _ => format!("{} MB", bytes / 1_048_576),
    }
}

pub(crate) fn ask(context: &Context, yes: Yes, question: &str) -> anyhow::Result<()> {
    if yes.yes || context.printer.confirm(question)? {
        return Ok(());
    }
    Err(Unusable("nothing was changed: confirm it, or add --yes".to_owned()).into())
}
