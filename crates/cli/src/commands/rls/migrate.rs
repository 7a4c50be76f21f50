//! `bastide rls migrate`: the seven phases.

use std::path::PathBuf;

use anyhow::Context as _;
use bastide_engine::{
    BackupChoice, EngineError, MigrateOptions, RunOutcome, dry_run, migrate, without_backup,
};
use bastide_plan::{Phase, Plan, read_plan};
use bastide_record::Verdict;
use bastide_report::{Report, Summary};

use crate::{
    args::{Backup, OnFailure, Planning, VerifyBackup, Yes},
    context::Context,
    exit::{Exit, Unusable},
    progress::Progress,
    state::write_private,
};

pub(crate) struct How {
    pub(crate) dry_run: bool,
    pub(crate) until: Option<Phase>,
    pub(crate) on_failure: OnFailure,
    pub(crate) backup: Backup,
    pub(crate) yes: Yes,
}

pub(crate) async fn run(
    context: &Context,
    planning: &Planning,
    file: Option<PathBuf>,
    how: How,
) -> anyhow::Result<Exit> {
    let target = context.target()?;
    // Before minutes go into a plan that then may not run.
    let without = how.backup.no_backup && !how.dry_run;
    if without && !how.backup.i_have_a_backup && !context.printer.can_ask() {
        return Err(unacknowledged(target.database()).into());
    }
    let progress = Progress::new(&context.printer);
    let plan = match &file {
        Some(file) => {
            let shown = || file.display().to_string();
            let text =
                std::fs::read_to_string(file).map_err(|e| Unusable(format!("--plan {}: {e}", shown())))?;
            let mut reviewed = read_plan(&text).with_context(shown)?;
            crate::keys::read(&mut reviewed.config.declared, None)?;
            let made =
                bastide_engine::make_plan(&target, &reviewed.config, &|event| progress.event(event)).await;
            progress.end();
            let plan = made?;
            reviewed.check(&plan).with_context(shown)?;
            plan
        }
        None => {
            let config = context.planning(planning)?;
            let made = bastide_engine::make_plan(&target, &config, &|event| progress.event(event)).await;
            progress.end();
            made?
        }
    };
    if how.dry_run {
        return show_scripts(context, &plan);
    }
    if plan.steps.is_empty() && plan.open().next().is_none() {
        context.printer.result(&plan, || "nothing to do: the database is as the plan wants it".to_owned())?;
        return Ok(Exit::Done);
    }
    if plan.open().next().is_some() {
        context
            .printer
            .result(&plan.open().collect::<Vec<_>>(), || bastide_report::open_questions(plan.open()))?;
        let count = plan.open().count();
        return Err(Unusable(format!(
            "{count} open question{} above; nothing was changed. Answer them in a plan file (`bastide rls plan`), or add --accept-defaults to take the safe answers",
            if count == 1 { "" } else { "s" }
        ))
        .into());
    }
    if file.is_none() && !how.yes.yes {
        context.printer.note(&bastide_report::plan(&plan));
    }
    if !how.yes.yes && !context.printer.confirm(&format!("Migrate database {}?", plan.database.name))? {
        return Err(Unusable("nothing was changed: this changes the database, so confirm it or add --yes (--dry-run shows every statement)".to_owned()).into());
    }
    let backup = choice(context, &how.backup, plan.database.name.as_str())?;
    let options = MigrateOptions {
        place: context.place()?,
        plan,
        until: how.until,
        on_failure: match how.on_failure {
            OnFailure::Rollback => bastide_engine::OnFailure::Rollback,
            OnFailure::Stop => bastide_engine::OnFailure::Stop,
        },
        backup,
        app_password: std::env::var("BASTIDE_APP_PASSWORD").ok().filter(|password| !password.is_empty()),
    };
    let progress = Progress::new(&context.printer);
    let outcome = migrate(&options, &|event| progress.event(event)).await;
    progress.end();
    finished(context, outcome).await
}

/// Without a backup only on somebody's word, and never on `--yes`: that answers another question.
fn choice(context: &Context, asked: &Backup, database: &str) -> anyhow::Result<BackupChoice> {
    match (asked.no_backup, asked.verify_backup) {
        (false, VerifyBackup::List) => return Ok(BackupChoice::List),
        (false, VerifyBackup::Restore) => return Ok(BackupChoice::Restore),
        (true, _) => {}
    }
    let how = if asked.i_have_a_backup {
        "--i-have-a-backup"
    } else {
        let question = format!(
            "No backup of {database} will be taken. If you have one of your own, type the database's name:"
        );
        let answer = context.printer.ask(&question)?;
        if answer.as_deref() != Some(database) {
            return Err(unacknowledged(database).into());
        }
        "asked, they typed the database's name"
    };
    Ok(without_backup(&whoever_runs_this(), how))
}

fn unacknowledged(database: &str) -> Unusable {
    Unusable(format!(
        "nothing was changed: --no-backup leaves {database} without a backup of Bastide's. If you have one of your own, say so \
         with --no-backup --i-have-a-backup (--yes does not); otherwise leave --no-backup out"
    ))
}

