//! Building indexes beside live traffic, so that running the whole list again is harmless.
//!
//! A partitioned table cannot build CONCURRENTLY. Its leaves are built first, each by itself; creating the parent's index
//! then finds a matching valid index on every leaf, adopts it and scans nothing, whatever the depth of partitioning.

use bastide_catalog::{Catalog, Index, Key, KeyKind, Table, TableKind};
use bastide_sql::{Ident, LockMode, QualifiedName, Sql, join, sql};

use super::{context::Plain, family::family};
use crate::Script;

pub(super) struct NewIndex<'a> {
    pub(super) table: &'a QualifiedName,
    pub(super) name: &'a Ident,
    pub(super) columns: &'a [Ident],
    pub(super) leaves: &'a [(QualifiedName, Ident)],
    pub(super) partitioned: bool,
    pub(super) unique: bool,
}

impl NewIndex<'_> {
    pub(super) fn build(&self) -> Script {
        let mut statements = vec![hurried()];
        statements.extend(self.clear());
        statements.push(patient());
        let unique = if self.unique { sql!("UNIQUE ") } else { sql!("") };
        let columns = sql!("{}", join(self.columns, ", "));
        if !self.is_partitioned() {
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
            statements.push(hurried());
            statements.push(sql!("CREATE {}INDEX {} ON {} ({})", unique, self.name, self.table, columns));
        }
        Script::autocommit(self.lock(), self.locked(), statements)
    }

    /// In a transaction. A partitioned table's reaches its partitions.
    pub(super) fn build_at_once(&self) -> Script {
        let unique = if self.unique { sql!("UNIQUE ") } else { sql!("") };
        let columns = sql!("{}", join(self.columns, ", "));
        let create = sql!("CREATE {}INDEX {} ON {} ({})", unique, self.name, self.table, columns);
        Script::transaction(LockMode::Share, self.locked(), vec![create])
    }

    pub(super) fn remove(&self) -> Script {
        Script::autocommit(LockMode::AccessExclusive, self.locked(), self.clear())
    }

    /// Takes away the index, finished or not: a build that failed leaves an invalid index under its name. Not CONCURRENTLY:
    /// under an event trigger that writes before each command that fails (0A000), and for a moment's lock it is not needed.
    fn clear(&self) -> Vec<Sql> {
        let drop = |table: &QualifiedName, name: &Ident| {
            sql!("DROP INDEX IF EXISTS {}", QualifiedName::new(table.schema.clone(), name.clone()))
        };
        // The parent's takes its leaves' with it; those not yet adopted go one by one.
        let leaves = self.leaves.iter().map(|(leaf, name)| drop(leaf, name));
        [drop(self.table, self.name)].into_iter().chain(leaves).collect()
    }

    /// Plans of earlier versions say it by the leaves alone.
    fn is_partitioned(&self) -> bool {
        self.partitioned || !self.leaves.is_empty()
    }

    fn lock(&self) -> LockMode {
        if self.is_partitioned() { LockMode::Share } else { LockMode::ShareUpdateExclusive }
    }

    fn locked(&self) -> Vec<QualifiedName> {
        vec![self.table.clone()]
    }

    pub(super) fn apply(&self, catalog: &mut Catalog) {
        for member in family(catalog, self.table) {
            let leaf = self.leaves.iter().find(|(leaf, _)| *leaf == member);
            let name = match leaf {
                Some((_, name)) => name.clone(),
                None if member == *self.table => self.name.clone(),
                // A partition that is itself partitioned: the server names its index.
                None if self.is_partitioned() => server_name(&member.name, self.columns),
                None => continue,
            };
            if let Some(table) = catalog.tables.get_mut(&member) {
                self.add(table, name);
            }
        }
    }

    fn add(&self, table: &mut Table, name: Ident) {
        let definition = sql!(
            "CREATE {}INDEX {} ON {}{} USING btree ({})",
            if self.unique { sql!("UNIQUE ") } else { sql!("") },
            Plain(&name),
            if table.kind == TableKind::Partitioned { sql!("ONLY ") } else { sql!("") },
            Plain(&table.name),
            join(self.columns.iter().map(Plain), ", ")
        );
        if self.unique {
            let columns = self.columns.to_vec();
            table.keys.push(Key { name, kind: KeyKind::UniqueIndex, columns, deferrable: false, definition });
            table.keys.sort_by(|a, b| {
                (a.kind != KeyKind::Primary, &a.name).cmp(&(b.kind != KeyKind::Primary, &b.name))
            });
        } else {
            table.indexes.push(Index {
                name,
                unique: false,
                valid: true,
                columns: self.columns.iter().cloned().map(Some).collect(),
                partial: false,
                exclusion: false,
                definition,
            });
            table.indexes.sort_by(|a, b| a.name.cmp(&b.name));
        }
    }
}

/// `table_columns_idx`, the longer part shortened first until it fits, as the server does.
fn server_name(table: &Ident, columns: &[Ident]) -> Ident {
    let columns: Vec<&str> = columns.iter().map(Ident::as_str).collect();
    let (mut stem, mut rest) = (table.as_str().to_owned(), columns.join("_"));
    while stem.len() + rest.len() + "__idx".len() > 63 {
        if stem.len() > rest.len() {
            stem.pop()
        } else {
            rest.pop()
        };
    }
    Ident::derived(&format!("{stem}_{rest}"), "_idx")
}

/// What waits for old transactions in a queue that stops nobody may wait; what blocks writers, its queue included, may not.
pub(super) fn patient() -> Sql {
    sql!("SET lock_timeout = '10s'")
}

pub(super) fn hurried() -> Sql {
    sql!("SET lock_timeout = '50ms'")
}
