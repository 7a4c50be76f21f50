//! Tables that are one table to whoever reads them: partitions and inheritance children with their parents.

use std::collections::BTreeMap;

use bastide_catalog::{Catalog, Table};
use bastide_sql::QualifiedName;

/// Members of a family share class and tenant column. A family is known by its first topmost table.
pub(super) struct Families {
    head: BTreeMap<QualifiedName, QualifiedName>,
    members: BTreeMap<QualifiedName, Vec<QualifiedName>>,
}

impl Families {
    pub(super) fn of(catalog: &Catalog) -> Self {
        let mut head: BTreeMap<QualifiedName, QualifiedName> = BTreeMap::new();
        let mut members: BTreeMap<QualifiedName, Vec<QualifiedName>> = BTreeMap::new();
        // Tops first and by name, so that a family's head is a table without parents.
        let tops = catalog.tables.values().filter(|table| table.parents.is_empty());
        for start in tops.chain(catalog.tables.values()) {
            if head.contains_key(&start.name) {
                continue;
            }
            let mut family = vec![start.name.clone()];
            let mut at = 0;
            while let Some(table) = family.get(at).and_then(|name| catalog.table(name)) {
                for relative in relatives(table).filter(|name| catalog.table(name).is_some()) {
                    if !family.contains(relative) {
                        family.push(relative.clone());
                    }
                }
                at += 1;
            }
            for member in &family {
                head.insert(member.clone(), start.name.clone());
            }
            members.insert(start.name.clone(), family);
        }
        Self { head, members }
    }

    pub(super) fn head<'a>(&'a self, table: &'a QualifiedName) -> &'a QualifiedName {
        self.head.get(table).unwrap_or(table)
    }

    pub(super) fn heads(&self) -> impl Iterator<Item = (&QualifiedName, &[QualifiedName])> {
        self.members.iter().map(|(head, members)| (head, members.as_slice()))
    }

    pub(super) fn members(&self, head: &QualifiedName) -> &[QualifiedName] {
        self.members.get(head).map_or(&[], Vec::as_slice)
    }
}

fn relatives(table: &Table) -> impl Iterator<Item = &QualifiedName> {
    table.parents.iter().chain(&table.children)
}
