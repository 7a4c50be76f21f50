//! What every command needs: the options, the settings file behind them, the printer, and where things are kept.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    ops::Range,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use bastide_connect::Target;
use bastide_engine::{Asked, EngineError, Limits as PressureLimits, Patience, Place};
use bastide_plan::{
    Category, Config, Declarations, DeclaredReference, NewTenants, Refusal, RootChoice, Rule, WatchSettings,
};
use bastide_record::Limits;
use bastide_sql::{Ident, QualifiedName};
use serde::Deserialize;

use crate::{
    args::{Global, Planning},
    exit::Unusable,
    keys,
    printer::Printer,
    state::StateDir,
};

pub(crate) struct Context {
    global: Global,
    settings: Settings,
    /// The settings file, to say in which line something is wrong.
    text: String,
    pub(crate) printer: Printer,
}

/// `bastide.toml`: the options' names, for those that are the same every day.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    database_url: Option<String>,
    app_url: Option<String>,
    state_dir: Option<PathBuf>,
    app_role: Option<Ident>,
    listen: Option<SocketAddr>,
    /// `[[reference]]`, `[[rule]]` and `[new_tenants]`: what the operator declares about whose rows are.
    #[serde(default)]
    reference: Vec<DeclaredReference>,
    #[serde(default)]
    rule: Vec<Rule>,
    #[serde(default)]
    new_tenants: NewTenants,
    /// Tenant contexts are tokens that only whoever holds a key can make.
    #[serde(default)]
    sealed_context: bool,
    /// `[watch]`: what the plan installs for the watch of a running server.
    #[serde(default)]
    watch: WatchSettings,
    /// `[[category]]`, each with its place in the file.
    #[serde(default)]
    category: Vec<toml::Spanned<Category>>,
    /// When a backfill leaves the database alone for a while.
    #[serde(default)]
    pressure: PressureLimits,
    /// Answers to questions of the plan, for those that no plan file is written for.
    #[serde(default)]
    answers: BTreeMap<String, String>,
}

impl Context {
    pub(crate) fn new(global: Global) -> anyhow::Result<Self> {
        let printer = Printer::new(&global);
        let (settings, text) = match &global.config {
            Some(file) => {
                let text = std::fs::read_to_string(file)
                    .map_err(|e| Unusable(format!("--config {}: {e}", file.display())))?;
                let settings = toml::from_str(&text).map_err(|e| {
                    let line = line(&text, e.span().map_or(0, |span| span.start));
                    Unusable(format!("{}, line {line}: {}", file.display(), e.message()))
                })?;
                (settings, text)
            }
            None => (Settings::default(), String::new()),
        };
        Ok(Self { global, settings, text, printer })
    }

    /// The owner's way in.
    pub(crate) fn target(&self) -> anyhow::Result<Target> {
        let url = self.global.database_url.as_ref().or(self.settings.database_url.as_ref()).ok_or_else(|| {
            Unusable("no database given: add `--database-url postgresql://user@host/database`, or set DATABASE_URL".to_owned())
        })?;
        Ok(Target::parse(url).map_err(|error| Unusable(error.to_string()))?)
    }

    /// The application's way in, when one was given.
    pub(crate) fn app_target(&self) -> anyhow::Result<Option<Target>> {
        let url = self.global.app_url.as_ref().or(self.settings.app_url.as_ref());
        Ok(url.map(|url| Target::parse(url)).transpose().map_err(|error| Unusable(error.to_string()))?)
    }

    pub(crate) fn state(&self) -> StateDir {
        let dir = self.global.state_dir.clone().or_else(|| self.settings.state_dir.clone());
        StateDir::new(dir.unwrap_or_else(|| PathBuf::from(".bastide")))
    }

    pub(crate) fn place(&self) -> anyhow::Result<Place> {
        Ok(Place {
            target: self.target()?,
            app: self.app_target()?,
            state_dir: self.state().path().to_owned(),
            patience: Patience { limits: self.settings.pressure, ..Patience::default() },
        })
    }

    pub(crate) fn listen(&self, given: Option<SocketAddr>) -> Option<SocketAddr> {
        given.or(self.settings.listen)
    }

    pub(crate) fn app_role(&self, given: Option<&Ident>) -> Ident {
        let role = given.or(self.settings.app_role.as_ref()).cloned();
        role.unwrap_or_else(|| Ident::constant("bastide_app"))
    }

