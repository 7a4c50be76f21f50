//! Tenants for categories: `[new_tenants] of_categories` gives test data, archived data and the like, where nothing else says
//! whose they are, a tenant of their own. Only because the operator says so.

use std::collections::{BTreeMap, BTreeSet};

use bastide_catalog::Catalog;
use bastide_sql::{QualifiedName, Sql};

use crate::{
    Config, Refusal, categories, classify::Classification, inference::Graph, quarantine, refusal::one_of,
    steps::AddTenant,
};

/// The tenant of one category.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KindTenant {
    pub category: String,
    pub step: AddTenant,
    /// By table, what its rows are known by.
    pub signs: BTreeMap<QualifiedName, Sql>,
}

impl KindTenant {
    /// As evidence shows it.
    #[must_use]
    pub fn path(&self) -> String {
        format!("all of its group that can be is of the category {}", self.category)
    }
}

/// # Errors
/// When no table has such a category, or the root cannot have a row for it.
pub fn kinds(
    catalog: &Catalog,
    config: &Config,
    classes: &Classification,
) -> Result<Vec<KindTenant>, Refusal> {
    let wanted = &config.declared.new_tenants.of_categories;
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let refuse = |why: String| Refusal::Declaration { of: "[new_tenants] of_categories".to_owned(), why };
    if classes.root.new {
        return Err(refuse("with --new-tenant-root every row there is belongs to one tenant".to_owned()));
    }
    let all = categories(catalog, &config.declared)?;
    let mut kinds: Vec<KindTenant> = Vec::new();
    for name in wanted {
        if kinds.iter().any(|kind| kind.category == *name) {
            return Err(refuse(format!("{name} stands there twice")));
        }
        let of = all.iter().filter(|found| found.category == *name && classes.is_scoped(&found.table));
        let signs: BTreeMap<QualifiedName, Sql> =
            of.map(|found| (found.table.clone(), found.predicate.clone())).collect();
        if signs.is_empty() {
            let there: BTreeSet<String> = all.iter().map(|found| found.category.clone()).collect();
            let there: Vec<String> = there.into_iter().collect();
            return Err(refuse(format!(
                "no scoped table has the category {name}; there are {}",
                one_of(&there)
            )));
        }
        let step = quarantine::of_category(catalog, &classes.root, |table| classes.class(table), name)
            .map_err(|why| refuse(format!("{name} cannot have a tenant: {why}")))?;
        kinds.push(KindTenant { category: name.clone(), step, signs });
    }
    Ok(kinds)
}

/// The graph with all of them.
#[must_use]
pub fn sorted(graph: Graph, kinds: &[KindTenant]) -> Graph {
    kinds
        .iter()
        .enumerate()
        .fold(graph, |graph, (at, kind)| graph.sort(at, &kind.step.id, &kind.path(), &kind.signs))
}
