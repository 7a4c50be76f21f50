//! A view that row security does not reach (a materialised one holds copies; another reads as an owner whom no policy
//! binds) is nobody's any more but its owner's.

use std::collections::BTreeSet;

use bastide_catalog::{Acl, AclItem, Catalog};
use bastide_sql::{Ident, QualifiedName, Sql, join, sql};
use serde::{Deserialize, Serialize};

use super::acl;
use crate::Script;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CloseView {
    pub view: QualifiedName,
    pub owner: Ident,
    /// The whole list before, in order.
    pub previous: Acl,
    /// Columns with a list of their own, and that.
    pub columns: Vec<(Ident, Acl)>,
    /// Roles that keep theirs: no policy binds them on the tables either.
    pub unbound: Vec<Ident>,
}

impl CloseView {
    pub(super) fn subject(&self) -> String {
        self.view.to_string()
    }

    pub(super) fn describe(&self) -> String {
        format!("take {} from everybody whom row security binds", self.view)
    }

    /// Grants that somebody else than the owner made come first: the owner's REVOKE does not see them, and once their
    /// grantor has nothing left they cannot be named.
    pub(super) fn forward(&self) -> Script {
        let object = self.object();
        let taken: Vec<&AclItem> = self.items().filter(|item| self.is_taken(item)).collect();
        let mut statements = Vec::new();
        for item in taken.iter().filter(|item| item.grantor != self.owner) {
            statements.extend([
                sql!("SET LOCAL ROLE {}", item.grantor),
                sql!("REVOKE ALL ON {} FROM {} CASCADE", object, grantee(item)),
                sql!("SET LOCAL ROLE NONE"),
            ]);
        }
        let mut holders: Vec<Sql> = Vec::new();
        for holder in taken.iter().filter(|item| item.grantor == self.owner).map(|item| grantee(item)) {
            if !holders.contains(&holder) {
                holders.push(holder);
            }
        }
        if !holders.is_empty() {
            statements.push(sql!("REVOKE ALL ON {} FROM {} CASCADE", object, join(holders, ", ")));
        }
        Script::unlocked(statements)
    }

    pub(super) fn inverse(&self) -> Script {
        let object = self.object();
        let of_columns = self.columns.iter().flat_map(|(_, list)| list);
        let holders: Vec<Ident> = of_columns.filter_map(|item| item.grantee.clone()).collect();
        let mut statements = acl::replay(&object, &self.owner, &self.previous, &holders);
        for (column, list) in &self.columns {
            statements.extend(acl::column_grants(&object, column, &self.owner, list));
        }
        Script::unlocked(statements)
    }

    fn object(&self) -> Sql {
        sql!("TABLE {}", self.view)
    }

    fn items(&self) -> impl Iterator<Item = &AclItem> {
        self.previous.iter().chain(self.columns.iter().flat_map(|(_, list)| list))
    }

    fn is_taken(&self, item: &AclItem) -> bool {
        item.grantee.as_ref().is_none_or(|role| *role != self.owner && !self.unbound.contains(role))
    }

    /// Everybody but PUBLIC who holds anything.
    pub(crate) fn holders(&self) -> BTreeSet<Ident> {
        self.items().filter_map(|item| item.grantee.clone()).collect()
    }

    /// Whether there is anything to take.
    pub(crate) fn takes(&self) -> bool {
        self.items().any(|item| self.is_taken(item))
    }

    pub(super) fn apply(&self, catalog: &mut Catalog) {
        let version = catalog.server.version;
        let Some(view) = catalog.views.get_mut(&self.view) else { return };
        if let Some(list) = &mut view.acl {
            list.retain(|item| !self.is_taken(item));
        }
        acl::forget_defaults(&mut view.acl, &acl::table_defaults(&self.owner, version));
        for column in &mut view.columns {
            if let Some(list) = &mut column.acl {
                list.retain(|item| !self.is_taken(item));
            }
            acl::forget_defaults(&mut column.acl, &Acl::new());
        }
    }
}