    /// What to plan with, from the command line alone.
    pub(crate) fn planning(&self, given: &Planning) -> anyhow::Result<Config> {
        let root = root(given)?.ok_or_else(|| {
            Unusable(
                "whose rows are the tenants? Name their table with `--tenant-root schema.table`, or make one for a database \
                 that is one tenant's as a whole with `--new-tenant-root tenants`"
                    .to_owned(),
            )
        })?;
        Ok(Config {
            root,
            app_role: self.app_role(given.app_role.as_ref()),
            exclude_schemas: given.exclude_schema.iter().cloned().collect(),
            exclude_tables: given.exclude_table.iter().cloned().collect(),
            accept_defaults: given.accept_defaults,
            declared: self.declared()?,
            answers: self.settings.answers.clone(),
        })
    }

    /// What to discover; a root is welcome and not needed.
    pub(crate) fn asked(&self, given: &Planning, limits: Limits) -> anyhow::Result<Asked> {
        Ok(Asked {
            root: root(given)?,
            app_role: self.app_role(given.app_role.as_ref()),
            exclude_schemas: given.exclude_schema.iter().cloned().collect(),
            exclude_tables: given.exclude_table.iter().cloned().collect(),
            declared: self.declared()?,
            answers: self.settings.answers.clone(),
            limits,
        })
    }

    /// An error about a `[[category]]` of the settings file, with the line that it is about.
    pub(crate) fn in_settings(&self, error: EngineError) -> anyhow::Error {
        let (Some(Refusal::Category { category, key, .. }), Some(file)) =
            (error.refusal(), &self.global.config)
        else {
            return error.into();
        };
        let declared = self.settings.category.iter().filter(|known| known.get_ref().name == *category);
        // Of several with the name, the one that has the key.
        let lines = declared.map(|known| line_of(&self.text, known.span(), key));
        let Some(line) = lines.min_by_key(|(exact, line)| (!exact, *line)).map(|(_, line)| line) else {
            return error.into();
        };
        Unusable(format!("{}, line {line}: {error}", file.display())).into()
    }

    /// What `bastide.toml` declares about whose rows are.
    fn declared(&self) -> anyhow::Result<Declarations> {
        let mut declared = Declarations {
            references: self.settings.reference.clone(),
            rules: self.settings.rule.clone(),
            new_tenants: self.settings.new_tenants.clone(),
            sealed_context: self.settings.sealed_context,
            watch: self.settings.watch,
            categories: self.settings.category.iter().map(|category| category.get_ref().clone()).collect(),
        };
        keys::read(&mut declared, self.global.config.as_deref().and_then(Path::parent))?;
        Ok(declared)
    }

    /// A run's id as typed.
    pub(crate) fn run_id(&self, given: Option<&str>) -> anyhow::Result<Option<uuid::Uuid>> {
        given
            .map(|text| {
                text.parse().map_err(|_| {
                    Unusable(format!("`{text}` is no run id; `bastide rls status` shows the newest run's"))
                })
            })
            .transpose()
            .context("--run")
    }
}

/// The line, from 1, that a byte of the text is in.
fn line(text: &str, at: usize) -> usize {
    text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1
}

/// The line of a key inside the table of the file that begins at a byte, and whether it is there; else the table's first line.
fn line_of(text: &str, table: Range<usize>, key: &str) -> (bool, usize) {
    let first = line(text, table.start);
    let header = |line: &str| line.trim_start().starts_with('[');
    // To the next header: what the parser calls the place of a table may be its header alone.
    let body = text.lines().skip(first).take_while(|line| !header(line));
    let has_key = |line: &str| {
        line.trim_start().strip_prefix(key).is_some_and(|rest| rest.trim_start().starts_with('='))
    };
    let at = body.enumerate().find(|(_, line)| has_key(line)).map(|(at, _)| first + 1 + at);
    (at.is_some(), at.unwrap_or(first))
}

fn root(given: &Planning) -> anyhow::Result<Option<RootChoice>> {
    Ok(match (&given.tenant_root, &given.new_tenant_root) {
        (Some(table), _) => Some(RootChoice::Existing(table.clone())),
        (None, Some(name)) => Some(RootChoice::New(new_root(name)?)),
        (None, None) => None,
    })
}

fn new_root(name: &str) -> anyhow::Result<QualifiedName> {
    let named = if name.contains('.') {
        name.parse().map_err(|error: bastide_sql::QualifiedNameError| error.to_string())
    } else {
        Ident::new(name)
            .map(|name| QualifiedName::new(Ident::constant("public"), name))
            .map_err(|error| error.to_string())
    };
    Ok(named.map_err(|error| Unusable(format!("--new-tenant-root: {error}")))?)
}
