//! Under FORCE an ordinary owner would refresh to nothing; `bastide_owner` is not filtered.

use bastide_catalog::Catalog;
use bastide_sql::{Ident, QualifiedName, sql};
use serde::{Deserialize, Serialize};

use super::{acl, context, readers};
use crate::Script;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnMaterialisedView {
    pub view: QualifiedName,
    pub previous_owner: Ident,
    pub reads: Vec<QualifiedName>,
}

impl OwnMaterialisedView {
    pub(super) fn subject(&self) -> String {
        self.view.to_string()
    }

    pub(super) fn describe(&self) -> String {
        format!("give materialised view {} an owner that row security does not filter", self.view)
    }

    /// No LOCK TABLE up front: the server has none for materialised views.
    pub(super) fn forward(&self) -> Script {
        let mut statements = readers::grant(&self.account(), &self.reads);
        let owner = context::bastide_owner();
        // REFRESH resolves the view's own name as its owner.
        statements.push(sql!("ALTER MATERIALIZED VIEW {} OWNER TO {}", self.view, owner));
        Script::unlocked(statements)
    }

    /// A change of owner rewrites the grants that name the owner, in place; changing back rewrites them back.
    pub(super) fn inverse(&self) -> Script {
        let mut statements =
            vec![sql!("ALTER MATERIALIZED VIEW {} OWNER TO {}", self.view, self.previous_owner)];
        // Its own readers among ours lost their grant when it fell together with the owner's.
        statements.push(readers::restore(&self.view));
        statements.extend(readers::release(&self.account(), &self.reads));
        Script::unlocked(statements)
    }

    fn account(&self) -> String {
        format!("own_materialised_view:{}", self.view)
    }

    pub(super) fn apply(&self, catalog: &mut Catalog) {
        readers::apply(catalog, &self.reads);
        let owner = context::bastide_owner();
        if let Some(view) = catalog.views.get_mut(&self.view) {
            if let Some(list) = &mut view.acl {
                acl::handed_over(list, &self.previous_owner, &owner);
            }
            view.owner = owner;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::{
        Step,
        trial::{Trial, ident, name, show},
    };

    fn step(view: &str, owner: &str, reads: &[&str]) -> Step {
        Step::OwnMaterialisedView(OwnMaterialisedView {
            view: name(view),
            previous_owner: ident(owner),
            reads: reads.iter().map(|read| name(read)).collect(),
        })
    }

    #[test]
    fn scripts() {
        let step = step("public.totals", "keeper", &["shop.orders"]);
        insta::assert_snapshot!(step.id(), @"own_materialised_view:public.totals");
        insta::assert_snapshot!(step.describe(), @"give materialised view public.totals an owner that row security does not filter");
        insta::assert_snapshot!(show(&step.forward()), @r#"
        -- Transaction
        INSERT INTO bastide.reader (step, schema, relation) VALUES ('own_materialised_view:public.totals', 'shop', '"shop"."orders"') ON CONFLICT DO NOTHING;
        GRANT USAGE ON SCHEMA "shop" TO "bastide_owner";
        DO $bastide$BEGIN IF (SELECT relowner <> 'bastide_owner'::regrole FROM pg_class WHERE oid = '"shop"."orders"'::regclass) THEN GRANT SELECT ON TABLE "shop"."orders" TO "bastide_owner"; END IF; END$bastide$;
        ALTER MATERIALIZED VIEW "public"."totals" OWNER TO "bastide_owner";
        "#);
        insta::assert_snapshot!(show(&step.inverse()), @r#"
        -- Transaction
        ALTER MATERIALIZED VIEW "public"."totals" OWNER TO "keeper";
        DO $bastide$BEGIN IF EXISTS (SELECT FROM bastide.reader WHERE relation = '"public"."totals"') THEN GRANT SELECT ON TABLE "public"."totals" TO "bastide_owner"; END IF; END$bastide$;
        DELETE FROM bastide.reader WHERE step = 'own_materialised_view:public.totals';
        DO $bastide$BEGIN
            IF (SELECT relowner <> 'bastide_owner'::regrole FROM pg_class WHERE oid = '"shop"."orders"'::regclass) AND NOT EXISTS (SELECT FROM bastide.reader WHERE relation = '"shop"."orders"') THEN
                REVOKE SELECT ON TABLE "shop"."orders" FROM "bastide_owner";
            END IF;
            IF NOT EXISTS (SELECT FROM bastide.reader WHERE schema = 'shop') THEN
                REVOKE USAGE ON SCHEMA "shop" FROM "bastide_owner";
            END IF;
        END$bastide$;
        "#);
    }

    #[tokio::test]
    async fn refreshes_to_every_row_under_force_and_its_grants_come_back() {
        let schema = "CREATE SCHEMA shop; CREATE TABLE shop.orders (id int); INSERT INTO shop.orders VALUES (1), (2);
             GRANT USAGE ON SCHEMA shop TO keeper, legacy; GRANT CREATE ON SCHEMA public TO keeper; ALTER TABLE shop.orders OWNER TO keeper;
             SET ROLE keeper;
             CREATE MATERIALIZED VIEW public.totals AS SELECT count(*) AS n FROM shop.orders;
             GRANT SELECT ON public.totals TO reporting WITH GRANT OPTION;
             SET ROLE reporting; GRANT SELECT ON public.totals TO legacy; SET ROLE keeper; GRANT ALL ON public.totals TO PUBLIC;
             CREATE MATERIALIZED VIEW public.plain AS SELECT n FROM public.totals;
             RESET ROLE";
        let mut trial = Trial::of("integer", schema).await;
        let totals = step("public.totals", "keeper", &["shop.orders"]);
        let plain = step("public.plain", "keeper", &["public.totals"]);
        let before = trial.db.schema_dump().await;
        for order in [[&totals, &plain], [&plain, &totals]] {
            for step in order {
                trial.round(step).await;
            }
            for step in order.into_iter().rev() {
                trial.undo(step).await;
            }
            assert_eq!(before, trial.db.schema_dump().await);
        }
        trial.forward(&totals).await;
        trial.forward(&plain).await;
        trial.execute("ALTER TABLE shop.orders ENABLE ROW LEVEL SECURITY; ALTER TABLE shop.orders FORCE ROW LEVEL SECURITY").await;
        trial.execute("SET ROLE bastide_owner; REFRESH MATERIALIZED VIEW public.totals; REFRESH MATERIALIZED VIEW public.plain; RESET ROLE").await;
        assert_eq!(trial.db.query_one_text("SELECT n FROM public.plain").await, "2");
    }
}
