//! The command line, as the contract in `docs/cli.md` has it.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use bastide_record::MaxUntested;
use bastide_sql::{Ident, QualifiedName};
use clap::{Args, Parser, Subcommand, ValueEnum};

#[derive(Parser)]
#[command(
    name = "bastide",
    version,
    about = "Moves a shop database to tenants that PostgreSQL itself keeps apart, proves it, and can take it all back.",
    max_term_width = 110
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Args, Clone)]
pub(crate) struct Global {
    /// The owner's connection, for `rls`: a URL or key=value pairs.
    #[arg(long, env = "DATABASE_URL", global = true, hide_env_values = true, value_name = "URL")]
    pub(crate) database_url: Option<String>,
    /// The application's own login, for `serve` and for probes.
    #[arg(long, env = "BASTIDE_APP_URL", global = true, hide_env_values = true, value_name = "URL")]
    pub(crate) app_url: Option<String>,
    /// Settings with the names of these options (database_url, app_url, state_dir, app_role, listen).
    #[arg(long, env = "BASTIDE_CONFIG", global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Where plans, backups, reports and generated passwords are kept [default: .bastide].
    #[arg(long, env = "BASTIDE_STATE_DIR", global = true, value_name = "DIR")]
    pub(crate) state_dir: Option<PathBuf>,
    #[arg(long, global = true, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
    /// Of what is logged to stderr: `json` logs each step as one line, and all else said there, too.
    #[arg(long, env = "BASTIDE_LOG_FORMAT", global = true, value_enum, default_value_t = Format::Text, value_name = "FORMAT")]
    pub(crate) log_format: Format,
    /// More detail on stderr, a line for each step among it; twice for each statement's time.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
    /// No progress and no notices.
    #[arg(long, global = true)]
    pub(crate) quiet: bool,
    #[arg(long, global = true, env = "NO_COLOR", value_parser = clap::builder::FalseyValueParser::new(), action = clap::ArgAction::SetTrue)]
    pub(crate) no_color: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Text,
    Json,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// A private PostgreSQL with a legacy shop, migrated before your eyes, then served.
    Demo(DemoArgs),
    /// Row level security for a database of your own.
    #[command(subcommand)]
    Rls(Rls),
    /// The data upgrader by itself: whose is each row, and why.
    #[command(subcommand)]
    Legacy(Legacy),
    /// The platform's own schema: versioned migrations, up and down.
    #[command(subcommand)]
    Schema(Schema),
    /// Operators' work on merchants of the platform.
    #[command(subcommand)]
    Tenant(Tenant),
    /// The keys of sealed tenant contexts (`sealed_context = true` in bastide.toml).
    #[command(subcommand)]
    Context(ContextKeys),
    /// The platform: storefront and admin API, and a page per merchant.
    Serve(ServeArgs),
    /// A completion script for your shell, on stdout.
    Completions { shell: clap_complete::Shell },
}

#[derive(Args)]
pub(crate) struct DemoArgs {
    /// Do not stay up: ask the API as two merchants, try to cross, print a JSON summary.
    #[arg(long)]
    pub(crate) check: bool,
    /// 1 is about 12 merchants and 60,000 orders.
    #[arg(long, default_value_t = 1.0)]
    pub(crate) scale: f64,
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// The private PostgreSQL's folder [default: in the user's data directory].
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Leave the data folder when done, and say how to look into it.
    #[arg(long)]
    pub(crate) keep: bool,
    /// [default: 127.0.0.1:8080, or a free port when that is taken]
    #[arg(long, env = "BASTIDE_LISTEN", value_name = "ADDR")]
    pub(crate) listen: Option<SocketAddr>,
}

#[derive(Args)]
pub(crate) struct ServeArgs {
    /// Of a database that takes sealed tenant contexts only: see `bastide context`. Read again whenever it changes.
    #[arg(long, env = "BASTIDE_SEAL_KEY_FILE", value_name = "FILE")]
    pub(crate) seal_key_file: Option<PathBuf>,
    /// Proxies before this server that each add an address to X-Forwarded-For; without any it is not read.
    #[arg(long, env = "BASTIDE_TRUSTED_PROXIES", value_name = "N", default_value_t = 0)]
    pub(crate) trusted_proxies: usize,
    /// [default: 127.0.0.1:8080]
    #[arg(long, env = "BASTIDE_LISTEN", value_name = "ADDR")]
    pub(crate) listen: Option<SocketAddr>,
}

