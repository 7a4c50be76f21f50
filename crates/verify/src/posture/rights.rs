//! Who reaches what, in the server's own judgement (`has_table_privilege` and its kin), over every role the application
//! may become: a grant that needs `SET ROLE` first is a grant all the same.

use std::collections::{BTreeMap, BTreeSet};

use bastide_sql::{Ident, QualifiedName, Sql};
use tokio_postgres::Transaction;

use crate::VerifyError;

/// Privileges on one relation; one on a single column counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reach {
    pub(crate) privileges: BTreeSet<String>,
    /// One of them was given to PUBLIC rather than to a role.
    pub(crate) through_public: bool,
}

/// A setting that waits for whoever logs in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Preset {
    /// `None`: every role of the database.
    pub(crate) role: Option<Ident>,
    pub(crate) database: Option<Ident>,
    /// `name=value`
    pub(crate) setting: String,
}

/// A place in which the application may create objects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Creation {
    /// `None`: schemas in the database.
    pub(crate) schema: Option<Ident>,
    pub(crate) through_public: bool,
}

/// Something one of the application's roles owns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ownership {
    pub(crate) role: Ident,
    /// As `pg_describe_object` words it, for example `table orders`.
    pub(crate) object: String,
}

impl Reach {
    #[must_use]
    pub(crate) fn may(&self, privilege: &str) -> bool {
        self.privileges.contains(privilege)
    }

    #[must_use]
    pub(crate) fn may_write(&self) -> bool {
        ["INSERT", "UPDATE", "DELETE", "TRUNCATE"].iter().any(|privilege| self.may(privilege))
    }
}

/// Privileges on tables, with the first version that has each.
const PRIVILEGES: [(&str, u32); 8] = [
    ("SELECT", 0),
    ("INSERT", 0),
    ("UPDATE", 0),
    ("DELETE", 0),
    ("TRUNCATE", 0),
    ("REFERENCES", 0),
    ("TRIGGER", 0),
    ("MAINTAIN", 170_000),
];

const REACH: &str = "
    SELECT n.nspname::text, c.relname::text, p.privilege,
           EXISTS (SELECT FROM aclexplode(c.relacl) a WHERE a.grantee = 0 AND a.privilege_type = p.privilege)
    FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace
    CROSS JOIN unnest($2::text[]) AS p(privilege)
    WHERE c.relkind IN ('r','p','v','m','f') AND c.relpersistence <> 't'
      AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
      AND EXISTS (
        SELECT FROM pg_roles r
        WHERE r.rolname = ANY($1) AND has_schema_privilege(r.oid, n.oid, 'USAGE')
          AND (has_table_privilege(r.oid, c.oid, p.privilege)
               OR p.privilege IN ('SELECT','INSERT','UPDATE','REFERENCES')
                  AND has_any_column_privilege(r.oid, c.oid, p.privilege)))";

/// Relations outside and inside schema `bastide`.
pub(super) async fn reach(
    transaction: &Transaction<'_>,
    roles: &[String],
    version: u32,
) -> Result<(BTreeMap<QualifiedName, Reach>, BTreeMap<QualifiedName, Reach>), VerifyError> {
    // A server that does not know a privilege refuses to be asked for it.
    let known = PRIVILEGES.iter().filter(|(_, since)| version >= *since);
    let known: Vec<&str> = known.map(|(privilege, _)| *privilege).collect();
    let mut outside = BTreeMap::<_, Reach>::new();
    let mut inside = BTreeMap::<_, Reach>::new();
    let rows = transaction
        .query(REACH, &[&roles, &known])
        .await
        .map_err(VerifyError::reading("privileges on tables"))?;
    for row in rows {
        let name =
            QualifiedName::new(Ident::new(row.get::<_, String>(0))?, Ident::new(row.get::<_, String>(1))?);
        let side = if name.schema.as_str() == "bastide" { &mut inside } else { &mut outside };
        let reach = side.entry(name).or_default();
        reach.privileges.insert(row.get(2));
        reach.through_public |= row.get::<_, bool>(3);
    }
    Ok((outside, inside))
}

/// Every table and view of schema `bastide` for the application to be refused at: all but the one it may read.
pub(super) async fn kept_tables(transaction: &Transaction<'_>) -> Result<Vec<QualifiedName>, VerifyError> {
    let query = "SELECT relname::text FROM pg_class
        WHERE relnamespace = 'bastide'::regnamespace AND relkind IN ('r', 'p', 'v', 'm')
          AND relname <> 'scoped_tables' ORDER BY 1";
    let rows =
        transaction.query(query, &[]).await.map_err(VerifyError::reading("the tables of `bastide`"))?;
    let name = |text: String| Ok(QualifiedName::new(Ident::constant("bastide"), Ident::new(text)?));
    rows.iter().map(|row| name(row.get(0))).collect()
}

