//! The `bastide` binary: reads the command line, runs one command, prints, and leaves with the exit code that says how it went.

mod args;
mod baseline;
mod commands;
mod context;
mod exit;
mod keys;
mod printer;
mod progress;
mod state;
mod step_log;

use std::process::ExitCode;

use clap::Parser;

use crate::{args::Cli, exit::Exit, printer::Printer};

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // `--help` and `--version` come this way, too, and are no error.
            let code = if error.use_stderr() { Exit::Unusable } else { Exit::Done };
            return error.print().map_or(ExitCode::FAILURE, |()| code.into());
        }
    };
    let printer = Printer::new(&cli.global);
    log_to_stderr(cli.global.verbose, &printer);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            printer.error(&anyhow::Error::new(error).context("cannot start the runtime"));
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(commands::run(cli)) {
        Ok(exit) => exit.into(),
        Err(error) => {
            printer.error(&error);
            exit::of(&error).into()
        }
    }
}

fn log_to_stderr(verbose: u8, printer: &Printer) {
    let level = match verbose {
        0 => "warn",
        1 => "info",
        _ => "debug",
    };
    let json = printer.logs_json();
    // A failed step is told by the command's own error, too; whoever asks for JSON asks for every step's line.
    let steps = if json || verbose > 0 { "info" } else { "off" };
    let said = if json { "info" } else { "off" };
    let filter = tracing_subscriber::EnvFilter::try_from_env("BASTIDE_LOG").unwrap_or_else(|_| {
        tracing_subscriber::EnvFilter::new(format!(
            "warn,bastide={level},bastide_engine={level},bastide_server={level},bastide_legacy={level},{}={steps},bastide::note={said}",
            step_log::TARGET
        ))
    });
    // Whatever else is asked not to be logged, why a command failed is said.
    let filter = match "bastide::error=error".parse() {
        Ok(always) => filter.add_directive(always),
        Err(_) => filter,
    };
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if json {
        log.json().flatten_event(true).with_current_span(false).with_span_list(false).init();
    } else {
        log.with_ansi(printer.color()).init();
    }
}
