//! `bastide demo`: a private PostgreSQL, a legacy shop, the seven phases, cutover, and the shops served; or, with
//! `--check`, the same without staying up, ending in an attempt to cross.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    time::Instant,
};

use anyhow::Context as _;
use bastide_connect::Target;
use bastide_demo::{CrossingCheck, DEMO_PASSWORD, LegacyShop, try_to_cross};
use bastide_engine::{BackupChoice, MigrateOptions, OnFailure, Patience, Place};
use bastide_plan::{Config, RootChoice};
use bastide_postgres::{Installation, Server};
use bastide_record::Verdict;
use bastide_report::{Report, Summary};
use bastide_sql::Ident;
use serde::Serialize;
use tokio::net::TcpListener;

use crate::{
    args::DemoArgs,
    commands::{
        rls::{held_rows_of, settled_rows_of},
        serve,
    },
    context::Context,
    exit::{Exit, Unusable},
    progress::Progress,
    state::{StateDir, write_private},
};

/// Stands in a data folder that this command made: it will not start, let alone overwrite, anybody else's.
const MARKER: &str = "bastide-demo";

#[derive(Serialize)]
struct Checked<'a> {
    #[serde(flatten)]
    summary: &'a Summary,
    /// Seconds of what is not a phase.
    around: BTreeMap<&'static str, f64>,
    crossing: &'a CrossingCheck,
    isolated: bool,
}

pub(crate) async fn run(context: &Context, args: &DemoArgs) -> anyhow::Result<Exit> {
    let folder = match &args.data_dir {
        Some(folder) => folder.clone(),
        None => bastide_postgres::default_data_dir()?.join("demo"),
    };
    claim(&folder)?;
    let begun = Instant::now();
    context.printer.note("starting a private PostgreSQL");
    let installation = Installation::find()?;
    let mut server = Server::builder(installation).data_dir(folder.join("postgres")).start().await?;
    let mut around = BTreeMap::from([("postgres", begun.elapsed().as_secs_f64())]);

    let serving = AtomicBool::new(false);
    let ended = tokio::select! {
        ended = play(context, args, &server, &folder, &serving, &mut around) => ended,
        // Before serving begins, Ctrl-C ends the demo here; afterwards the server's own shutdown does.
        () = interrupted_before(&serving) => Ok(Exit::HalfWay),
    };
    if args.keep && ended.is_ok() {
        context.printer.note(&format!("kept: {}", folder.display()));
        context.printer.note(&format!("state: {}", folder.join("state").display()));
    }
    server.stop()?;
    if !args.keep {
        std::fs::remove_dir_all(&folder).with_context(|| format!("removing {}", folder.display()))?;
    }
    ended
}

async fn interrupted_before(serving: &AtomicBool) {
    serve::stopped().await;
    if serving.load(Ordering::SeqCst) {
        std::future::pending().await
    }
}

/// Takes the folder, unless it holds something that is not a demo of ours.
fn claim(folder: &Path) -> anyhow::Result<()> {
    let shown = folder.display();
    let empty = match std::fs::read_dir(folder) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => true,
        Err(error) => return Err(Unusable(format!("--data-dir {shown}: {error}")).into()),
    };
    if !empty && !folder.join(MARKER).exists() {
        return Err(Unusable(format!("--data-dir {shown} holds something that `bastide demo` did not make; name a folder that is new or empty")).into());
    }
    std::fs::create_dir_all(folder).map_err(|error| Unusable(format!("--data-dir {shown}: {error}")))?;
    std::fs::write(folder.join(MARKER), "Made by `bastide demo`; safe to delete when it does not run.\n")
        .with_context(|| shown.to_string())
}

