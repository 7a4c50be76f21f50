//! `bastide rls …`

mod cutover;
mod end;
mod migrate;
mod plan;
mod report;
mod resume;
mod status;
mod validate;
mod watch;

use crate::{args::Rls, context::Context, exit::Exit};

pub(crate) use end::{ask, rollback};
pub(crate) use migrate::{How, finished, held_rows_of, run as migrate, settled_rows_of, show_scripts};
pub(crate) use plan::run as plan;

pub(crate) async fn run(context: &Context, command: Rls) -> anyhow::Result<Exit> {
    match command {
        Rls::Plan { planning, output, open } => plan::run(context, &planning, output, open).await,
        Rls::Migrate { planning, plan, dry_run, until, on_failure, backup, yes } => {
            let how = migrate::How { dry_run, until, on_failure, backup, yes };
            migrate::run(context, &planning, plan, how).await
        }
        Rls::Validate(arguments) => validate::run(context, arguments).await,
        Rls::Status { run, watch: false, .. } => status::run(context, &run).await,
        Rls::Status { run, watch: true, interval } => watch::run(context, &run, interval).await,
        Rls::Resume { run } => resume::run(context, &run).await,
        Rls::Rollback { run, to, yes } => end::rollback(context, &run, to, yes).await,
        Rls::Cutover { run, window, in_use, yes } => {
            cutover::run(context, &run, cutover::Watching { window, in_use }, yes).await
        }
        Rls::Finish { run, yes } => end::finish(context, &run, yes).await,
        Rls::Report { run, form, output } => report::run(context, &run, form, output).await,
    }
}
