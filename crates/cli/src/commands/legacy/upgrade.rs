//! `bastide legacy upgrade`: every row gets its tenant, and nothing else happens yet. Run again, it looks for rows that
//! came without one since.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use bastide_engine::{RunState, Upgraded};
use bastide_plan::{FileError, Phase, Plan, Step, inference, read_plan};
use serde::Serialize;

use crate::{
    args::{Backup, OnFailure, Planning, Yes},
    commands::rls,
    context::Context,
    exit::{Exit, Unusable},
    progress::Progress,
};

pub(crate) struct How {
    pub(crate) dry_run: bool,
    pub(crate) on_failure: OnFailure,
    pub(crate) backup: Backup,
    pub(crate) yes: Yes,
}

pub(crate) async fn run(
    context: &Context,
    planning: &Planning,
    plan: Option<PathBuf>,
    how: How,
) -> anyhow::Result<Exit> {
    // What cannot be read here (no rights, no such database) is said where it is needed, by the run that then begins.
    if let Ok((run, _)) = bastide_engine::status(&context.target()?, None).await
        && !matches!(run.state, RunState::RolledBack | RunState::Finished)
    {
        if let Some(file) = &plan {
            unused(context, file, &run.plan)?;
        }
        return if how.dry_run { scripts(context, &run.plan) } else { again(context, how.yes).await };
    }
    let How { dry_run, on_failure, backup, yes } = how;
    let how = rls::How { dry_run, until: Some(Phase::Assignment), on_failure, backup, yes };
    rls::migrate(context, planning, plan, how).await
}

#[derive(Serialize)]
struct Again {
    run: String,
    state: RunState,
    rows_without_tenant_before: u64,
    rows_without_tenant: u64,
    rows_quarantined: u64,
}

async fn again(context: &Context, yes: Yes) -> anyhow::Result<Exit> {
    let place = context.place()?;
    let question = format!("Go on with the upgrade of {}?", place.target.database());
    if !yes.yes && !context.printer.confirm(&question)? {
        return Err(Unusable("nothing was changed: confirm it, or add --yes".to_owned()).into());
    }
    let progress = Progress::new(&context.printer);
    let upgraded = bastide_engine::upgrade_again(&place, &|event| progress.event(event)).await;
    progress.end();
    let upgraded = upgraded?;
    if upgraded.went_on {
        return rls::finished(context, Ok(upgraded.outcome)).await;
    }
    let result = Again {
        run: upgraded.outcome.run.id.to_string(),
        state: upgraded.outcome.run.state,
        rows_without_tenant_before: upgraded.open_before,
        rows_without_tenant: upgraded.open,
        rows_quarantined: upgraded.quarantined,
    };
    context.printer.result(&result, || text(&upgraded))?;
    Ok(Exit::Done)
}

fn text(upgraded: &Upgraded) -> String {
    let Upgraded { open_before, open, quarantined, .. } = upgraded;
    let filled = open_before.saturating_sub(*open);
    let mut text = match (filled, open_before) {
        (0, 0) => "nothing to do: every row has its tenant".to_owned(),
        (0, _) => "nothing to do: no evidence settles any row that has no tenant".to_owned(),
        (1, _) => "1 row that came since got its tenant; no other was touched".to_owned(),
        _ => format!("{filled} rows that came since got their tenant; no other was touched"),
    };
    if *open > 0 {
        text.push_str(&format!("\nrows still without a tenant: {open}; cutover holds them aside"));
    }
    if *quarantined > 0 {
        text.push_str(&format!("\nrows in quarantine: {quarantined}; cutover looks at them again"));
    }
    text
}

/// A plan file that is none, or another database's, is an error even where the run under way has its own.
fn unused(context: &Context, file: &Path, plan: &Plan) -> anyhow::Result<()> {
    let shown = || file.display().to_string();
    let text = std::fs::read_to_string(file).map_err(|e| Unusable(format!("--plan {}: {e}", shown())))?;
    match read_plan(&text).with_context(shown)?.check(plan) {
        Ok(()) => return Ok(()),
        Err(other @ FileError::OtherDatabase { .. }) => return Err(other).with_context(shown),
        Err(_) => {}
    }
    context.printer.note(&format!("{} is not used: the run goes on with the plan it began with", shown()));
    Ok(())
}

/// What another look would run.
fn scripts(context: &Context, plan: &Plan) -> anyhow::Result<Exit> {
    let looks_again = |step: &Step| match step {
        Step::InferTenants(step) => step.pass == inference::SECOND,
        Step::Backfill(step) => step.pass == inference::SECOND,
        _ => false,
    };
    let mut plan = plan.clone();
    plan.steps.retain(|planned| planned.phase == Phase::Assignment && looks_again(&planned.step));
    rls::show_scripts(context, &plan)
}
