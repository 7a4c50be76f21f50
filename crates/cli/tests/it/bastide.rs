//! Runs the binary that is under test.

use std::process::{Command, Output};

use serde_json::Value;

pub(crate) struct Bastide {
    url: String,
    state: tempfile::TempDir,
}

pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Bastide {
    pub(crate) fn on(url: String) -> Self {
        Self { url, state: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bastide"));
        for variable in [
            "DATABASE_URL",
            "BASTIDE_APP_URL",
            "BASTIDE_APP_PASSWORD",
            "BASTIDE_STATE_DIR",
            "BASTIDE_OPS_TOKEN",
            "PGPASSWORD",
        ] {
            command.env_remove(variable);
        }
        command.args(["--database-url", &self.url, "--state-dir"]).arg(self.state.path());
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        Ran::of(self.command().args(arguments).output().unwrap())
    }

    pub(crate) fn path(&self) -> &std::path::Path {
        self.state.path()
    }
}

impl Ran {
    pub(crate) fn of(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, code, "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("{error}:\n{}\n{}", self.stdout, self.stderr))
    }
}
