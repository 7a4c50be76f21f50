//! Which unique keys and indexes could tell one tenant what another one has. Planning and verification judge by the same
//! words, so that what a plan leaves is what verification expects.

use bastide_sql::Ident;

use crate::{Catalog, Index, Key, Table, TableKind};

impl Table {
    /// Nobody learns anything from a clash in these columns: they hold the primary key, or are one column that numbers
    /// itself.
    #[must_use]
    pub fn tells_nothing(&self, columns: &[Ident]) -> bool {
        let primary: &[Ident] = self.primary_key().map_or(&[], |key| &key.columns);
        let holds_primary = !primary.is_empty() && primary.iter().all(|column| columns.contains(column));
        holds_primary || self.numbers_itself(columns)
    }

    /// The same of an index that is no key. What an exclusion constraint compares by is not known here.
    #[must_use]
    pub fn index_tells_nothing(&self, index: &Index) -> bool {
        let columns: Vec<Ident> = index.columns.iter().flatten().cloned().collect();
        let plain = columns.len() == index.columns.len();
        let primary = self.primary_key();
        let holds_primary =
            primary.is_some_and(|key| key.columns.iter().all(|column| columns.contains(column)));
        !index.exclusion && (holds_primary || plain && self.numbers_itself(&columns))
    }

    fn numbers_itself(&self, columns: &[Ident]) -> bool {
        let [only] = columns else { return false };
        self.column(only).is_some_and(|column| {
            let drawn =
                column.default.as_ref().is_some_and(|default| default.as_str().starts_with("nextval("));
            column.identity.is_some() || drawn
        })
    }
}

impl Catalog {
    /// A partition's copy of the partitioned table's key goes and stays with it.
    #[must_use]
    pub fn key_comes_with_parent(&self, table: &Table, key: &Key) -> bool {
        let mut parents = self.partitioned_parents(table);
        parents.any(|parent| parent.keys.iter().any(|theirs| theirs.columns == key.columns))
    }

    #[must_use]
    pub fn index_comes_with_parent(&self, table: &Table, index: &Index) -> bool {
        let mut parents = self.partitioned_parents(table);
        parents.any(|parent| {
            parent.indexes.iter().any(|theirs| {
                (theirs.unique, theirs.exclusion) == (index.unique, index.exclusion)
                    && about(theirs) == about(index)
            })
        })
    }

    fn partitioned_parents<'a>(&'a self, table: &'a Table) -> impl Iterator<Item = &'a Table> {
        let parents = table.parents.iter().filter_map(|name| self.table(name));
        parents.filter(|parent| parent.kind == TableKind::Partitioned)
    }
}

/// The definition without the names of index and table.
fn about(index: &Index) -> &str {
    let text = index.definition.as_str();
    text.find(" USING ").map_or(text, |at| &text[at..])
}
