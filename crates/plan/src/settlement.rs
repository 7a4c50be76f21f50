//! How a link that crosses tenants can be settled, and why it sometimes cannot: what the schema allows, without a look at
//! any row. A choice that might fail half-way, or touch more than it says, is not offered.

use std::{collections::BTreeSet, fmt};

use bastide_catalog::{Catalog, ForeignKey, Index, Key, Table, TableKind, TriggerEnabled};
use bastide_sql::{Ident, Literal, QualifiedName, Sql, sql};
use serde::{Deserialize, Serialize};

use crate::{
    classify::Classification,
    inference::{Fresh, leaves},
};

/// What becomes of the rows on the child side of a link that crosses, at cutover.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Settlement {
    /// They move to `bastide.held`, with what references them.
    HoldAside,
    /// Their reference becomes NULL.
    Cut,
    /// Their tenant gets a copy of the row they reference, and they reference that.
    Copy,
    /// They become the tenant's whose row they reference, with what references them.
    Move,
}

impl Settlement {
    pub(crate) const ALL: [Self; 4] = [Self::HoldAside, Self::Cut, Self::Copy, Self::Move];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::HoldAside => "hold_aside",
            Self::Cut => "cut",
            Self::Copy => "copy",
            Self::Move => "move",
        }
    }

    pub(crate) fn of(answer: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|settlement| settlement.name() == answer)
    }
}

impl fmt::Display for Settlement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The columns that `cut` sets to NULL: those that belong to this reference alone.
pub(crate) fn cut(
    catalog: &Catalog,
    classification: &Classification,
    table: &Table,
    key: &ForeignKey,
) -> Result<Vec<Ident>, String> {
    let may = |column: &Ident| -> Result<(), String> {
        for member in family(catalog, table) {
            if member.column(column).is_none_or(|column| column.not_null) {
                return Err(format!("{column} is NOT NULL"));
            }
            if member.keys.iter().any(|k| k.columns.contains(column) && says(k, "NULLS NOT DISTINCT")) {
                return Err(format!("a unique key with NULLS NOT DISTINCT holds {column}"));
            }
        }
        changeable(catalog, classification, table, key, column)
    };
    let refused: Vec<String> = key.columns.iter().filter_map(|column| may(column).err()).collect();
    if refused.len() == key.columns.len() || (key.match_full && !refused.is_empty()) {
        return Err(refused.join(", "));
    }
    Ok(key.columns.iter().filter(|column| may(column).is_ok()).cloned().collect())
}

/// The columns of the referenced table that a copy of one of its rows gets anew.
pub(crate) fn copy(
    catalog: &Catalog,
    classification: &Classification,
    table: &Table,
    key: &ForeignKey,
) -> Result<Fresh, String> {
    let Some(parent) = catalog.table(&key.references) else {
        return Err(format!("{} is not there", key.references));
    };
    if parent.name == classification.root.table {
        return Err("a tenant cannot be copied".to_owned());
    }
    let fresh = copyable(parent)?;
    redirectable(catalog, classification, table, key, &fresh)?;
    Ok(fresh)
}

/// Whether each of the table's rows can be there a second time, and whoever references it can reference the copy instead.
pub(crate) fn can_copy_all(catalog: &Catalog, name: &QualifiedName) -> bool {
    let Some(fresh) = catalog.table(name).and_then(|table| copyable(table).ok()) else { return false };
    catalog.tables.values().all(|child| {
        let mut keys = child.foreign_keys.iter().filter(|key| key.references == *name && !key.inherited);
        keys.all(|key| redirected(catalog, child, key, &fresh).is_ok())
    })
}

/// What makes each unique key of a copy its own: every one needs a value that the server makes.
fn copyable(table: &Table) -> Result<Fresh, String> {
    let name = &table.name;
    if table.kind != TableKind::Ordinary || !table.parents.is_empty() || !table.children.is_empty() {
        return Err(format!("{name} is part of a family of tables"));
    }
    if let Some(trigger) = always_fires(table, |trigger| trigger.on_insert) {
        return Err(format!("the trigger {trigger} of {name} would fire for the copy"));
    }
    if table.row_key().is_none() {
        return Err(format!("{name} has no key by which its rows are known"));
    }
    let made = |column: &Ident| {
        let plain = !table.foreign_keys.iter().any(|key| key.columns.contains(column));
        table.column(column).filter(|_| plain).and_then(|found| made_by_server(name, found))
    };
    let mut fresh: Fresh = Vec::new();
    let mut add = |columns: &mut dyn Iterator<Item = &Ident>| {
        let mut any = false;
        for column in columns {
            let Some(value) = made(column) else { continue };
            any = true;
            if !fresh.iter().any(|(known, _)| known == column) {
                fresh.push((column.clone(), value));
            }
        }
        any
    };
    for key in &table.keys {
        if !add(&mut key.columns.iter()) {
            return Err(format!("a second row would break the unique key {} of {name}", key.name));
        }
    }
    for index in table.indexes.iter().filter(|index| index.unique || index.exclusion) {
        if index.exclusion || !add(&mut index.columns.iter().flatten()) {
            return Err(format!("a second row would break the index {} of {name}", index.name));
        }
    }
    Ok(fresh)
}

