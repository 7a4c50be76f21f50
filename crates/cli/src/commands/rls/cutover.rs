//! `bastide rls cutover`: watches for a while who still uses a legacy login, then ends their unfiltered access.

use std::{io::IsTerminal, time::Duration};

use bastide_connect::Target;
use bastide_engine::LegacyUse;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use uuid::Uuid;

use super::end::ask;
use crate::{
    args::{RunId, Yes},
    context::Context,
    exit::{Exit, Unusable},
    progress::Progress,
};

/// How long to watch, and what is to happen when somebody is there.
pub(crate) struct Watching {
    pub(crate) window: Duration,
    /// Whoever is seen is cut off knowingly.
    pub(crate) in_use: bool,
}

pub(crate) async fn run(
    context: &Context,
    run: &RunId,
    watching: Watching,
    yes: Yes,
) -> anyhow::Result<Exit> {
    let place = context.place()?;
    let id = context.run_id(run.run.as_deref())?;
    let used = watched(context, &place.target, id, watching.window).await?;
    let mut question = format!("End the legacy logins' unfiltered access to {}?", place.target.database());
    if !used.is_quiet() && !watching.in_use {
        let names: Vec<&str> = used.logins.iter().map(|seen| seen.login.as_str()).collect();
        let names = names.join(", ");
        if yes.yes || !context.printer.can_ask() {
            context.printer.result(&used, || told(&used))?;
            return Err(Unusable(format!(
                "nothing was changed: {names} is still in use. Let the application use its new login, or add --in-use to cut it off"
            ))
            .into());
        }
        question = format!("Still in use: {names}. {question}");
    }
    context.printer.note(&told(&used));
    ask(context, yes, &question)?;
    let progress = Progress::new(&context.printer);
    let outcome = bastide_engine::cutover(&place, id, &|event| progress.event(event)).await;
    progress.end();
    super::finished(context, outcome).await
}

fn told(used: &LegacyUse) -> String {
    let mut lines = used.lines();
    if used.is_quiet() {
        lines.push("nobody was seen to use a legacy login".to_owned());
    }
    lines.push(used.blind());
    lines.join("\n")
}

/// Only looks: whoever interrupts it leaves everything as it was.
async fn watched(
    context: &Context,
    target: &Target,
    id: Option<Uuid>,
    window: Duration,
) -> anyhow::Result<LegacyUse> {
    let shown = std::io::stderr().is_terminal() && !context.printer.quiet() && !context.printer.logs_json();
    let bar = ProgressBar::with_draw_target(
        None,
        if shown { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() },
    );
    bar.set_style(ProgressStyle::with_template("{msg}").unwrap_or_else(|_| ProgressStyle::default_bar()));
    if !shown && !window.is_zero() {
        let seconds = window.as_secs_f64();
        context.printer.note(&format!("watching for {seconds} s whether anybody uses a legacy login"));
    }
    let used = bastide_engine::watch_legacy_logins(target, id, window, &|used, left| {
        let names: Vec<String> =
            used.logins.iter().map(|seen| format!("{} ({} sessions)", seen.login, seen.sessions)).collect();
        let names = if names.is_empty() { "nobody so far".to_owned() } else { names.join(", ") };
        bar.set_message(format!("watching the legacy logins, {:.0} s left: {names}", left.as_secs_f64()));
    })
    .await;
    bar.finish_and_clear();
    Ok(used?)
}
