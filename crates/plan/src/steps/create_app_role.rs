//! The application's login: LOGIN, bound by row security, owner of nothing. Its password is set by the engine, outside the journal.

use bastide_catalog::{AclItem, Catalog, Role};
use bastide_sql::{Ident, Literal, sql};
use serde::{Deserialize, Serialize};

use super::{acl, context::block};
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
    SELECT string_agg(DISTINCT d.datname, ', ') INTO elsewhere
    FROM pg_shdepend s JOIN pg_database d ON d.oid = s.dbid OR (s.classid = 'pg_database'::regclass AND d.oid = s.objid)
    WHERE s.refclassid = 'pg_authid'::regclass AND s.refobjid = login AND d.datname <> current_database();
    IF elsewhere IS NOT NULL THEN
        -- DROP OWNED would take its rights on other databases, too.
        REVOKE ALL ON DATABASE {} FROM {};
        RAISE NOTICE 'role % stays: it has rights in %', quote_ident({}), elsewhere;
        RETURN;
    END IF;
    DROP OWNED BY {};
    DROP ROLE {};
END",
            Literal::text(self.role.as_str()),
            Literal::text(self.role.as_str()),
            self.database,
            self.role,
            Literal::text(self.role.as_str()),
            self.role,
            self.role
        ));
        Script::unlocked(vec![drop])
    }

    pub(super) fn apply(&self, catalog: &mut Catalog) {
        let server = &mut catalog.server;
        let connects = |item: &AclItem| item.grantee.is_none() && item.privileges.iter().any(|p| p.kind == "CONNECT");
        if let Some(acl) = server.database_acl.as_mut().filter(|acl| !acl.iter().any(connects)) {
            acl::granted(acl, &server.database_owner, &self.role, &["CONNECT"]);
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::{
        Step,
        trial::{Trial, ident, show},
    };

    fn step() -> Step {
        Step::CreateAppRole(CreateAppRole { role: ident("shop-app"), database: ident("trial") })
    }

    const THERE: &str = "SELECT count(*) FROM pg_roles WHERE rolname = 'shop-app'";

    #[test]
    fn scripts() {
        insta::assert_snapshot!(step().id(), @r#"create_app_role:"shop-app""#);
        insta::assert_snapshot!(step().describe(), @r#"create login "shop-app", bound by row security"#);
        insta::assert_snapshot!(show(&step().forward()), @r#"
        -- Transaction
        CREATE ROLE "shop-app" LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE NOREPLICATION NOINHERIT;
        DO $bastide$BEGIN
            IF NOT has_database_privilege('shop-app', current_database(), 'CONNECT') THEN
                GRANT CONNECT ON DATABASE "trial" TO "shop-app";
            END IF;
        END$bastide$;
        "#);
        insta::assert_snapshot!(show(&step().inverse()), @r#"
        -- Transaction
        DO $bastide$DECLARE
            login oid := (SELECT oid FROM pg_roles WHERE rolname = 'shop-app');
            elsewhere text;
        BEGIN
            IF login IS NULL THEN
                RETURN;
            END IF;
            IF EXISTS (SELECT FROM pg_shdepend WHERE refclassid = 'pg_authid'::regclass AND refobjid = login AND deptype = 'o'
                       AND dbid = (SELECT oid FROM pg_database WHERE datname = current_database())) THEN
                RAISE NOTICE 'role % stays: it owns something in this database', quote_ident('shop-app');
                RETURN;
            END IF;
            SELECT string_agg(DISTINCT d.datname, ', ') INTO elsewhere
            FROM pg_shdepend s JOIN pg_database d ON d.oid = s.dbid OR (s.classid = 'pg_database'::regclass AND d.oid = s.objid)
            WHERE s.refclassid = 'pg_authid'::regclass AND s.refobjid = login AND d.datname <> current_database();
            IF elsewhere IS NOT NULL THEN
                -- DROP OWNED would take its rights on other databases, too.
                REVOKE ALL ON DATABASE "trial" FROM "shop-app";
                RAISE NOTICE 'role % stays: it has rights in %', quote_ident('shop-app'), elsewhere;
                RETURN;
            END IF;
            DROP OWNED BY "shop-app";
            DROP ROLE "shop-app";
        END$bastide$;
        "#);
    }

    #[tokio::test]
    async fn comes_with_nothing_and_goes_with_nothing() {
        let mut trial = Trial::of("uuid", "").await;
        trial.round(&step()).await;
        trial.undo(&step()).await;
        assert_eq!(trial.db.query_one_text(THERE).await, "0");
        trial.undo(&step()).await;
    }

    #[tokio::test]
    async fn gets_connect_where_public_lacks_it() {
        let mut trial = Trial::of("uuid", "REVOKE CONNECT ON DATABASE trial FROM PUBLIC").await;
        trial.round(&step()).await;
        let may = r#"SELECT has_database_privilege('shop-app', 'trial', 'CONNECT')"#;
        assert_eq!(trial.db.query_one_text(may).await, "t");
        trial.undo(&step()).await;
        assert_eq!(trial.db.query_one_text(THERE).await, "0");
    }

    #[tokio::test]
    async fn stays_when_another_database_has_come_to_use_it() {
        let mut trial = Trial::of("uuid", "").await;
        trial.forward(&step()).await;
        trial.execute("CREATE DATABASE other").await;
        trial.execute(r#"REVOKE CONNECT ON DATABASE other FROM PUBLIC; GRANT CONNECT ON DATABASE other TO "shop-app""#).await;
        trial.undo(&step()).await;
        assert_eq!(trial.db.query_one_text(THERE).await, "1");
        let there = "SELECT has_database_privilege('shop-app', 'other', 'CONNECT')";
        assert_eq!(trial.db.query_one_text(there).await, "t");
        trial.execute(r#"REVOKE ALL ON DATABASE other FROM "shop-app""#).await;
        trial.undo(&step()).await;
        assert_eq!(trial.db.query_one_text(THERE).await, "0");
    }

    #[tokio::test]
    async fn nothing_it_owns_is_dropped() {
        let mut trial = Trial::of("uuid", "CREATE TABLE precious ()").await;
        trial.forward(&step()).await;
        trial.execute(r#"ALTER TABLE public.precious OWNER TO "shop-app""#).await;
        trial.undo(&step()).await;
        trial.execute("TABLE public.precious").await;
    }
}