/// A default that never gives the same value twice, in the server's own words.
fn made_by_server(table: &QualifiedName, column: &bastide_catalog::Column) -> Option<Sql> {
    const EACH_TIME: [&str; 4] = ["nextval(", "gen_random_uuid()", "uuid_generate_v", "uuidv"];
    if column.generated.is_some() {
        return None;
    }
    if column.identity.is_some() {
        return Some(sql!(
            "nextval(pg_get_serial_sequence({}, {}))",
            Literal::text(sql!("{}", table).as_str()),
            Literal::text(column.name.as_str())
        ));
    }
    column.default.clone().filter(|default| EACH_TIME.iter().any(|word| default.as_str().contains(word)))
}

fn redirectable(
    catalog: &Catalog,
    classification: &Classification,
    table: &Table,
    key: &ForeignKey,
    fresh: &Fresh,
) -> Result<(), String> {
    for column in redirected(catalog, table, key, fresh)? {
        not_the_tenant(classification, table, &column)?;
    }
    Ok(())
}

/// The columns of the child that change when it references a copy.
fn redirected(
    catalog: &Catalog,
    table: &Table,
    key: &ForeignKey,
    fresh: &Fresh,
) -> Result<Vec<Ident>, String> {
    let pairs = key.columns.iter().zip(&key.referenced_columns);
    let changed: Vec<Ident> = pairs
        .filter(|(_, theirs)| fresh.iter().any(|(column, _)| column == *theirs))
        .map(|(own, _)| own.clone())
        .collect();
    if changed.is_empty() {
        return Err(format!("it references columns of {} that a copy would share", key.references));
    }
    for column in &changed {
        free(catalog, table, key, column)?;
    }
    for (own, theirs) in
        key.columns.iter().zip(&key.referenced_columns).filter(|(own, _)| changed.contains(own))
    {
        holds(catalog, table, own, &key.references, theirs)?;
    }
    Ok(changed)
}

/// A copy has a new value, which may be longer than any there was.
fn holds(
    catalog: &Catalog,
    table: &Table,
    own: &Ident,
    parent: &QualifiedName,
    theirs: &Ident,
) -> Result<(), String> {
    let kind = |table: &Table, column: &Ident| table.column(column).map(|found| found.type_name.clone());
    let (Some(ours), Some(made)) = (kind(table, own), catalog.table(parent).and_then(|p| kind(p, theirs)))
    else {
        return Err(format!("{own} or {theirs} is not there"));
    };
    let size = |kind: &Sql| ["smallint", "integer", "bigint"].iter().position(|name| *name == kind.as_str());
    let wider = size(&ours).zip(size(&made)).is_some_and(|(ours, made)| ours > made);
    if ours == made || wider || ours.as_str() == "text" {
        return Ok(());
    }
    Err(format!("{own} is {ours}, which may be too small for a new {theirs} ({made})"))
}

/// Whether rows of the table can be given to another tenant, with everything below them.
pub(crate) fn hand_over(
    catalog: &Catalog,
    classification: &Classification,
    table: &Table,
) -> Result<(), String> {
    if table.name == classification.root.table {
        return Err("a tenant belongs to itself".to_owned());
    }
    let mut open = vec![table.name.clone()];
    let mut seen = BTreeSet::new();
    while let Some(name) = open.pop() {
        let Some(table) = catalog.table(&name).filter(|_| seen.insert(name.clone())) else { continue };
        if let Some(tenant) = classification.tenant_column(&name) {
            handed_over(catalog, table, &tenant.name)?;
        }
        open.extend(family(catalog, table).into_iter().map(|member| member.name.clone()));
        open.extend(table.parents.iter().cloned());
        let below = catalog.tables.values().filter(|child| {
            classification.is_scoped(&child.name)
                && child.name != classification.root.table
                && child.foreign_keys.iter().any(|key| key.references == name)
        });
        open.extend(below.map(|child| child.name.clone()));
    }
    Ok(())
}

