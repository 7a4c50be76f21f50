//! PUBLIC can no longer run a SECURITY DEFINER function; the roles that are there keep it by name.

use bastide_catalog::{Acl, Catalog};
use bastide_sql::{Ident, QualifiedName, Sql, join, sql};
use serde::{Deserialize, Serialize};

use super::acl;
use crate::Script;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestrictFunction {
    pub function: QualifiedName,
    pub arguments: Sql,
    pub owner: Ident,
    pub roles: Vec<Ident>,
    /// The whole list, in order; `None`: the built-in default.
    pub previous: Option<Acl>,
}

impl RestrictFunction {
    pub(super) fn subject(&self) -> String {
        format!("{}({})", self.function, self.arguments)
    }

    pub(super) fn describe(&self) -> String {
        format!("take EXECUTE on {} from PUBLIC", self.function)
    }

    pub(super) fn forward(&self) -> Script {
        let routine = acl::routine(&self.function, &self.arguments);
        let mut statements = vec![sql!("REVOKE EXECUTE ON {} FROM PUBLIC", routine)];
        if !self.roles.is_empty() {
            statements.push(sql!("GRANT EXECUTE ON {} TO {}", routine, join(&self.roles, ", ")));
        }
        Script::unlocked(statements)
    }

    pub(super) fn inverse(&self) -> Script {
        let routine = acl::routine(&self.function, &self.arguments);
        let defaults = acl::function_defaults(&self.owner);
        let previous = self.previous.as_ref().unwrap_or(&defaults);
        Script::unlocked(acl::replay(&routine, &self.owner, previous, &self.roles))
    }

    pub(super) fn apply(&self, catalog: &mut Catalog) {
        let found = catalog
            .functions
            .iter_mut()
            .find(|function| function.name == self.function && function.arguments == self.arguments);
        if let Some(function) = found {
            let list = function.acl.get_or_insert_with(|| acl::function_defaults(&self.owner));
            acl::revoked_from_public(list, "EXECUTE");
            for role in &self.roles {
                acl::granted(list, &self.owner, role, &["EXECUTE"]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use bastide_catalog::{AclItem, Privilege};

    use super::*;
    use crate::steps::{
        Step,
        trial::{Trial, ident, idents, name, show},
    };

    fn step(function: &str, arguments: Sql, previous: Option<Acl>) -> Step {
        Step::RestrictFunction(RestrictFunction {
            function: name(function),
            arguments,
            owner: ident("postgres"),
            roles: idents(&["legacy"]),
            previous,
        })
    }

    #[test]
    fn scripts() {
        let plain = step("public.total", sql!("integer"), None);
        insta::assert_snapshot!(plain.id(), @"restrict_function:public.total(integer)");
        insta::assert_snapshot!(plain.describe(), @"take EXECUTE on public.total from PUBLIC");
        insta::assert_snapshot!(show(&plain.forward()), @r#"
        -- Transaction
        REVOKE EXECUTE ON ROUTINE "public"."total"(integer) FROM PUBLIC;
        GRANT EXECUTE ON ROUTINE "public"."total"(integer) TO "legacy";
        "#);
        insta::assert_snapshot!(show(&plain.inverse()), @r#"
        -- Transaction
        REVOKE ALL ON ROUTINE "public"."total"(integer) FROM PUBLIC, "postgres", "legacy" CASCADE;
        GRANT EXECUTE ON ROUTINE "public"."total"(integer) TO PUBLIC;
        GRANT EXECUTE ON ROUTINE "public"."total"(integer) TO "postgres";
        "#);
        let item = |grantee: Option<&str>, grantor: &str, grantable| AclItem {
            grantee: grantee.map(ident),
            grantor: ident(grantor),
            privileges: vec![Privilege { kind: "EXECUTE".to_owned(), grantable }],
        };
        let list = vec![
            item(Some("postgres"), "postgres", false),
            item(Some("reporting"), "postgres", true),
            item(Some("keeper"), "reporting", false),
            item(None, "postgres", false),
        ];
        insta::assert_snapshot!(show(&step("public.total", sql!("integer"), Some(list)).inverse()), @r#"
        -- Transaction
        REVOKE ALL ON ROUTINE "public"."total"(integer) FROM PUBLIC, "postgres", "reporting", "keeper", "legacy" CASCADE;
        GRANT EXECUTE ON ROUTINE "public"."total"(integer) TO "postgres";
        GRANT EXECUTE ON ROUTINE "public"."total"(integer) TO "reporting" WITH GRANT OPTION;
        SET LOCAL ROLE "reporting";
        GRANT EXECUTE ON ROUTINE "public"."total"(integer) TO "keeper";
        SET LOCAL ROLE NONE;
        GRANT EXECUTE ON ROUTINE "public"."total"(integer) TO PUBLIC;
        "#);
    }

    #[tokio::test]
    async fn the_list_comes_back_as_it_was() {
        let schema = r#"CREATE FUNCTION plain("In" int, out x int) LANGUAGE sql SECURITY DEFINER AS 'SELECT 1';
             CREATE PROCEDURE act() LANGUAGE sql SECURITY DEFINER AS 'SELECT 1';
             CREATE FUNCTION mixed() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1';
             GRANT EXECUTE ON FUNCTION mixed() TO reporting WITH GRANT OPTION;
             SET ROLE reporting; GRANT EXECUTE ON FUNCTION mixed() TO keeper; RESET ROLE;
             REVOKE EXECUTE ON FUNCTION mixed() FROM PUBLIC; GRANT EXECUTE ON FUNCTION mixed() TO PUBLIC"#;
        let mut trial = Trial::of("integer", schema).await;
        for function in trial.catalog().await.functions {
            trial.round(&step(&function.name.to_string(), function.arguments, function.acl)).await;
        }
        let may = "SELECT has_function_privilege('bastide_app', 'public.mixed()', 'EXECUTE')::text || has_function_privilege('legacy', 'public.mixed()', 'EXECUTE')";
        assert_eq!(trial.db.query_one_text(may).await, "falsetrue");
    }
}
