//! What the application's login may do with one object.

use bastide_catalog::Catalog;
use bastide_sql::{Ident, QualifiedName, Sql, sql};
use serde::{Deserialize, Serialize};

use super::acl;
use crate::Script;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrantApp {
    pub object: GrantObject,
    /// SELECT, INSERT, …
    pub privileges: Vec<String>,
    pub role: Ident,
    /// What the role held before of single columns: revoking from a table takes that, too.
    #[serde(default)]
    pub columns: Vec<ColumnGrant>,
}

/// One of the `privileges`, on one column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnGrant {
    pub column: Ident,
    pub privilege: String,
    pub grantable: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GrantObject {
    Schema(Ident),
    Table(QualifiedName),
    Sequence(QualifiedName),
}

/// `privileges` are those the role does not hold yet: undoing takes back every one of them.
impl GrantApp {
    pub(super) fn subject(&self) -> String {
        match &self.object {
            GrantObject::Schema(schema) => format!("schema {schema}"),
            GrantObject::Table(table) => table.to_string(),
            GrantObject::Sequence(sequence) => format!("sequence {sequence}"),
        }
    }

    pub(super) fn describe(&self) -> String {
        format!("grant {} on {} to {}", self.privileges.join(", "), self.subject(), self.role)
    }

    pub(super) fn forward(&self) -> Script {
        Script::unlocked(vec![sql!(
            "GRANT {} ON {} TO {}",
            acl::keywords(&self.privileges),
            self.object(),
            self.role
        )])
    }

    pub(super) fn inverse(&self) -> Script {
        let mut statements =
            vec![sql!("REVOKE {} ON {} FROM {}", acl::keywords(&self.privileges), self.object(), self.role)];
        statements.extend(self.columns.iter().map(|held| {
            sql!(
                "GRANT {} ({}) ON {} TO {}{}",
                acl::keyword(&held.privilege),
                held.column,
                self.object(),
                self.role,
                if held.grantable { sql!(" WITH GRANT OPTION") } else { sql!("") }
            )
        }));
        Script::unlocked(statements)
    }

    fn object(&self) -> Sql {
        match &self.object {
            GrantObject::Schema(schema) => sql!("SCHEMA {}", schema),
            GrantObject::Table(table) => sql!("TABLE {}", table),
            GrantObject::Sequence(sequence) => sql!("SEQUENCE {}", sequence),
        }
    }

    pub(super) fn apply(&self, catalog: &mut Catalog) {
        let version = catalog.server.version;
        let (owner, list, defaults) = match &self.object {
            GrantObject::Schema(name) => {
                let Some(schema) = catalog.schemas.get_mut(name) else { return };
                (schema.owner.clone(), &mut schema.acl, acl::schema_defaults(&schema.owner))
            }
            GrantObject::Sequence(name) => {
                let Some(sequence) = catalog.sequences.get_mut(name) else { return };
                (sequence.owner.clone(), &mut sequence.acl, acl::sequence_defaults(&sequence.owner))
            }
            GrantObject::Table(name) => {
                let (owner, list) = if let Some(table) = catalog.tables.get_mut(name) {
                    (table.owner.clone(), &mut table.acl)
                } else if let Some(view) = catalog.views.get_mut(name) {
                    (view.owner.clone(), &mut view.acl)
                } else {
                    return;
                };
                let defaults = acl::table_defaults(&owner, version);
                (owner, list, defaults)
            }
        };
        acl::granted(list.get_or_insert(defaults), &owner, &self.role, &self.privileges);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::{
        Step,
        trial::{Trial, ident, name, show},
    };

    fn step(object: GrantObject, privileges: &[&str]) -> Step {
        Step::GrantApp(GrantApp {
            object,
            privileges: privileges.iter().map(|privilege| (*privilege).to_owned()).collect(),
            role: ident("bastide_app"),
            columns: Vec::new(),
        })
    }

    #[test]
    fn scripts() {
        let table = step(GrantObject::Table(name("public.orders")), &["SELECT", "INSERT"]);
        insta::assert_snapshot!(table.id(), @"grant_app:public.orders");
        insta::assert_snapshot!(table.describe(), @"grant SELECT, INSERT on public.orders to bastide_app");
        insta::assert_snapshot!(show(&table.forward()), @r#"
        -- Transaction
        GRANT SELECT, INSERT ON TABLE "public"."orders" TO "bastide_app";
        "#);
        insta::assert_snapshot!(show(&table.inverse()), @r#"
        -- Transaction
        REVOKE SELECT, INSERT ON TABLE "public"."orders" FROM "bastide_app";
        "#);
        let schema = step(GrantObject::Schema(ident("Shop")), &["USAGE"]);
        insta::assert_snapshot!(schema.id(), @r#"grant_app:schema "Shop""#);
        insta::assert_snapshot!(show(&schema.forward()), @r#"
        -- Transaction
        GRANT USAGE ON SCHEMA "Shop" TO "bastide_app";
        "#);
        let sequence = step(GrantObject::Sequence(name("public.orders_id_seq")), &["USAGE"]);
        insta::assert_snapshot!(sequence.id(), @"grant_app:sequence public.orders_id_seq");
        insta::assert_snapshot!(show(&sequence.forward()), @r#"
        -- Transaction
        GRANT USAGE ON SEQUENCE "public"."orders_id_seq" TO "bastide_app";
        "#);
    }

    #[test]
    fn a_privilege_is_never_more_than_a_word() {
        let odd = step(GrantObject::Table(name("public.orders")), &["SELECT ON x TO y; DROP"]);
        insta::assert_snapshot!(show(&odd.forward()), @r#"
        -- Transaction
        GRANT "SELECT ON x TO y; DROP" ON TABLE "public"."orders" TO "bastide_app";
        "#);
    }

    #[tokio::test]
    async fn grants_come_and_go() {
        let schema = "CREATE SCHEMA shop; CREATE TABLE shop.orders (id serial); GRANT SELECT ON shop.orders TO legacy, bastide_app;
             CREATE VIEW shop.open AS SELECT * FROM shop.orders";
        let mut trial = Trial::of("integer", schema).await;
        trial.round(&step(GrantObject::Schema(ident("shop")), &["USAGE"])).await;
        trial.round(&step(GrantObject::Table(name("shop.orders")), &["INSERT", "UPDATE", "DELETE"])).await;
        trial.round(&step(GrantObject::Table(name("shop.open")), &["SELECT"])).await;
        trial.round(&step(GrantObject::Sequence(name("shop.orders_id_seq")), &["USAGE"])).await;
        trial
            .execute(
                "SET ROLE bastide_app; INSERT INTO shop.orders DEFAULT VALUES; TABLE shop.open; RESET ROLE",
            )
            .await;
    }

    #[tokio::test]
    async fn what_the_role_held_of_single_columns_stays() {
        let schema = "CREATE TABLE orders (id int, note text);
             GRANT SELECT (id), UPDATE (note) ON orders TO bastide_app; GRANT SELECT (note) ON orders TO bastide_app WITH GRANT OPTION";
        let mut trial = Trial::of("integer", schema).await;
        let held = |column: &str, grantable| ColumnGrant {
            column: ident(column),
            privilege: "SELECT".to_owned(),
            grantable,
        };
        let step = Step::GrantApp(GrantApp {
            object: GrantObject::Table(name("public.orders")),
            privileges: vec!["SELECT".to_owned(), "INSERT".to_owned()],
            role: ident("bastide_app"),
            columns: vec![held("id", false), held("note", true)],
        });
        trial.round(&step).await;
    }
}
