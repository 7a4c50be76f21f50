//! BYPASSRLS for a legacy login, until cutover: what PostgreSQL refuses under any policy goes on for it.

use bastide_catalog::Catalog;
use bastide_sql::{Ident, Literal, Sql, sql};
use serde::{Deserialize, Serialize};

use super::context::block;
use crate::Script;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LendBypass {
    pub role: Ident,
}

impl LendBypass {
    pub(super) fn subject(&self) -> String {
        self.role.to_string()
    }

    pub(super) fn describe(&self) -> String {
        format!("let {} past row security until cutover", self.role)
    }

    pub(super) fn forward(&self) -> Script {
        Script::unlocked(vec![sql!("ALTER ROLE {} BYPASSRLS", self.role)])
    }

    pub(super) fn inverse(&self) -> Script {
        Script::unlocked(vec![take_back(&self.role)])
    }

    pub(super) fn apply(&self, catalog: &mut Catalog) {
        set(catalog, &self.role, true);
    }
}

/// Roles are the cluster's: somebody may have dropped this one since.
pub(super) fn take_back(role: &Ident) -> Sql {
    block(sql!(
        "BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = {}) THEN
        ALTER ROLE {} NOBYPASSRLS;
    END IF;
END",
        Literal::text(role.as_str()),
        role
    ))
}

pub(super) fn set(catalog: &mut Catalog, role: &Ident, bypass: bool) {
    if let Some(role) = catalog.roles.get_mut(role) {
        role.bypass_rls = bypass;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::{
        EndBypass, ProtectTable, Step,
        trial::{Trial, ident, idents, name, show},
    };

    fn lend() -> Step {
        Step::LendBypass(LendBypass { role: ident("legacy") })
    }

    fn end() -> Step {
        Step::EndBypass(EndBypass { role: ident("legacy") })
    }

    #[test]
    fn scripts() {
        insta::assert_snapshot!(lend().id(), @"lend_bypass:legacy");
        insta::assert_snapshot!(lend().describe(), @"let legacy past row security until cutover");
        insta::assert_snapshot!(show(&lend().forward()), @r#"
        -- Transaction
        ALTER ROLE "legacy" BYPASSRLS;
        "#);
        insta::assert_snapshot!(show(&lend().inverse()), @r#"
    -- Transaction
    DO $bastide$BEGIN
        IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'legacy') THEN
            ALTER ROLE "legacy" NOBYPASSRLS;
        END IF;
    END$bastide$;
    "#);
        insta::assert_snapshot!(end().id(), @"end_bypass:legacy");
        insta::assert_snapshot!(end().describe(), @"bind legacy by row security again");
        insta::assert_snapshot!(show(&end().forward()), @r#"
    -- Transaction
    DO $bastide$BEGIN
        IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'legacy') THEN
            ALTER ROLE "legacy" NOBYPASSRLS;
        END IF;
    END$bastide$;
    "#);
        insta::assert_snapshot!(show(&end().inverse()), @r#"
    -- Transaction
    DO $bastide$BEGIN
        IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'legacy') THEN
            ALTER ROLE "legacy" BYPASSRLS;
        END IF;
    END$bastide$;
    "#);
    }

    #[tokio::test]
    async fn copies_dumps_and_unfiltered_sessions_go_on() {
        let schema = "CREATE TABLE orders (id int, tenant_id int); GRANT ALL ON orders TO legacy; ALTER ROLE legacy PASSWORD 'legacy'";
        let mut trial = Trial::of("integer", schema).await;
        trial.forward(&Step::ProtectTable(ProtectTable {
            enabled: false,
            table: name("public.orders"),
            column: ident("tenant_id"),
            type_name: sql!("integer"),
            app_role: ident("bastide_app"),
            legacy_roles: idents(&["legacy"]),
        })).await;
        let legacy = trial.db.client_as("legacy", "legacy").await;
        let refused = async |statement: &str| {
            let state = legacy.batch_execute(statement).await.err();
            state.and_then(|error| error.code().map(|code| code.code().to_owned())).unwrap_or_default()
        };
        let file = "BEGIN; SET LOCAL row_security = off; SELECT FROM orders; COMMIT";
        assert_eq!(refused(file).await, "42501");
        assert_eq!(refused("ROLLBACK; COPY orders FROM STDIN").await, "0A000");
        assert_eq!(refused("TRUNCATE orders; BEGIN; LOCK orders; COMMIT").await, "");
        trial.round(&lend()).await;
        assert_eq!(refused(file).await, "");
        let copied = trial.db.tool("psql", &["--quiet", "--command", "SET ROLE legacy", "--command", "COPY orders FROM STDIN"]).await;
        assert_eq!(copied, "");
        trial.round(&end()).await;
        assert_eq!(refused("COPY orders FROM STDIN").await, "0A000");
    }
}
