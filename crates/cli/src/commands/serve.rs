//! `bastide serve`: the platform, until Ctrl-C or SIGTERM.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use bastide_connect::Target;
use bastide_server::{
    App, AppConfig, Limits, OpsToken, SessionKey,
    media::{DiskStore, MediaStore},
};
use bastide_tenancy::{PoolConfig, SealKeys, TenantPool};
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

/// How often the file of seal keys is looked at.
const KEY_FILE_INTERVAL: Duration = Duration::from_secs(2);

pub(crate) async fn run(context: &Context, args: &ServeArgs) -> anyhow::Result<Exit> {
    let target = context.app_target()?.ok_or_else(|| {
        Unusable("serving needs the application's own login: set BASTIDE_APP_URL, or add --app-url postgresql://bastide_app@host/database".to_owned())
    })?;
    let address = context.listen(args.listen).unwrap_or(DEFAULT_LISTEN);
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address}; choose another address with --listen"))?;
    let limits = Limits { trusted_proxies: args.trusted_proxies, ..Limits::default() };
    let app = self::app(&target, args.seal_key_file.as_deref(), limits).await?;
    context.printer.note(&format!("serving on http://{}", listener.local_addr()?));
    bastide_server::serve(listener, app, stopped()).await?;
    Ok(Exit::Done)
}

/// The platform over a pool that the server's own login feeds; refuses a login that row security does not bind.
pub(crate) async fn app(login: &Target, seal_key_file: Option<&Path>, limits: Limits) -> anyhow::Result<App> {
    let seal_keys = seal_key_file.map(seal_keys).transpose()?;
    let pool = TenantPool::connect(login, PoolConfig { seal_keys, ..PoolConfig::default() }).await?;
    if let Some(file) = seal_key_file {
        tokio::spawn(watch(pool.clone(), file.to_owned()));
    }
    let session_key = session_key()?;
    let ops_token = match std::env::var("BASTIDE_OPS_TOKEN") {
        Ok(token) if !token.is_empty() => {
            Some(OpsToken::from_text(&token).map_err(|error| Unusable(error.to_string()))?)
        }
        _ => None,
    };
    let media = match std::env::var_os("BASTIDE_MEDIA_DIR") {
        Some(folder) if !folder.is_empty() => {
            let folder = PathBuf::from(folder);
            let store = DiskStore::open(&folder).with_context(|| {
                format!(
                    "BASTIDE_MEDIA_DIR {} cannot be used; name a folder that can be written",
                    folder.display()
                )
            })?;
            let store: Arc<dyn MediaStore> = Arc::new(store);
            Some(store)
        }
        _ => None,
    };
    Ok(App::new(pool, AppConfig { session_key, ops_token, limits, media, ..AppConfig::default() }))
}

/// From the environment, from the file it names, or for this process alone.
fn session_key() -> anyhow::Result<SessionKey> {
    let set = |name| std::env::var(name).ok().filter(|value: &String| !value.is_empty());
    let (name, text) = match (set("BASTIDE_SESSION_KEY"), set("BASTIDE_SESSION_KEY_FILE")) {
        (Some(_), Some(_)) => {
            let both = "BASTIDE_SESSION_KEY and BASTIDE_SESSION_KEY_FILE are both set; unset one";
            return Err(Unusable(both.to_owned()).into());
        }
        (Some(key), None) => ("BASTIDE_SESSION_KEY", key),
        (None, Some(file)) => {
            let text = std::fs::read_to_string(&file);
            ("BASTIDE_SESSION_KEY_FILE", text.with_context(|| format!("BASTIDE_SESSION_KEY_FILE {file}"))?)
        }
        (None, None) => return Ok(SessionKey::random()),
    };
    Ok(SessionKey::from_text(&text).map_err(|error| Unusable(format!("{name}: {error}")))?)
}

fn seal_keys(file: &Path) -> anyhow::Result<SealKeys> {
    let text =
        std::fs::read_to_string(file).with_context(|| format!("BASTIDE_SEAL_KEY_FILE {}", file.display()))?;
    Ok(SealKeys::parse(&text).map_err(|error| Unusable(format!("{}: {error}", file.display())))?)
}

/// A rotated key comes without a restart. A file that is half written, or gone for a moment, changes nothing.
async fn watch(pool: TenantPool, file: PathBuf) {
    let changed = || std::fs::metadata(&file).and_then(|found| found.modified()).ok();
    let mut seen = changed();
    loop {
        tokio::time::sleep(KEY_FILE_INTERVAL).await;
        let now = changed();
        if now == seen {
            continue;
        }
        match seal_keys(&file) {
            Ok(keys) => {
                tracing::info!(
                    key = keys.newest(),
                    "sealing tenant contexts with the newest key of {}",
                    file.display()
                );
                pool.use_seal_keys(keys);
                seen = now;
            }
            Err(error) => tracing::warn!("the keys stay as they are: {error:#}"),
        }
    }
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
