//! The foreign keys between scoped tables, resolved to the tables that hold the rows.

use std::collections::{BTreeMap, BTreeSet};

use bastide_catalog::{Catalog, Table, TableKind};
use bastide_sql::{Ident, Literal, QualifiedName, Sql, sql};

use super::{
    render::{collations, descends, layout},
    seeds::{Given, Seed},
};
use crate::{Declarations, TenantColumn, TenantRoot};

/// Tables that hold rows, and every reference between them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Graph {
    pub root: TenantRoot,
    /// Scoped tables first; then tables that are not scoped but reference a scoped one, directly or not (they only
    /// matter to what is held aside).
    pub nodes: Vec<Node>,
    pub edges: Vec<Edge>,
    pub links: Vec<Link>,
    /// What is said outright, without a reference.
    pub seeds: Vec<Seed>,
    /// Where keys that were given in a file are found.
    pub given: Given,
}

/// One table that holds rows: an ordinary table, a partition, or an inheritance child without its own children.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    pub table: QualifiedName,
    pub scoped: bool,
    pub root: bool,
    /// The tenant column, where the catalog has it; the root's key for the root.
    pub tenant: Option<Ident>,
    /// The quarantine tenant, where there is one: that a row is in it says nothing of others.
    pub quarantine: Option<Sql>,
    /// With [`Graph::reopen`]: its rows count as open again.
    pub reopened: bool,
    /// What identifies a row; empty for a table without a key.
    pub key: Vec<Ident>,
    /// Every column but the tenant column (the root keeps its key), in the catalog's order.
    pub original_columns: Vec<Ident>,
    /// All columns in the catalog's order, and whether they can be written.
    pub layout: Vec<(Ident, bastide_catalog::TypeName, bool)>,
    /// Columns whose values may be equal though their bytes differ.
    pub collations: BTreeMap<Ident, QualifiedName>,
}

/// One reference between two nodes. A foreign key of or to a partitioned table is one edge per pair of leaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edge {
    pub child: usize,
    pub parent: usize,
    pub columns: Vec<Ident>,
    pub parent_columns: Vec<Ident>,
    pub link: usize,
}

/// A foreign key as it was declared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    pub table: QualifiedName,
    pub foreign_key: Ident,
    pub references: QualifiedName,
    pub columns: Vec<Ident>,
}

impl Graph {
    /// The same, but rows in quarantine are open again: what was written since they went there may say whose they are.
    #[must_use]
    pub fn reopen(self, quarantine: &str) -> Self {
        let mut graph = self.silence(quarantine);
        for node in graph.nodes.iter_mut().filter(|node| node.scoped) {
            node.reopened = true;
        }
        graph
    }

    /// The same, but that a row is in quarantine is no evidence for what hangs together with it.
    pub(crate) fn silence(mut self, quarantine: &str) -> Self {
        let tenant = sql!("{}::{}", Literal::text(quarantine), self.root.key_type);
        for node in self.nodes.iter_mut().filter(|node| node.scoped) {
            node.quarantine = Some(tenant.clone());
        }
        self
    }

    /// `scoped` may name a partitioned table or its leaves; leaves follow the table they belong to. A tenant column
    /// that `catalog` does not have yet counts as absent.
    #[must_use]
    pub fn build(
        catalog: &Catalog,
        root: &TenantRoot,
        scoped: &BTreeMap<QualifiedName, TenantColumn>,
    ) -> Self {
        let mut graph = Self {
            root: root.clone(),
            nodes: Vec::new(),
            edges: Vec::new(),
            links: Vec::new(),
            seeds: Vec::new(),
            given: Given::Run,
        };
        for table in catalog.tables.values() {
            if let Some(column) = tenant_column(catalog, table, scoped) {
                graph.add_node(catalog, table, Some(column));
            }
        }
        let scoped_nodes: BTreeSet<QualifiedName> =
            graph.nodes.iter().map(|node| node.table.clone()).collect();
        for table in outsiders(catalog, &scoped_nodes) {
            graph.add_node(catalog, table, None);
        }
        for table in catalog.tables.values() {
            graph.add_edges(catalog, table);
        }
        graph
    }

    fn add_node(&mut self, catalog: &Catalog, table: &Table, column: Option<&TenantColumn>) {
        if !matches!(table.kind, TableKind::Ordinary | TableKind::Partition) {
            return;
        }
        let is_root = column.is_some() && descends(catalog, table, &self.root.table);
        let tenant = if is_root {
            Some(self.root.key.clone())
        } else {
            column.map(|column| column.name.clone()).filter(|name| table.column(name).is_some())
        };
        let original = |name: &Ident| is_root || Some(name) != tenant.as_ref();
        self.nodes.push(Node {
            table: table.name.clone(),
            scoped: column.is_some(),
            root: is_root,
            quarantine: None,
            reopened: false,
            key: table.row_key().map(|key| key.columns.clone()).unwrap_or_default(),
            original_columns: table
                .columns
                .iter()
                .map(|column| column.name.clone())
                .filter(original)
                .collect(),
            layout: layout(table),
            collations: collations(table),
            tenant,
        });
    }

    /// The same for a survey, which keeps what was given in a table of its own.
    #[must_use]
    pub fn surveyed(mut self) -> Self {
        self.given = Given::Survey;
        self
    }

