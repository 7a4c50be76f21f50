//! Whose the rows of each table are, as far as the schema and a few counts can say.
//!
//! [`classify`] is pure and is called again and again: what it could not settle without looking at rows it lists in
//! [`Classification::wanted`]; the survey measures that and calls again, until nothing is wanted. It starts from nothing each
//! time, so the last answer does not depend on the order in which things were measured.

mod because;
mod candidates;
mod columns;
mod family;
mod root;
mod rules;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use bastide_catalog::Catalog;
use bastide_sql::QualifiedName;

pub use self::candidates::{CandidateRoot, candidate_roots};
pub(crate) use self::root::{distance, near, uuid_from};
pub use self::root::{find_root, slug};
pub(crate) use self::rules::{COPY, answer, excluded};
use crate::{Class, Config, Question, Refusal, TenantColumn, TenantRoot, Usage, declared};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Classification {
    pub root: TenantRoot,
    /// Every table there is; the root too, unless the plan makes it.
    pub tables: BTreeMap<QualifiedName, Classified>,
    /// Tables whose [`Usage`] would settle more; empty when the classification is final.
    pub wanted: Vec<QualifiedName>,
    /// About classes only, answered where the operator or `--accept-defaults` did.
    pub questions: Vec<Question>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Classified {
    pub class: Class,
    /// One sentence: the evidence.
    pub because: String,
    /// Of scoped tables.
    pub tenant_column: Option<TenantColumn>,
}

impl Classification {
    #[must_use]
    pub fn class(&self, table: &QualifiedName) -> Option<Class> {
        self.tables.get(table).map(|classified| classified.class)
    }

    #[must_use]
    pub fn is_scoped(&self, table: &QualifiedName) -> bool {
        self.class(table) == Some(Class::Scoped)
    }

    /// The scoped tables and their tenant columns: what [`crate::inference::Graph::build`] takes.
    #[must_use]
    pub fn scoped(&self) -> BTreeMap<QualifiedName, TenantColumn> {
        let columns = self.tables.iter().filter_map(|(name, classified)| {
            classified.tenant_column.clone().map(|column| (name.clone(), column))
        });
        columns.collect()
    }

    #[must_use]
    pub fn tenant_column(&self, table: &QualifiedName) -> Option<&TenantColumn> {
        self.tables.get(table)?.tenant_column.as_ref()
    }
}

/// The id of the question whose the rows of a table are.
#[must_use]
pub fn question(table: &QualifiedName) -> String {
    format!("class:{table}")
}

/// # Errors
/// When the root cannot be one, or a table that must be scoped is of a kind that cannot be.
pub fn classify(
    catalog: &Catalog,
    config: &Config,
    usage: &BTreeMap<QualifiedName, Usage>,
) -> Result<Classification, Refusal> {
    let root = find_root(catalog, config)?;
    declared::check(catalog, config)?;
    let ruled = rules::apply(catalog, config, usage, &root)?;
    let mut tables: BTreeMap<QualifiedName, Classified> = ruled
        .classes
        .into_iter()
        .map(|(name, (class, because))| (name, Classified { class, because, tenant_column: None }))
        .collect();
    columns::choose(catalog, &root, &mut tables)?;
    Ok(Classification { root, tables, wanted: ruled.wanted, questions: ruled.questions })
}
