//! `bastide legacy validate`: does every row have its tenant, with evidence, and is nothing lost?

use std::path::PathBuf;

use crate::{args::RunId, context::Context, exit::Exit, progress::Progress, state::write_private};

pub(crate) async fn run(
    context: &Context,
    run: &RunId,
    exact: bool,
    html: Option<PathBuf>,
) -> anyhow::Result<Exit> {
    let id = context.run_id(run.run.as_deref())?;
    let progress = Progress::new(&context.printer);
    let verdict =
        bastide_engine::validate_rows(&context.target()?, id, exact, &|event| progress.event(event)).await;
    progress.end();
    let verdict = verdict?;
    let file = html.unwrap_or_else(|| context.state().rows_file(&verdict.run));
    write_private(&file, &bastide_report::rows_html(&verdict))?;
    context.printer.result(&verdict, || bastide_report::rows(&verdict))?;
    context.printer.note(&format!("page: {}", file.display()));
    Ok(if verdict.holds() { Exit::Done } else { Exit::Findings })
}
