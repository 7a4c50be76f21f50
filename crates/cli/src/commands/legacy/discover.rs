//! `bastide legacy discover`: what can be said of whose rows are. Changes nothing, and needs no more than to read.

use std::path::PathBuf;

use bastide_record::Limits;

use crate::{args::Planning, context::Context, exit::Exit, progress::Progress, state::write_private};

pub(crate) async fn run(
    context: &Context,
    planning: &Planning,
    limits: Limits,
    html: Option<PathBuf>,
) -> anyhow::Result<Exit> {
    let asked = context.asked(planning, limits)?;
    let target = context.target()?;
    let progress = Progress::new(&context.printer);
    let made = bastide_engine::discover(&target, &asked, &|event| progress.event(event)).await;
    progress.end();
    let discovery = made.map_err(|error| context.in_settings(error))?;
    let file = html.unwrap_or_else(|| context.state().discovery_file());
    write_private(&file, &bastide_report::discovery_html(&discovery))?;
    context.printer.result(&discovery, || bastide_report::discovery(&discovery))?;
    context.printer.note(&format!("page: {}", file.display()));
    // A plan would be refused; scripts can tell without reading on.
    Ok(if discovery.obstacles.is_empty() { Exit::Done } else { Exit::Findings })
}
