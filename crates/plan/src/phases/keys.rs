//! Which keys get a tenant-wide successor: foreign keys between scoped tables, the unique keys those point at, and the
//! natural unique keys that would otherwise tell one tenant what another one has.

use bastide_catalog::{Action, ForeignKey, Index, Key, KeyKind, Table};
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
    /// Global, though it should not be: why it cannot be replaced, and what would mend that.
    StaysGlobal { why: &'static str, mend: String },
    /// Per tenant from cutover on.
    PerTenant,
}

pub(super) fn uniqueness(planning: &Planning<'_>, table: &Table, tenant: &Ident, key: &Key) -> Uniqueness {
    if key.kind == KeyKind::Primary
        || key.columns.contains(tenant)
        || table.tells_nothing(&key.columns)
        || planning.catalog.key_comes_with_parent(table, key)
    {
        return Uniqueness::Stays;
    }
    let stays = |why, mend: &str| Uniqueness::StaysGlobal { why, mend: mend.to_owned() };
    if key.deferrable {
        return stays("it is deferrable, which an index cannot be", "recreate it NOT DEFERRABLE");
    }
    // The server's own words, so that a column of such a name costs no more than a question.
    let says = |words| key.definition.as_str().contains(words);
    if says("NULLS NOT DISTINCT") {
        return stays("it is NULLS NOT DISTINCT", "recreate it without NULLS NOT DISTINCT");
    }
    if says(" COLLATE ") {
        let mend = "give the column that collation, and recreate the key without";
        return stays("it compares by a collation of its own", mend);
    }
    if let Some((child, foreign_key)) = needed_by(planning, &table.name, key) {
        return Uniqueness::StaysGlobal {
            why: "a foreign key that stays as it is points at it",
            mend: format!("drop the foreign key {foreign_key} of {child}"),
        };
    }
    Uniqueness::PerTenant
}

/// What becomes of a unique or exclusion index that is no key.
pub(super) fn index_uniqueness(
    planning: &Planning<'_>,
    table: &Table,
    tenant: &Ident,
    index: &Index,
) -> Uniqueness {
    if !(index.unique || index.exclusion)
        || index.columns.contains(&Some(tenant.clone()))
        || table.index_tells_nothing(index)
        || planning.catalog.index_comes_with_parent(table, index)
    {
        return Uniqueness::Stays;
    }
    let (why, mend) = if index.exclusion {
        ("it is an exclusion constraint", "drop it")
    } else if index.partial {
        ("it is partial", "recreate it over the whole table, or drop it")
    } else if index.columns.contains(&None) {
        ("it is on an expression", "recreate it on columns, a generated one for example, or drop it")
    } else {
        ("it is not a valid index of the usual kind", "drop it, or recreate it CONCURRENTLY")
    };
    Uniqueness::StaysGlobal { why, mend: mend.to_owned() }
}

/// A foreign key that needs this key to point at: one from a table that is not scoped, or one that is kept.
fn needed_by<'a>(
    planning: &'a Planning<'_>,
    table: &QualifiedName,
    key: &Key,
) -> Option<(&'a QualifiedName, &'a Ident)> {
    let mut wanted = key.columns.clone();
    wanted.sort();
    let mut others = planning
        .catalog
        .tables
        .values()
        .flat_map(|child| child.foreign_keys.iter().map(move |foreign_key| (child, foreign_key)));
    let needs = |child: &Table, foreign_key: &ForeignKey| {
        let mut referenced = foreign_key.referenced_columns.clone();
        referenced.sort();
        let replaced =
            planning.is_scoped(&child.name) && !(foreign_key.match_full && foreign_key.columns.len() > 1);
        foreign_key.references == *table && referenced == wanted && !replaced
    };
    let found = others.find(|(child, foreign_key)| needs(child, foreign_key));
    found.map(|(child, foreign_key)| (&child.name, &foreign_key.name))
}
