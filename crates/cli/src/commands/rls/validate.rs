//! `bastide rls validate`: posture and probes, whoever migrated the database.

use std::{path::Path, time::Instant};

use bastide_record::{Judgement, Verdict};
use bastide_report::Validation;
use bastide_verify::{App, Options, verify};
use time::{Duration, OffsetDateTime};

use crate::{
    args::{ValidateArgs, ValidationForm},
    baseline,
    context::Context,
    exit::{Exit, Unusable},
    state::write_private,
};

/// How long what is written into a baseline is accepted, unless told.
const ACCEPTED_FOR: Duration = Duration::days(90);

pub(crate) async fn run(context: &Context, arguments: ValidateArgs) -> anyhow::Result<Exit> {
    let target = context.target()?;
    // What is unusable is said before anything is probed.
    let accepted = arguments
        .baseline
        .as_deref()
        .map(|file| baseline::read(file).map(|read| (file, read)))
        .transpose()?;
    let form = form(&arguments)?.unwrap_or(if context.printer.json_wanted() {
        ValidationForm::Json
    } else {
        ValidationForm::Text
    });
    if let Some(file) = arguments.write_baseline.as_deref().filter(|file| file.exists()) {
        return Err(Unusable(format!(
            "--write-baseline {}: the file is there, with reasons in it; name another, and move what you keep",
            file.display()
        ))
        .into());
    }
    let role = &arguments.app_role;
    let login = match (context.app_target()?, role) {
        (Some(login), _) => Some(login),
        (None, Some(_)) => None,
        // The login of the newest run, when its password is in this state folder.
        (None, None) => bastide_engine::login_of_newest_run(&context.place()?).await?,
    };
    let app = match (&login, role) {
        (Some(login), _) => App::Login(login),
        (None, Some(role)) => App::SetRole(role),
        (None, None) => {
            return Err(Unusable(
                "which login is the application's? Give its URL with --app-url (BASTIDE_APP_URL), or, weaker, its name with --app-role".to_owned(),
            )
            .into());
        }
    };
    let mut owner = target.connect("bastide").await?;
    // Reading a catalog waits for whoever changes it; nobody is to wait behind that.
    owner.batch_execute("SET lock_timeout = '2s'").await?;
    let options = Options { production: arguments.production, ..Options::default() };
    let begun = Instant::now();
    let verdict = verify(&mut owner, app, options).await?;
    let took = begun.elapsed();
    let known = match &accepted {
        Some((file, baseline)) => {
            baseline::check(file, baseline, &verdict.database)?;
            Some(baseline)
        }
        None => None,
    };
    let today = OffsetDateTime::now_utc().date();
    let judgement = Judgement::of(&verdict, known, today, arguments.max_untested);
    let validation =
        Validation { verdict: &verdict, judgement: &judgement, took, version: env!("CARGO_PKG_VERSION") };
    match &arguments.output {
        Some(file) => {
            write_private(file, &rendered(&validation, form)?)?;
            context.printer.result(&bastide_report::validation_document(&validation), || {
                bastide_report::validation_text(&validation)
            })?;
            context.printer.note(&format!("written: {}", file.display()));
        }
        None => context.printer.raw(&rendered(&validation, form)?)?,
    }
    if let Some(file) = &arguments.write_baseline {
        let reason = arguments.reason.as_deref().unwrap_or_default();
        let expires = arguments.expires.unwrap_or(today + ACCEPTED_FOR);
        write_baseline(context, file, &verdict, reason, expires)?;
    }
    Ok(if judgement.passes() { Exit::Done } else { Exit::Findings })
}

fn write_baseline(
    context: &Context,
    file: &Path,
    verdict: &Verdict,
    reason: &str,
    expires: time::Date,
) -> anyhow::Result<()> {
    write_private(file, &baseline::written(verdict, reason, expires))?;
    let text = format!(
        "baseline: {}, with {} accepted until {expires}; `bastide rls validate --baseline {}` uses it",
        file.display(),
        verdict.wrong().len(),
        file.display()
    );
    context.printer.note(&text);
    Ok(())
}

/// `--as`, else what the name of `--output` says, else `--format`.
fn form(arguments: &ValidateArgs) -> Result<Option<ValidationForm>, Unusable> {
    let Some(file) = arguments.output.as_deref().filter(|_| arguments.form.is_none()) else {
        return Ok(arguments.form);
    };
    match file.extension().and_then(|extension| extension.to_str()) {
        Some("txt") => Ok(Some(ValidationForm::Text)),
        Some("html" | "htm") => Ok(Some(ValidationForm::Html)),
        Some("json") => Ok(Some(ValidationForm::Json)),
        Some("xml") => Ok(Some(ValidationForm::Junit)),
        Some("sarif") => Ok(Some(ValidationForm::Sarif)),
        _ => Err(Unusable(format!(
            "--output {}: its name does not say which form is wanted; end it in .txt, .html, .json, .xml or .sarif, or add --as text|json|html|junit|sarif",
            file.display()
        ))),
    }
}

fn rendered(validation: &Validation<'_>, form: ValidationForm) -> anyhow::Result<String> {
    Ok(match form {
        ValidationForm::Text => bastide_report::validation_text(validation),
        ValidationForm::Html => bastide_report::validation_html(validation),
        ValidationForm::Junit => bastide_report::junit(validation),
        ValidationForm::Json => {
            format!("{}\n", serde_json::to_string_pretty(&bastide_report::validation_document(validation))?)
        }
        ValidationForm::Sarif => {
            format!("{}\n", serde_json::to_string_pretty(&bastide_report::sarif(validation))?)
        }
    })
}
