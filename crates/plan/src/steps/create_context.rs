//! The functions policies read the tenant context with, typed by the root's key.

use bastide_catalog::{Catalog, TypeName};
use bastide_sql::{Sql, sql};
use serde::{Deserialize, Serialize};

use super::context;
use crate::Script;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreateContext {
    pub root_type: TypeName,
}

impl CreateContext {
    pub(super) fn subject(&self) -> String {
        "bastide".to_owned()
    }

    pub(super) fn describe(&self) -> String {
        format!("create the tenant context, for tenants known by {}", self.root_type)
    }

    /// Both functions have parsed bodies: no search_path, whoever's, can make their names mean something else.
    pub(super) fn forward(&self) -> Script {
        let owner = context::bastide_owner();
        let mut statements = vec![
            set_tenant("CREATE", &self.root_type),
            current_tenant("CREATE"),
            sql!(
                r#"CREATE VIEW bastide.scoped_tables AS SELECT schema, "table", tenant_column, run_id FROM bastide.scope"#
            ),
            // On whose account bastide_owner may read which relation.
            sql!(
                "CREATE TABLE bastide.reader (step text, schema text NOT NULL, relation text, PRIMARY KEY (step, relation))"
            ),
            // What an object had besides its definition when it was dropped.
            sql!("CREATE TABLE bastide.remembered (step text PRIMARY KEY, detail jsonb NOT NULL)"),
        ];
        statements.extend([
            sql!("ALTER FUNCTION bastide.set_tenant(text) OWNER TO {}", owner),
            sql!("ALTER FUNCTION bastide.current_tenant() OWNER TO {}", owner),
            sql!("ALTER VIEW bastide.scoped_tables OWNER TO {}", owner),
            sql!("ALTER TABLE bastide.reader OWNER TO {}", owner),
            sql!("ALTER TABLE bastide.remembered OWNER TO {}", owner),
            context::nobody_elses(
                &["bastide.scoped_tables", "bastide.reader", "bastide.remembered"],
                &["bastide.set_tenant(text)", "bastide.current_tenant()"],
            ),
            sql!("GRANT EXECUTE ON FUNCTION bastide.set_tenant(text), bastide.current_tenant() TO PUBLIC"),
            // It says which tables are scoped, of which the serving login proves that it is bound there; no tenant's row.
            sql!("GRANT SELECT ON bastide.scoped_tables TO PUBLIC"),
        ]);
        Script::unlocked(statements)
    }

    pub(super) fn inverse(&self) -> Script {
        let drops: Vec<Sql> = vec![
            forget_defaults(),
            sql!("DROP TABLE bastide.remembered"),
            sql!("DROP TABLE bastide.reader"),
            sql!("DROP VIEW bastide.scoped_tables"),
            sql!("DROP FUNCTION bastide.current_tenant()"),
            sql!("DROP FUNCTION bastide.set_tenant(text)"),
        ];
        Script::unlocked(drops)
    }

    /// Schema `bastide` is not part of a snapshot.
    pub(super) fn apply(&self, _: &mut Catalog) {}
}

/// Lasts as long as the transaction; a malformed value fails here, with 22P02, and not in some policy.
pub(super) fn set_tenant(create: &'static str, root_type: &TypeName) -> Sql {
    sql!(
        "{} FUNCTION bastide.set_tenant(v text) RETURNS void LANGUAGE sql VOLATILE
BEGIN ATOMIC
    SELECT pg_catalog.set_config('bastide.tenant', COALESCE((NULLIF(v, '')::{})::text, ''), true);
END",
        Sql::trusted(create),
        context::open_type(root_type)
    )
}

/// After a transaction that set it, the setting reads '' rather than NULL; both mean no tenant.
pub(super) fn current_tenant(create: &'static str) -> Sql {
    sql!(
        "{} FUNCTION bastide.current_tenant() RETURNS text LANGUAGE sql STABLE PARALLEL SAFE
RETURN NULLIF(pg_catalog.current_setting('bastide.tenant', true), '')",
        Sql::trusted(create)
    )
}

