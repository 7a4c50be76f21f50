//! Tables, views and sequences: which there are, and putting together what belongs to each.

use std::collections::BTreeMap;

use bastide_sql::{Ident, QualifiedName, Sql};

use super::{
    ByOid, ReadError,
    acl::{Acls, Holder},
    constraints::Constraints,
    indexes::Indexes,
    rows::{Reader, Record},
};
use crate::{Column, Persistence, Policy, Rule, Sequence, Table, TableKind, Trigger, View};

pub(super) struct Relations(Vec<Relation>);

struct Relation {
    oid: u32,
    name: QualifiedName,
    kind: Kind,
    owner: Ident,
    row: Record,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Table(TableKind),
    View { materialised: bool },
    Sequence,
}

/// What other queries found, by the relation it belongs to.
pub(super) struct Parts {
    pub(super) columns: ByOid<Vec<Column>>,
    pub(super) constraints: ByOid<Constraints>,
    pub(super) indexes: ByOid<Indexes>,
    pub(super) triggers: ByOid<Vec<Trigger>>,
    pub(super) rules: ByOid<Vec<Rule>>,
    pub(super) policies: ByOid<Vec<Policy>>,
    pub(super) links: Links,
}

#[derive(Default)]
pub(super) struct Links {
    parents: ByOid<Vec<QualifiedName>>,
    /// By the parent's OID.
    children: ByOid<Vec<u32>>,
    reads: ByOid<Vec<QualifiedName>>,
}

pub(super) async fn read(reader: &Reader<'_>) -> Result<Relations, ReadError> {
    let mut found = Vec::new();
    for row in reader.rows("tables and views", include_str!("relations.sql"), &[]).await? {
        let kind = row.code(
            "kind",
            &[
                ("r", Kind::Table(TableKind::Ordinary)),
                ("p", Kind::Table(TableKind::Partitioned)),
                ("partition", Kind::Table(TableKind::Partition)),
                ("f", Kind::Table(TableKind::Foreign)),
                ("v", Kind::View { materialised: false }),
                ("m", Kind::View { materialised: true }),
                ("S", Kind::Sequence),
            ],
        )?;
        found.push(Relation {
            oid: row.get("oid")?,
            name: row.qualified("schema", "name")?,
            kind,
            owner: row.ident("owner")?,
            row,
        });
    }
    Ok(Relations(found))
}

pub(super) async fn read_links(reader: &Reader<'_>, relations: &[u32]) -> Result<Links, ReadError> {
    let mut links = Links::default();
    for row in reader.rows("inheritance and views", include_str!("links.sql"), &[&relations]).await? {
        let child = row.get("child")?;
        let other = row.qualified("schema", "name")?;
        if row.get::<&str>("link")? == "reads" {
            links.reads.entry(child).or_default().push(other);
        } else {
            links.parents.entry(child).or_default().push(other);
            links.children.entry(row.get("parent")?).or_default().push(child);
        }
    }
    Ok(links)
}

impl Relations {
    pub(super) fn oids(&self) -> Vec<u32> {
        self.0.iter().map(|relation| relation.oid).collect()
    }

