//! `bastide rls plan`: inspect, analyse, write the plan for review. Changes nothing.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use bastide_plan::{Plan, PlanFile, read_plan, write_plan};

use crate::{args::Planning, context::Context, exit::Exit, progress::Progress, state::write_private};

pub(crate) async fn run(
    context: &Context,
    planning: &Planning,
    output: Option<PathBuf>,
    open: bool,
) -> anyhow::Result<Exit> {
    let file = output.unwrap_or_else(|| context.state().plan_file());
    let mut config = context.planning(planning)?;
    let before = given(&file)?;
    // Answers already given are the operator's word; a plan made again keeps them.
    config.answers.extend(before.iter().flat_map(|before| before.config.answers.clone()));
    let target = context.target()?;
    let progress = Progress::new(&context.printer);
    let made = bastide_engine::make_plan(&target, &config, &|event| progress.event(event)).await;
    progress.end();
    let plan = made?;
    write_private(&file, &write_plan(&plan))?;
    if open {
        let questions: Vec<_> = plan.open().collect();
        context.printer.result(&questions, || {
            if questions.is_empty() {
                "nothing is open".to_owned()
            } else {
                bastide_report::open_questions(questions.iter().copied())
            }
        })?;
    } else {
        context.printer.result(&plan, || bastide_report::plan(&plan))?;
    }
    for change in before.iter().flat_map(|before| before.tables_decided_otherwise(&plan)) {
        context.printer.note(&change);
    }
    context.printer.note(&next(&plan, &file.display().to_string()));
    Ok(if plan.open().next().is_some() { Exit::Unusable } else { Exit::Done })
}

/// The file that a plan made again takes the place of.
fn given(file: &Path) -> anyhow::Result<Option<PlanFile>> {
    if !file.exists() {
        return Ok(None);
    }
    let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
    let read = read_plan(&text).with_context(|| {
        let file = file.display();
        format!("{file} was kept, for a new plan keeps the answers of the old; mend it, or remove it to plan without them")
    })?;
    Ok(Some(read))
}

fn next(plan: &Plan, file: &str) -> String {
    if plan.open().next().is_some() {
        format!(
            "written to {file}: answer what is open there (or add --accept-defaults), then type: bastide rls plan -o {file} …"
        )
    } else if plan.steps.is_empty() {
        format!("written to {file}: there is nothing to do")
    } else {
        format!("written to {file}: review it, then type: bastide rls migrate --plan {file}")
    }
}
