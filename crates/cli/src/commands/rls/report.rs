//! `bastide rls report`: what happened in a run, made from the journal and the last verification.

use std::path::{Path, PathBuf};

use bastide_report::Report;

use crate::{
    args::{ReportForm, RunId},
    context::Context,
    exit::{Exit, Unusable},
    state::write_private,
};

pub(crate) async fn run(
    context: &Context,
    run: &RunId,
    form: Option<ReportForm>,
    output: Option<PathBuf>,
) -> anyhow::Result<Exit> {
    let id = context.run_id(run.run.as_deref())?;
    let in_file = output.as_deref().map(|file| form.map_or_else(|| by_name(file), Ok)).transpose()?;
    let (record, steps) = bastide_engine::status(&context.target()?, id).await?;
    let state = context.state();
    let held = super::migrate::held_rows(context, record.id).await?;
    let settled = super::migrate::settled_rows_of(&context.target()?, record.id).await?;
    let verdict = state.verdict(record.id);
    let report =
        Report { run: &record, steps: &steps, verdict: verdict.as_ref(), held: &held, settled: &settled };
    if verdict.is_none() {
        context
            .printer
            .note("this state folder has no verification of that run; `bastide rls validate` makes one");
    }
    if let (Some(form), None) = (form, &output) {
        context.printer.raw(&rendered(&report, form)?)?;
        return Ok(Exit::Done);
    }
    let file = output.unwrap_or_else(|| state.report_file(record.id));
    write_private(&file, &rendered(&report, in_file.unwrap_or(ReportForm::Html))?)?;
    let document = bastide_report::document(&report);
    context.printer.result(&document, || bastide_report::terminal(&report))?;
    context.printer.note(&format!("report: {}", file.display()));
    Ok(Exit::Done)
}

/// What the name of a file says of its form.
fn by_name(file: &Path) -> Result<ReportForm, Unusable> {
    match file.extension().and_then(|extension| extension.to_str()) {
        Some("txt") => Ok(ReportForm::Text),
        Some("md" | "markdown") => Ok(ReportForm::Markdown),
        Some("html" | "htm") => Ok(ReportForm::Html),
        Some("json") => Ok(ReportForm::Json),
        _ => Err(Unusable(format!(
            "--output {}: its name does not say which form is wanted; end it in .txt, .md, .html or .json, or add --as text|markdown|html|json",
            file.display()
        ))),
    }
}

fn rendered(report: &Report<'_>, form: ReportForm) -> anyhow::Result<String> {
    Ok(match form {
        ReportForm::Text => bastide_report::terminal(report),
        ReportForm::Markdown => bastide_report::markdown(report),
        ReportForm::Html => bastide_report::html(report),
        ReportForm::Json => format!("{}\n", serde_json::to_string_pretty(&bastide_report::document(report))?),
    })
}
