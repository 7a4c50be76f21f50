//! Links that cross, settled at cutover as the operator answered: cut, copied or moved; and all of it taken back.
//!
//! First rows move, as long as there is one to move, with what references them and had the same tenant; then copies are
//! made and references change. A row moves at most once, a copy never, and there is one copy for each row and tenant, so it
//! comes to an end. Where two moves disagree about a row, neither happens. What still crosses then is held aside.
//!
//! Each change is written down in `bastide.changed` in its own transaction, so a run that is killed looks again and goes on.

mod back;
mod forward;

use bastide_sql::{Ident, Literal, QualifiedName, Sql, join, sql};
use serde::{Deserialize, Serialize};

use super::{
    Edge, Graph, Node, prelude,
    record::key_of,
    render::{Dollar, relation, search_path},
};

/// One link and what becomes of its rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettledLink {
    pub table: QualifiedName,
    pub foreign_key: Ident,
    pub how: How,
}

/// Columns of a row, and the expression that makes a new value for each.
pub type Fresh = Vec<(Ident, Sql)>;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum How {
    /// These columns of the reference become NULL.
    Cut(Vec<Ident>),
    /// A copy of the referenced row gets these columns anew.
    Copy(Fresh),
    Move,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettleScripts {
    /// One statement that commits as it goes: it runs by itself, outside a transaction. Running it again is harmless.
    pub script: Vec<Sql>,
    /// Runs in one transaction that begins with [`prelude`].
    pub restore: Vec<Sql>,
    /// Every table the scripts may write.
    pub tables: Vec<QualifiedName>,
    pub checks: SettleChecks,
}

/// What rollback asks before it changes anything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettleChecks {
    /// Opens a transaction that is rolled back.
    pub prepare: Vec<Sql>,
    pub lost: Vec<LostReference>,
}

/// Old values that could not go back, because the row they name was deleted since.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LostReference {
    pub table: QualifiedName,
    pub references: QualifiedName,
    /// One row: `(count bigint, examples text)`.
    pub query: Sql,
}

/// Build `graph` from the catalog as it is at cutover. `reused`: whether a table's tenant column was there before the run;
/// an added one takes the moves with it when it goes.
#[must_use]
pub fn settle_links(
    graph: &Graph,
    links: &[SettledLink],
    reused: impl Fn(&QualifiedName) -> bool,
) -> SettleScripts {
    let settling = Settling::of(graph, links);
    SettleScripts {
        script: vec![sql!("DO {}", Dollar(&forward::passes(&settling)))],
        restore: back::restore(&settling, &reused),
        tables: settling.tables(),
        checks: back::checks(&settling, &reused),
    }
}