async fn play(
    context: &Context,
    args: &DemoArgs,
    server: &Server,
    folder: &Path,
    serving: &AtomicBool,
    around: &mut BTreeMap<&'static str, f64>,
) -> anyhow::Result<Exit> {
    let begun = Instant::now();
    context.printer.note(&format!("filling a legacy shop (seed {}, scale {})", args.seed, args.scale));
    let maintenance = Target::parse(&server.url("postgres"))?;
    let shop = LegacyShop { seed: args.seed, scale: args.scale };
    let target = shop.create(&maintenance, &Ident::constant("shop")).await?;
    around.insert("shop", begun.elapsed().as_secs_f64());

    let state = StateDir::new(folder.join("state"));
    let place = Place {
        target: target.clone(),
        app: None,
        state_dir: state.path().to_owned(),
        patience: Patience::default(),
    };
    let migrated = migrate(context, &place, &shop).await?;
    if let Some(verdict) = &migrated.verdict {
        state.keep_verdict(migrated.run.id, verdict)?;
    }
    let held = held_rows_of(&target, migrated.run.id).await?;
    let settled = settled_rows_of(&target, migrated.run.id).await?;
    let verdict = migrated.verdict.as_ref();
    let report =
        Report { run: &migrated.run, steps: &migrated.steps, verdict, held: &held, settled: &settled };
    let file = state.report_file(migrated.run.id);
    write_private(&file, &bastide_report::html(&report))?;
    let summary = Summary::of(&report);

    let begun = Instant::now();
    platform(context, &place).await?;
    around.insert("schema", begun.elapsed().as_secs_f64());
    let login = bastide_engine::login_of_newest_run(&place)
        .await?
        .context("the run did not leave the application's login")?;
    let app = serve::app(&login, None, bastide_server::Limits::none()).await?;
    if args.check {
        let crossing = check(app).await?;
        let isolated = verdict.is_some_and(Verdict::isolated) && crossing.crossed.is_empty();
        context.printer.json(&Checked {
            summary: &summary,
            around: around.clone(),
            crossing: &crossing,
            isolated,
        })?;
        return Ok(if isolated { Exit::Done } else { Exit::Findings });
    }
    context.printer.result(&summary, || bastide_report::text(&report))?;
    serving.store(true, Ordering::SeqCst);
    stay_up(context, args, server, app, &file).await?;
    Ok(if verdict.is_some_and(Verdict::isolated) { Exit::Done } else { Exit::Findings })
}

/// The seven phases and cutover, with the shop's own answers and every other safe default taken.
async fn migrate(
    context: &Context,
    place: &Place,
    shop: &LegacyShop,
) -> anyhow::Result<bastide_engine::RunOutcome> {
    let config = Config {
        root: RootChoice::Existing("public.merchants".parse()?),
        app_role: Ident::constant("bastide_app"),
        exclude_schemas: Default::default(),
        exclude_tables: Default::default(),
        accept_defaults: true,
        declared: bastide_plan::Declarations::default(),
        answers: shop.answers(),
    };
    let progress = Progress::new(&context.printer);
    let listener = |event: &bastide_engine::Event| progress.event(event);
    let run = async {
        let plan = bastide_engine::make_plan(&place.target, &config, &listener).await?;
        let options = MigrateOptions {
            place: place.clone(),
            plan,
            until: None,
            on_failure: OnFailure::Rollback,
            backup: BackupChoice::Restore,
            app_password: None,
        };
        bastide_engine::migrate(&options, &listener).await?;
        bastide_engine::cutover(place, None, &listener).await
    };
    let outcome = run.await;
    progress.end();
    Ok(outcome?)
}

/// The platform's own migrations: the first is what migrating left, the others go on from it.
async fn platform(context: &Context, place: &Place) -> anyhow::Result<()> {
    let options = bastide_schema::Options {
        place: place.clone(),
        app_role: Ident::constant("bastide_app"),
        app_password: None,
        migrations: bastide_schema::Migrations::embedded()?,
    };
    bastide_schema::up(&options, None, &|text| context.printer.note(text)).await?;
    Ok(())
}

async fn check(app: bastide_server::App) -> anyhow::Result<CrossingCheck> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let base = format!("http://{}", listener.local_addr()?);
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let serving = tokio::spawn(bastide_server::serve(listener, app, async move {
        // A dropped sender means the check is over, too.
        stopped.await.unwrap_or_default();
    }));
    let crossing = try_to_cross(&base, &LegacyShop::LOG_INS).await;
    drop(stop);
    serving.await??;
    Ok(crossing?)
}

async fn stay_up(
    context: &Context,
    args: &DemoArgs,
    server: &Server,
    app: bastide_server::App,
    report: &Path,
) -> anyhow::Result<()> {
    let listener = listen(context.listen(args.listen)).await?;
    let base = format!("http://{}", listener.local_addr()?);
    let say = |text: &str| context.printer.note(text);
    say("");
    for log_in in &LegacyShop::LOG_INS {
        say(&format!("  {base}/shop/{:<18} sign in as {} / {DEMO_PASSWORD}", log_in.merchant, log_in.email));
    }
    say(&format!("  {base}/api/v1/storefront/{}/products", LegacyShop::LOG_INS[0].merchant));
    say(&format!("  report  {}", report.display()));
    say(&format!("  psql    {}", server.psql_hint("shop")));
    say("Ctrl-C stops everything.");
    Ok(bastide_server::serve(listener, app, serve::stopped()).await?)
}

/// The address asked for, or the default; a default that is taken gives way to a free port.
async fn listen(asked: Option<SocketAddr>) -> anyhow::Result<TcpListener> {
    match asked {
        Some(address) => TcpListener::bind(address)
            .await
            .with_context(|| format!("cannot listen on {address}; choose another address with --listen")),
        None => match TcpListener::bind(serve::DEFAULT_LISTEN).await {
            Ok(listener) => Ok(listener),
            Err(_) => TcpListener::bind("127.0.0.1:0").await.context("cannot listen on any loopback port"),
        },
    }
}
