//! The types of a snapshot. Plain data: public fields, ordered maps, and a few look-ups.

use std::collections::BTreeMap;

use bastide_sql::{Ident, QualifiedName, Sql};
use serde::{Deserialize, Serialize};

use crate::as_pairs;

/// A type as the server prints it (`format_type`), for example `character varying(20)` or `public."Mood"`.
pub type TypeName = Sql;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Catalog {
    pub server: Server,
    /// Schemas that are neither the system's nor `bastide`, with their owners and grants.
    pub schemas: BTreeMap<Ident, Schema>,
    /// Everything with columns and storage: ordinary, partitioned, partitions, foreign tables.
    #[serde(with = "as_pairs")]
    pub tables: BTreeMap<QualifiedName, Table>,
    #[serde(with = "as_pairs")]
    pub views: BTreeMap<QualifiedName, View>,
    #[serde(with = "as_pairs")]
    pub sequences: BTreeMap<QualifiedName, Sequence>,
    pub functions: Vec<Function>,
    pub roles: BTreeMap<Ident, Role>,
    pub default_privileges: Vec<DefaultPrivilege>,
    pub publications: Vec<Publication>,
    #[serde(default)]
    pub subscriptions: Vec<Subscription>,
    pub event_triggers: Vec<EventTrigger>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Server {
    /// `server_version_num`, for example 150018.
    pub version: u32,
    pub database: Ident,
    /// The login the snapshot was read as.
    pub current_user: Ident,
    /// `pg_control_system().system_identifier` where it may be read; with the database's OID, what a plan belongs to.
    pub system_identifier: Option<String>,
    pub database_oid: u32,
    pub database_owner: Ident,
    pub database_acl: Option<Acl>,
    /// `ALTER DATABASE … SET` for every role.
    pub database_settings: Vec<String>,
    /// Parameters beyond a user's own that PUBLIC may set (`GRANT SET ON PARAMETER … TO PUBLIC`).
    #[serde(default)]
    pub public_parameters: Vec<String>,
    /// Tenant contexts are sealed tokens.
    #[serde(default)]
    pub sealed_context: bool,
    /// Names and versions.
    pub extensions: BTreeMap<String, String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schema {
    pub owner: Ident,
    pub acl: Option<Acl>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    pub name: QualifiedName,
    pub oid: u32,
    pub kind: TableKind,
    pub owner: Ident,
    pub acl: Option<Acl>,
    pub columns: Vec<Column>,
    /// The primary key first, then unique constraints and plain unique indexes by name.
    pub keys: Vec<Key>,
    pub foreign_keys: Vec<ForeignKey>,
    pub checks: Vec<Check>,
    /// Indexes that are no key.
    pub indexes: Vec<Index>,
    pub triggers: Vec<Trigger>,
    pub rules: Vec<Rule>,
    pub policies: Vec<Policy>,
    pub row_security: bool,
    pub force_row_security: bool,
    /// What a partitioned table is partitioned by, and so what each of its unique keys must hold; `None` where that is an
    /// expression.
    pub partition_columns: Vec<Option<Ident>>,
    /// Direct parents: the partitioned table, or the tables inherited from.
    pub parents: Vec<QualifiedName>,
    /// Direct children.
    pub children: Vec<QualifiedName>,
    /// Set for a typed table (`CREATE TABLE … OF type`).
    pub of_type: Option<TypeName>,
    /// `pg_class.reltuples`, −1 when never analysed.
    pub estimated_rows: i64,
    pub bytes: i64,
    pub persistence: Persistence,
}

/// A rewrite rule of a table. What it adds runs with the rights of the table's owner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    pub name: Ident,
    pub enabled: TriggerEnabled,
    /// The relations its statements name, the table itself included.
    pub touches: Vec<QualifiedName>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TableKind {
    Ordinary,
    /// A declaratively partitioned table; holds no rows itself.
    Partitioned,
    /// A partition that holds rows. A partition that is itself partitioned is [`TableKind::Partitioned`] with a parent.
    Partition,
    Foreign,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Persistence {
    Permanent,
    Unlogged,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    pub name: Ident,
    pub type_name: TypeName,
    /// The one that calls values equal though their bytes differ (nondeterministic); under any other, equal is the same bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collation: Option<QualifiedName>,
    pub not_null: bool,
    /// Of a plain column; a generated column's expression is in `generated`.
    pub default: Option<Sql>,
    pub generated: Option<Sql>,
    pub identity: Option<Identity>,
    /// Defined in this table itself (a column only inherited is not).
    pub local: bool,
    pub acl: Option<Acl>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Identity {
    Always,
    ByDefault,
}

/// A unique key: a constraint, or a plain unique index over columns without a predicate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    /// The constraint's name, which is its index's; or the index's.
    pub name: Ident,
    pub kind: KeyKind,
    pub columns: Vec<Ident>,
    pub deferrable: bool,
    /// `pg_get_constraintdef`, or `pg_get_indexdef` for an index.
    pub definition: Sql,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyKind {
    Primary,
    Unique,
    /// `CREATE UNIQUE INDEX` without a constraint, on columns only and not partial.
    UniqueIndex,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForeignKey {
    pub name: Ident,
    pub columns: Vec<Ident>,
    pub references: QualifiedName,
    pub referenced_columns: Vec<Ident>,
    pub on_update: Action,
    pub on_delete: Action,
    /// `ON DELETE SET NULL (columns)`, PostgreSQL 15 and later.
    pub on_delete_columns: Vec<Ident>,
    pub match_full: bool,
    pub deferrable: bool,
    pub initially_deferred: bool,
    pub validated: bool,
    /// Came with the parent's constraint (a partition's copy).
    pub inherited: bool,
    pub definition: Sql,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    NoAction,
    Restrict,
    Cascade,
    SetNull,
    SetDefault,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    pub name: Ident,
    pub definition: Sql,
    pub validated: bool,
}

/// An index that is no [`Key`]: not unique, partial, on expressions, or an exclusion constraint's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Index {
    pub name: Ident,
    pub unique: bool,
    pub valid: bool,
    /// Key columns; `None` where the index has an expression.
    pub columns: Vec<Option<Ident>>,
    pub partial: bool,
    pub exclusion: bool,
    /// `pg_get_indexdef`, or `pg_get_constraintdef` for an exclusion constraint.
    pub definition: Sql,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trigger {
    pub name: Ident,
    pub function: QualifiedName,
    pub on_insert: bool,
    pub on_update: bool,
    pub on_delete: bool,
    pub on_truncate: bool,
    /// `BEFORE` or `INSTEAD OF` rather than `AFTER`.
    pub before: bool,
    pub for_each_row: bool,
    pub enabled: TriggerEnabled,
    /// `pg_get_triggerdef`.
    pub definition: Sql,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TriggerEnabled {
    Origin,
    Disabled,
    Replica,
    Always,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    pub name: Ident,
    pub permissive: bool,
    pub command: PolicyCommand,
    /// Empty means PUBLIC.
    pub roles: Vec<Ident>,
    pub using: Option<Sql>,
    pub with_check: Option<Sql>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PolicyCommand {
    All,
    Select,
    Insert,
    Update,
    Delete,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct View {
    pub name: QualifiedName,
    pub materialised: bool,
    pub owner: Ident,
    pub acl: Option<Acl>,
    pub columns: Vec<Column>,
    pub security_invoker: bool,
    pub security_barrier: bool,
    /// Raw `reloptions`, in order, so that an inverse can put back exactly what was there.
    pub options: Vec<String>,
    /// Tables and views its rule reads directly (from `pg_depend`, never from its text).
    pub reads: Vec<QualifiedName>,
    /// Of a materialised view: what `REFRESH … CONCURRENTLY` needs.
    pub has_unique_index: bool,
    /// `INSTEAD OF` triggers.
    pub triggers: Vec<Trigger>,
    /// Besides the rule that makes it a view; such rules act with the rights of the view's owner.
    pub rules: Vec<Ident>,
    /// `pg_get_viewdef`.
    pub definition: Sql,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sequence {
    pub owner: Ident,
    pub acl: Option<Acl>,
    /// The column it feeds (`OWNED BY` or identity).
    pub owned_by: Option<(QualifiedName, Ident)>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Function {
    pub name: QualifiedName,
    /// `pg_get_function_identity_arguments`; with the name, what `ALTER FUNCTION` takes.
    pub arguments: Sql,
    pub kind: FunctionKind,
    pub owner: Ident,
    pub acl: Option<Acl>,
    pub security_definer: bool,
    pub leakproof: bool,
    pub volatility: Volatility,
    pub language: String,
    /// `proconfig`, for example `search_path=pg_catalog`.
    pub settings: Vec<String>,
    pub returns_trigger: bool,
    /// Belongs to an extension.
    pub extension: Option<String>,
    /// The body; of a `BEGIN ATOMIC` or `RETURN` body, as the server prints it.
    pub source: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FunctionKind {
    Function,
    Procedure,
    Aggregate,
    Window,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Volatility {
    Immutable,
    Stable,
    Volatile,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Role {
    pub superuser: bool,
    pub bypass_rls: bool,
    pub create_role: bool,
    pub create_db: bool,
    pub replication: bool,
    pub login: bool,
    pub inherit: bool,
    /// Roles it is a direct member of.
    pub member_of: Vec<Ident>,
    /// `ALTER ROLE … SET` for every database or this one.
    pub settings: Vec<String>,
}

/// Grants in the order the catalog holds them. Where an object's `acl` is `None`, the built-in defaults hold.
pub type Acl = Vec<AclItem>;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AclItem {
    /// `None` is PUBLIC.
    pub grantee: Option<Ident>,
    pub grantor: Ident,
    pub privileges: Vec<Privilege>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Privilege {
    /// As `aclexplode` names it: SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER, USAGE, CREATE, EXECUTE, …
    pub kind: String,
    pub grantable: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DefaultPrivilege {
    pub role: Ident,
    pub schema: Option<Ident>,
    /// `r` tables, `S` sequences, `f` functions, `T` types, `n` schemas.
    pub object: char,
    pub acl: Acl,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Publication {
    pub name: Ident,
    pub all_tables: bool,
    pub tables: Vec<QualifiedName>,
    /// Those of which it names the columns, so that a new one is not sent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub listed: Vec<QualifiedName>,
}

/// What another server's publications write into this database, with triggers asleep.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscription {
    pub name: Ident,
    pub enabled: bool,
    pub tables: Vec<QualifiedName>,
}

/// A trigger on changes of the schema; those of extensions are left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventTrigger {
    pub name: Ident,
    pub function: QualifiedName,
    pub enabled: TriggerEnabled,
}

impl EventTrigger {
    /// In a session that does not play a replica, as none of ours does.
    #[must_use]
    pub fn fires(&self) -> bool {
        matches!(self.enabled, TriggerEnabled::Origin | TriggerEnabled::Always)
    }
}

impl Catalog {
    #[must_use]
    pub fn table(&self, name: &QualifiedName) -> Option<&Table> {
        self.tables.get(name)
    }

    /// Every role `role` is a member of, directly or not, itself included: whatever it may become by `SET ROLE`. (A
    /// superuser may become anybody; ask for that first.) The database's owner is a member of `pg_database_owner`,
    /// though no row says so.
    #[must_use]
    pub fn membership_closure(&self, role: &Ident) -> Vec<Ident> {
        let of_owner = Ident::constant("pg_database_owner");
        let mut closure = vec![role.clone()];
        let mut at = 0;
        while let Some(next) = closure.get(at).cloned() {
            let implicit = (next == self.server.database_owner).then_some(&of_owner);
            let granted = self.roles.get(&next).into_iter().flat_map(|role| &role.member_of);
            for parent in granted.chain(implicit) {
                if !closure.contains(parent) {
                    closure.push(parent.clone());
                }
            }
            at += 1;
        }
        closure
    }
}

impl Table {
    #[must_use]
    pub fn column(&self, name: &Ident) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == *name)
    }

    #[must_use]
    pub fn primary_key(&self) -> Option<&Key> {
        self.keys.iter().find(|key| key.kind == KeyKind::Primary)
    }

    /// Columns that identify a row: the primary key, else the first unique key whose columns are all NOT NULL.
    #[must_use]
    pub fn row_key(&self) -> Option<&Key> {
        self.primary_key().or_else(|| {
            self.keys.iter().find(|key| {
                !key.deferrable
                    && key.columns.iter().all(|name| self.column(name).is_some_and(|c| c.not_null))
            })
        })
    }

    /// Whether rows live in this table itself, rather than only in its partitions.
    #[must_use]
    pub fn holds_rows(&self) -> bool {
        self.kind != TableKind::Partitioned
    }
}
