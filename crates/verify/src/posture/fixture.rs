//! A small sound database in memory: a root, two scoped tables, a shared one, a view. Tests of findings spoil one thing.

use std::collections::{BTreeMap, BTreeSet};

use bastide_catalog::{
    Action, Catalog, Column, ForeignKey, Function, FunctionKind, Index, Key, KeyKind, Persistence, Policy,
    PolicyCommand, Role, Schema, Server, Table, TableKind, View, Volatility,
};
use bastide_sql::{Ident, QualifiedName, Sql};

use super::{Accepted, KeptFunction, Posture, Reach, Scoped, Surroundings};

pub(crate) fn ident(name: &str) -> Ident {
    Ident::new(name).unwrap()
}

pub(crate) fn public(name: &str) -> QualifiedName {
    QualifiedName::new(ident("public"), ident(name))
}

pub(crate) fn predicate(column: &str) -> String {
    format!("({column} = ( SELECT (bastide.current_tenant())::uuid AS current_tenant))")
}

pub(crate) fn column(name: &str, kind: &str) -> Column {
    Column {
        name: ident(name),
        type_name: Sql::trusted(kind),
        collation: None,
        not_null: true,
        default: None,
        generated: None,
        identity: None,
        local: true,
        acl: None,
    }
}

pub(crate) fn key(name: &str, kind: KeyKind, columns: &[&str]) -> Key {
    let columns = columns.iter().map(|column| ident(column)).collect();
    Key { name: ident(name), kind, columns, deferrable: false, definition: Sql::trusted("UNIQUE (…)") }
}

pub(crate) fn link(name: &str, from: &[&str], table: &str, to: &[&str]) -> ForeignKey {
    ForeignKey {
        name: ident(name),
        columns: from.iter().map(|column| ident(column)).collect(),
        references: public(table),
        referenced_columns: to.iter().map(|column| ident(column)).collect(),
        on_update: Action::NoAction,
        on_delete: Action::NoAction,
        on_delete_columns: Vec::new(),
        match_full: false,
        deferrable: false,
        initially_deferred: false,
        validated: true,
        inherited: false,
        definition: Sql::trusted("FOREIGN KEY …"),
    }
}

pub(crate) fn policy(name: &str, roles: &[&str], using: &str) -> Policy {
    Policy {
        name: ident(name),
        permissive: true,
        command: PolicyCommand::All,
        roles: roles.iter().map(|role| ident(role)).collect(),
        using: Some(Sql::trusted(using)),
        with_check: Some(Sql::trusted(using)),
    }
}

pub(crate) fn table(name: &str, columns: Vec<Column>) -> Table {
    Table {
        name: public(name),
        oid: 1,
        kind: TableKind::Ordinary,
        owner: ident("shop"),
        acl: None,
        keys: vec![key(&format!("{name}_pkey"), KeyKind::Primary, &[columns[0].name.as_str()])],
        columns,
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
        partition_columns: Default::default(),
        of_type: None,
        estimated_rows: 10,
        bytes: 8192,
        persistence: Persistence::Permanent,
    }
}

pub(crate) fn index(name: &str, columns: &[Option<&str>], exclusion: bool) -> Index {
    Index {
        name: ident(name),
        unique: !exclusion,
        valid: true,
        columns: columns.iter().map(|column| column.map(ident)).collect(),
        partial: !exclusion && !columns.contains(&None),
        exclusion,
        definition: Sql::trusted(format!("{name} USING btree (…)")),
    }
}

/// As if the newest run's plan accepted what these questions ask about.
pub(crate) fn accept(posture: &mut Posture, questions: &[&str]) {
    let questions = questions.iter().map(|&question| (question.to_owned(), "keep".to_owned())).collect();
    posture.accepted = Some(Accepted { run: "a-run".to_owned(), questions });
}

fn protected(mut table: Table, tenant_column: &str) -> Table {
    table.row_security = true;
    table.force_row_security = true;
    table.policies = vec![policy("bastide_tenant", &[], &predicate(tenant_column))];
    table
}

pub(crate) fn view(name: &str, reads: &[&str]) -> View {
    View {
        name: public(name),
        materialised: false,
        owner: ident("shop"),
        acl: None,
        columns: vec![column("tenant_id", "uuid")],
        security_invoker: true,
        security_barrier: false,
        options: vec!["security_invoker=true".to_owned()],
        reads: reads.iter().map(|name| public(name)).collect(),
        has_unique_index: false,
        definition: Sql::trusted("SELECT …"),
        rules: Default::default(),
        triggers: Vec::new(),
    }
}

pub(crate) fn function(name: &str) -> Function {
    Function {
        name: public(name),
        arguments: Sql::trusted("who text"),
        kind: FunctionKind::Function,
        owner: ident("shop"),
        acl: None,
        security_definer: false,
        leakproof: false,
        volatility: Volatility::Stable,
        language: "sql".to_owned(),
        settings: Vec::new(),
        returns_trigger: false,
        extension: None,
        source: "SELECT 1".to_owned(),
    }
}

pub(crate) fn role() -> Role {
    Role {
        superuser: false,
        bypass_rls: false,
        create_role: false,
        create_db: false,
        replication: false,
        login: true,
        inherit: true,
        member_of: Vec::new(),
        settings: Vec::new(),
    }
}

