//! `bastide legacy …`: the data upgrader by itself. It plans, runs and undoes through the same engine and journal as `rls`.

mod discover;
mod upgrade;
mod validate;

use bastide_record::Limits;

use super::rls;
use crate::{args::Legacy, context::Context, exit::Exit};

pub(crate) async fn run(context: &Context, command: Legacy) -> anyhow::Result<Exit> {
    match command {
        Legacy::Discover { planning, time_limit, sample_above, html } => {
            let limits = Limits { time_limit_seconds: time_limit, sample_above };
            discover::run(context, &planning, limits, html).await
        }
        Legacy::Plan { planning, output, open } => rls::plan(context, &planning, output, open).await,
        Legacy::Upgrade { planning, plan, dry_run, on_failure, backup, yes } => {
            let how = upgrade::How { dry_run, on_failure, backup, yes };
            upgrade::run(context, &planning, plan, how).await
        }
        Legacy::Validate { run, exact, html } => validate::run(context, &run, exact, html).await,
        Legacy::Rollback { run, yes } => rls::rollback(context, &run, None, yes).await,
    }
}