/// The answers, edge by edge.
struct Settling<'a> {
    graph: &'a Graph,
    cuts: Vec<(usize, &'a [Ident])>,
    copies: Vec<(usize, &'a Fresh)>,
    moves: Vec<usize>,
}

impl<'a> Settling<'a> {
    fn of(graph: &'a Graph, links: &'a [SettledLink]) -> Self {
        let mut settling = Self { graph, cuts: Vec::new(), copies: Vec::new(), moves: Vec::new() };
        for (e, edge) in graph.evidence() {
            let link = &graph.links[edge.link];
            let answer = links
                .iter()
                .find(|answer| answer.table == link.table && answer.foreign_key == link.foreign_key);
            // A graph of cutover has every tenant column.
            let there = graph.nodes[edge.child].tenant.is_some() && graph.nodes[edge.parent].tenant.is_some();
            match answer.filter(|_| there).map(|answer| &answer.how) {
                Some(How::Cut(columns)) => settling.cuts.push((e, columns)),
                Some(How::Copy(fresh)) => settling.copies.push((e, fresh)),
                Some(How::Move) => settling.moves.push(e),
                None => {}
            }
        }
        settling
    }

    fn edge(&self, e: usize) -> &'a Edge {
        &self.graph.edges[e]
    }

    fn child(&self, e: usize) -> &'a Node {
        &self.graph.nodes[self.edge(e).child]
    }

    fn parent(&self, e: usize) -> &'a Node {
        &self.graph.nodes[self.edge(e).parent]
    }

    /// `(edge, columns of the child that change)` of the references that are cut or lead to a copy.
    fn references(&self) -> Vec<(usize, Vec<&'a Ident>)> {
        let cuts = self.cuts.iter().map(|(e, columns)| (*e, columns.iter().collect()));
        let copies = self
            .copies
            .iter()
            .map(|(e, fresh)| (*e, self.redirected(*e, fresh).map(|(own, _)| own).collect()));
        cuts.chain(copies).collect()
    }

    /// `(column, parent's column)` where a copy differs from its original.
    fn redirected(
        &self,
        e: usize,
        fresh: &'a Fresh,
    ) -> impl Iterator<Item = (&'a Ident, &'a Ident)> + use<'a> {
        let edge = self.edge(e);
        let pairs = edge.columns.iter().zip(&edge.parent_columns);
        pairs.filter(move |(_, theirs)| fresh.iter().any(|(column, _)| column == *theirs))
    }

    /// The nodes whose rows are copied, and how.
    fn copied(&self) -> Vec<(usize, &'a Fresh)> {
        let mut found: Vec<(usize, &Fresh)> = Vec::new();
        for (e, fresh) in &self.copies {
            let parent = self.edge(*e).parent;
            if !found.iter().any(|(node, _)| *node == parent) {
                found.push((parent, fresh));
            }
        }
        found
    }

    /// The nodes whose rows may move: children of a link that moves, and what is below them.
    fn movable(&self) -> Vec<usize> {
        let mut found: Vec<usize> = Vec::new();
        let mut open: Vec<usize> = self.moves.iter().map(|&e| self.edge(e).child).collect();
        while let Some(n) = open.pop() {
            if found.contains(&n) || self.graph.nodes[n].root {
                continue;
            }
            found.push(n);
            open.extend(
                self.graph.evidence().filter(|(_, edge)| edge.parent == n).map(|(_, edge)| edge.child),
            );
        }
        found.sort_unstable();
        found
    }

    fn tables(&self) -> Vec<QualifiedName> {
        let copied: Vec<usize> = self.copied().into_iter().map(|(n, _)| n).collect();
        let mut nodes: Vec<usize> = self.references().iter().map(|(e, _)| self.edge(*e).child).collect();
        // Whoever came to reference a copy is led back to its original.
        nodes.extend(
            self.graph.edges.iter().filter(|edge| copied.contains(&edge.parent)).map(|edge| edge.child),
        );
        nodes.extend(copied);
        nodes.extend(self.movable());
        nodes.sort_unstable();
        nodes.dedup();
        nodes.into_iter().map(|n| self.graph.nodes[n].table.clone()).collect()
    }

    /// How `bastide.changed.link` names the link of an edge.
    fn link(&self, e: usize) -> Literal {
        let link = &self.graph.links[self.edge(e).link];
        Literal::text(format!("{}:{}", link.table, link.foreign_key))
    }

    fn own(&self, node: &Node, alias: &'static str) -> Sql {
        // Nodes without a tenant column are left out by `of`.
        self.graph.own(node, &Sql::trusted(alias)).unwrap_or_else(|| sql!("NULL::text"))
    }

    fn on(&self, e: usize, child: &'static str, parent: &'static str) -> Sql {
        self.graph.on(self.edge(e), &Sql::trusted(child), &Sql::trusted(parent))
    }
}

fn key(node: &Node, alias: &'static str) -> Sql {
    key_of(&Sql::trusted(alias), &node.key, &node.original_columns)
}

/// The row of `alias` is the one that `named` (an array of its key's values as text) names.
fn is_named(node: &Node, alias: &'static str, named: &Sql) -> Sql {
    let alias = Sql::trusted(alias);
    let equal = node
        .key
        .iter()
        .enumerate()
        .map(|(at, column)| sql!("{}.{} = ({}->>{})::{}", alias, column, named, at, node.kind(column)));
    sql!("{}", join(equal, " AND "))
}

/// The values of columns as `bastide.changed` holds them.
fn values<'a>(alias: &'static str, columns: impl IntoIterator<Item = &'a Ident>) -> Sql {
    let alias = Sql::trusted(alias);
    let texts = columns.into_iter().map(|column| sql!("{}.{}::text", alias, column));
    sql!("jsonb_build_array({})", join(texts, ", "))
}

/// All of a row, to see whether somebody changed it since.
fn mark(node: &Node, alias: &'static str) -> Sql {
    let alias = Sql::trusted(alias);
    let columns = node.layout.iter().map(|(column, ..)| sql!("{}.{}", alias, column));
    sql!("md5(ROW({})::text)", join(columns, ", "))
}

/// What this run changed in the rows of a table, and has not taken back.
fn pending(alias: &'static str, node: &Node) -> Sql {
    let alias = Sql::trusted(alias);
    sql!(
        "{}.run_id = current_setting('bastide.run')::uuid AND {}.relation = {} AND {}.undone_at IS NULL",
        alias,
        alias,
        relation(&node.table),
        alias
    )
}
