//! What the operator declares about whose rows are, besides the root: `[[reference]]`, `[[rule]]` and `[[category]]` of
//! `bastide.toml`.
//!
//! A reference is a foreign key that nobody declared to the server: evidence goes along it as along any other. A rule
//! says outright whose a row is; it goes before all evidence, and no later stratum overrides it.

mod check;
mod measured;

use std::{borrow::Cow, collections::BTreeMap};

use bastide_catalog::{Action, Catalog, ForeignKey};
use bastide_sql::{Expression, Ident, QualifiedName, sql};
use serde::{Deserialize, Serialize};

pub(crate) use self::{check::check, measured::measured};
use crate::Category;

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Declarations {
    #[serde(rename = "reference", skip_serializing_if = "Vec::is_empty")]
    pub references: Vec<DeclaredReference>,
    #[serde(rename = "rule", skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<Rule>,
    #[serde(skip_serializing_if = "NewTenants::is_default")]
    pub new_tenants: NewTenants,
    /// Tenant contexts are tokens that only whoever holds a key can make.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub sealed_context: bool,
    #[serde(skip_serializing_if = "WatchSettings::is_default")]
    pub watch: WatchSettings,
    /// What rows are counted by, see [`crate::categories()`].
    #[serde(rename = "category", skip_serializing_if = "Vec::is_empty")]
    pub categories: Vec<Category>,
}

/// `[new_tenants]`: which groups of unreachable rows are worth a question.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NewTenants {
    /// Smaller groups go to quarantine unasked.
    pub at_least: u64,
    /// Of the largest groups; the others go to quarantine unasked.
    pub at_most: u32,
    /// Categories whose rows get a tenant of their own, where whole groups of unreachable rows are of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub of_categories: Vec<String>,
}

impl Default for NewTenants {
    fn default() -> Self {
        Self { at_least: 20, at_most: 20, of_categories: Vec::new() }
    }
}

impl NewTenants {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// `[watch]`: what the plan installs for the watch of a running server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WatchSettings {
    /// Notes changes of the schema in `bastide.ddl`.
    pub event_trigger: bool,
}

impl WatchSettings {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// `columns` of `table` name a row of `references` by its `referenced_columns`, though no constraint says so: an undeclared
/// foreign key, or a tenant code.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeclaredReference {
    pub table: QualifiedName,
    pub columns: Vec<Ident>,
    pub references: QualifiedName,
    pub referenced_columns: Vec<Ident>,
}

/// One `[[rule]]`: exactly one of `tenant`, `column` with `tenants`, and `csv`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// What reports and evidence call it; unique.
    pub name: String,
    pub table: QualifiedName,
    /// Only rows for which this holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<Expression>,
    /// The root's key, computed from the row; NULL says nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<Expression>,
    /// A column whose text form is looked up in `tenants`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<Ident>,
    /// Value of `column` → text form of the root's key.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tenants: BTreeMap<String, String>,
    /// A CSV file with a header: the columns of a key of the table, and `tenant`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub csv: Option<String>,
    /// SHA-256 of that file, as it was when the plan was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub csv_sha256: Option<String>,
    /// What stands in the file; whoever reads files fills it in.
    #[serde(skip)]
    pub keys: Option<GivenKeys>,
}

/// Keys and tenants from a CSV file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GivenKeys {
    pub columns: Vec<Ident>,
    pub rows: Vec<GivenKey>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GivenKey {
    /// Of the file, from 1.
    pub line: usize,
    /// The key's values, in the order of [`GivenKeys::columns`].
    pub key: Vec<String>,
    pub tenant: String,
}

impl Declarations {
    /// The catalog as if the server held every declared reference: for whoever asks what a value leads to, or depends on,
    /// and never for what is changed in the schema.
    #[must_use]
    pub fn as_foreign_keys<'a>(&self, catalog: &'a Catalog) -> Cow<'a, Catalog> {
        let mut catalog = Cow::Borrowed(catalog);
        for reference in &self.references {
            if let Some(table) = catalog.to_mut().tables.get_mut(&reference.table) {
                table.foreign_keys.push(reference.as_foreign_key(self.name_of(reference)));
            }
        }
        catalog
    }

    /// What a reference is called where a foreign key has its constraint's name: by its columns, and by what they lead to where
    /// they lead to several tables.
    #[must_use]
    pub fn name_of(&self, reference: &DeclaredReference) -> Ident {
        let of = |reference: &DeclaredReference| joined(&reference.columns);
        let stem = of(reference);
        let alike =
            self.references.iter().filter(|other| other.table == reference.table && of(other) == stem);
        if alike.count() < 2 {
            return Ident::derived(&stem, "_declared");
        }
        let parent = &reference.references;
        let by = joined(&reference.referenced_columns);
        Ident::derived(
            &format!("{stem}_{}_{}_{by}", parent.schema.as_str(), parent.name.as_str()),
            "_declared",
        )
    }
}

fn joined(columns: &[Ident]) -> String {
    columns.iter().map(Ident::as_str).collect::<Vec<_>>().join("_")
}

impl DeclaredReference {
    fn as_foreign_key(&self, name: Ident) -> ForeignKey {
        ForeignKey {
            name,
            columns: self.columns.clone(),
            references: self.references.clone(),
            referenced_columns: self.referenced_columns.clone(),
            on_update: Action::NoAction,
            on_delete: Action::NoAction,
            on_delete_columns: Vec::new(),
            match_full: false,
            deferrable: false,
            initially_deferred: false,
            validated: false,
            inherited: false,
            definition: sql!("declared"),
        }
    }
}
