//! `bastide legacy validate`: does every row have its tenant, with evidence, and is nothing lost?

use crate::{args::RunId, context::Context, exit::Exit, progress::Progress};

pub(crate) async fn run(context: &Context, run: &RunId, exact: bool) -> anyhow::Result<Exit> {
    let id = context.run_id(run.run.as_deref())?;
    let progress = Progress::new(&context.printer);
    let verdict =
        bastide_engine::validate_rows(&context.target()?, id, exact, &|event| progress.event(event)).await;
    progress.end();
    let verdict = verdict?;
    context.printer.result(&verdict, || bastide_report::rows(&verdict))?;
    Ok(if verdict.holds() { Exit::Done } else { Exit::Findings })
}
