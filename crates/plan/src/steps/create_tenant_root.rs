//! A new table whose rows are the tenants.

use bastide_catalog::{Catalog, Column, Key, KeyKind, Persistence, Table, TableKind, TypeName};
use bastide_sql::{Ident, Literal, LockMode, QualifiedName, Sql, sql};
use serde::{Deserialize, Serialize};

use super::context::Plain;
use crate::Script;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreateTenantRoot {
    pub table: QualifiedName,
    pub key: Ident,
    pub key_type: TypeName,
}

impl CreateTenantRoot {
    pub(super) fn subject(&self) -> String {
        self.table.to_string()
    }

    pub(super) fn describe(&self) -> String {
        format!("create table {}, whose rows are the tenants", self.table)
    }

    pub(super) fn forward(&self) -> Script {
        let default = match self.generated_key() {
            Some(expression) => sql!(" DEFAULT {}", expression),
            None => sql!(""),
        };
        let create = sql!(
            "CREATE TABLE {} (
    {} {}{} CONSTRAINT {} PRIMARY KEY,
    slug text NOT NULL CONSTRAINT {} UNIQUE,
    name text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
)",
            self.table,
            self.key,
            self.key_type,
            default,
            self.constraint("_pkey"),
            self.constraint("_slug_key")
        );
        Script::unlocked(vec![create])
    }

    /// Tenants that came since the run have no place in the old schema; they are held aside first.
    pub(super) fn inverse(&self) -> Script {
        let hold = sql!(
            "INSERT INTO bastide.held (run_id, relation, key, tenant, row, reason)
SELECT current_setting('bastide.run')::uuid, {}, jsonb_build_array(t.{}::text), t.{}::text, t::text, 'a tenant added after the run'
FROM {} AS t",
            Literal::text(sql!("{}", self.table).as_str()),
            self.key,
            self.key,
            self.table
        );
        let drop = sql!("DROP TABLE {}", self.table);
        Script {
            prelude: super::session::unfiltered(),
            ..Script::transaction(LockMode::AccessExclusive, vec![self.table.clone()], vec![hold, drop])
        }
    }

    fn generated_key(&self) -> Option<Sql> {
        (self.key_type.as_str() == "uuid").then(|| sql!("gen_random_uuid()"))
    }

    fn constraint(&self, suffix: &'static str) -> Ident {
        Ident::derived(self.table.name.as_str(), suffix)
    }

    pub(super) fn apply(&self, catalog: &mut Catalog) {
        let column = |name: &Ident, type_name: Sql, default: Option<Sql>| Column {
            name: name.clone(),
            type_name,
            collation: None,
            not_null: true,
            default,
            generated: None,
            identity: None,
            local: true,
            acl: None,
        };
        let key = |suffix, kind, column: &Ident, words: Sql| Key {
            name: self.constraint(suffix),
            kind,
            columns: vec![column.clone()],
            deferrable: false,
            definition: sql!("{} ({})", words, Plain(column)),
        };
        let slug = Ident::constant("slug");
        catalog.tables.insert(
            self.table.clone(),
            Table {
                name: self.table.clone(),
                oid: 0,
                kind: TableKind::Ordinary,
                owner: catalog.server.current_user.clone(),
                acl: None,
                columns: vec![
                    column(&self.key, self.key_type.clone(), self.generated_key()),
                    column(&slug, sql!("text"), None),
                    column(&Ident::constant("name"), sql!("text"), None),
                    column(
                        &Ident::constant("created_at"),
                        sql!("timestamp with time zone"),
                        Some(sql!("now()")),
                    ),
                ],
                keys: vec![
                    key("_pkey", KeyKind::Primary, &self.key, sql!("PRIMARY KEY")),
                    key("_slug_key", KeyKind::Unique, &slug, sql!("UNIQUE")),
                ],
                foreign_keys: Vec::new(),
                checks: Vec::new(),
                indexes: Vec::new(),
                triggers: Vec::new(),
                rules: Vec::new(),
                policies: Vec::new(),
                row_security: false,
                force_row_security: false,
                parents: Vec::new(),
                children: Vec::new(),
                partition_columns: Vec::new(),
                of_type: None,
                estimated_rows: -1,
                bytes: 0,
                persistence: Persistence::Permanent,
            },
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::{
        Step,
        trial::{Trial, ident, name, show},
    };

    fn step() -> Step {
        Step::CreateTenantRoot(CreateTenantRoot {
            table: name("public.shop"),
            key: ident("id"),
            key_type: sql!("uuid"),
        })
    }

    #[test]
    fn scripts() {
        insta::assert_snapshot!(step().id(), @"create_tenant_root:public.shop");
        insta::assert_snapshot!(step().describe(), @"create table public.shop, whose rows are the tenants");
        insta::assert_snapshot!(show(&step().forward()), @r#"
        -- Transaction
        CREATE TABLE "public"."shop" (
            "id" uuid DEFAULT gen_random_uuid() CONSTRAINT "shop_pkey" PRIMARY KEY,
            slug text NOT NULL CONSTRAINT "shop_slug_key" UNIQUE,
            name text NOT NULL,
            created_at timestamptz NOT NULL DEFAULT now()
        );
        "#);
        insta::assert_snapshot!(show(&step().inverse()), @r#"
        -- Transaction
        -- ACCESS EXCLUSIVE on public.shop
        SET LOCAL row_security = off;
        INSERT INTO bastide.held (run_id, relation, key, tenant, row, reason)
        SELECT current_setting('bastide.run')::uuid, '"public"."shop"', jsonb_build_array(t."id"::text), t."id"::text, t::text, 'a tenant added after the run'
        FROM "public"."shop" AS t;
        DROP TABLE "public"."shop";
        "#);
    }

    #[tokio::test]
    async fn tenants_added_since_are_held_aside() {
        let mut trial = Trial::of("uuid", "").await;
        trial.round(&step()).await;
        trial.execute("INSERT INTO public.shop (slug, name) VALUES ('new', 'New')").await;
        trial.undo(&step()).await;
        let held = "SELECT relation || ' ' || (row LIKE '%,new,New,%') FROM bastide.held";
        assert_eq!(trial.db.query_one_text(held).await, "\"public\".\"shop\" true");
    }
}
