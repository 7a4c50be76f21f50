//! The password of an application login that the run itself made. It travels to the server as a SCRAM verifier only, so
//! the plain text is in no log and no journal.

use std::{
    fs,
    io::Write,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use bastide_connect::Target;
use bastide_plan::{Phase, Plan, Step};
use bastide_sql::{Ident, Literal, Sql, sql};
use tokio_postgres::Client;

use crate::{EngineError, Event, Place, StepRecord, StepState, run::Course};

/// After the steps of phase policies: from here on the application can log in.
pub(crate) async fn give_password(course: &mut Course<'_>) -> Result<(), EngineError> {
    let plan = course.plan();
    let role = plan.config.app_role.clone();
    if !made_by(plan) {
        return Ok(());
    }
    let place = &course.options.place;
    let given = course.options.app_password.clone();
    let (statement, file) = password_statement(place, &role, given)?;
    course
        .guard
        .client()
        .batch_execute(statement.as_str())
        .await
        .map_err(EngineError::server("setting the password of the application's login"))?;
    let text = format!("the password of {role} is in {}", file.display());
    (course.listener)(&Event::Notice { text });
    let text = format!("login {role} can connect");
    (course.listener)(&Event::Activity { phase: Phase::Policies, text });
    Ok(())
}

/// Gives the login the password told, or the one kept for it, or one made now, and the file that it is kept in.
///
/// # Errors
/// When that file cannot be written or read.
pub fn password_statement(
    place: &Place,
    role: &Ident,
    given: Option<String>,
) -> Result<(Sql, PathBuf), EngineError> {
    let file = password_file(place, role);
    let given =
        given.or_else(|| place.app.as_ref().filter(|app| app.user() == role.as_str()).and_then(password_of));
    let password = match (given, read(&file)?) {
        (Some(given), _) => {
            // Kept for probes of later commands, which may run without the environment of this one.
            write(&file, &given)?;
            given
        }
        // A resumed run: the file may have been handed on already.
        (None, Some(kept)) => kept,
        (None, None) => {
            let made = generated();
            write(&file, &made)?;
            made
        }
    };
    let verifier = postgres_protocol::password::scram_sha_256(password.as_bytes());
    Ok((sql!("ALTER ROLE {} PASSWORD {}", role, Literal::text(verifier)), file))
}

/// The application's login of the newest run, for commands that come after it.
///
/// # Errors
/// When the run or its password file cannot be read.
pub async fn login_of_newest_run(place: &Place) -> Result<Option<Target>, EngineError> {
    match crate::status(&place.target, None).await {
        Ok((run, _)) => target(place, &run.plan),
        Err(EngineError::NoRun) => Ok(None),
        Err(error) => Err(error),
    }
}

/// How to log in as the application: as told, or with the password that the run gave it.
pub(crate) fn target(place: &Place, plan: &Plan) -> Result<Option<Target>, EngineError> {
    if let Some(app) = &place.app {
        return Ok(Some(app.clone()));
    }
    let role = &plan.config.app_role;
    if !made_by(plan) {
        return Ok(None);
    }
    Ok(read(&password_file(place, role))?
        .map(|password| place.target.with_user(role.as_str(), Some(&password))))
}

/// The role is gone, and its password with it.
///
/// # Errors
/// When the file is there and cannot be removed.
pub fn forget_password(place: &Place, role: &Ident) -> Result<(), EngineError> {
    let file = password_file(place, role);
    match fs::remove_file(&file) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(EngineError::file(&file)(error)),
        _ => Ok(()),
    }
}

/// The operator named the login to be made, with the password it is to have.
fn password_of(app: &Target) -> Option<String> {
    app.libpq_environment().into_iter().find(|(name, _)| *name == "PGPASSWORD").map(|(_, password)| password)
}

/// The login that the run made, or would have made, by the step's identity: the plan may be one that cannot be read.
pub(crate) fn made_by_steps(steps: &[StepRecord]) -> Option<Ident> {
    steps.iter().find_map(|step| {
        let name = step.id.as_str().strip_prefix(MAKES)?;
        let quoted = name.strip_prefix('"').and_then(|name| name.strip_suffix('"'));
        Ident::new(quoted.map_or_else(|| name.to_owned(), |name| name.replace("\"\"", "\""))).ok()
    })
}

const MAKES: &str = "create_app_role:";

/// Inverses name the login in REVOKE and in policies. When somebody dropped it meanwhile, one that cannot log in stands in
/// for it until the inverse of its own step drops that, too.
pub(crate) async fn stand_in(
    client: &Client,
    role: &Ident,
    steps: &[StepRecord],
) -> Result<bool, EngineError> {
    let made = steps.iter().any(|step| step.id.as_str().starts_with(MAKES) && step.state == StepState::Done);
    let doing = "looking for the application's login";
    if !made
        || client
            .query_opt("SELECT 1 FROM pg_roles WHERE rolname = $1", &[&role.as_str()])
            .await
            .map_err(EngineError::server(doing))?
            .is_some()
    {
        return Ok(false);
    }
    let create = sql!("CREATE ROLE {} NOLOGIN", role);
    client.batch_execute(create.as_str()).await.map_err(EngineError::server("making a role stand in"))?;
    Ok(true)
}

fn made_by(plan: &Plan) -> bool {
    plan.steps.iter().any(|planned| matches!(planned.step, Step::CreateAppRole(_)))
}

/// Role names are free text; a file's name is not.
fn password_file(place: &Place, role: &Ident) -> PathBuf {
    let name: String =
        role.as_str().chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' }).collect();
    place.state_dir.join(format!("{name}.password"))
}

fn read(file: &Path) -> Result<Option<String>, EngineError> {
    match fs::read_to_string(file) {
        Ok(text) => Ok(Some(text.trim_end_matches('\n').to_owned())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(EngineError::file(file)(error)),
    }
}

fn write(file: &Path, password: &str) -> Result<(), EngineError> {
    if let Some(folder) = file.parent() {
        private_folder(folder)?;
    }
    // A new file: the mode of one that is there would stay as it is.
    let fresh = file.with_extension("password.new");
    let written = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&fresh)
        .and_then(|mut open| writeln!(open, "{password}").and_then(|()| open.sync_all()))
        .and_then(|()| fs::rename(&fresh, file));
    written.map_err(EngineError::file(file))
}

/// A folder only we can enter.
pub(crate) fn private_folder(folder: &Path) -> Result<(), EngineError> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(EngineError::file(folder))
}

/// 244 random bits.
fn generated() -> String {
    format!("{}{}", uuid::Uuid::new_v4().simple(), uuid::Uuid::new_v4().simple())
}
