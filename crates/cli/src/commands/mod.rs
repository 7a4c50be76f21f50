//! One file per command.

mod completions;
mod demo;
mod legacy;
mod rls;
mod schema;
mod seal;
mod serve;
mod tenant;

use crate::{
    args::{Cli, Command},
    context::Context,
    exit::Exit,
};

pub(crate) async fn run(cli: Cli) -> anyhow::Result<Exit> {
    let context = Context::new(cli.global)?;
    match cli.command {
        Command::Demo(args) => demo::run(&context, &args).await,
        Command::Rls(command) => rls::run(&context, command).await,
        Command::Legacy(command) => legacy::run(&context, command).await,
        Command::Schema(command) => schema::run(&context, command).await,
        Command::Tenant(command) => tenant::run(&context, command).await,
        Command::Context(command) => seal::run(&context, command).await,
        Command::Serve(args) => serve::run(&context, &args).await,
        Command::Completions { shell } => completions::run(&context, shell),
    }
}
