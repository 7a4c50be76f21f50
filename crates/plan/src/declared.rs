//! What the operator declares about whose rows are, besides the root: `[[reference]]` and `[[rule]]` of `bastide.toml`.
//!
//! A reference is a foreign key that nobody declared to the server: evidence goes along it as along any other. A rule
//! says outright whose a row is; it goes before all evidence, and no later stratum overrides it.

use std::collections::BTreeMap;

use bastide_sql::{Expression, Ident, QualifiedName};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Declarations {
    #[serde(rename = "reference", skip_serializing_if = "Vec::is_empty")]
    pub references: Vec<DeclaredReference>,
    #[serde(rename = "rule", skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<Rule>,
}

/// `columns` of `table` name a row of `references` by its `referenced_columns`, though no constraint says so: an undeclared
/// foreign key, or a tenant code.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
}