#[derive(Subcommand)]
pub(crate) enum ContextKeys {
    /// List the keys the database knows; no secret is shown.
    Keys,
    /// Write them to a file for the servers.
    Export {
        /// Only its owner may read it.
        #[arg(short, long, value_name = "FILE")]
        output: PathBuf,
    },
    /// Add a key and write the file again; contexts sealed with the others go on.
    Rotate {
        /// Only its owner may read it.
        #[arg(short, long, value_name = "FILE")]
        output: PathBuf,
    },
    /// Forget a key: nothing that it sealed opens any more.
    Retire { id: i32 },
}

#[derive(Subcommand)]
pub(crate) enum Rls {
    /// Inspect, analyse, and write the plan for review. Changes nothing.
    Plan {
        #[command(flatten)]
        planning: Planning,
        /// Where the plan goes [default: <state-dir>/plan.toml]. A plan that is there keeps the answers given in it.
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
        /// List only what is open.
        #[arg(long)]
        open: bool,
    },
    /// Run the seven phases.
    Migrate {
        #[command(flatten)]
        planning: Planning,
        /// A reviewed plan; without it one is made, shown, and asked about.
        #[arg(long, value_name = "FILE")]
        plan: Option<PathBuf>,
        /// Print the very scripts that would run, and run none.
        #[arg(long)]
        dry_run: bool,
        /// Stop after this phase.
        #[arg(long, value_name = "PHASE")]
        until: Option<bastide_plan::Phase>,
        #[arg(long, value_enum, default_value_t = OnFailure::Rollback)]
        on_failure: OnFailure,
        #[command(flatten)]
        backup: Backup,
        #[command(flatten)]
        yes: Yes,
    },
    /// Posture and probes: is this database isolated?
    Validate(ValidateArgs),
    /// Where the newest run stands.
    Status {
        #[command(flatten)]
        run: RunId,
        /// Look again and again, until the run ends or stops; leaves with the exit code of its state.
        #[arg(long)]
        watch: bool,
        /// Between two looks.
        #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = seconds, requires = "watch")]
        interval: Duration,
    },
    /// Go on with a run that was stopped or killed.
    Resume {
        #[command(flatten)]
        run: RunId,
    },
    /// Undo, exactly.
    Rollback {
        #[command(flatten)]
        run: RunId,
        /// Undo only what came after this phase.
        #[arg(long, value_name = "PHASE")]
        to: Option<bastide_plan::Phase>,
        #[command(flatten)]
        yes: Yes,
    },
    /// End the legacy login's unfiltered access.
    Cutover {
        #[command(flatten)]
        run: RunId,
        /// Watch for so long that nobody uses a legacy login any more; 0 looks once.
        #[arg(long = "watch", value_name = "SECONDS", default_value = "30", value_parser = window)]
        window: Duration,
        /// Cut off who still uses one.
        #[arg(long)]
        in_use: bool,
        #[command(flatten)]
        yes: Yes,
    },
    /// Discard the run's journal; rollback ends here.
    Finish {
        #[command(flatten)]
        run: RunId,
        #[command(flatten)]
        yes: Yes,
    },
    /// The run's report: the page into the state folder, and here for the terminal (or, with --format json, as a document).
    Report {
        #[command(flatten)]
        run: RunId,
        /// The form, here on stdout or in FILE [default: by FILE's name: .txt, .md, .html, .json].
        #[arg(long = "as", value_enum, value_name = "FORM")]
        form: Option<ReportForm>,
        /// Where it goes, instead of the page in the state folder.
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
}

#[derive(Args)]
pub(crate) struct ValidateArgs {
    /// Without a login of its own, probe by SET ROLE; weaker, and the result says so.
    #[arg(long, value_name = "ROLE", value_parser = ident)]
    pub(crate) app_role: Option<Ident>,
    /// Only what is safe on a busy production database: the zero-row probe and what only reads.
    #[arg(long)]
    pub(crate) production: bool,
    /// The form, here on stdout or in FILE [default: by FILE's name, else --format].
    #[arg(long = "as", value_enum, value_name = "FORM")]
    pub(crate) form: Option<ValidationForm>,
    /// Where the form goes; here comes what --format says, too. By name: .txt, .html, .json, .xml (JUnit), .sarif.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// How many probes may go without an answer, as a number or a percentage; those that must have one never may.
    #[arg(long, value_name = "N|N%", value_parser = max_untested)]
    pub(crate) max_untested: Option<MaxUntested>,
    /// What is accepted, by id and object, with a reason and an expiry. What is new, expired or gone fails.
    #[arg(long, value_name = "FILE")]
    pub(crate) baseline: Option<PathBuf>,
    /// Write all that is wrong now into a new baseline.
    #[arg(long, value_name = "FILE", requires = "reason", conflicts_with = "baseline")]
    pub(crate) write_baseline: Option<PathBuf>,
    /// Why it is accepted.
    #[arg(long, value_name = "WHY", requires = "write_baseline", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub(crate) reason: Option<String>,
    /// Until when [default: in 90 days].
    #[arg(long, value_name = "YYYY-MM-DD", requires = "write_baseline", value_parser = crate::baseline::typed_day)]
    pub(crate) expires: Option<time::Date>,
}

#[derive(Subcommand)]
pub(crate) enum Legacy {
    /// Everything that can be said of whose rows are, before anything is planned. Changes nothing.
    Discover {
        #[command(flatten)]
        planning: Planning,
        /// For all of it; what is not counted by then is named.
        #[arg(long, value_name = "SECONDS", default_value_t = 300, value_parser = clap::value_parser!(u32).range(1..=86_400))]
        time_limit: u32,
        /// Tables with more rows than this, by the server's estimate, are sampled. Tenants are never counted on a sample.
        #[arg(long, value_name = "ROWS", default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1..))]
        sample_above: u64,
        /// Where the page goes [default: <state-dir>/reports/discovery.html].
        #[arg(long, value_name = "FILE")]
        html: Option<PathBuf>,
    },
    /// Infer whose each row is, and write the plan for review. Changes nothing.
    Plan {
        #[command(flatten)]
        planning: Planning,
        /// Where the plan goes [default: <state-dir>/plan.toml]. A plan that is there keeps the answers given in it.
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
        /// List only what is open.
        #[arg(long)]
        open: bool,
    },
    /// Give each row its tenant: the phases up to assignment. `rls resume` goes on from there. Run again, it looks for
    /// rows that came without a tenant since.
    Upgrade {
        #[command(flatten)]
        planning: Planning,
        /// A reviewed plan; without it one is made, shown, and asked about.
        #[arg(long, value_name = "FILE")]
        plan: Option<PathBuf>,
        /// Print the very scripts that would run, and run none.
        #[arg(long)]
        dry_run: bool,
        #[arg(long, value_enum, default_value_t = OnFailure::Rollback)]
        on_failure: OnFailure,
        #[command(flatten)]
        backup: Backup,
        #[command(flatten)]
        yes: Yes,
    },
    /// Does every row have its tenant, its parents' tenant, and evidence for it; and is nothing lost?
    Validate {
        #[command(flatten)]
        run: RunId,
        /// Nobody wrote since the run began: totals that differ from those before are a failure.
        #[arg(long)]
        exact: bool,
        /// Where the page goes [default: <state-dir>/reports/<run>.rows.html].
        #[arg(long, value_name = "FILE")]
        html: Option<PathBuf>,
    },
    /// Undo the upgrade, exactly.
    Rollback {
        #[command(flatten)]
        run: RunId,
        #[command(flatten)]
        yes: Yes,
    },
}

#[derive(Subcommand)]
pub(crate) enum Tenant {
    /// Who there is.
    List,
    /// Close a merchant's storefront; its team still sees what is its own.
    Suspend { slug: String },
    /// Open it again.
    Resume { slug: String },
    /// Give a merchant another slug; the one before leads to it.
    Rename { slug: String, new: String },
    /// Every row of one merchant, a file of JSON lines for each table.
    Export {
        slug: String,
        /// A folder that is made, and must not be there yet.
        #[arg(short, long, value_name = "FOLDER")]
        output: PathBuf,
        #[command(flatten)]
        app: AppRole,
    },
    /// Delete a merchant with all its rows, and prove that none is left.
    Delete {
        slug: String,
        #[command(flatten)]
        yes: Yes,
    },
}

#[derive(Subcommand)]
pub(crate) enum Schema {
    /// Apply what is pending, each version whole or not at all.
    Up {
        /// The version to come to [default: the newest].
        #[arg(long, value_name = "VERSION")]
        to: Option<i32>,
        /// Print the very statements that would be sent, tried in a scratch database, and send none.
        #[arg(long)]
        dry_run: bool,
        #[command(flatten)]
        app: AppRole,
    },
    /// Undo versions, the newest first, by the scripts that were kept with each.
    Down {
        /// The version to go back to [default: the one before the newest]; 0 undoes all.
        #[arg(long, value_name = "VERSION")]
        to: Option<i32>,
        #[command(flatten)]
        app: AppRole,
        #[command(flatten)]
        yes: Yes,
    },
    /// Which versions are applied, and which are pending.
    Status,
    /// Every up and down there ever was.
    History,
    /// Is the database what the files say? Built again beside it, and compared.
    Check {
        #[command(flatten)]
        app: AppRole,
    },
}

#[derive(Args, Clone)]
pub(crate) struct AppRole {
    /// The application's login [default: bastide_app].
    #[arg(long, value_name = "ROLE", value_parser = ident)]
    pub(crate) app_role: Option<Ident>,
}

#[derive(Args, Clone)]
pub(crate) struct Planning {
    /// The table whose rows are the tenants, as the catalog has it: schema.Table.
    #[arg(long, value_name = "SCHEMA.TABLE", value_parser = qualified)]
    pub(crate) tenant_root: Option<QualifiedName>,
    /// Make a table for the tenants (in schema public unless you name one); all there is belongs to its first row.
    #[arg(long, value_name = "NAME", conflicts_with = "tenant_root")]
    pub(crate) new_tenant_root: Option<String>,
    /// The application's login.
    #[arg(long, value_name = "ROLE", value_parser = ident)]
    pub(crate) app_role: Option<Ident>,
    /// Answer every open question with its safe default.
    #[arg(long)]
    pub(crate) accept_defaults: bool,
    #[arg(long, value_name = "SCHEMA", value_parser = ident)]
    pub(crate) exclude_schema: Vec<Ident>,
    #[arg(long, value_name = "SCHEMA.TABLE", value_parser = qualified)]
    pub(crate) exclude_table: Vec<QualifiedName>,
}

#[derive(Args, Clone, Copy)]
pub(crate) struct Backup {
    /// How the backup is verified.
    #[arg(long, value_enum, default_value_t = VerifyBackup::Restore)]
    pub(crate) verify_backup: VerifyBackup,
    /// Take none. You are asked whether you have one of your own; --yes does not answer that.
    #[arg(long, conflicts_with = "verify_backup")]
    pub(crate) no_backup: bool,
    /// Answers that question: you have a backup of your own. The journal and the report say that you said so.
    #[arg(long, requires = "no_backup")]
    pub(crate) i_have_a_backup: bool,
}

#[derive(Args, Clone, Copy)]
pub(crate) struct Yes {
    /// Do not ask.
    #[arg(long, short = 'y')]
    pub(crate) yes: bool,
}

#[derive(Args, Clone)]
pub(crate) struct RunId {
    /// [default: the newest run]
    #[arg(long, value_name = "ID")]
    pub(crate) run: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum OnFailure {
    Rollback,
    Stop,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum VerifyBackup {
    List,
    Restore,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReportForm {
    Text,
    Markdown,
    Html,
    Json,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ValidationForm {
    Text,
    Json,
    Html,
    Junit,
    Sarif,
}

fn max_untested(text: &str) -> Result<MaxUntested, String> {
    let said = || format!("`{text}` is neither a number of probes, such as 12, nor a percentage, such as 5%");
    match text.strip_suffix('%') {
        Some(percent) => match percent.trim().parse() {
            Ok(percent) if (0.0..=100.0).contains(&percent) => Ok(MaxUntested::Percent(percent)),
            _ => Err(said()),
        },
        None => text.parse().map(MaxUntested::Probes).map_err(|_| said()),
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| format!("`{text}` is no number of seconds"))?;
    if (0.1..=3600.0).contains(&seconds) {
        return Ok(Duration::from_secs_f64(seconds));
    }
    Err("from 0.1 to 3600 seconds".to_owned())
}

fn window(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| format!("`{text}` is no number of seconds"))?;
    if (0.0..=86_400.0).contains(&seconds) {
        return Ok(Duration::from_secs_f64(seconds));
    }
    Err("from 0 to 86400 seconds".to_owned())
}

fn qualified(text: &str) -> Result<QualifiedName, String> {
    text.parse().map_err(|error: bastide_sql::QualifiedNameError| error.to_string())
}

fn ident(text: &str) -> Result<Ident, String> {
    Ident::new(text).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        super::Cli::command().debug_assert();
    }
}