fn handed_over(catalog: &Catalog, table: &Table, tenant: &Ident) -> Result<(), String> {
    let name = &table.name;
    if let Some(trigger) = always_fires(table, |trigger| trigger.on_update) {
        return Err(format!("the trigger {trigger} of {name} would fire for the change"));
    }
    if table.foreign_keys.iter().any(|key| key.columns.len() > 1 && key.columns.contains(tenant)) {
        return Err(format!("{tenant} is part of a reference of {name}"));
    }
    // With another key inside it, it cannot be broken by a new tenant.
    let within = |key: &Key, other: &Key| {
        !other.columns.contains(tenant) && other.columns.iter().all(|column| key.columns.contains(column))
    };
    let held = table.keys.iter().filter(|key| key.columns.contains(tenant));
    if let Some(key) = held.into_iter().find(|key| !table.keys.iter().any(|other| within(key, other))) {
        return Err(format!(
            "the new tenant may have a row like it already (unique key {} of {name})",
            key.name
        ));
    }
    if let Some(index) = table.indexes.iter().find(|index| binds(index, tenant)) {
        return Err(format!("the index {} of {name} holds {tenant}", index.name));
    }
    constrained(catalog, table, tenant)
}

/// Whether a value of this reference may be replaced, in the table and in its partitions.
fn changeable(
    catalog: &Catalog,
    classification: &Classification,
    table: &Table,
    key: &ForeignKey,
    column: &Ident,
) -> Result<(), String> {
    not_the_tenant(classification, table, column)?;
    free(catalog, table, key, column)
}

fn not_the_tenant(classification: &Classification, table: &Table, column: &Ident) -> Result<(), String> {
    let tenant = classification.tenant_column(&table.name);
    if tenant.is_some_and(|tenant| tenant.name == *column) {
        return Err(format!("{column} says whose the row is"));
    }
    Ok(())
}

fn free(catalog: &Catalog, table: &Table, key: &ForeignKey, column: &Ident) -> Result<(), String> {
    for member in family(catalog, table) {
        if let Some(trigger) = always_fires(member, |trigger| trigger.on_update) {
            return Err(format!("the trigger {trigger} of {} would fire for the change", member.name));
        }
        if member.column(column).is_none_or(|found| found.generated.is_some()) {
            return Err(format!("{column} is generated"));
        }
        let mut others =
            member.foreign_keys.iter().filter(|other| !other.inherited && other.name != key.name);
        if let Some(other) = others.find(|other| other.columns.contains(column)) {
            return Err(format!("{column} is part of {} too", other.name));
        }
        if let Some(index) = member.indexes.iter().find(|index| binds(index, column)) {
            return Err(format!("the index {} says what {column} may be", index.name));
        }
        constrained(catalog, member, column)?;
    }
    Ok(())
}

/// What else may depend on the column's value. That a check or an index mentions it is told by its name in the text,
/// which errs to the safe side.
fn constrained(catalog: &Catalog, table: &Table, column: &Ident) -> Result<(), String> {
    let name = &table.name;
    if let Some(check) = table.checks.iter().find(|check| check.definition.as_str().contains(column.as_str()))
    {
        return Err(format!("the check {} says what {column} may be", check.name));
    }
    let by = catalog.tables.values().find(|child| {
        child
            .foreign_keys
            .iter()
            .any(|key| key.references == *name && key.referenced_columns.contains(column))
    });
    if let Some(child) = by {
        return Err(format!("{} references {column}", child.name));
    }
    let partitioned =
        |table: &Table| table.partition_columns.iter().any(|by| by.as_ref().is_none_or(|by| by == column));
    let mut above = vec![table];
    while let Some(next) = above.pop() {
        if partitioned(next) {
            return Err(format!("{} is partitioned by {column}, or may be", next.name));
        }
        above.extend(next.parents.iter().filter_map(|parent| catalog.table(parent)));
    }
    Ok(())
}

/// A unique index with a condition or an expression, or an exclusion: what it allows cannot be read off its columns.
fn binds(index: &Index, column: &Ident) -> bool {
    (index.unique || index.exclusion) && index.definition.as_str().contains(column.as_str())
}

fn says(key: &Key, words: &str) -> bool {
    key.definition.as_str().contains(words)
}

fn always_fires(table: &Table, when: impl Fn(&bastide_catalog::Trigger) -> bool) -> Option<&Ident> {
    let fires = |trigger: &&bastide_catalog::Trigger| {
        matches!(trigger.enabled, TriggerEnabled::Always | TriggerEnabled::Replica) && when(trigger)
    };
    table.triggers.iter().find(fires).map(|trigger| &trigger.name)
}

/// The table itself, and the partitions that hold its rows.
fn family<'a>(catalog: &'a Catalog, table: &'a Table) -> Vec<&'a Table> {
    let mut members = vec![table];
    members.extend(leaves(catalog, &table.name).iter().filter_map(|leaf| catalog.table(leaf)));
    members
}
