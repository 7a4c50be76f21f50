//! `bastide schema`: the platform's own migrations.

use bastide_schema::{
    Change, Checked, Loss, Migrations, Options, Rendered, Status, Undone, Up, VersionState, VersionStatus,
};
use bastide_sql::Ident;

use crate::{
    args::{Schema, Yes},
    context::Context,
    exit::Exit,
};

pub(crate) async fn run(context: &Context, command: Schema) -> anyhow::Result<Exit> {
    match command {
        Schema::Up { to, dry_run: false, app } => up(context, to, app.app_role.as_ref()).await,
        Schema::Up { to, dry_run: true, app } => dry_run(context, to, app.app_role.as_ref()).await,
        Schema::Down { to, app, yes } => down(context, to, app.app_role.as_ref(), yes).await,
        Schema::Status => status(context).await,
        Schema::History => history(context).await,
        Schema::Check { app } => check(context, app.app_role.as_ref()).await,
    }
}

fn options(context: &Context, app_role: Option<&Ident>) -> anyhow::Result<Options> {
    Ok(Options {
        place: context.place()?,
        app_role: context.app_role(app_role),
        app_password: std::env::var("BASTIDE_APP_PASSWORD").ok().filter(|password| !password.is_empty()),
        migrations: Migrations::embedded()?,
    })
}

async fn up(context: &Context, to: Option<i32>, app_role: Option<&Ident>) -> anyhow::Result<Exit> {
    let options = options(context, app_role)?;
    let went = bastide_schema::up(&options, to, &|text| context.printer.note(text)).await?;
    context.printer.result(&went, || went_up(&went))?;
    Ok(Exit::Done)
}

fn went_up(went: &Up) -> String {
    if went.applied.is_empty() {
        return format!("version {}; there is nothing to apply", went.from);
    }
    let mut text = String::new();
    if let Some(run) = went.adopted {
        text.push_str(&format!("version 1 is what run {run} left\n"));
    }
    text.push_str(&format!("from version {} to {}: {}", went.from, went.to, went.applied.join(", ")));
    text
}

async fn dry_run(context: &Context, to: Option<i32>, app_role: Option<&Ident>) -> anyhow::Result<Exit> {
    let rendered = bastide_schema::dry_run(&options(context, app_role)?, to).await?;
    context.printer.result(&rendered, || match rendered.is_empty() {
        true => "there is nothing to apply".to_owned(),
        false => rendered.iter().map(script).collect::<Vec<_>>().join("\n\n"),
    })?;
    Ok(Exit::Done)
}

fn script(rendered: &Rendered) -> String {
    let ended = |statement: &String| format!("{};", statement.trim_end_matches(';'));
    let statements: Vec<String> = rendered.statements.iter().map(ended).collect();
    format!("-- {:04}_{}\n{}", rendered.version, rendered.name, statements.join("\n"))
}

async fn down(
    context: &Context,
    to: Option<i32>,
    app_role: Option<&Ident>,
    yes: Yes,
) -> anyhow::Result<Exit> {
    let options = options(context, app_role)?;
    let losses = bastide_schema::losses(&options.place.target, to).await?;
    if losses.is_empty() {
        context.printer.result(&losses, || "there is nothing to undo".to_owned())?;
        return Ok(Exit::Done);
    }
    for line in lost(&losses) {
        context.printer.note(&line);
    }
    if let Err(refused) = super::rls::ask(context, yes, "Undo that?") {
        context.printer.result(&losses, || lost(&losses).join("\n"))?;
        return Err(refused);
    }
    let undone = bastide_schema::down(&options, to, &|text| context.printer.note(text)).await?;
    context.printer.result(&undone, || went_down(&undone))?;
    Ok(Exit::Done)
}

fn lost(losses: &[Loss]) -> Vec<String> {
    let mut lines = Vec::new();
    for loss in losses {
        let label = format!("{:04}_{}", loss.version, loss.name);
        let of = loss.lines();
        if of.is_empty() {
            lines.push(format!("undoing {label} drops no table and no column"));
            continue;
        }
        lines.push(format!("undoing {label} loses"));
        lines.extend(of.iter().map(|line| format!("  {line}")));
    }
    lines
}

fn went_down(undone: &Undone) -> String {
    format!("from version {} to {}: {} undone", undone.from, undone.to, undone.undone.join(", "))
}

async fn status(context: &Context) -> anyhow::Result<Exit> {
    let status = bastide_schema::status(&context.target()?, &Migrations::embedded()?).await?;
    context.printer.result(&status, || standing(&status))?;
    Ok(if status.half_way() { Exit::HalfWay } else { Exit::Done })
}

fn standing(status: &Status) -> String {
    let mut lines = vec![format!("version {} of {}", status.version, status.newest)];
    lines.extend(status.versions.iter().map(line));
    lines.join("\n")
}

fn line(version: &VersionStatus) -> String {
    let state = match version.state {
        VersionState::Pending => "pending",
        VersionState::Applied => "applied",
        VersionState::Changed => "applied, from files that are others now",
        VersionState::Unknown => "applied by a newer Bastide, unknown to this one",
        VersionState::Started => {
            "begun and not ended: `bastide schema up` goes on, `bastide schema down` undoes it"
        }
        VersionState::Undoing => "half undone: `bastide schema down` goes on",
    };
    let mut line = format!("  {:04}_{}: {state}", version.version, version.name);
    if let (Some(at), Some(by)) = (version.applied_at, &version.applied_by) {
        line.push_str(&format!(", {} by {by}", at.date()));
    }
    if let Some(run) = version.adopted {
        line.push_str(&format!(", left by run {run}"));
    }
    line
}

async fn history(context: &Context) -> anyhow::Result<Exit> {
    let history = bastide_schema::history(&context.target()?).await?;
    context.printer.result(&history, || match history.is_empty() {
        true => "nothing was ever applied".to_owned(),
        false => history.iter().map(change).collect::<Vec<_>>().join("\n"),
    })?;
    Ok(Exit::Done)
}

fn change(change: &Change) -> String {
    let at = change.at.replace_nanosecond(0).unwrap_or(change.at);
    format!(
        "{} {} {}  {:04}_{} by {}, {:.1} s, Bastide {}",
        at.date(),
        at.time(),
        change.action,
        change.version,
        change.name,
        change.login,
        change.seconds,
        change.bastide
    )
}

async fn check(context: &Context, app_role: Option<&Ident>) -> anyhow::Result<Exit> {
    let checked = bastide_schema::check(&options(context, app_role)?).await?;
    context.printer.result(&checked, || agreed(&checked))?;
    if let Some(why) = &checked.weaker {
        context.printer.note(&format!(
            "{why}: compared were checksums and what was remembered at the last up, which is weaker"
        ));
    }
    Ok(if checked.differences.is_empty() { Exit::Done } else { Exit::Findings })
}

fn agreed(checked: &Checked) -> String {
    if checked.differences.is_empty() {
        return format!("version {}: database and files agree", checked.version);
    }
    let mut lines = vec![format!("version {}: database and files disagree", checked.version)];
    lines.extend(checked.differences.iter().map(|difference| format!("  {difference}")));
    lines.join("\n")
}
