//! The one place that prints: data on stdout, everything said about it on stderr.

#![expect(clippy::print_stderr, reason = "the one printer")]

use std::io::{self, BufRead, IsTerminal, Write};

use serde::Serialize;

use crate::args::{Format, Global};

#[derive(Clone)]
pub(crate) struct Printer {
    format: Format,
    log_format: Format,
    quiet: bool,
    color: bool,
}

impl Printer {
    pub(crate) fn new(global: &Global) -> Self {
        let color = !global.no_color && io::stderr().is_terminal();
        Self { format: global.format, log_format: global.log_format, quiet: global.quiet, color }
    }

    pub(crate) fn json_wanted(&self) -> bool {
        self.format == Format::Json
    }

    /// Whether stderr is for a machine: then whatever is said there is a line of the log.
    pub(crate) fn logs_json(&self) -> bool {
        self.log_format == Format::Json
    }

    pub(crate) fn quiet(&self) -> bool {
        self.quiet
    }

    pub(crate) fn color(&self) -> bool {
        self.color
    }

    /// The command's result, in the format asked for.
    pub(crate) fn result<T: Serialize>(
        &self,
        value: &T,
        text: impl FnOnce() -> String,
    ) -> anyhow::Result<()> {
        match self.format {
            Format::Json => self.json(value),
            Format::Text => self.raw(&format!("{}\n", text().trim_end())),
        }
    }

    pub(crate) fn json<T: Serialize>(&self, value: &T) -> anyhow::Result<()> {
        self.raw(&format!("{}\n", serde_json::to_string_pretty(value)?))
    }

    /// One of several results, each on a line of its own.
    pub(crate) fn line<T: Serialize>(&self, value: &T, text: impl FnOnce() -> String) -> anyhow::Result<()> {
        match self.format {
            Format::Json => self.raw(&format!("{}\n", serde_json::to_string(value)?)),
            Format::Text => self.raw(&format!("{}\n", text().trim_end())),
        }
    }

    pub(crate) fn raw(&self, text: &str) -> anyhow::Result<()> {
        let mut out = io::stdout().lock();
        match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            // `| head` has read enough.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            written => Ok(written?),
        }
    }

    /// Something worth knowing, on stderr.
    pub(crate) fn note(&self, text: &str) {
        if self.quiet {
            return;
        }
        if self.logs_json() {
            tracing::info!(target: "bastide::note", "{text}");
        } else {
            say(text);
        }
    }

    pub(crate) fn error(&self, error: &anyhow::Error) {
        if self.logs_json() {
            tracing::error!(target: "bastide::error", "{}", sentence(error));
            return;
        }
        let label = if self.color { "\x1b[1;31merror:\x1b[0m" } else { "error:" };
        say(&format!("{label} {}", sentence(error)));
    }

    /// Somebody is there to answer.
    pub(crate) fn can_ask(&self) -> bool {
        io::stdin().is_terminal()
    }

    /// Asks on the terminal; without one the answer is no, and the caller says which option answers.
    pub(crate) fn confirm(&self, question: &str) -> anyhow::Result<bool> {
        let answer = self.ask(&format!("{question} [y/N]"))?;
        Ok(matches!(answer.as_deref(), Some("y" | "Y" | "yes")))
    }

    /// What is typed on the terminal; without one, nothing.
    pub(crate) fn ask(&self, question: &str) -> anyhow::Result<Option<String>> {
        if !self.can_ask() {
            return Ok(None);
        }
        eprint!("{question} ");
        io::stderr().flush()?;
        let mut answer = String::new();
        io::stdin().lock().read_line(&mut answer)?;
        Ok(Some(answer.trim().to_owned()))
    }
}

/// A run goes on, and ends with its own exit code, when nobody reads stderr any more; `eprintln!` would panic there.
fn say(text: &str) {
    writeln!(io::stderr(), "{text}").unwrap_or_default();
}

/// The chain of causes as one sentence, without what a cause repeats of the one above it.
fn sentence(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain() {
        let cause = cause.to_string();
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::sentence;

    #[test]
    fn causes_are_told_once() {
        let error = anyhow::anyhow!("no route").context("cannot reach db: no route").context("plan failed");
        assert_eq!(sentence(&error), "plan failed: cannot reach db: no route");
    }
}
