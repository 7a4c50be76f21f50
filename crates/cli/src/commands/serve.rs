//! `bastide serve`: the platform, until Ctrl-C or SIGTERM.

use std::net::SocketAddr;

use anyhow::Context as _;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};

use crate::{
    args::ServeArgs,
    context::Context,
    exit::{Exit, Unusable},
};

pub(crate) const DEFAULT_LISTEN: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8080);

pub(crate) async fn run(context: &Context, args: &ServeArgs) -> anyhow::Result<Exit> {
    let target = context.app_target()?.ok_or_else(|| {
        Unusable("serving needs the application's own login: set BASTIDE_APP_URL, or add --app-url postgresql://bastide_app@host/database".to_owned())
    })?;
    let address = context.listen(args.listen).unwrap_or(DEFAULT_LISTEN);
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address}; choose another address with --listen"))?;
    let app = bastide_server::App::connect(&target).await?;
    context.printer.note(&format!("serving on http://{}", listener.local_addr()?));
    bastide_server::serve(listener, app, stopped()).await?;
    Ok(Exit::Done)
}

/// Resolves at the first Ctrl-C or SIGTERM.
pub(crate) async fn stopped() {
    let (Ok(mut interrupt), Ok(mut terminate)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        // Without handlers the default action ends the process.
        return std::future::pending().await;
    };
    tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
}
