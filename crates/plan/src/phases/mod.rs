//! What each phase of a run does, as steps: one file per phase that changes the database.
//!
//! Every phase looks at the catalog as the steps before it leave it, and emits only what that catalog does not have yet:
//! on a database that is migrated and finished, no phase has anything to do.

mod assignment;
mod cutover;
mod global_keys;
mod keys;
mod loading;
mod moves;
mod not_null;
mod optimisation;
mod policies;
mod row_security;
#[cfg(test)]
mod tests;
mod views;
mod watch;

use std::collections::{BTreeMap, BTreeSet};

use bastide_catalog::{Catalog, Column, Table, TableKind};
use bastide_sql::{Ident, QualifiedName};

use crate::{
    Config, KindTenant, Phase, PlannedStep, Proposal, Question, Refusal, Step, Survey, TenantColumn,
    TenantRoot,
    classify::Classification,
    inference::{self, Graph, SettledLink},
    kinds::sorted,
    steps::AddTenant,
};

pub(crate) use self::{
    assignment::{needs_inference, reads_context},
    cutover::tables_read,
    optimisation::leads_with,
    views::unreachable_views,
};

/// The strict policy: for the application, after cutover for everybody.
pub(crate) const TENANT_POLICY: &str = "bastide_tenant";
/// Lets the legacy logins go on until cutover.
const LEGACY_POLICY: &str = "bastide_legacy";
/// The trigger that gives rows of legacy statements their tenant.
pub(crate) const KEEPER: &str = "~bastide_tenant";
/// The trigger that takes along the rows below a row that moves.
pub(crate) const MOVES: &str = "!bastide_moves";

/// Whether an earlier run protects this table.
pub(crate) fn is_ours(table: &Table) -> bool {
    table.policies.iter().any(|policy| policy.name.as_str() == TENANT_POLICY)
}

/// A policy of somebody else's.
pub(crate) fn is_foreign_policy(name: &Ident) -> bool {
    ![TENANT_POLICY, LEGACY_POLICY].contains(&name.as_str())
}

/// What planning knows, and what it has planned so far.
pub(crate) struct Planning<'a> {
    pub(crate) config: &'a Config,
    pub(crate) survey: &'a Survey,
    pub(crate) classification: &'a Classification,
    /// The step that adds the quarantine tenant, where the root can have one.
    pub(crate) quarantine: Option<AddTenant>,
    /// The steps that add proposed tenants, for the groups of rows that the operator wants one for.
    pub(crate) proposed: Vec<(AddTenant, &'a Proposal)>,
    /// The tenants of categories that whole groups of unreachable rows are of.
    pub(crate) kinds: Vec<KindTenant>,
    /// Crossing rows are to be held aside.
    pub(crate) hold_crossing: bool,
    /// Crossing links that are settled in another way first.
    pub(crate) settled: Vec<SettledLink>,
    /// As the steps so far leave it.
    pub(crate) catalog: Catalog,
    pub(crate) steps: Vec<PlannedStep>,
    pub(crate) notes: Vec<String>,
    /// About classes and links from the start; about keys that stay global as they are found.
    pub(crate) questions: Vec<Question>,
}

/// # Errors
/// When a foreign key cannot be kept inside a tenant, or an answer is none of its question's choices.
pub(crate) fn plan_all(planning: &mut Planning<'_>) -> Result<(), Refusal> {
    assignment::plan(planning);
    policies::plan(planning)?;
    optimisation::plan(planning);
    // Last, so that little of the run itself is noted.
    watch::plan(planning);
    cutover::plan(planning)
}

impl<'a> Planning<'a> {
    fn emit(&mut self, phase: Phase, step: Step) {
        step.apply(&mut self.catalog);
        self.steps.push(PlannedStep { id: step.id(), phase, step });
    }

    fn note(&mut self, note: String) {
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    fn root(&self) -> &'a TenantRoot {
        &self.classification.root
    }

