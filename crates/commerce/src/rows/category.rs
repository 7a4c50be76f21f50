//! Where products are put: a tree for each merchant.

use std::collections::BTreeMap;

use bastide_tenancy::Row;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::Columns;
use crate::{Error, Example};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Category {
    pub id: i64,
    pub parent_id: Option<i64>,
    pub name: String,
    /// Among its siblings.
    pub position: i32,
    #[serde(skip)]
    pub version: i64,
}

/// A category with all below it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct CategoryNode {
    pub id: i64,
    pub name: String,
    #[schema(no_recursion)]
    pub children: Vec<Self>,
}

impl CategoryNode {
    /// A tree of rows that come in the order of siblings. Rows of before may go round in circles: a circle is opened at its
    /// smallest id, so that every category is somewhere, once.
    #[must_use]
    pub fn tree(rows: Vec<Category>) -> Vec<Self> {
        let known: Vec<i64> = rows.iter().map(|row| row.id).collect();
        let mut below: BTreeMap<Option<i64>, Vec<Category>> = BTreeMap::new();
        for row in rows {
            let parent = row.parent_id.filter(|parent| known.contains(parent));
            below.entry(parent).or_default().push(row);
        }
        let mut roots = grown(below.remove(&None).unwrap_or_default(), &mut below);
        while let Some(first) = in_a_circle(&below) {
            let opened = below.values_mut().find_map(|rows| {
                let at = rows.iter().position(|row| row.id == first)?;
                Some(rows.remove(at))
            });
            below.retain(|_, rows| !rows.is_empty());
            roots.extend(grown(opened.into_iter().collect(), &mut below));
        }
        roots
    }
}

/// The smallest id of a circle among rows that no root leads to.
fn in_a_circle(below: &BTreeMap<Option<i64>, Vec<Category>>) -> Option<i64> {
    let parents: BTreeMap<i64, Option<i64>> =
        below.values().flatten().map(|row| (row.id, row.parent_id)).collect();
    let up = |id: &i64| parents.get(id).copied().flatten();
    // After as many steps as there are rows, one is in a circle for certain.
    let mut at = *parents.keys().next()?;
    for _ in 0..parents.len() {
        at = up(&at).unwrap_or(at);
    }
    std::iter::successors(Some(at), up).take(parents.len()).min()
}

fn grown(rows: Vec<Category>, below: &mut BTreeMap<Option<i64>, Vec<Category>>) -> Vec<CategoryNode> {
    let each = rows.into_iter().map(|row| {
        let children = below.remove(&Some(row.id)).unwrap_or_default();
        CategoryNode { id: row.id, name: row.name, children: grown(children, below) }
    });
    each.collect()
}

impl Example for Category {
    fn example() -> Value {
        json!({ "id": 3, "parent_id": 1, "name": "Nets", "position": 0 })
    }
}

impl Example for CategoryNode {
    fn example() -> Value {
        json!({ "id": 1, "name": "Fishing", "children": [{ "id": 3, "name": "Nets", "children": [] }] })
    }
}

impl TryFrom<&Row> for Category {
    type Error = Error;

    fn try_from(row: &Row) -> Result<Self, Error> {
        let columns = Columns { entity: "category", row };
        Ok(Self {
            id: columns.get("id")?,
            parent_id: columns.get("parent_id")?,
            name: columns.get("name")?,
            position: columns.get("position")?,
            version: columns.get("version")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(rows: &[(i64, Option<i64>)]) -> String {
        fn told(nodes: &[CategoryNode]) -> String {
            let each = nodes.iter().map(|node| format!("{}({})", node.id, told(&node.children)));
            each.collect::<Vec<_>>().join(" ")
        }
        let rows = rows.iter().map(|(id, parent_id)| Category {
            id: *id,
            parent_id: *parent_id,
            name: id.to_string(),
            position: 0,
            version: 1,
        });
        told(&CategoryNode::tree(rows.collect()))
    }

    #[test]
    fn every_category_is_in_the_tree_once() {
        assert_eq!(shape(&[(2, None), (1, None), (3, Some(2)), (4, Some(3))]), "2(3(4())) 1()");
        assert_eq!(
            shape(&[(5, Some(6)), (6, Some(5)), (7, Some(7)), (8, Some(6))]),
            "5(6(8())) 7()",
            "circles"
        );
        assert_eq!(shape(&[(1, Some(5)), (6, Some(5)), (5, Some(6))]), "5(1() 6())", "and what hangs on one");
        assert_eq!(shape(&[(1, Some(99))]), "1()");
    }
}