pub(crate) fn reach(privileges: &[&str]) -> Reach {
    Reach { privileges: privileges.iter().map(|&p| p.to_owned()).collect(), through_public: false }
}

fn kept(name: &str, arguments: &str, body: Option<&str>) -> KeptFunction {
    KeptFunction {
        name: ident(name),
        arguments: arguments.to_owned(),
        owner: ident("bastide_owner"),
        security_definer: false,
        leakproof: false,
        volatility: if name == "set_tenant" { "v" } else { "s" }.to_owned(),
        parallel_safe: true,
        settings: Vec::new(),
        returns_trigger: false,
        callable: true,
        parsed_body: body.map(str::to_owned),
        source: String::new(),
    }
}

const BODY: &str = "RETURN NULLIF(current_setting('bastide.tenant'::text, true), ''::text)";

/// After cutover, with nothing wrong.
pub(crate) fn sound() -> Posture {
    let merchants = protected(table("merchants", vec![column("id", "uuid"), column("slug", "text")]), "id");
    let mut orders = protected(
        table("orders", vec![column("id", "bigint"), column("merchant_id", "uuid")]),
        "merchant_id",
    );
    orders.keys.push(key("orders_tenant_key", KeyKind::UniqueIndex, &["merchant_id", "id"]));
    orders.foreign_keys = vec![link("orders_merchant_fkey", &["merchant_id"], "merchants", &["id"])];
    let mut lines = protected(
        table(
            "lines",
            vec![column("id", "bigint"), column("order_id", "bigint"), column("tenant_id", "uuid")],
        ),
        "tenant_id",
    );
    lines.foreign_keys =
        vec![link("lines_order_fkey", &["tenant_id", "order_id"], "orders", &["merchant_id", "id"])];
    let countries = table("countries", vec![column("code", "text")]);
    let all = ["SELECT", "INSERT", "UPDATE", "DELETE"];
    let scoped =
        [("merchants", "id"), ("orders", "merchant_id"), ("lines", "tenant_id")].map(|(name, column)| {
            let entry = Scoped {
                tenant_column: ident(column),
                declared: true,
                expected: vec![predicate(column)],
                kind: Sql::trusted("uuid"),
                null_rows: 0,
            };
            (public(name), entry)
        });
    Posture {
        catalog: Catalog {
            server: Server {
                version: 150_018,
                database: ident("shop"),
                current_user: ident("postgres"),
                system_identifier: None,
                database_oid: 5,
                database_owner: ident("shop"),
                database_acl: None,
                database_settings: Vec::new(),
                sealed_context: false,
                public_parameters: Vec::new(),
                extensions: BTreeMap::new(),
            },
            schemas: BTreeMap::from([(ident("public"), Schema { owner: ident("shop"), acl: None })]),
            tables: [merchants, orders, lines, countries].into_iter().map(|t| (t.name.clone(), t)).collect(),
            views: BTreeMap::from([(public("totals"), view("totals", &["orders"]))]),
            sequences: BTreeMap::new(),
            functions: vec![function("slugify")],
            roles: BTreeMap::from([
                (ident("bastide_app"), role()),
                (ident("bastide_owner"), Role { login: false, bypass_rls: true, ..role() }),
                (ident("shop"), role()),
            ]),
            default_privileges: Vec::new(),
            publications: Vec::new(),
            subscriptions: Vec::new(),
            event_triggers: Vec::new(),
        },
        app: ident("bastide_app"),
        roles: vec![ident("bastide_app")],
        pending_cutover: false,
        scoped: BTreeMap::from(scoped),
        classes: Some(BTreeMap::from(
            [("merchants", "scoped"), ("orders", "scoped"), ("lines", "scoped"), ("countries", "shared")]
                .map(|(name, class)| (public(name), class.to_owned())),
        )),
        accepted: None,
        reach: BTreeMap::from([
            (public("merchants"), reach(&["SELECT", "UPDATE"])),
            (public("orders"), reach(&all)),
            (public("lines"), reach(&all)),
            (public("countries"), reach(&["SELECT"])),
            (public("totals"), reach(&["SELECT"])),
        ]),
        kept: BTreeMap::from([(
            QualifiedName::new(ident("bastide"), ident("scoped_tables")),
            reach(&["SELECT"]),
        )]),
        kept_tables: Vec::new(),
        callable: BTreeSet::from([(public("slugify"), Sql::trusted("who text"))]),
        context_readers: BTreeSet::new(),
        functions: vec![
            kept("set_tenant", "v text", Some("BEGIN ATOMIC …")),
            kept("current_tenant", "", Some(BODY)),
        ],
        expected_context_body: BODY.to_owned(),
        expected_setter_bodies: vec!["BEGIN ATOMIC …".to_owned()],
        rule_touches: BTreeMap::new(),
        presets: Vec::new(),
        creations: Vec::new(),
        owned: Vec::new(),
        may_disable_triggers: false,
        calls: BTreeMap::new(),
        around: Surroundings::default(),
    }
}

/// A table of [`sound`].
pub(crate) fn spoil<'a>(posture: &'a mut Posture, name: &str) -> &'a mut Table {
    posture.catalog.tables.get_mut(&public(name)).unwrap()
}
