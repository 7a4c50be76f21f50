//! `bastide completions SHELL`

use clap::CommandFactory;

use crate::{args::Cli, context::Context, exit::Exit};

pub(crate) fn run(context: &Context, shell: clap_complete::Shell) -> anyhow::Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "bastide", &mut script);
    context.printer.raw(&String::from_utf8(script)?)?;
    Ok(Exit::Done)
}
