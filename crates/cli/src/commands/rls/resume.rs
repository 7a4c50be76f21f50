//! `bastide rls resume`: go on with a run that was stopped or killed.

use crate::{args::RunId, context::Context, exit::Exit, progress::Progress};

pub(crate) async fn run(context: &Context, run: &RunId) -> anyhow::Result<Exit> {
    let place = context.place()?;
    let id = context.run_id(run.run.as_deref())?;
    let password = std::env::var("BASTIDE_APP_PASSWORD").ok().filter(|password| !password.is_empty());
    let progress = Progress::new(&context.printer);
    let outcome = bastide_engine::resume(&place, id, password, &|event| progress.event(event)).await;
    progress.end();
    super::finished(context, outcome).await
}
