//! What the keeper does to legacy and new writes, row by row.

use super::*;
use crate::steps::{
    Step,
    trial::{Trial, ident, idents, name, show},
};

fn keeper(reused: bool, quarantine: Option<&str>) -> KeepLegacyWrites {
    let source = |columns: &[&str], parent: &str, parent_columns: &[&str], tenant: &str| TenantSource {
        columns: idents(columns),
        parent: name(parent),
        parent_columns: idents(parent_columns),
        parent_tenant: ident(tenant),
        collations: Default::default(),
    };
    KeepLegacyWrites {
        table: name("public.Orders"),
        column: ident("tenant_id"),
        type_name: sql!("integer"),
        reused,
        parents: vec![
            source(&["customer_id"], "crm.customers", &["id"], "merchant_id"),
            source(&["shelf", "box"], "public.boxes", &["shelf", "box"], "tenant_id"),
            source(&["follows"], "public.Orders", &["id"], "tenant_id"),
        ],
        quarantine: quarantine.map(ToOwned::to_owned),
    }
}

const SCHEMA: &str = r#"CREATE SCHEMA crm; CREATE TABLE crm.customers (id int PRIMARY KEY, merchant_id int);
     CREATE TABLE boxes (shelf text, box int, tenant_id int, PRIMARY KEY (shelf, box));
     CREATE TABLE "Orders" (id int PRIMARY KEY, customer_id int REFERENCES crm.customers ON DELETE SET NULL, shelf text, box int, follows int, tenant_id int, note text);
     GRANT INSERT, UPDATE ON "Orders" TO legacy; GRANT SELECT ON boxes TO reporting;
     INSERT INTO crm.customers VALUES (1, 10), (2, 20), (3, NULL); INSERT INTO boxes VALUES ('a', 1, 10), ('a', 2, 20)"#;