/// As the machine knows them; under `sudo`, who is behind it.
fn whoever_runs_this() -> String {
    let named = ["SUDO_USER", "LOGNAME", "USER"].into_iter().find_map(|name| std::env::var(name).ok());
    let uid = rustix::process::getuid().as_raw();
    named.map_or_else(|| format!("uid {uid}"), |name| format!("{name} (uid {uid})"))
}

pub(crate) fn show_scripts(context: &Context, plan: &Plan) -> anyhow::Result<Exit> {
    let steps = dry_run(plan);
    context.printer.result(&steps, || {
        let mut text = String::new();
        for step in &steps {
            text.push_str(&format!(
                "-- {} · {}\n-- {}\n{}\n\n",
                step.phase,
                step.id,
                step.text,
                step.forward.trim_end()
            ));
        }
        text
    })?;
    Ok(Exit::Done)
}

/// What every command that ran phases does at its end: report, summary, exit code.
pub(crate) async fn finished(
    context: &Context,
    outcome: Result<RunOutcome, EngineError>,
) -> anyhow::Result<Exit> {
    let outcome = match outcome {
        Ok(outcome) => outcome,
        Err(error) => {
            if let Some(verdict) = refused_by(&error) {
                context.printer.note(&bastide_report::verdict(verdict));
            }
            return Err(error.into());
        }
    };
    let held = held_rows(context, outcome.run.id).await?;
    let settled = settled_rows_of(&context.target()?, outcome.run.id).await?;
    let state = context.state();
    if let Some(verdict) = &outcome.verdict {
        state.keep_verdict(outcome.run.id, verdict)?;
    }
    let report = Report {
        run: &outcome.run,
        steps: &outcome.steps,
        verdict: outcome.verdict.as_ref(),
        held: &held,
        settled: &settled,
    };
    let file = state.report_file(outcome.run.id);
    write_private(&file, &bastide_report::html(&report))?;
    context.printer.result(&Summary::of(&report), || bastide_report::text(&report))?;
    context.printer.note(&format!("report: {}", file.display()));
    let bad = outcome.verdict.as_ref().is_some_and(|verdict| !verdict.isolated());
    Ok(if bad { Exit::Findings } else { Exit::Done })
}

/// The verdict that made a run fail, however deep it is wrapped.
fn refused_by(error: &EngineError) -> Option<&Verdict> {
    match error {
        EngineError::NotIsolated { verdict, .. } => Some(verdict),
        EngineError::RolledBack(cause)
        | EngineError::Stopped { cause }
        | EngineError::RollbackFailed { cause, .. } => refused_by(cause),
        _ => None,
    }
}

/// Rows of a run that are held aside now, by table.
pub(crate) async fn held_rows(context: &Context, run: uuid::Uuid) -> anyhow::Result<Vec<(String, u64)>> {
    held_rows_of(&context.target()?, run).await
}

pub(crate) async fn held_rows_of(
    target: &bastide_connect::Target,
    run: uuid::Uuid,
) -> anyhow::Result<Vec<(String, u64)>> {
    let client = target.connect("bastide").await?;
    let sql = "SELECT relation, count(*) FROM bastide.held WHERE run_id = $1 AND restored_at IS NULL GROUP BY 1 ORDER BY 1";
    let there = client
        .query_one("SELECT to_regclass('bastide.held') IS NOT NULL", &[])
        .await
        .context("reading held rows")?;
    if !there.get::<_, bool>(0) {
        return Ok(Vec::new());
    }
    let rows = client.query(sql, &[&run]).await.context("reading held rows")?;
    Ok(rows.iter().map(|row| (for_people(row.get(0)), row.get::<_, i64>(1).unsigned_abs())).collect())
}

/// What settling crossing links changed in live rows, and has not taken back: link, what was done, rows.
pub(crate) async fn settled_rows_of(
    target: &bastide_connect::Target,
    run: uuid::Uuid,
) -> anyhow::Result<Vec<(String, String, u64)>> {
    const DOING: &str = "reading settled links";
    let client = target.connect("bastide").await?;
    let sql = "SELECT link, CASE what WHEN 'made' THEN 'copies made' ELSE what END, count(*) FROM bastide.changed WHERE run_id = $1 AND undone_at IS NULL GROUP BY 1, 2 ORDER BY 1, 2";
    let there =
        client.query_one("SELECT to_regclass('bastide.changed') IS NOT NULL", &[]).await.context(DOING)?;
    if !there.get::<_, bool>(0) {
        return Ok(Vec::new());
    }
    let rows = client.query(sql, &[&run]).await.context(DOING)?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1), row.get::<_, i64>(2).unsigned_abs())).collect())
}

/// The journal's spelling is SQL's, quoted throughout.
fn for_people(relation: String) -> String {
    relation.parse::<bastide_sql::QualifiedName>().map_or(relation, |name| name.to_string())
}
