//! The application's login: LOGIN, bound by row security, owner of nothing. Its password is set by the engine, outside the journal.

use bastide_catalog::{Catalog, Role};
use bastide_sql::{Ident, Literal, sql};
use serde::{Deserialize, Serialize};

use super::context::block;
use crate::Script;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreateAppRole {
    pub role: Ident,
    pub database: Ident,
}

impl CreateAppRole {
    pub(super) fn subject(&self) -> String {
        self.role.to_string()
    }

    pub(super) fn describe(&self) -> String {
        format!("create login {}, bound by row security", self.role)
    }

    /// NOINHERIT: should somebody make it a member of another role later, that role's privileges and policies do not
    /// come over by themselves.
    pub(super) fn forward(&self) -> Script {
        let create = sql!(
            "CREATE ROLE {} LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE NOREPLICATION NOINHERIT",
            self.role
        );
        let connect = block(sql!(
            "BEGIN
    IF NOT has_database_privilege({}, current_database(), 'CONNECT') THEN
        GRANT CONNECT ON DATABASE {} TO {};
    END IF;
END",
            Literal::text(self.role.as_str()),
            self.database,
            self.role
        ));
        Script::unlocked(vec![create, connect])
    }

    /// Roles belong to the whole cluster: one that another database has come to use stays, without its rights here.
    pub(super) fn inverse(&self) -> Script {
        let drop = block(sql!(
            "DECLARE
    login oid := (SELECT oid FROM pg_roles WHERE rolname = {});
    elsewhere text;
BEGIN
    IF login IS NULL THEN
        RETURN;
    END IF;
    IF EXISTS (SELECT FROM pg_shdepend WHERE refclassid = 'pg_authid'::regclass AND refobjid = login AND deptype = 'o'
               AND dbid = (SELECT oid FROM pg_database WHERE datname = current_database())) THEN
        RAISE NOTICE 'role % stays: it owns something in this database', quote_ident({});
        RETURN;
    END IF;
    DROP OWNED BY {};
    SELECT string_agg(DISTINCT d.datname, ', ') INTO elsewhere
    FROM pg_shdepend s JOIN pg_database d ON d.oid = s.dbid OR (s.dbid = 0 AND s.classid = 'pg_database'::regclass AND d.oid = s.objid)
    WHERE s.refclassid = 'pg_authid'::regclass AND s.refobjid = login AND d.datname <> current_database();
    IF elsewhere IS NULL THEN
        DROP ROLE {};
    ELSE
        RAISE NOTICE 'role % stays: it has rights in %', quote_ident({}), elsewhere;
    END IF;
END",
            Literal::text(self.role.as_str()),
            Literal::text(self.role.as_str()),
            self.role,
            self.role,
            Literal::text(self.role.as_str())
        ));
        Script::unlocked(vec![drop])
    }

    pub(super) fn apply(&self, catalog: &mut Catalog) {
        catalog.roles.insert(
            self.role.clone(),
            Role {
                superuser: false,
                bypass_rls: false,
                create_role: false,
                create_db: false,
                replication: false,
                login: true,
                inherit: false,
                member_of: Vec::new(),
                settings: Vec::new(),
            },
        );
    }
}
