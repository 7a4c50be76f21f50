//! `bastide rls report`: the run's page, made from the journal and the last verification.

use std::path::PathBuf;

use bastide_report::{Report, Summary};

use crate::{args::RunId, context::Context, exit::Exit, state::write_private};

pub(crate) async fn run(context: &Context, run: &RunId, output: Option<PathBuf>) -> anyhow::Result<Exit> {
    let id = context.run_id(run.run.as_deref())?;
    let (record, steps) = bastide_engine::status(&context.target()?, id).await?;
    let state = context.state();
    let held = super::migrate::held_rows(context, record.id).await?;
    let settled = super::migrate::settled_rows_of(&context.target()?, record.id).await?;
    let verdict = state.verdict(record.id);
    let report =
        Report { run: &record, steps: &steps, verdict: verdict.as_ref(), held: &held, settled: &settled };
    let file = output.unwrap_or_else(|| state.report_file(record.id));
    write_private(&file, &bastide_report::html(&report))?;
    if verdict.is_none() {
        context
            .printer
            .note("this state folder has no verification of that run; `bastide rls validate` makes one");
    }
    context.printer.result(&Summary::of(&report), || bastide_report::text(&report))?;
    context.printer.note(&format!("report: {}", file.display()));
    Ok(Exit::Done)
}