async fn tenant(trial: &Trial, id: i32) -> String {
    let query = format!(r#"SELECT COALESCE(tenant_id::text, '-') FROM public."Orders" WHERE id = {id}"#);
    trial.db.query_one_text(&query).await
}

async fn insert(trial: &Trial, columns: &str, values: &str) {
    trial.execute(&format!(r#"INSERT INTO public."Orders" ({columns}) VALUES ({values})"#)).await;
}

#[test]
fn scripts() {
    let step = Step::KeepLegacyWrites(keeper(false, Some("-1")));
    insta::assert_snapshot!(step.id(), @r#"keep_legacy_writes:public."Orders""#);
    insta::assert_snapshot!(step.describe(), @r#"give rows that legacy statements write to public."Orders" their tenant"#);
    insta::assert_snapshot!(show(&step.forward()), @r#"
    -- Transaction
    -- SHARE ROW EXCLUSIVE on public."Orders"
    INSERT INTO bastide.reader (step, schema, relation) VALUES ('keep_legacy_writes:public."Orders"', 'crm', '"crm"."customers"') ON CONFLICT DO NOTHING;
    GRANT USAGE ON SCHEMA "crm" TO "bastide_owner";
    DO $bastide$BEGIN IF (SELECT relowner <> 'bastide_owner'::regrole FROM pg_class WHERE oid = '"crm"."customers"'::regclass) THEN GRANT SELECT ON TABLE "crm"."customers" TO "bastide_owner"; END IF; END$bastide$;
    INSERT INTO bastide.reader (step, schema, relation) VALUES ('keep_legacy_writes:public."Orders"', 'public', '"public"."boxes"') ON CONFLICT DO NOTHING;
    GRANT USAGE ON SCHEMA "public" TO "bastide_owner";
    DO $bastide$BEGIN IF (SELECT relowner <> 'bastide_owner'::regrole FROM pg_class WHERE oid = '"public"."boxes"'::regclass) THEN GRANT SELECT ON TABLE "public"."boxes" TO "bastide_owner"; END IF; END$bastide$;
    INSERT INTO bastide.reader (step, schema, relation) VALUES ('keep_legacy_writes:public."Orders"', 'public', '"public"."Orders"') ON CONFLICT DO NOTHING;
    GRANT USAGE ON SCHEMA "public" TO "bastide_owner";
    DO $bastide$BEGIN IF (SELECT relowner <> 'bastide_owner'::regrole FROM pg_class WHERE oid = '"public"."Orders"'::regclass) THEN GRANT SELECT ON TABLE "public"."Orders" TO "bastide_owner"; END IF; END$bastide$;
    CREATE FUNCTION "bastide"."public.""Orders"".keep_tenant"() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $bastide$
    DECLARE
        context integer := bastide.current_tenant()::integer;
        parent integer;
        derived integer;
        unknown boolean := false;
        conflict boolean := false;
    BEGIN
        -- It has a tenant, and nothing that says whose it is has changed.
        IF NEW."tenant_id" IS NOT NULL AND (TG_OP = 'INSERT' AND context IS NULL OR TG_OP = 'UPDATE' AND ROW(NEW."customer_id", NEW."shelf", NEW."box", NEW."follows") IS NOT DISTINCT FROM ROW(OLD."customer_id", OLD."shelf", OLD."box", OLD."follows")) THEN
            RETURN NEW;
        END IF;
        IF NEW."customer_id" IS NOT NULL THEN
            SELECT p."merchant_id" INTO parent FROM "crm"."customers" AS p WHERE p."id" = NEW."customer_id" LIMIT 1;
            IF FOUND THEN
                IF context IS NOT NULL AND parent IS DISTINCT FROM COALESCE(NEW."tenant_id", context) THEN
                    RAISE foreign_key_violation USING MESSAGE = 'a row of public."Orders" cannot refer to a row of crm.customers that is not its own tenant''s', SCHEMA = 'public', TABLE = 'Orders';
                END IF;
                unknown := unknown OR parent IS NULL;
                conflict := conflict OR COALESCE(parent <> derived, false);
                derived := COALESCE(derived, parent);
            END IF;
        END IF;
        IF NEW."shelf" IS NOT NULL AND NEW."box" IS NOT NULL THEN
            SELECT p."tenant_id" INTO parent FROM "public"."boxes" AS p WHERE p."shelf" = NEW."shelf" AND p."box" = NEW."box" LIMIT 1;
            IF FOUND THEN
                IF context IS NOT NULL AND parent IS DISTINCT FROM COALESCE(NEW."tenant_id", context) THEN
                    RAISE foreign_key_violation USING MESSAGE = 'a row of public."Orders" cannot refer to a row of public.boxes that is not its own tenant''s', SCHEMA = 'public', TABLE = 'Orders';
                END IF;
                unknown := unknown OR parent IS NULL;
                conflict := conflict OR COALESCE(parent <> derived, false);
                derived := COALESCE(derived, parent);
            END IF;
        END IF;
        IF NEW."follows" IS NOT NULL THEN
            SELECT p."tenant_id" INTO parent FROM "public"."Orders" AS p WHERE p."id" = NEW."follows" LIMIT 1;
            IF FOUND THEN
                IF context IS NOT NULL AND parent IS DISTINCT FROM COALESCE(NEW."tenant_id", context) THEN
                    RAISE foreign_key_violation USING MESSAGE = 'a row of public."Orders" cannot refer to a row of public."Orders" that is not its own tenant''s', SCHEMA = 'public', TABLE = 'Orders';
                END IF;
                unknown := unknown OR parent IS NULL;
                conflict := conflict OR COALESCE(parent <> derived, false);
                derived := COALESCE(derived, parent);
            END IF;
        END IF;
        IF context IS NOT NULL THEN
            NEW."tenant_id" := COALESCE(NEW."tenant_id", context);
        ELSIF conflict THEN
            -- Of a row that was there before the run, inference decides.
            IF TG_OP = 'INSERT' OR OLD."tenant_id" IS NOT NULL THEN
                NEW."tenant_id" := '-1'::integer;
            END IF;
        ELSIF unknown THEN
            -- A parent has no tenant yet: this row gets its own in the same pass.
            NEW."tenant_id" := NULL;
        ELSIF derived IS NOT NULL THEN
            NEW."tenant_id" := derived;
        ELSIF TG_OP = 'INSERT' THEN
            NEW."tenant_id" := '-1'::integer;
        END IF;
        RETURN NEW;
    END
    $bastide$;
    ALTER FUNCTION "bastide"."public.""Orders"".keep_tenant"() OWNER TO "bastide_owner";
    REVOKE EXECUTE ON FUNCTION "bastide"."public.""Orders"".keep_tenant"() FROM PUBLIC;
    CREATE TRIGGER "~bastide_tenant" BEFORE INSERT OR UPDATE ON "public"."Orders" FOR EACH ROW EXECUTE FUNCTION "bastide"."public.""Orders"".keep_tenant"();
    "#);
    insta::assert_snapshot!(show(&step.inverse()), @r#"
    -- Transaction
    -- ACCESS EXCLUSIVE on public."Orders"
    DROP TRIGGER "~bastide_tenant" ON "public"."Orders";
    DROP FUNCTION "bastide"."public.""Orders"".keep_tenant"();
    DELETE FROM bastide.reader WHERE step = 'keep_legacy_writes:public."Orders"';
    DO $bastide$BEGIN
        IF (SELECT relowner <> 'bastide_owner'::regrole FROM pg_class WHERE oid = '"crm"."customers"'::regclass) AND NOT EXISTS (SELECT FROM bastide.reader WHERE relation = '"crm"."customers"') THEN
            REVOKE SELECT ON TABLE "crm"."customers" FROM "bastide_owner";
        END IF;
        IF NOT EXISTS (SELECT FROM bastide.reader WHERE schema = 'crm') THEN
            REVOKE USAGE ON SCHEMA "crm" FROM "bastide_owner";
        END IF;
    END$bastide$;
    DO $bastide$BEGIN
        IF (SELECT relowner <> 'bastide_owner'::regrole FROM pg_class WHERE oid = '"public"."boxes"'::regclass) AND NOT EXISTS (SELECT FROM bastide.reader WHERE relation = '"public"."boxes"') THEN
            REVOKE SELECT ON TABLE "public"."boxes" FROM "bastide_owner";
        END IF;
        IF NOT EXISTS (SELECT FROM bastide.reader WHERE schema = 'public') THEN
            REVOKE USAGE ON SCHEMA "public" FROM "bastide_owner";
        END IF;
    END$bastide$;
    DO $bastide$BEGIN
        IF (SELECT relowner <> 'bastide_owner'::regrole FROM pg_class WHERE oid = '"public"."Orders"'::regclass) AND NOT EXISTS (SELECT FROM bastide.reader WHERE relation = '"public"."Orders"') THEN
            REVOKE SELECT ON TABLE "public"."Orders" FROM "bastide_owner";
        END IF;
        IF NOT EXISTS (SELECT FROM bastide.reader WHERE schema = 'public') THEN
            REVOKE USAGE ON SCHEMA "public" FROM "bastide_owner";
        END IF;
    END$bastide$;
    "#);
}

#[tokio::test]
async fn comes_and_goes_with_its_grants() {
    let mut trial = Trial::of("integer", SCHEMA).await;
    trial.round(&Step::KeepLegacyWrites(keeper(false, Some("-1")))).await;
}

#[tokio::test]
async fn a_partitioned_tables_trigger_is_on_every_leaf() {
    let schema = "CREATE TABLE customers (id int PRIMARY KEY, tenant_id int); INSERT INTO customers VALUES (1, 10);
         CREATE TABLE parts (day int, customer_id int, tenant_id int) PARTITION BY LIST (day); CREATE TABLE part1 PARTITION OF parts FOR VALUES IN (1)";
    let mut trial = Trial::of("integer", schema).await;
    let step = Step::KeepLegacyWrites(KeepLegacyWrites {
        table: name("public.parts"),
        column: ident("tenant_id"),
        type_name: sql!("integer"),
        reused: false,
        parents: vec![TenantSource {
            columns: idents(&["customer_id"]),
            parent: name("public.customers"),
            parent_columns: idents(&["id"]),
            parent_tenant: ident("tenant_id"),
            collations: Default::default(),
        }],
        quarantine: None,
    });
    trial.round(&step).await;
    trial.execute("INSERT INTO public.parts VALUES (1, 1); INSERT INTO public.part1 VALUES (1, 1)").await;
    assert_eq!(
        trial.db.query_one_text("SELECT string_agg(tenant_id::text, ' ') FROM public.parts").await,
        "10 10"
    );
}

#[tokio::test]
async fn what_another_keeper_reads_stays_readable() {
    let schema = "CREATE TABLE customers (id int PRIMARY KEY, tenant_id int); CREATE TABLE a (c int, tenant_id int); CREATE TABLE b (c int, tenant_id int)";
    let mut trial = Trial::of("integer", schema).await;
    let before = trial.db.schema_dump().await;
    let of = |table: &str| {
        Step::KeepLegacyWrites(KeepLegacyWrites {
            table: name(table),
            column: ident("tenant_id"),
            type_name: sql!("integer"),
            reused: false,
            parents: vec![TenantSource {
                columns: idents(&["c"]),
                parent: name("public.customers"),
                parent_columns: idents(&["id"]),
                parent_tenant: ident("tenant_id"),
                collations: Default::default(),
            }],
            quarantine: None,
        })
    };
    trial.forward(&of("public.a")).await;
    trial.forward(&of("public.b")).await;
    trial.undo(&of("public.b")).await;
    trial.execute("INSERT INTO public.a VALUES (1)").await;
    trial.undo(&of("public.a")).await;
    assert_eq!(before, trial.db.schema_dump().await);
}

#[tokio::test]
async fn new_rows_follow_their_parents() {
    let mut trial = Trial::of("integer", SCHEMA).await;
    trial.forward(&Step::KeepLegacyWrites(keeper(false, Some("-1")))).await;
    trial.execute("SET ROLE legacy").await;
    insert(&trial, "id, customer_id", "1, 1").await;
    insert(&trial, "id, customer_id, shelf, box", "2, 2, 'a', 2").await;
    insert(&trial, "id, customer_id, shelf, box", "3, 1, 'a', 2").await;
    insert(&trial, "id, note", "4, 'nobody'").await;
    insert(&trial, "id, customer_id", "5, 3").await;
    insert(&trial, "id, follows", "6, 2").await;
    insert(&trial, "id, follows", "7, 7").await;
    trial.execute("RESET ROLE").await;
    assert_eq!(tenant(&trial, 1).await, "10");
    assert_eq!(tenant(&trial, 2).await, "20", "unanimous");
    assert_eq!(tenant(&trial, 3).await, "-1", "conflicting");
    assert_eq!(tenant(&trial, 4).await, "-1", "no parent");
    assert_eq!(tenant(&trial, 5).await, "-", "its parent is still unknown");
    assert_eq!(tenant(&trial, 6).await, "20", "of its own table");
    assert_eq!(tenant(&trial, 7).await, "-1", "itself is no evidence");
}

#[tokio::test]
async fn without_a_quarantine_nothing_is_invented() {
    let mut trial = Trial::of("integer", SCHEMA).await;
    trial.forward(&Step::KeepLegacyWrites(keeper(false, None))).await;
    insert(&trial, "id", "1").await;
    insert(&trial, "id, customer_id, shelf, box", "2, 1, 'a', 2").await;
    assert_eq!(tenant(&trial, 1).await, "-");
    assert_eq!(tenant(&trial, 2).await, "-");
}

#[tokio::test]
async fn a_changed_reference_is_asked_about_again() {
    let mut trial = Trial::of("integer", SCHEMA).await;
    insert(&trial, "id, note", "9, 'there before the run'").await;
    trial.forward(&Step::KeepLegacyWrites(keeper(false, Some("-1")))).await;
    insert(&trial, "id, customer_id", "1, 1").await;
    let update = async |set: &str, id: i32| {
        trial.execute(&format!(r#"UPDATE public."Orders" SET {set} WHERE id = {id}"#)).await;
    };
    update("note = 'x'", 1).await;
    assert_eq!(tenant(&trial, 1).await, "10");
    update("customer_id = 2", 1).await;
    assert_eq!(tenant(&trial, 1).await, "20");
    update("tenant_id = 30", 1).await;
    assert_eq!(tenant(&trial, 1).await, "30", "the operator's own word stands");
    trial.execute("DELETE FROM crm.customers WHERE id = 2").await;
    assert_eq!(tenant(&trial, 1).await, "30", "losing a reference says nothing new");
    update("shelf = 'a', box = 1, customer_id = 1", 1).await;
    assert_eq!(tenant(&trial, 1).await, "10");
    update("box = 2", 1).await;
    assert_eq!(tenant(&trial, 1).await, "-1", "conflicting");
    update("note = 'y'", 9).await;
    assert_eq!(tenant(&trial, 9).await, "-", "inference decides");
}

#[tokio::test]
async fn in_a_legacy_column_the_legacy_word_stands() {
    let mut trial = Trial::of("integer", SCHEMA).await;
    trial.forward(&Step::KeepLegacyWrites(keeper(true, Some("-1")))).await;
    insert(&trial, "id, customer_id, tenant_id", "1, 1, 77").await;
    insert(&trial, "id, customer_id", "2, 1").await;
    assert_eq!(tenant(&trial, 1).await, "77");
    assert_eq!(tenant(&trial, 2).await, "10");
    trial.execute(r#"UPDATE public."Orders" SET customer_id = 2"#).await;
    assert_eq!(tenant(&trial, 1).await, "77");
    assert_eq!(tenant(&trial, 2).await, "10");
}

#[tokio::test]
async fn with_a_context_a_reference_stays_inside() {
    let mut trial = Trial::of("integer", SCHEMA).await;
    trial.forward(&Step::KeepLegacyWrites(keeper(false, Some("-1")))).await;
    let as_ten = |text: &str| format!("BEGIN; SELECT bastide.set_tenant('10'); {text}; COMMIT");
    trial.execute(&as_ten(r#"INSERT INTO public."Orders" (id, customer_id) VALUES (1, 1)"#)).await;
    trial.execute(&as_ten(r#"INSERT INTO public."Orders" (id) VALUES (2)"#)).await;
    assert_eq!(tenant(&trial, 1).await, "10");
    assert_eq!(tenant(&trial, 2).await, "10", "the context's, without any parent");
    for customer in [2, 3] {
        let insert = format!(r#"INSERT INTO public."Orders" (id, customer_id) VALUES (3, {customer})"#);
        assert_eq!(trial.refused(&as_ten(&insert)).await, "23503");
    }
    assert_eq!(trial.refused(&as_ten(r#"UPDATE public."Orders" SET customer_id = 2"#)).await, "23503");
    let named = trial
        .client
        .batch_execute(&as_ten(r#"UPDATE public."Orders" SET customer_id = 2"#))
        .await
        .unwrap_err();
    let named = named.as_db_error().unwrap();
    assert_eq!((named.schema(), named.table()), (Some("public"), Some("Orders")));
    insta::assert_snapshot!(named.message(), @r#"a row of public."Orders" cannot refer to a row of crm.customers that is not its own tenant's"#);
}

#[tokio::test]
async fn two_tables_may_refer_to_each_other() {
    let schema = "CREATE TABLE a (id int PRIMARY KEY, b int, tenant_id int); CREATE TABLE b (id int PRIMARY KEY, a int REFERENCES a, tenant_id int);
         ALTER TABLE a ADD FOREIGN KEY (b) REFERENCES b; INSERT INTO b VALUES (1, NULL, 10)";
    let mut trial = Trial::of("integer", schema).await;
    for (own, other) in [("a", "b"), ("b", "a")] {
        let step = Step::KeepLegacyWrites(KeepLegacyWrites {
            table: name(&format!("public.{own}")),
            column: ident("tenant_id"),
            type_name: sql!("integer"),
            reused: false,
            parents: vec![TenantSource {
                columns: idents(&[other]),
                parent: name(&format!("public.{other}")),
                parent_columns: idents(&["id"]),
                parent_tenant: ident("tenant_id"),
                collations: Default::default(),
            }],
            quarantine: None,
        });
        trial.round(&step).await;
    }
    trial.execute("INSERT INTO public.a VALUES (1, 1); UPDATE public.b SET a = 1").await;
    assert_eq!(
        trial.db.query_one_text("SELECT a.tenant_id || ' ' || b.tenant_id FROM public.a, public.b").await,
        "10 10"
    );
}

#[tokio::test]
async fn a_parent_is_whom_the_server_takes_for_one() {
    let schema = "CREATE COLLATION loose (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
         CREATE TABLE shops (code text COLLATE loose PRIMARY KEY, tenant_id int); INSERT INTO shops VALUES ('ABC', 10);
         CREATE TABLE boxes (label text PRIMARY KEY, tenant_id int); INSERT INTO boxes VALUES ('x', 10), ('X', 20);
         CREATE TABLE sales (shop text, box text COLLATE loose, tenant_id int)";
    let mut trial = Trial::of("integer", schema).await;
    let source = |column: &str, parent: &str, key: &str, collation: &str| TenantSource {
        columns: idents(&[column]),
        parent: name(parent),
        parent_columns: idents(&[key]),
        parent_tenant: ident("tenant_id"),
        collations: [(ident(key), collation.parse().unwrap())].into(),
    };
    let step = Step::KeepLegacyWrites(KeepLegacyWrites {
        table: name("public.sales"),
        column: ident("tenant_id"),
        type_name: sql!("integer"),
        reused: false,
        parents: vec![
            source("shop", "public.shops", "code", "public.loose"),
            source("box", "public.boxes", "label", "pg_catalog.default"),
        ],
        quarantine: Some("-1".to_owned()),
    });
    trial.round(&step).await;
    trial.execute("INSERT INTO public.sales VALUES ('abc', NULL), (NULL, 'X'), (NULL, 'x'), ('abd', NULL)").await;
    let found = "SELECT string_agg(tenant_id::text, ' ') FROM public.sales";
    assert_eq!(trial.db.query_one_text(found).await, "10 20 10 -1");
}