const CALLABLE: &str = "
    SELECT n.nspname::text, p.proname::text, pg_get_function_identity_arguments(p.oid)
    FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
    WHERE n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'bastide')
      AND EXISTS (SELECT FROM pg_roles r
                  WHERE r.rolname = ANY($1) AND has_schema_privilege(r.oid, n.oid, 'USAGE')
                    AND has_function_privilege(r.oid, p.oid, 'EXECUTE'))";

pub(super) async fn callable(
    transaction: &Transaction<'_>,
    roles: &[String],
) -> Result<BTreeSet<(QualifiedName, Sql)>, VerifyError> {
    let rows = transaction
        .query(CALLABLE, &[&roles])
        .await
        .map_err(VerifyError::reading("privileges on functions"))?;
    rows.iter().map(super::read::function_name).collect()
}

const PRESETS: &str = "
    SELECT r.rolname::text, d.datname::text, setting
    FROM pg_db_role_setting s
    LEFT JOIN pg_roles r ON r.oid = s.setrole
    LEFT JOIN pg_database d ON d.oid = s.setdatabase
    CROSS JOIN unnest(s.setconfig) AS setting
    WHERE (s.setrole = 0 OR r.rolname = ANY($1)) AND (s.setdatabase = 0 OR d.datname = current_database())
    ORDER BY 1, 2, 3";

pub(super) async fn presets(
    transaction: &Transaction<'_>,
    roles: &[String],
) -> Result<Vec<Preset>, VerifyError> {
    let rows =
        transaction.query(PRESETS, &[&roles]).await.map_err(VerifyError::reading("settings of roles"))?;
    rows.iter()
        .map(|row| {
            Ok(Preset {
                role: row.get::<_, Option<String>>(0).map(Ident::new).transpose()?,
                database: row.get::<_, Option<String>>(1).map(Ident::new).transpose()?,
                setting: row.get(2),
            })
        })
        .collect()
}

const CREATIONS: &str = "
    SELECT n.nspname::text,
           EXISTS (SELECT FROM aclexplode(n.nspacl) a WHERE a.grantee = 0 AND a.privilege_type = 'CREATE')
    FROM pg_namespace n
    WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
      AND EXISTS (SELECT FROM pg_roles r WHERE r.rolname = ANY($1) AND has_schema_privilege(r.oid, n.oid, 'CREATE'))
    UNION ALL
    SELECT NULL, EXISTS (SELECT FROM aclexplode(d.datacl) a WHERE a.grantee = 0 AND a.privilege_type = 'CREATE')
    FROM pg_database d
    WHERE d.datname = current_database()
      AND EXISTS (SELECT FROM pg_roles r WHERE r.rolname = ANY($1) AND has_database_privilege(r.oid, d.oid, 'CREATE'))";

pub(super) async fn creations(
    transaction: &Transaction<'_>,
    roles: &[String],
) -> Result<Vec<Creation>, VerifyError> {
    let rows = transaction
        .query(CREATIONS, &[&roles])
        .await
        .map_err(VerifyError::reading("privileges on schemas"))?;
    rows.iter()
        .map(|row| {
            let schema = row.get::<_, Option<String>>(0).map(Ident::new).transpose()?;
            Ok(Creation { schema, through_public: row.get(1) })
        })
        .collect()
}

const OWNED: &str = "
    SELECT r.rolname::text, pg_describe_object(d.classid, d.objid, d.objsubid)
    FROM pg_shdepend d
    JOIN pg_roles r ON d.refclassid = 'pg_authid'::regclass AND d.refobjid = r.oid
    WHERE d.deptype = 'o' AND r.rolname = ANY($1)
      AND d.dbid IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
      AND NOT (d.dbid = 0 AND d.classid = 'pg_database'::regclass AND d.objid <>
               (SELECT oid FROM pg_database WHERE datname = current_database()))
    ORDER BY 1, 2
    LIMIT 50";

pub(super) async fn owned(
    transaction: &Transaction<'_>,
    roles: &[String],
) -> Result<Vec<Ownership>, VerifyError> {
    let rows = transaction.query(OWNED, &[&roles]).await.map_err(VerifyError::reading("owners"))?;
    rows.iter()
        .map(|row| Ok(Ownership { role: Ident::new(row.get::<_, String>(0))?, object: row.get(1) }))
        .collect()
}

/// The parameter decides whether foreign keys and triggers fire at all; a superuser may grant it since PostgreSQL 15.
pub(super) async fn may_disable_triggers(
    transaction: &Transaction<'_>,
    roles: &[String],
) -> Result<bool, VerifyError> {
    let row = transaction
        .query_one(
            "SELECT coalesce(bool_or(has_parameter_privilege(oid, 'session_replication_role', 'SET')), false)
             FROM pg_roles WHERE rolname = ANY($1)",
            &[&roles],
        )
        .await
        .map_err(VerifyError::reading("privileges on settings"))?;
    Ok(row.get(0))
}
