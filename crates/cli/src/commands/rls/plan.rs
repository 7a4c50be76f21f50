//! `bastide rls plan`: inspect, analyse, write the plan for review. Changes nothing.

use std::path::PathBuf;

use anyhow::Context as _;
use bastide_plan::{Plan, read_plan, write_plan};

use crate::{args::Planning, context::Context, exit::Exit, progress::Progress, state::write_private};

pub(crate) async fn run(
    context: &Context,
    planning: &Planning,
    output: Option<PathBuf>,
    open: bool,
) -> anyhow::Result<Exit> {
    let file = output.unwrap_or_else(|| context.state().plan_file());
    let mut config = context.planning(planning)?;
    if file.exists() {
        let text = std::fs::read_to_string(&file).with_context(|| file.display().to_string())?;
        // Answers already given are the operator's word; a plan made again keeps them.
        let given = read_plan(&text).with_context(|| file.display().to_string())?.config.answers;
        config.answers.extend(given);
    }
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
    context.printer.note(&next(&plan, &file.display().to_string()));
    Ok(if plan.open().next().is_some() { Exit::Unusable } else { Exit::Done })
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