    /// The same with what the operator declared: references that no constraint knows, and rules.
    #[must_use]
    pub fn declare(mut self, catalog: &Catalog, declared: &Declarations) -> Self {
        for reference in &declared.references {
            let link = Link {
                table: reference.table.clone(),
                foreign_key: declared.name_of(reference),
                references: reference.references.clone(),
                columns: reference.columns.clone(),
            };
            self.add_link(catalog, link, &reference.referenced_columns);
        }
        for (at, rule) in declared.rules.iter().enumerate() {
            for leaf in with_heirs(catalog, &rule.table) {
                if let Some(node) =
                    self.nodes.iter().position(|node| node.table == leaf && node.scoped && !node.root)
                {
                    let seed = Seed::of_rule(&self, node, at, rule);
                    self.seeds.push(seed);
                }
            }
        }
        self
    }

    fn add_edges(&mut self, catalog: &Catalog, table: &Table) {
        for key in table.foreign_keys.iter().filter(|key| !key.inherited) {
            let link = Link {
                table: table.name.clone(),
                foreign_key: key.name.clone(),
                references: key.references.clone(),
                columns: key.columns.clone(),
            };
            self.add_link(catalog, link, &key.referenced_columns);
        }
    }

    fn add_link(&mut self, catalog: &Catalog, link: Link, parent_columns: &[Ident]) {
        let node = |table: &QualifiedName| self.nodes.iter().position(|node| node.table == *table);
        let of = |table| leaves(catalog, table).iter().filter_map(node).collect::<Vec<usize>>();
        let (children, parents) = (of(&link.table), of(&link.references));
        if children.is_empty() || parents.is_empty() {
            return;
        }
        for &child in &children {
            for &parent in &parents {
                self.edges.push(Edge {
                    child,
                    parent,
                    columns: link.columns.clone(),
                    parent_columns: parent_columns.to_vec(),
                    link: self.links.len(),
                });
            }
        }
        self.links.push(link);
    }

    /// Edges whose two ends are scoped: those that carry evidence.
    pub(crate) fn evidence(&self) -> impl Iterator<Item = (usize, &Edge)> {
        self.edges
            .iter()
            .enumerate()
            .filter(|(_, edge)| self.nodes[edge.child].scoped && self.nodes[edge.parent].scoped)
    }

    /// The nodes that scoped rows live in.
    pub(crate) fn scoped(&self) -> impl Iterator<Item = (usize, &Node)> {
        self.nodes.iter().enumerate().filter(|(_, node)| node.scoped)
    }
}

/// The table itself when it holds rows, else the partitions that do. Plain inheritance is another matter: a foreign key
/// neither reaches a table's inheritance children nor finds their rows.
#[must_use]
pub fn leaves(catalog: &Catalog, name: &QualifiedName) -> Vec<QualifiedName> {
    match catalog.table(name) {
        None => Vec::new(),
        Some(table) if table.kind == TableKind::Partitioned => {
            table.children.iter().flat_map(|child| leaves(catalog, child)).collect()
        }
        Some(_) => vec![name.clone()],
    }
}

/// The same, and the inheritance children of what holds rows: who reads a table reads theirs, too.
fn with_heirs(catalog: &Catalog, name: &QualifiedName) -> Vec<QualifiedName> {
    let mut found = leaves(catalog, name);
    let mut at = 0;
    while at < found.len() {
        let heirs = catalog.table(&found[at]).map(|table| table.children.clone()).unwrap_or_default();
        for heir in heirs {
            if !found.contains(&heir) {
                found.push(heir);
            }
        }
        at += 1;
    }
    found
}

/// The scoped entry of a table, or of the nearest table it is a partition or an inheritance child of.
fn tenant_column<'a>(
    catalog: &Catalog,
    table: &Table,
    scoped: &'a BTreeMap<QualifiedName, TenantColumn>,
) -> Option<&'a TenantColumn> {
    scoped.get(&table.name).or_else(|| {
        table
            .parents
            .iter()
            .filter_map(|parent| catalog.table(parent))
            .find_map(|parent| tenant_column(catalog, parent, scoped))
    })
}

/// Tables that hold rows, are not scoped, and reference a scoped table, or another such table.
fn outsiders<'a>(catalog: &'a Catalog, scoped: &BTreeSet<QualifiedName>) -> Vec<&'a Table> {
    let mut reached = scoped.clone();
    let mut found: BTreeMap<&QualifiedName, &Table> = BTreeMap::new();
    loop {
        let before = found.len();
        for table in catalog.tables.values() {
            let references = |reached: &BTreeSet<QualifiedName>| {
                table
                    .foreign_keys
                    .iter()
                    .any(|key| leaves(catalog, &key.references).iter().any(|leaf| reached.contains(leaf)))
            };
            if !references(&reached) {
                continue;
            }
            for leaf in leaves(catalog, &table.name) {
                if let Some(leaf) = catalog.table(&leaf).filter(|leaf| !reached.contains(&leaf.name)) {
                    reached.insert(leaf.name.clone());
                    found.insert(&leaf.name, leaf);
                }
            }
        }
        if found.len() == before {
            return found.into_values().collect();
        }
    }
}
