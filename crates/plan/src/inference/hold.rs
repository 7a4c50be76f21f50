//! Rows that would join two tenants, moved whole into `bastide.held` at cutover.

use bastide_sql::{QualifiedName, Sql};

use super::Graph;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HoldAsideScripts {
    pub script: Vec<Sql>,
    pub restore: Vec<Sql>,
    /// Every table the scripts may write.
    pub tables: Vec<QualifiedName>,
}

/// Build `graph` from the catalog as it is at cutover: every scoped table has its tenant column.
#[must_use]
pub fn hold_aside(graph: &Graph) -> HoldAsideScripts {
    let tables = graph.nodes.iter().map(|node| node.table.clone()).collect();
    HoldAsideScripts { script: Vec::new(), restore: Vec::new(), tables }
}
