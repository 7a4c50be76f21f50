//! `./x bench`: what Bastide costs, as a ratio to what one would write by hand. A table on stdout, progress on stderr,
//! and with `--json` a file that tools can compare from one release to the next: names in it are stable.
//!
//! Everything runs on a PostgreSQL of this program's own, in a folder that goes away with it.

#![expect(clippy::print_stderr, reason = "progress of a command-line chore")]

mod context;
mod legacy;
mod machine;
mod measurement;
mod memory;
mod migrate;
mod server;

use std::{
    io::{ErrorKind, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Context;
use clap::{Parser, ValueEnum};
use measurement::Measurement;
use server::Bench;
use tokio::signal::unix::{SignalKind, signal};

#[derive(Parser)]
#[command(
    name = "./x bench",
    about = "Bastide's speed and memory, as ratios to what one would write by hand."
)]
struct Args {
    /// Which of them; all without it.
    bench: Option<Which>,
    /// Write the measurements to this file, too.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Of the number of rows: 0.01 is for trying out.
    #[arg(long, default_value_t = 1.0, value_parser = scale)]
    scale: f64,
    /// How often each side runs, in turns [default: once from five million rows on, else three times].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100))]
    repeat: Option<u32>,
    /// Of `legacy` only the case of this name.
    #[arg(long, value_name = "NAME")]
    case: Option<legacy::Case>,
    /// Where the database is kept meanwhile; some 15 GB at full scale.
    #[arg(long, value_name = "DIR", default_value = "/var/tmp/bastide-bench")]
    data_dir: PathBuf,
}

#[derive(Clone, Copy, ValueEnum)]
enum Which {
    /// A sealed tenant context, against a plain one.
    Context,
    /// The data upgrader, against UPDATE … FROM.
    Legacy,
    /// A shop that goes on selling beside the whole migration.
    Migrate,
}

fn scale(text: &str) -> Result<f64, String> {
    let scale: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if scale > 0.0 && scale <= 10.0 { Ok(scale) } else { Err("above 0, up to 10".to_owned()) }
}

fn main() -> ExitCode {
    let args = Args::parse();
    let run = || -> anyhow::Result<()> {
        tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(run(&args))
    };
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(args: &Args) -> anyhow::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let (mut measurements, mut parts, mut broken) = (Vec::new(), Vec::new(), Vec::new());
    for which in args.bench.map_or_else(|| Which::value_variants().to_vec(), |only| vec![only]) {
        let load = machine::load();
        let mut bench = Bench::start(&args.data_dir, which.settings()).await?;
        let measured = tokio::select! {
            measured = measure(which, args, &bench) => measured,
            _ = interrupt.recv() => Err(anyhow::anyhow!("interrupted")),
            _ = terminate.recv() => Err(anyhow::anyhow!("terminated")),
        };
        let conditions = if measured.is_ok() { Some(machine::conditions(&bench, load).await?) } else { None };
        bench.remove()?;
        let measured = measured?;
        parts.extend([measured.remarks, conditions.unwrap_or_default()]);
        measurements.extend(measured.measurements);
        broken.extend(measured.broken);
    }
    if let Some(file) = &args.json {
        let text = serde_json::to_string_pretty(&measurements)? + "\n";
        std::fs::write(file, text).with_context(|| format!("writing {}", file.display()))?;
    }
    parts.insert(0, measurement::table(&measurements));
    print(&parts)?;
    if broken.is_empty() { Ok(()) } else { Err(anyhow::anyhow!(broken.join("; "))) }
}

/// What a bench found, and what to know about it.
#[derive(Default)]
struct Measured {
    measurements: Vec<Measurement>,
    remarks: String,
    /// What should not have happened: the figures are worth seeing all the same.
    broken: Option<String>,
}

impl Which {
    /// Of the server it is measured on.
    fn settings(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Context => context::SETTINGS,
            Self::Legacy => legacy::SETTINGS,
            Self::Migrate => migrate::SETTINGS,
        }
    }
}

async fn measure(which: Which, args: &Args, bench: &Bench) -> anyhow::Result<Measured> {
    match which {
        Which::Context => context::run(bench, args.scale, args.repeat).await,
        Which::Legacy => legacy::run(bench, args.scale, args.repeat, args.case).await,
        Which::Migrate => migrate::run(bench, args.scale, args.repeat).await,
    }
}

fn print(parts: &[String]) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(parts.join("\n").as_bytes()).and_then(|()| out.flush()) {
        // `| head` has read enough.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => Ok(written?),
    }
}

/// Progress, for whoever waits.
fn say(text: &str) {
    eprintln!("bench: {text}");
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn benches_that_do_not_exist_are_refused_by_name() {
        assert!(Args::try_parse_from(["bench", "legacy", "--scale", "0.01"]).is_ok());
        let refused = Args::try_parse_from(["bench", "serve"]).err().map(|error| error.to_string());
        let refused = refused.unwrap_or_default();
        assert!(
            refused.contains("'serve'") && refused.contains("[possible values: context, legacy, migrate]"),
            "{refused}"
        );
        assert!(Args::try_parse_from(["bench", "--scale", "0"]).is_err());
        assert!(Args::try_parse_from(["bench", "--repeat", "0"]).is_err());
    }
}