    fn app(&self) -> &'a Ident {
        &self.config.app_role
    }

    fn is_scoped(&self, table: &QualifiedName) -> bool {
        self.classification.is_scoped(table)
    }

    /// The scoped tables and their tenant columns, those of parents before their children's, else by name.
    fn scoped(&self) -> Vec<(QualifiedName, TenantColumn)> {
        let mut scoped: BTreeMap<QualifiedName, TenantColumn> = self.classification.scoped();
        if self.root().new {
            let root = self.root();
            let origin = crate::ColumnOrigin::RootKey;
            let column = TenantColumn { name: root.key.clone(), type_name: root.key_type.clone(), origin };
            scoped.insert(root.table.clone(), column);
        }
        let mut ordered = Vec::with_capacity(scoped.len());
        while !scoped.is_empty() {
            let ready: Vec<QualifiedName> = scoped
                .keys()
                .filter(|name| {
                    self.catalog
                        .table(name)
                        .is_none_or(|table| table.parents.iter().all(|p| !scoped.contains_key(p)))
                })
                .cloned()
                .collect();
            // Inheritance has no cycles; should the catalog claim one, its tables come in order of name.
            let ready = if ready.is_empty() { scoped.keys().cloned().collect() } else { ready };
            for name in ready {
                if let Some(column) = scoped.remove(&name) {
                    ordered.push((name, column));
                }
            }
        }
        ordered
    }

    fn scoped_but_root(&self) -> Vec<(QualifiedName, TenantColumn)> {
        let mut scoped = self.scoped();
        scoped.retain(|(name, _)| *name != self.root().table);
        scoped
    }

    /// What inference sees at this point, with all that is said outright.
    fn graph(&self) -> Graph {
        let graph = Graph::build(&self.catalog, self.root(), &self.classification.scoped())
            .declare(&self.catalog, &self.config.declared);
        let graph = sorted(graph, &self.kinds);
        self.proposed.iter().fold(graph, |graph, (step, proposal)| {
            let anchor = format!("{} {}", proposal.table, proposal.key.join(", "));
            let path = format!("hangs together with {anchor}, made the tenant {}", proposal.slug);
            graph.propose(&proposal.table, &proposal.key, &step.id, path)
        })
    }

    fn column(&self, table: &QualifiedName, column: &Ident) -> Option<&Column> {
        self.catalog.table(table)?.column(column)
    }

    /// Whether this plan's cutover closes the table: it is not closed yet.
    fn is_open(&self, table: &QualifiedName) -> bool {
        self.catalog.table(table).is_none_or(|table| {
            !table.force_row_security
                || !is_ours(table)
                || table.policies.iter().any(|policy| policy.name.as_str() == LEGACY_POLICY)
                // FORCE may be older than the run; the strict policy is everybody's from cutover on.
                || table.policies.iter().any(|p| p.name.as_str() == TENANT_POLICY && !p.roles.is_empty())
        })
    }

    /// The partitions of a partitioned table that hold its rows, however deep; none of a table that holds its own.
    fn leaves(&self, table: &QualifiedName) -> Vec<QualifiedName> {
        match self.catalog.table(table) {
            Some(found) if !found.holds_rows() => inference::leaves(&self.catalog, table),
            _ => Vec::new(),
        }
    }

    /// Whether what is done to a partitioned table reaches this one, at whatever level it is.
    fn is_partition(&self, table: &Table) -> bool {
        let mut parents = table.parents.iter().filter_map(|parent| self.catalog.table(parent));
        parents.any(|parent| parent.kind == TableKind::Partitioned)
    }

    /// A name for an index, free among the relations of the schema.
    fn index_name(&self, schema: &Ident, stem: &str, suffix: &str) -> Ident {
        let taken = self.relations_of(schema);
        free_name(stem, suffix, |name| taken.contains(name))
    }

    fn relations_of(&self, schema: &Ident) -> BTreeSet<&Ident> {
        let catalog = &self.catalog;
        let names = catalog.tables.keys().chain(catalog.views.keys()).chain(catalog.sequences.keys());
        let relations = names.filter(|name| name.schema == *schema).map(|name| &name.name);
        let indexes =
            catalog.tables.values().filter(|table| table.name.schema == *schema).flat_map(|table| {
                table.keys.iter().map(|key| &key.name).chain(table.indexes.iter().map(|index| &index.name))
            });
        relations.chain(indexes).collect()
    }

    /// A name for a constraint, free in the table and in those that inherit from it.
    fn constraint_name(&self, table: &QualifiedName, stem: &str, suffix: &str) -> Ident {
        let mut names = BTreeSet::new();
        let mut open = vec![table.clone()];
        while let Some(table) = open.pop().and_then(|name| self.catalog.table(&name)) {
            names.extend(table.checks.iter().map(|check| &check.name));
            names.extend(table.foreign_keys.iter().map(|key| &key.name));
            names.extend(table.keys.iter().map(|key| &key.name));
            open.extend(table.children.iter().cloned());
        }
        free_name(stem, suffix, |name| names.contains(name))
    }
}

fn free_name(stem: &str, suffix: &str, taken: impl Fn(&Ident) -> bool) -> Ident {
    let plain = Ident::derived(stem, suffix);
    if !taken(&plain) {
        return plain;
    }
    let mut number = 2_u32;
    loop {
        let numbered = Ident::derived(stem, &format!("{suffix}{number}"));
        if !taken(&numbered) {
            return numbered;
        }
        number += 1;
    }
}
