//! Which keys get a tenant-wide successor: foreign keys between scoped tables, the unique keys those point at, and the
//! natural unique keys that would otherwise tell one tenant what another one has.

use bastide_catalog::{Action, ForeignKey, Key, KeyKind, Table, TableKind};
use bastide_sql::{Ident, QualifiedName};

use super::Planning;
use crate::Refusal;

/// A foreign key and what becomes of it.
pub(super) struct Successor {
    pub(super) table: QualifiedName,
    pub(super) legacy: ForeignKey,
    pub(super) columns: Vec<Ident>,
    pub(super) referenced_columns: Vec<Ident>,
    /// The successor says less than the legacy key (a MATCH FULL over several columns), which therefore stays.
    pub(super) keep_legacy: bool,
}

pub(super) enum Fate {
    Successor(Box<Successor>),
    /// It holds the tenant already.
    TenantWide,
    /// It references whole tenants by a column that is not the table's tenant column.
    NamesATenant,
}

/// Every foreign key between two scoped tables, with what becomes of it.
pub(super) fn between_scoped(
    planning: &Planning<'_>,
) -> Result<Vec<(QualifiedName, ForeignKey, Fate)>, Refusal> {
    let mut found = Vec::new();
    for (name, column) in planning.scoped() {
        let Some(table) = planning.catalog.table(&name) else { continue };
        for key in table.foreign_keys.iter().filter(|key| !key.inherited) {
            let Some(parent) = tenant_column_of(planning, &key.references) else { continue };
            let fate = fate(&name, &column.name, key, &parent)?;
            found.push((name.clone(), key.clone(), fate));
        }
    }
    Ok(found)
}

fn tenant_column_of(planning: &Planning<'_>, table: &QualifiedName) -> Option<Ident> {
    let root = planning.root();
    if *table == root.table {
        return Some(root.key.clone());
    }
    planning.classification.tenant_column(table).map(|column| column.name.clone())
}

fn fate(
    table: &QualifiedName,
    tenant: &Ident,
    key: &ForeignKey,
    parent_tenant: &Ident,
) -> Result<Fate, Refusal> {
    let refuse = |why, mend| {
        Err(Refusal::ForeignKeyShape { table: table.clone(), foreign_key: key.name.clone(), why, mend })
    };
    let pairs = || key.columns.iter().zip(&key.referenced_columns);
    if pairs().any(|(own, theirs)| own == tenant && theirs == parent_tenant) {
        return Ok(Fate::TenantWide);
    }
    if pairs().any(|(_, theirs)| theirs == parent_tenant) {
        return Ok(Fate::NamesATenant);
    }
    if key.columns.contains(tenant) {
        return refuse(
            "it takes the tenant column for something other than the tenant",
            format!("drop it, or leave the table out with --exclude-table {table}"),
        );
    }
    if key.on_update == Action::SetNull {
        return refuse(
            "with ON UPDATE SET NULL its successor would empty the tenant column too",
            "recreate it with ON UPDATE NO ACTION or CASCADE".to_owned(),
        );
    }
    let with = |first: &Ident, rest: &[Ident]| std::iter::once(first).chain(rest).cloned().collect();
    Ok(Fate::Successor(Box::new(Successor {
        table: table.clone(),
        columns: with(tenant, &key.columns),
        referenced_columns: with(parent_tenant, &key.referenced_columns),
        keep_legacy: key.match_full && key.columns.len() > 1,
        legacy: key.clone(),
    })))
}

impl Successor {
    /// `ON DELETE SET NULL` must leave the tenant column alone.
    pub(super) fn on_delete_columns(&self) -> Vec<Ident> {
        match self.legacy.on_delete {
            Action::SetNull | Action::SetDefault if self.legacy.on_delete_columns.is_empty() => {
                self.legacy.columns.clone()
            }
            _ => self.legacy.on_delete_columns.clone(),
        }
    }

