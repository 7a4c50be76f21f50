//! The application can no longer make temporary tables, which could take the place of real ones; the other logins keep it.

use bastide_catalog::{Acl, Catalog};
use bastide_sql::{Ident, Sql, join, sql};
use serde::{Deserialize, Serialize};

use super::acl;
use crate::Script;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestrictTemporary {
    pub database: Ident,
    pub owner: Ident,
    pub app_role: Ident,
    pub roles: Vec<Ident>,
    /// The whole list, in order; `None`: the built-in default.
    pub previous: Option<Acl>,
}

impl RestrictTemporary {
    pub(super) fn subject(&self) -> String {
        self.database.to_string()
    }

    pub(super) fn describe(&self) -> String {
        format!("take TEMPORARY on the database {} from PUBLIC and {}", self.database, self.app_role)
    }

    pub(super) fn forward(&self) -> Script {
        let database = self.object();
        let mut statements = vec![sql!("REVOKE TEMPORARY ON {} FROM PUBLIC, {}", database, self.app_role)];
        if !self.roles.is_empty() {
            statements.push(sql!("GRANT TEMPORARY ON {} TO {}", database, join(&self.roles, ", ")));
        }
        Script::unlocked(statements)
    }

    pub(super) fn inverse(&self) -> Script {
        let defaults = acl::database_defaults(&self.owner);
        let previous = self.previous.as_ref().unwrap_or(&defaults);
        let strangers: Vec<Ident> = self.roles.iter().chain([&self.app_role]).cloned().collect();
        Script::unlocked(acl::replay(&self.object(), &self.owner, previous, &strangers))
    }

    pub(super) fn apply(&self, catalog: &mut Catalog) {
        let list = catalog.server.database_acl.get_or_insert_with(|| acl::database_defaults(&self.owner));
        acl::revoked_from_public(list, "TEMPORARY");
        acl::revoked(list, &self.owner, &self.app_role, "TEMPORARY");
        for role in &self.roles {
            acl::granted(list, &self.owner, role, &["TEMPORARY"]);
        }
    }

    fn object(&self) -> Sql {
        sql!("DATABASE {}", self.database)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::{
        Step,
        trial::{Trial, ident, idents, show},
    };

    fn step(previous: Option<Acl>) -> Step {
        Step::RestrictTemporary(RestrictTemporary {
            database: ident("trial"),
            owner: ident("postgres"),
            app_role: ident("bastide_app"),
            roles: idents(&["keeper", "legacy"]),
            previous,
        })
    }

    #[test]
    fn scripts() {
        let step = step(None);
        insta::assert_snapshot!(step.id(), @"restrict_temporary:trial");
        insta::assert_snapshot!(step.describe(), @"take TEMPORARY on the database trial from PUBLIC and bastide_app");
        insta::assert_snapshot!(show(&step.forward()), @r#"
    -- Transaction
    REVOKE TEMPORARY ON DATABASE "trial" FROM PUBLIC, "bastide_app";
    GRANT TEMPORARY ON DATABASE "trial" TO "keeper", "legacy";
    "#);
        insta::assert_snapshot!(show(&step.inverse()), @r#"
    -- Transaction
    REVOKE ALL ON DATABASE "trial" FROM PUBLIC, "postgres", "keeper", "legacy", "bastide_app" CASCADE;
    GRANT TEMPORARY, CONNECT ON DATABASE "trial" TO PUBLIC;
    GRANT CREATE, TEMPORARY, CONNECT ON DATABASE "trial" TO "postgres";
    "#);
    }

    #[tokio::test]
    async fn the_list_comes_back_as_it_was() {
        let granted = "GRANT TEMPORARY, CREATE ON DATABASE trial TO keeper, bastide_app";
        for schema in ["", granted, "REVOKE ALL ON DATABASE trial FROM PUBLIC; GRANT CONNECT ON DATABASE trial TO legacy WITH GRANT OPTION"] {
            let mut trial = Trial::of("integer", schema).await;
            let server = trial.catalog().await.server;
            let previous = server.database_acl.clone();
            let step = step(previous.clone());
            trial.round(&step).await;
            let may = "SELECT string_agg(r || has_database_privilege(r, 'trial', 'TEMP')::text, ' ') FROM unnest(ARRAY['legacy', 'keeper', 'bastide_app']) r";
            assert_eq!(trial.db.query_one_text(may).await, "legacytrue keepertrue bastide_appfalse", "{schema}");
            trial.undo(&step).await;
            let now = trial.catalog().await.server.database_acl;
            assert!(now == previous || (previous.is_none() && now == Some(acl::database_defaults(&server.database_owner))), "{schema}: {now:?}");
        }
    }
}
