//! `pg_dump` and `pg_restore`: found once, told where to connect by their environment (never by arguments, which every
//! user of the machine can read), and believed only when they end well.

use std::{path::PathBuf, process::Stdio};

use bastide_connect::Target;
use tokio::process::Command;

use crate::{EngineError, MigrationGuard};

/// A client program new enough for the server.
pub(crate) async fn find(name: &'static str, guard: &MigrationGuard) -> Result<PathBuf, EngineError> {
    let version: i32 = guard
        .client()
        .query_one("SELECT current_setting('server_version_num')::int / 10000", &[])
        .await
        .and_then(|row| row.try_get(0))
        .map_err(EngineError::server("asking for the server's version"))?;
    Ok(bastide_postgres::find_tool(name, u32::try_from(version).unwrap_or_default())?.path)
}

/// Runs a program against `target`; its output, or what it said on the way out.
pub(crate) async fn run(
    name: &'static str,
    path: &PathBuf,
    target: &Target,
    arguments: &[String],
) -> Result<String, EngineError> {
    run_as(name, path, target, name, arguments).await
}

/// The same under a name by which its sessions can be found.
pub(crate) async fn run_as(
    name: &'static str,
    path: &PathBuf,
    target: &Target,
    application: &str,
    arguments: &[String],
) -> Result<String, EngineError> {
    let failed = |said: String| EngineError::Tool { program: name, said };
    let output = Command::new(path)
        .args(arguments)
        .envs(target.libpq_environment())
        .env("PGAPPNAME", application)
        // Messages are compared with nothing, but names in lists are.
        .env("PGCLIENTENCODING", "UTF8")
        .env("LC_MESSAGES", "C")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .map_err(|error| failed(error.to_string()))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(failed(cause(&said)))
}

/// The first error and what explains it: with several jobs the last one is only that a worker has died.
fn cause(said: &str) -> String {
    let lines: Vec<&str> = said.lines().filter(|line| !line.trim().is_empty()).collect();
    let first =
        lines.iter().position(|line| line.contains("error:")).unwrap_or(lines.len().saturating_sub(3));
    lines.into_iter().skip(first).take(3).collect::<Vec<_>>().join(" / ")
}

/// The schema outside `bastide`, without the random token that `pg_dump` puts around it.
pub(crate) async fn schema_dump(guard: &MigrationGuard) -> Result<String, EngineError> {
    let pg_dump = find("pg_dump", guard).await?;
    let arguments =
        ["--schema-only", "--exclude-schema=bastide", "--lock-wait-timeout=30s"].map(str::to_owned);
    let dump = run("pg_dump", &pg_dump, guard.target(), &arguments).await?;
    Ok(without_token(&dump))
}

/// Neither the random token nor the versions of the programs, which an update of the server in the middle of a run changes.
pub(crate) fn without_token(dump: &str) -> String {
    const LEFT_OUT: [&str; 4] =
        ["\\restrict ", "\\unrestrict ", "-- Dumped from database version ", "-- Dumped by pg_dump version "];
    let mut out = String::with_capacity(dump.len());
    for line in dump.lines().filter(|line| !LEFT_OUT.iter().any(|word| line.starts_with(word))) {
        out.push_str(line);
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_token_and_the_versions_are_left_out() {
        assert_eq!(
            without_token(
                "--\n\\restrict abc\n-- Dumped from database version 15.4\n-- Dumped by pg_dump version 15.5\nCREATE TABLE t ();\n\\unrestrict abc\n"
            ),
            "--\nCREATE TABLE t ();\n"
        );
    }
}