    pub(super) fn tables(
        &self,
        parts: &mut Parts,
        acls: &Acls,
    ) -> Result<BTreeMap<QualifiedName, Table>, ReadError> {
        let names: ByOid<&QualifiedName> =
            self.0.iter().map(|relation| (relation.oid, &relation.name)).collect();
        let mut tables = BTreeMap::new();
        for relation in &self.0 {
            let (Kind::Table(kind), oid, row) = (relation.kind, relation.oid, &relation.row) else {
                continue;
            };
            let constraints = parts.constraints.remove(&oid).unwrap_or_default();
            let indexes = parts.indexes.remove(&oid).unwrap_or_default();
            let children = parts.links.children.remove(&oid).unwrap_or_default();
            let mut children: Vec<QualifiedName> =
                children.iter().filter_map(|child| names.get(child).copied().cloned()).collect();
            children.sort();
            let table = Table {
                name: relation.name.clone(),
                oid,
                kind,
                owner: relation.owner.clone(),
                acl: acls.of(Holder::Relation(oid)),
                columns: parts.columns.remove(&oid).unwrap_or_default(),
                keys: indexes.keys,
                foreign_keys: constraints.foreign_keys,
                checks: constraints.checks,
                indexes: indexes.others,
                triggers: parts.triggers.remove(&oid).unwrap_or_default(),
                rules: parts.rules.remove(&oid).unwrap_or_default(),
                policies: parts.policies.remove(&oid).unwrap_or_default(),
                row_security: row.get("row_security")?,
                force_row_security: row.get("force_row_security")?,
                partition_columns: row.idents_or_none("partition_columns")?,
                parents: parts.links.parents.remove(&oid).unwrap_or_default(),
                children,
                of_type: row.get::<Option<String>>("of_type")?.map(Sql::trusted),
                estimated_rows: row.get("estimated_rows")?,
                bytes: row.get("bytes")?,
                persistence: row
                    .code("persistence", &[("p", Persistence::Permanent), ("u", Persistence::Unlogged)])?,
            };
            tables.insert(relation.name.clone(), table);
        }
        Ok(tables)
    }

    pub(super) fn views(
        &self,
        parts: &mut Parts,
        acls: &Acls,
    ) -> Result<BTreeMap<QualifiedName, View>, ReadError> {
        let mut views = BTreeMap::new();
        for relation in &self.0 {
            let (Kind::View { materialised }, oid) = (relation.kind, relation.oid) else { continue };
            let options: Vec<String> = relation.row.get("options")?;
            let indexes = parts.indexes.remove(&oid).unwrap_or_default();
            let view = View {
                name: relation.name.clone(),
                materialised,
                owner: relation.owner.clone(),
                acl: acls.of(Holder::Relation(oid)),
                columns: parts.columns.remove(&oid).unwrap_or_default(),
                security_invoker: is_on(&options, "security_invoker"),
                security_barrier: is_on(&options, "security_barrier"),
                options,
                reads: parts.links.reads.remove(&oid).unwrap_or_default(),
                has_unique_index: !indexes.keys.is_empty(),
                triggers: parts.triggers.remove(&oid).unwrap_or_default(),
                rules: parts.rules.remove(&oid).into_iter().flatten().map(|rule| rule.name).collect(),
                definition: relation.row.definition("definition")?,
            };
            views.insert(relation.name.clone(), view);
        }
        Ok(views)
    }

    pub(super) fn sequences(&self, acls: &Acls) -> Result<BTreeMap<QualifiedName, Sequence>, ReadError> {
        let mut sequences = BTreeMap::new();
        for relation in self.0.iter().filter(|relation| relation.kind == Kind::Sequence) {
            let row = &relation.row;
            let owned_by = match row.ident_or_none("owned_by_column")? {
                Some(column) => Some((row.qualified("owned_by_schema", "owned_by_name")?, column)),
                None => None,
            };
            let acl = acls.of(Holder::Relation(relation.oid));
            let sequence = Sequence { owner: relation.owner.clone(), acl, owned_by };
            sequences.insert(relation.name.clone(), sequence);
        }
        Ok(sequences)
    }
}

/// Options are stored as they were typed: every spelling of a boolean that the server takes, in any case, a prefix
/// of one included.
fn is_on(options: &[String], name: &str) -> bool {
    let value = options.iter().find_map(|option| option.strip_prefix(name)?.strip_prefix('='));
    value.is_some_and(|value| {
        let value = value.to_ascii_lowercase();
        value == "1"
            || value == "on"
            || (!value.is_empty() && ("true".starts_with(&value) || "yes".starts_with(&value)))
    })
}

#[cfg(test)]
mod tests {
    use super::is_on;

    #[test]
    fn boolean_options_are_read_as_the_server_reads_them() {
        let on = |text: &str| is_on(&[text.to_owned()], "security_invoker");
        for text in ["true", "TRUE", "t", "on", "1", "yes", "y"] {
            assert!(on(&format!("security_invoker={text}")), "{text}");
        }
        for text in ["false", "off", "0", "no", "o", ""] {
            assert!(!on(&format!("security_invoker={text}")), "{text}");
        }
        assert!(!on("security_barrier=true"));
    }
}
