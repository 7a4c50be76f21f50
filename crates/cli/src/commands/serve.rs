//! `bastide serve`: the platform, until Ctrl-C or SIGTERM.

use std::net::SocketAddr;

use anyhow::Context as _;
use bastide_connect::Target;
use bastide_server::{App, AppConfig, SessionKey};
use bastide_tenancy::{PoolConfig, TenantPool};
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
    let app = self::app(&target).await?;
    context.printer.note(&format!("serving on http://{}", listener.local_addr()?));
    bastide_server::serve(listener, app, stopped()).await?;
    Ok(Exit::Done)
}

/// The platform over a pool that the server's own login feeds; refuses a login that row security does not bind.
pub(crate) async fn app(login: &Target) -> anyhow::Result<App> {
    let pool = TenantPool::connect(login, PoolConfig::default()).await?;
    let session_key = match std::env::var("BASTIDE_SESSION_KEY") {
        Ok(key) if !key.is_empty() => {
            SessionKey::from_text(&key).map_err(|error| Unusable(format!("BASTIDE_SESSION_KEY: {error}")))?
        }
        _ => SessionKey::random(),
    };
    Ok(App::new(pool, AppConfig { session_key, ..AppConfig::default() }))
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
