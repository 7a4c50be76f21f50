//! In which order work tables are filled, so that what parents say needs no rounds wherever references lead in no circle.

use super::Graph;

/// Parents that are looked up while a work table is filled; further ones cost an UPDATE each.
const FOLDED_PARENTS: usize = 6;

/// A node is *settled* when its work table, as it is filled, holds all that the first stratum can say of its rows: it hears
/// only of facts and of nodes that are settled before it. In a circle, and below one, it takes rounds.
pub(crate) struct Order {
    nodes: Vec<usize>,
    settled: Vec<bool>,
    folded: Vec<bool>,
    done: Vec<bool>,
}

impl Order {
    pub(crate) fn of(graph: &Graph) -> Self {
        let open = || graph.scoped().filter(|(_, node)| !node.root).map(|(n, _)| n);
        let mut seen = vec![0; graph.nodes.len()];
        let mut folded = vec![false; graph.edges.len()];
        for (e, edge) in graph.evidence().filter(|(_, edge)| !graph.nodes[edge.child].root) {
            folded[e] = seen[edge.child] < FOLDED_PARENTS;
            seen[edge.child] += 1;
        }
        let (mut nodes, mut settled) = (Vec::new(), vec![false; graph.nodes.len()]);
        loop {
            let ready = |n: usize, settled: &[bool]| {
                let mut parents = graph.evidence().filter(|(_, edge)| edge.child == n);
                parents.all(|(e, edge)| folded[e] && (graph.nodes[edge.parent].root || settled[edge.parent]))
            };
            let before = nodes.len();
            for n in open() {
                if !settled[n] && ready(n, &settled) {
                    settled[n] = true;
                    nodes.push(n);
                }
            }
            if nodes.len() == before {
                break;
            }
        }
        nodes.extend(open().filter(|n| !settled[*n]));
        let done = graph.edges.iter().enumerate();
        let done = done.map(|(e, edge)| folded[e] && (graph.nodes[edge.parent].root || settled[edge.parent]));
        Self { done: done.collect(), nodes, settled, folded }
    }

    /// Those with a work table, each after the settled ones that it hears of.
    pub(crate) fn nodes(&self) -> &[usize] {
        &self.nodes
    }

    pub(crate) fn is_settled(&self, node: usize) -> bool {
        self.settled[node]
    }

    /// Whether the parent's column is heard while the work table of the child is filled.
    pub(crate) fn is_folded(&self, edge: usize) -> bool {
        self.folded[edge]
    }

    /// Whether all that the parent has to say in the first stratum is.
    pub(crate) fn is_done(&self, edge: usize) -> bool {
        self.done[edge]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        TenantRoot,
        inference::{Edge, Given, Node},
    };
    use bastide_sql::{Ident, Sql};

    /// Node 0 is the root; `references` are (child, parent).
    fn order(nodes: usize, references: &[(usize, usize)]) -> Order {
        let id = || Ident::new("id").unwrap();
        let node = |n: usize| Node {
            table: format!("public.t{n}").parse().unwrap(),
            scoped: true,
            root: n == 0,
            tenant: None,
            quarantine: None,
            reopened: false,
            key: vec![id()],
            original_columns: Vec::new(),
            layout: Vec::new(),
            collations: Default::default(),
        };
        let edge = |&(child, parent): &(usize, usize)| Edge {
            child,
            parent,
            columns: Vec::new(),
            parent_columns: vec![id()],
            link: 0,
        };
        Order::of(&Graph {
            root: TenantRoot {
                table: "public.t0".parse().unwrap(),
                key: id(),
                key_type: Sql::trusted("integer"),
                new: false,
                first_tenant: None,
            },
            nodes: (0..nodes).map(node).collect(),
            edges: references.iter().map(edge).collect(),
            links: Vec::new(),
            seeds: Vec::new(),
            given: Given::Run,
        })
    }

    #[test]
    fn parents_come_first_however_tables_are_called() {
        let order = order(4, &[(1, 2), (2, 3), (3, 0), (1, 0)]);
        assert_eq!(order.nodes(), [3, 2, 1]);
        assert!((1..4).all(|n| order.is_settled(n)) && (0..4).all(|e| order.is_done(e)));
    }

    #[test]
    fn a_circle_and_what_hangs_below_it_take_rounds() {
        let order = order(6, &[(1, 0), (2, 2), (2, 1), (3, 2), (4, 5), (5, 4)]);
        assert_eq!(order.nodes(), [1, 2, 3, 4, 5]);
        assert_eq!([1, 2, 3, 4, 5].map(|n| order.is_settled(n)), [true, false, false, false, false]);
        assert!(order.is_done(2), "a settled parent has said everything");
        assert!(!order.is_done(3) && order.is_folded(3), "of an unsettled one its column is heard at once");
    }

    #[test]
    fn a_seventh_parent_is_heard_later() {
        let references: Vec<_> = (1..8).map(|parent| (8, parent)).collect();
        let order = order(9, &references);
        assert_eq!((order.is_settled(7), order.is_settled(8)), (true, false));
        assert_eq!([5, 6].map(|e| (order.is_folded(e), order.is_done(e))), [(true, true), (false, false)]);
    }
}
