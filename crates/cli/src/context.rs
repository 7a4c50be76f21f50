//! What every command needs: the options, the settings file behind them, the printer, and where things are kept.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use bastide_connect::Target;
use bastide_engine::{Patience, Place};
use bastide_plan::{Config, Declarations, DeclaredReference, NewTenants, RootChoice, Rule};
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
    /// Answers to questions of the plan, for those that no plan file is written for.
    #[serde(default)]
    answers: BTreeMap<String, String>,
}

impl Context {
    pub(crate) fn new(global: Global) -> anyhow::Result<Self> {
        let printer = Printer::new(&global);
        let settings = match &global.config {
            Some(file) => {
                let text = std::fs::read_to_string(file)
                    .map_err(|e| Unusable(format!("--config {}: {e}", file.display())))?;
                toml::from_str(&text).map_err(|e| {
                    let at = e.span().map_or(0, |span| span.start);
                    let line = text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1;
                    Unusable(format!("{}, line {line}: {}", file.display(), e.message()))
                })?
            }
            None => Settings::default(),
        };
        Ok(Self { global, settings, printer })
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
            patience: Patience::default(),
        })
    }

    pub(crate) fn listen(&self, given: Option<SocketAddr>) -> Option<SocketAddr> {
        given.or(self.settings.listen)
    }

    /// What to plan with, from the command line alone.
    pub(crate) fn planning(&self, given: &Planning) -> anyhow::Result<Config> {
        let root = match (&given.tenant_root, &given.new_tenant_root) {
            (Some(table), _) => RootChoice::Existing(table.clone()),
            (None, Some(name)) => RootChoice::New(new_root(name)?),
            (None, None) => {
                return Err(Unusable(
                    "whose rows are the tenants? Name their table with `--tenant-root schema.table`, or make one for a database \
                     that is one tenant's as a whole with `--new-tenant-root tenants`"
                        .to_owned(),
                )
                .into());
            }
        };
        let app_role = given.app_role.clone().or_else(|| self.settings.app_role.clone());
        Ok(Config {
            root,
            app_role: app_role.unwrap_or_else(|| Ident::constant("bastide_app")),
            exclude_schemas: given.exclude_schema.iter().cloned().collect(),
            exclude_tables: given.exclude_table.iter().cloned().collect(),
            accept_defaults: given.accept_defaults,
            declared: self.declared()?,
            answers: self.settings.answers.clone(),
        })
    }

    /// What `bastide.toml` declares about whose rows are.
    fn declared(&self) -> anyhow::Result<Declarations> {
        let mut declared = Declarations {
            references: self.settings.reference.clone(),
            rules: self.settings.rule.clone(),
            new_tenants: self.settings.new_tenants.clone(),
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
