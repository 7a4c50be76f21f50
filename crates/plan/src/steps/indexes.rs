//! Building indexes beside live traffic, so that running the whole list again is harmless.
//!
//! A partitioned table cannot build CONCURRENTLY. Its leaves are built first, each by itself; creating the parent's index
//! then finds a matching valid index on every leaf, adopts it and scans nothing, whatever the depth of partitioning.

use bastide_catalog::{Catalog, Index, Key, KeyKind, TableKind};
use bastide_sql::{Ident, LockMode, QualifiedName, Sql, join, sql};

use super::context::Plain;
use crate::Script;

pub(super) struct NewIndex<'a> {
    pub(super) table: &'a QualifiedName,
    pub(super) name: &'a Ident,
    pub(super) columns: &'a [Ident],
    pub(super) leaves: &'a [(QualifiedName, Ident)],
    pub(super) unique: bool,
}

impl NewIndex<'_> {
    pub(super) fn build(&self) -> Script {
        let mut statements = self.clear();
        let unique = if self.unique { sql!("UNIQUE ") } else { sql!("") };
        let columns = sql!("{}", join(self.columns, ", "));
        if self.leaves.is_empty() {
            statements.push(sql!(
                "CREATE {}INDEX CONCURRENTLY {} ON {} ({})",
                unique,
                self.name,
                self.table,
                columns
            ));
        } else {
            for (leaf, name) in self.leaves {
                statements.push(sql!(
                    "CREATE {}INDEX CONCURRENTLY {} ON {} ({})",
                    unique,
                    name,
                    leaf,
                    columns
                ));
            }
            statements.push(sql!("CREATE {}INDEX {} ON {} ({})", unique, self.name, self.table, columns));
        }
        Script::autocommit(self.lock(), self.locked(), statements)
    }

    pub(super) fn remove(&self) -> Script {
        Script::autocommit(self.lock(), self.locked(), self.clear())
    }

    /// Takes away the index, finished or not: a build that failed leaves an invalid index under its name.
    fn clear(&self) -> Vec<Sql> {
        let index =
            |table: &QualifiedName, name: &Ident| QualifiedName::new(table.schema.clone(), name.clone());
        let own = index(self.table, self.name);
        if self.leaves.is_empty() {
            return vec![sql!("DROP INDEX CONCURRENTLY IF EXISTS {}", own)];
        }
        // The parent's takes its leaves' with it; those not yet adopted go one by one.
        let mut statements = vec![sql!("DROP INDEX IF EXISTS {}", own)];
        for (leaf, name) in self.leaves {
            statements.push(sql!("DROP INDEX CONCURRENTLY IF EXISTS {}", index(leaf, name)));
        }
        statements
    }

    fn lock(&self) -> LockMode {
        if self.leaves.is_empty() { LockMode::ShareUpdateExclusive } else { LockMode::Share }
    }

    fn locked(&self) -> Vec<QualifiedName> {
        vec![self.table.clone()]
    }

    pub(super) fn apply(&self, catalog: &mut Catalog) {
        let own = (self.table.clone(), self.name.clone());
        for (table, name) in std::iter::once(&own).chain(self.leaves) {
            let Some(found) = catalog.tables.get_mut(table) else { continue };
            let definition = sql!(
                "CREATE {}INDEX {} ON {}{} USING btree ({})",
                if self.unique { sql!("UNIQUE ") } else { sql!("") },
                Plain(name),
                if found.kind == TableKind::Partitioned { sql!("ONLY ") } else { sql!("") },
                Plain(table),
                join(self.columns.iter().map(Plain), ", ")
            );
            if self.unique {
                found.keys.push(Key {
                    name: name.clone(),
                    kind: KeyKind::UniqueIndex,
                    columns: self.columns.to_vec(),
                    deferrable: false,
                    definition,
                });
                found.keys.sort_by(|a, b| {
                    (a.kind != KeyKind::Primary, &a.name).cmp(&(b.kind != KeyKind::Primary, &b.name))
                });
            } else {
                found.indexes.push(Index {
                    name: name.clone(),
                    unique: false,
                    valid: true,
                    columns: self.columns.iter().cloned().map(Some).collect(),
                    partial: false,
                    exclusion: false,
                    definition,
                });
                found.indexes.sort_by(|a, b| a.name.cmp(&b.name));
            }
        }
    }
}
