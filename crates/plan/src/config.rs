//! What the operator decided before planning: command-line options and `bastide.toml`.

use std::collections::{BTreeMap, BTreeSet};

use bastide_sql::{Ident, QualifiedName};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Config {
    pub root: RootChoice,
    /// The application's login; `bastide_app` unless told otherwise.
    pub app_role: Ident,
    #[serde(default)]
    pub exclude_schemas: BTreeSet<Ident>,
    #[serde(default)]
    pub exclude_tables: BTreeSet<QualifiedName>,
    /// Answer every open question with its safe default.
    #[serde(default)]
    pub accept_defaults: bool,
    #[serde(default)]
    pub declared: crate::Declarations,
    /// Answers given in an earlier plan file, by question id.
    #[serde(default)]
    pub answers: BTreeMap<String, String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RootChoice {
    /// `--tenant-root schema.table`: a table whose rows are the tenants.
    Existing(QualifiedName),
    /// `--new-tenant-root name`: a table to be made. The operator says with it that the whole database is one tenant.
    New(QualifiedName),
}