fn grantee(item: &AclItem) -> Sql {
    item.grantee.as_ref().map_or_else(|| sql!("PUBLIC"), |role| sql!("{}", role))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::{
        Step,
        trial::{Trial, idents, name, show},
    };

    async fn step(trial: &mut Trial, view: &str, unbound: &[&str]) -> Step {
        let catalog = trial.catalog().await;
        let found = &catalog.views[&name(view)];
        let columns = found.columns.iter().filter_map(|column| Some((column.name.clone(), column.acl.clone()?)));
        Step::CloseView(CloseView {
            view: found.name.clone(),
            owner: found.owner.clone(),
            previous: found
                .acl
                .clone()
                .unwrap_or_else(|| acl::table_defaults(&found.owner, catalog.server.version)),
            columns: columns.collect(),
            unbound: idents(unbound),
        })
    }

    #[tokio::test]
    async fn nobody_who_is_bound_reads_it_and_every_grant_comes_back() {
        let schema = "CREATE ROLE auditor LOGIN BYPASSRLS; CREATE TABLE orders (id int, total int); INSERT INTO orders VALUES (1, 2);
             CREATE MATERIALIZED VIEW totals AS SELECT id, total FROM orders;
             GRANT SELECT ON totals TO reporting WITH GRANT OPTION; GRANT SELECT ON totals TO auditor WITH GRANT OPTION;
             SET ROLE reporting; GRANT SELECT ON totals TO keeper; SET ROLE auditor; GRANT SELECT ON totals TO legacy; RESET ROLE;
             GRANT SELECT ON totals TO PUBLIC;
             GRANT SELECT (id) ON totals TO legacy WITH GRANT OPTION; GRANT SELECT (total) ON totals TO keeper;
             SET ROLE legacy; GRANT SELECT (id) ON totals TO bastide_app; RESET ROLE;
             CREATE VIEW as_owner AS SELECT * FROM orders; GRANT ALL ON as_owner TO legacy; GRANT SELECT (id) ON as_owner TO keeper;
             CREATE VIEW parts AS SELECT * FROM orders; GRANT SELECT (id) ON parts TO keeper";
        let mut trial = Trial::of("integer", schema).await;
        let totals = step(&mut trial, "public.totals", &["auditor"]).await;
        insta::assert_snapshot!(totals.id(), @"close_view:public.totals");
        insta::assert_snapshot!(totals.describe(), @"take public.totals from everybody whom row security binds");
        insta::assert_snapshot!(show(&totals.forward()), @r#"
    -- Transaction
    SET LOCAL ROLE "reporting";
    REVOKE ALL ON TABLE "public"."totals" FROM "keeper" CASCADE;
    SET LOCAL ROLE NONE;
    SET LOCAL ROLE "auditor";
    REVOKE ALL ON TABLE "public"."totals" FROM "legacy" CASCADE;
    SET LOCAL ROLE NONE;
    SET LOCAL ROLE "legacy";
    REVOKE ALL ON TABLE "public"."totals" FROM "bastide_app" CASCADE;
    SET LOCAL ROLE NONE;
    REVOKE ALL ON TABLE "public"."totals" FROM "reporting", PUBLIC, "legacy", "keeper" CASCADE;
    "#);
        insta::assert_snapshot!(show(&totals.inverse()), @r#"
    -- Transaction
    REVOKE ALL ON TABLE "public"."totals" FROM PUBLIC, "postgres", "reporting", "auditor", "keeper", "legacy", "bastide_app" CASCADE;
    GRANT INSERT, SELECT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER ON TABLE "public"."totals" TO "postgres";
    GRANT SELECT ON TABLE "public"."totals" TO "reporting" WITH GRANT OPTION;
    GRANT SELECT ON TABLE "public"."totals" TO "auditor" WITH GRANT OPTION;
    SET LOCAL ROLE "reporting";
    GRANT SELECT ON TABLE "public"."totals" TO "keeper";
    SET LOCAL ROLE NONE;
    SET LOCAL ROLE "auditor";
    GRANT SELECT ON TABLE "public"."totals" TO "legacy";
    SET LOCAL ROLE NONE;
    GRANT SELECT ON TABLE "public"."totals" TO PUBLIC;
    GRANT SELECT ("id") ON TABLE "public"."totals" TO "legacy" WITH GRANT OPTION;
    SET LOCAL ROLE "legacy";
    GRANT SELECT ("id") ON TABLE "public"."totals" TO "bastide_app";
    SET LOCAL ROLE NONE;
    GRANT SELECT ("total") ON TABLE "public"."totals" TO "keeper";
    "#);
        for view in ["public.totals", "public.as_owner", "public.parts"] {
            let step = step(&mut trial, view, &["auditor"]).await;
            trial.round(&step).await;
        }
        let may = "SELECT string_agg(r || ' ' || v, ', ' ORDER BY v, r) FROM unnest(ARRAY['legacy', 'keeper', 'reporting', 'bastide_app', 'auditor', 'public']) r, unnest(ARRAY['totals', 'as_owner', 'parts']) v WHERE has_any_column_privilege(r, 'public.' || v, 'SELECT')";
        assert_eq!(trial.db.query_one_text(may).await, "auditor totals");
    }
}