/// What the shop makes after a table of ours (a partition, a table LIKE it) takes over its default, and no step knows of it.
fn forget_defaults() -> Sql {
    context::block(sql!(
        "DECLARE
    late record;
BEGIN
    FOR late IN SELECT DISTINCT d.adrelid::regclass AS relation, a.attname FROM pg_depend p
                JOIN pg_attrdef d ON d.oid = p.objid JOIN pg_attribute a ON a.attrelid = d.adrelid AND a.attnum = d.adnum
                WHERE p.classid = 'pg_attrdef'::regclass AND p.refclassid = 'pg_proc'::regclass
                  AND p.refobjid = 'bastide.current_tenant()'::regprocedure LOOP
        EXECUTE format('ALTER TABLE ONLY %s ALTER COLUMN %I DROP DEFAULT', late.relation, late.attname);
    END LOOP;
END"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::{
        Step,
        trial::{RUN, Trial, show},
    };

    fn step(root_type: Sql) -> Step {
        Step::CreateContext(CreateContext { root_type })
    }

    #[test]
    fn scripts() {
        let step = step(sql!("character varying(20)"));
        insta::assert_snapshot!(step.id(), @"create_context:bastide");
        insta::assert_snapshot!(step.describe(), @"create the tenant context, for tenants known by character varying(20)");
        insta::assert_snapshot!(show(&step.forward()), @r#"
    -- Transaction
    CREATE FUNCTION bastide.set_tenant(v text) RETURNS void LANGUAGE sql VOLATILE
    BEGIN ATOMIC
        SELECT pg_catalog.set_config('bastide.tenant', COALESCE((NULLIF(v, '')::character varying)::text, ''), true);
    END;
    CREATE FUNCTION bastide.current_tenant() RETURNS text LANGUAGE sql STABLE PARALLEL SAFE
    RETURN NULLIF(pg_catalog.current_setting('bastide.tenant', true), '');
    CREATE VIEW bastide.scoped_tables AS SELECT schema, "table", tenant_column, run_id FROM bastide.scope;
    CREATE TABLE bastide.reader (step text, schema text NOT NULL, relation text, PRIMARY KEY (step, relation));
    CREATE TABLE bastide.remembered (step text PRIMARY KEY, detail jsonb NOT NULL);
    ALTER FUNCTION bastide.set_tenant(text) OWNER TO "bastide_owner";
    ALTER FUNCTION bastide.current_tenant() OWNER TO "bastide_owner";
    ALTER VIEW bastide.scoped_tables OWNER TO "bastide_owner";
    ALTER TABLE bastide.reader OWNER TO "bastide_owner";
    ALTER TABLE bastide.remembered OWNER TO "bastide_owner";
    DO $bastide$DECLARE
        opened record;
    BEGIN
        FOR opened IN SELECT DISTINCT made.object, CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END AS grantee
                      FROM (SELECT c.oid::regclass::text AS object, c.relacl AS acl, c.relowner AS owner FROM pg_class c WHERE c.oid = ANY (ARRAY['bastide.scoped_tables', 'bastide.reader', 'bastide.remembered']::regclass[])
                            UNION ALL
                            SELECT format('FUNCTION %s', p.oid::regprocedure), COALESCE(p.proacl, acldefault('f', p.proowner)), p.proowner
                            FROM pg_proc p WHERE p.oid = ANY (ARRAY['bastide.set_tenant(text)', 'bastide.current_tenant()']::regprocedure[])) AS made, aclexplode(made.acl) a
                      WHERE a.grantee <> made.owner LOOP
            EXECUTE format('REVOKE ALL ON %s FROM %s CASCADE', opened.object, opened.grantee);
        END LOOP;
    END$bastide$;
    GRANT EXECUTE ON FUNCTION bastide.set_tenant(text), bastide.current_tenant() TO PUBLIC;
    GRANT SELECT ON bastide.scoped_tables TO PUBLIC;
    "#);
        insta::assert_snapshot!(show(&step.inverse()), @"
    -- Transaction
    DO $bastide$DECLARE
        late record;
    BEGIN
        FOR late IN SELECT DISTINCT d.adrelid::regclass AS relation, a.attname FROM pg_depend p
                    JOIN pg_attrdef d ON d.oid = p.objid JOIN pg_attribute a ON a.attrelid = d.adrelid AND a.attnum = d.adnum
                    WHERE p.classid = 'pg_attrdef'::regclass AND p.refclassid = 'pg_proc'::regclass
                      AND p.refobjid = 'bastide.current_tenant()'::regprocedure LOOP
            EXECUTE format('ALTER TABLE ONLY %s ALTER COLUMN %I DROP DEFAULT', late.relation, late.attname);
        END LOOP;
    END$bastide$;
    DROP TABLE bastide.remembered;
    DROP TABLE bastide.reader;
    DROP VIEW bastide.scoped_tables;
    DROP FUNCTION bastide.current_tenant();
    DROP FUNCTION bastide.set_tenant(text);
    ");
    }

    #[tokio::test]
    async fn the_context_lasts_as_long_as_its_transaction() {
        let mut trial = Trial::of("integer", "").await;
        let step = step(sql!("integer"));
        trial.undo(&step).await;
        trial.round(&step).await;
        let get = "SELECT COALESCE(bastide.current_tenant(), 'NULL')";
        let last = |rows: Vec<String>| rows.last().cloned().unwrap();
        let after = async |set: &str| {
            let text = format!("BEGIN; SELECT bastide.set_tenant({set}); {get}; COMMIT");
            last(trial.db.query_rows(&text).await)
        };
        assert_eq!(after("' 7'").await, "7");
        assert_eq!(after("''").await, "NULL");
        assert_eq!(after("NULL").await, "NULL");
        assert_eq!(trial.refused("SELECT bastide.set_tenant('seven')").await, "22P02");
        assert_eq!(trial.db.query_one_text(get).await, "NULL");
        let gone = format!("BEGIN; SELECT bastide.set_tenant('7'); COMMIT; {get}");
        assert_eq!(last(trial.db.query_rows(&gone).await), "NULL");
    }

    #[tokio::test]
    async fn the_application_sets_a_context_and_reads_nothing_but_which_tables_are_scoped() {
        let trial = Trial::of("integer", "").await;
        trial
            .execute(&format!("INSERT INTO bastide.scope VALUES ('public', 'orders', 'tenant_id', '{RUN}')"))
            .await;
        trial.execute("SET ROLE bastide_app; BEGIN; SELECT bastide.set_tenant('7'); SELECT bastide.current_tenant(); COMMIT").await;
        assert_eq!(trial.refused("SELECT * FROM bastide.scope").await, "42501");
        assert_eq!(trial.refused("SELECT * FROM bastide.reader").await, "42501");
        let scoped = "SET ROLE bastide_app; SELECT schema, \"table\", tenant_column FROM bastide.scoped_tables";
        assert_eq!(trial.db.query_rows(scoped).await, ["public|orders|tenant_id"]);
        assert_eq!(trial.refused("SET ROLE bastide_app; DELETE FROM bastide.scoped_tables").await, "42501");
    }
}
