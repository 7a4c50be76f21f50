//! Small catalogs for unit tests, written as a person would sketch them.

use std::collections::{BTreeMap, BTreeSet};

use bastide_catalog::{
    AclItem, Action, Catalog, Column, ForeignKey, Key, KeyKind, Persistence, Privilege, Role, Schema, Server,
    Table, TableKind, View,
};
use bastide_sql::{Ident, QualifiedName, Sql};

use crate::{Config, RootChoice};

pub(crate) fn name(text: &str) -> QualifiedName {
    if text.contains('.') { text.parse().unwrap() } else { format!("public.{text}").parse().unwrap() }
}

pub(crate) fn ident(text: &str) -> Ident {
    Ident::new(text).unwrap()
}

pub(crate) fn existing(root: &str) -> Config {
    Config {
        root: RootChoice::Existing(name(root)),
        app_role: ident("bastide_app"),
        exclude_schemas: BTreeSet::new(),
        exclude_tables: BTreeSet::new(),
        accept_defaults: false,
        declared: crate::Declarations::default(),
        answers: BTreeMap::new(),
    }
}

pub(crate) fn new(root: &str) -> Config {
    Config { root: RootChoice::New(name(root)), ..existing("unused") }
}

pub(crate) struct Fixture {
    catalog: Catalog,
    last: Option<QualifiedName>,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        let role = |superuser, login| Role {
            superuser,
            bypass_rls: superuser,
            create_role: superuser,
            create_db: superuser,
            replication: false,
            login,
            inherit: true,
            member_of: Vec::new(),
            settings: Vec::new(),
        };
        let catalog = Catalog {
            server: Server {
                version: 150_018,
                database: ident("shop"),
                current_user: ident("postgres"),
                system_identifier: Some("1".to_owned()),
                database_oid: 5,
                database_owner: ident("owner"),
                database_acl: None,
                database_settings: Vec::new(),
                sealed_context: false,
                public_parameters: Vec::new(),
                extensions: BTreeMap::new(),
            },
            schemas: BTreeMap::from([(ident("public"), Schema { owner: ident("owner"), acl: None })]),
            tables: BTreeMap::new(),
            views: BTreeMap::new(),
            sequences: BTreeMap::new(),
            functions: Vec::new(),
            roles: BTreeMap::from([
                (ident("postgres"), role(true, true)),
                (ident("owner"), role(false, true)),
                (ident("clerk"), role(false, true)),
            ]),
            default_privileges: Vec::new(),
            publications: Vec::new(),
            subscriptions: Vec::new(),
            event_triggers: Vec::new(),
        };
        Self { catalog, last: None }
    }

    /// Columns read `name type [pk] [unique] [not-null] [-> table[.column]]`.
    pub(crate) fn table(mut self, table: &str, columns: &[&str]) -> Self {
        let mut made = empty(name(table));
        for column in columns {
            self.column(&mut made, column);
        }
        made.keys.sort_by(|a, b| {
            (a.kind != KeyKind::Primary, &a.name).cmp(&(b.kind != KeyKind::Primary, &b.name))
        });
        self.last = Some(made.name.clone());
        self.catalog.tables.insert(made.name.clone(), made);
        self
    }

    /// A partition or an inheritance child: the parent's columns, and its keys' copies.
    pub(crate) fn child(mut self, table: &str, parent: &str) -> Self {
        let parent = self.catalog.tables.get_mut(&name(parent)).unwrap();
        let mut made = parent.clone();
        made.name = name(table);
        made.parents = vec![parent.name.clone()];
        parent.children.push(made.name.clone());
        if parent.kind == TableKind::Partitioned {
            made.kind = TableKind::Partition;
            made.foreign_keys.iter_mut().for_each(|key| key.inherited = true);
            made.keys.iter_mut().for_each(|key| key.name = Ident::derived(table, key.name.as_str()));
        } else {
            made.foreign_keys.clear();
            made.keys.clear();
        }
        made.columns.iter_mut().for_each(|column| column.local = false);
        made.children.clear();
        self.last = Some(made.name.clone());
        self.catalog.tables.insert(made.name.clone(), made);
        self
    }

    /// Changes the table made last.
    pub(crate) fn with(mut self, change: impl FnOnce(&mut Table)) -> Self {
        let last = self.last.clone().unwrap();
        change(self.catalog.tables.get_mut(&last).unwrap());
        self
    }

    pub(crate) fn view(mut self, view: &str, reads: &[&str]) -> Self {
        let made = View {
            name: name(view),
            materialised: false,
            owner: ident("owner"),
            acl: None,
            columns: Vec::new(),
            security_invoker: false,
            security_barrier: false,
            options: Vec::new(),
            reads: reads.iter().map(|read| name(read)).collect(),
            has_unique_index: false,
            rules: Vec::new(),
            triggers: Vec::new(),
            definition: Sql::trusted("SELECT"),
        };
        self.catalog.views.insert(made.name.clone(), made);
        self
    }

    pub(crate) fn change(mut self, change: impl FnOnce(&mut Catalog)) -> Self {
        change(&mut self.catalog);
        self
    }

    pub(crate) fn catalog(self) -> Catalog {
        self.catalog
    }

    fn column(&self, table: &mut Table, text: &str) {
        let (text, target) = match text.split_once(" -> ") {
            Some((text, target)) => (text, Some(target)),
            None => (text, None),
        };
        let mut words = text.split(' ');
        let (column, kind) = (words.next().unwrap(), words.next().unwrap());
        let words: Vec<&str> = words.collect();
        let primary = words.contains(&"pk");
        table.columns.push(Column {
            name: ident(column),
            type_name: Sql::trusted(kind),
            collation: None,
            not_null: primary || words.contains(&"not-null"),
            default: None,
            generated: None,
            identity: None,
            local: true,
            acl: None,
        });
        let stem = table.name.name.as_str();
        if primary && let Some(key) = table.keys.iter_mut().find(|key| key.kind == KeyKind::Primary) {
            key.columns.push(ident(column));
        } else if primary || words.contains(&"unique") {
            let (kind, suffix) = if primary { (KeyKind::Primary, "pkey") } else { (KeyKind::Unique, "key") };
            table.keys.push(Key {
                name: ident(&if primary {
                    format!("{stem}_{suffix}")
                } else {
                    format!("{stem}_{column}_{suffix}")
                }),
                kind,
                columns: vec![ident(column)],
                deferrable: false,
                definition: Sql::trusted(format!("UNIQUE ({column})")),
            });
        }
        if let Some(target) = target {
            let (parent, key) = target.split_once('.').unwrap_or((target, "id"));
            table.foreign_keys.push(foreign_key(&format!("{stem}_{column}_fkey"), &[column], parent, &[key]));
        }
    }
}