    /// Whether the table has such a foreign key already.
    pub(super) fn is_there(&self, table: &Table) -> bool {
        let wanted = sorted_pairs(&self.columns, &self.referenced_columns);
        table.foreign_keys.iter().any(|key| {
            key.references == self.legacy.references
                && sorted_pairs(&key.columns, &key.referenced_columns) == wanted
        })
    }
}

fn sorted_pairs<'a>(columns: &'a [Ident], referenced: &'a [Ident]) -> Vec<(&'a Ident, &'a Ident)> {
    let mut pairs: Vec<_> = columns.iter().zip(referenced).collect();
    pairs.sort();
    pairs
}

/// Whether a foreign key could point at exactly these columns.
pub(super) fn has_key(table: &Table, columns: &[Ident]) -> bool {
    let sorted = |columns: &[Ident]| {
        let mut sorted = columns.to_vec();
        sorted.sort();
        sorted
    };
    let wanted = sorted(columns);
    table.keys.iter().any(|key| !key.deferrable && sorted(&key.columns) == wanted)
}

/// What to do with a unique key of a scoped table.
pub(super) enum Uniqueness {
    /// Global and harmless: a surrogate's, or it holds the tenant already.
    Stays,
    /// Global, though it should not be: why it cannot be replaced.
    StaysGlobal(&'static str),
    /// Per tenant from cutover on.
    PerTenant,
}

pub(super) fn uniqueness(planning: &Planning<'_>, table: &Table, tenant: &Ident, key: &Key) -> Uniqueness {
    let surrogate =
        table.primary_key().is_some_and(|primary| primary.columns.iter().all(|c| key.columns.contains(c)));
    if key.kind == KeyKind::Primary
        || key.columns.contains(tenant)
        || surrogate
        || is_generated_number(table, key)
        || comes_with_parent(planning, table, key)
    {
        return Uniqueness::Stays;
    }
    if key.deferrable {
        return Uniqueness::StaysGlobal("it is deferrable, which an index cannot be");
    }
    // The server's own words, so that a column of such a name costs no more than a note.
    let says = |words| key.definition.as_str().contains(words);
    if says("NULLS NOT DISTINCT") {
        return Uniqueness::StaysGlobal("it is NULLS NOT DISTINCT");
    }
    if says(" COLLATE ") {
        return Uniqueness::StaysGlobal("it compares by a collation of its own");
    }
    if is_referenced_by_others(planning, &table.name, key) {
        return Uniqueness::StaysGlobal("a foreign key that stays as it is points at it");
    }
    Uniqueness::PerTenant
}

/// One column that numbers itself tells nobody anything.
fn is_generated_number(table: &Table, key: &Key) -> bool {
    let [only] = key.columns.as_slice() else { return false };
    table.column(only).is_some_and(|column| {
        column.identity.is_some()
            || column.default.as_ref().is_some_and(|default| default.as_str().starts_with("nextval("))
    })
}

/// A partition's copy of the partitioned table's key goes and stays with it.
fn comes_with_parent(planning: &Planning<'_>, table: &Table, key: &Key) -> bool {
    table.parents.iter().filter_map(|name| planning.catalog.table(name)).any(|parent| {
        parent.kind == TableKind::Partitioned
            && parent.keys.iter().any(|theirs| theirs.columns == key.columns)
    })
}

/// Foreign keys from tables that are not scoped, and those that are kept, need the key they point at.
fn is_referenced_by_others(planning: &Planning<'_>, table: &QualifiedName, key: &Key) -> bool {
    let mut wanted = key.columns.clone();
    wanted.sort();
    let others = planning
        .catalog
        .tables
        .values()
        .flat_map(|child| child.foreign_keys.iter().map(move |foreign_key| (child, foreign_key)));
    others.filter(|(_, foreign_key)| foreign_key.references == *table).any(|(child, foreign_key)| {
        let mut referenced = foreign_key.referenced_columns.clone();
        referenced.sort();
        let replaced =
            planning.is_scoped(&child.name) && !(foreign_key.match_full && foreign_key.columns.len() > 1);
        referenced == wanted && !replaced
    })
}
