//! `bastide rls cutover | rollback | finish`: the three ways a run ends.

use bastide_plan::Phase;
use serde::Serialize;

use crate::{
    args::{RunId, Yes},
    context::Context,
    exit::{Exit, Unusable},
    progress::Progress,
};

pub(crate) async fn cutover(context: &Context, run: &RunId, yes: Yes) -> anyhow::Result<Exit> {
    let place = context.place()?;
    let id = context.run_id(run.run.as_deref())?;
    ask(context, yes, &format!("End the legacy logins' unfiltered access to {}?", place.target.database()))?;
    let progress = Progress::new(&context.printer);
    let outcome = bastide_engine::cutover(&place, id, &|event| progress.event(event)).await;
    progress.end();
    super::finished(context, outcome).await
}

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
    let (record, _) = bastide_engine::status(&target, id).await?;
    let held = super::migrate::held_rows(context, record.id).await?;
    if !held.is_empty() {
        let rows: u64 = held.iter().map(|(_, rows)| rows).sum();
        context.printer.note(&format!(
            "{rows} rows are held aside in bastide.held; finishing discards them (the backup has them)"
        ));
    }
    ask(context, yes, "Discard the journal, the provenance and the held rows? Rollback ends here.")?;
    let record = bastide_engine::finish(&target, id).await?;
    context
        .printer
        .result(&record, || format!("run {} is finished; it can no longer be rolled back", record.id))?;
    Ok(Exit::Done)
}

fn ask(context: &Context, yes: Yes, question: &str) -> anyhow::Result<()> {
    if yes.yes || context.printer.confirm(question)? {
        return Ok(());
    }
    Err(Unusable("nothing was changed: confirm it, or add --yes".to_owned()).into())
}