pub(crate) fn foreign_key(key: &str, columns: &[&str], parent: &str, referenced: &[&str]) -> ForeignKey {
    ForeignKey {
        name: ident(key),
        columns: columns.iter().map(|column| ident(column)).collect(),
        references: name(parent),
        referenced_columns: referenced.iter().map(|column| ident(column)).collect(),
        on_update: Action::NoAction,
        on_delete: Action::NoAction,
        on_delete_columns: Vec::new(),
        match_full: false,
        deferrable: false,
        initially_deferred: false,
        validated: true,
        inherited: false,
        definition: Sql::trusted(format!("FOREIGN KEY ({}) REFERENCES {parent}", columns.join(", "))),
    }
}

pub(crate) fn grant(grantee: Option<&str>, privileges: &[&str]) -> AclItem {
    AclItem {
        grantee: grantee.map(ident),
        grantor: ident("owner"),
        privileges: privileges
            .iter()
            .map(|kind| Privilege { kind: (*kind).to_owned(), grantable: false })
            .collect(),
    }
}

fn empty(name: QualifiedName) -> Table {
    Table {
        name,
        oid: 0,
        kind: TableKind::Ordinary,
        owner: ident("owner"),
        acl: None,
        columns: Vec::new(),
        keys: Vec::new(),
        foreign_keys: Vec::new(),
        checks: Vec::new(),
        indexes: Vec::new(),
        triggers: Vec::new(),
        rules: Vec::new(),
        policies: Vec::new(),
        row_security: false,
        force_row_security: false,
        parents: Vec::new(),
        children: Vec::new(),
        partition_columns: Vec::new(),
        of_type: None,
        estimated_rows: -1,
        bytes: 0,
        persistence: Persistence::Permanent,
    }
}

/// A shop of the usual shape: two levels below the root, and a catalogue beside it.
pub(crate) fn shop() -> Fixture {
    Fixture::new()
        .table("merchants", &["id uuid pk", "slug text not-null unique"])
        .table("customers", &["id bigint pk", "merchant_id uuid -> merchants", "email text unique"])
        .table("products", &["id bigint pk", "name text"])
        .table(
            "orders",
            &["id bigint pk", "customer_id bigint -> customers", "product_id bigint -> products"],
        )
}
