//! What follows a moved row, and what does not.

use super::*;
use crate::steps::{
    EndMoves, Step,
    trial::{Trial, ident, idents, name, show},
};

fn source(column: &str, parent: &str, tenant: &str) -> TenantSource {
    TenantSource {
        columns: idents(&[column]),
        parent: name(parent),
        parent_columns: idents(&["id"]),
        parent_tenant: ident(tenant),
        collations: Default::default(),
    }
}

fn below(table: &str, sources: &[TenantSource]) -> Below {
    Below {
        table: name(table),
        column: ident("tenant_id"),
        type_name: sql!("integer"),
        sources: sources.to_vec(),
    }
}

fn carrier(table: &str, column: &str, below: &[Below], quarantine: Option<&str>) -> CarryMoves {
    CarryMoves {
        table: name(table),
        column: ident(column),
        type_name: sql!("integer"),
        below: below.to_vec(),
        quarantine: quarantine.map(ToOwned::to_owned),
    }
}

/// Orders know their merchant themselves; lines belong to an order and name a product, parcels to an order, and what is in a
/// parcel to both a line and the parcel.
const SCHEMA: &str = r#"CREATE TABLE products (id int PRIMARY KEY, merchant_id int);
     CREATE TABLE orders (id int PRIMARY KEY, merchant_id int);
     CREATE TABLE lines (id int PRIMARY KEY, order_id int REFERENCES orders, product_id int REFERENCES products, tenant_id int, touched int DEFAULT 0);
     CREATE TABLE parcels (id int PRIMARY KEY, order_id int REFERENCES orders, tenant_id int);
     CREATE TABLE contents (id int PRIMARY KEY, line_id int REFERENCES lines, parcel_id int REFERENCES parcels, tenant_id int);
     GRANT UPDATE, SELECT ON orders TO legacy;
     CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.id = 6 THEN RAISE 'refused'; END IF; NEW.touched := NEW.touched + 1; RETURN NEW; END $$;
     CREATE TRIGGER touch BEFORE UPDATE ON lines FOR EACH ROW EXECUTE FUNCTION touch();
     INSERT INTO products VALUES (1, 10), (2, 20);
     INSERT INTO orders VALUES (1, 10), (2, 10), (3, 10), (4, 10);
     INSERT INTO lines VALUES (1, 1, NULL, 10), (2, 2, 1, 10), (3, 3, NULL, NULL), (4, 4, NULL, 30), (5, 1, NULL, -1), (6, 1, NULL, 10);
     INSERT INTO parcels VALUES (1, 1, 10);
     INSERT INTO contents VALUES (1, 1, 1, 10), (2, 2, NULL, 10), (3, NULL, 1, 10)"#;

fn all(quarantine: Option<&str>) -> Vec<Step> {
    let lines = below(
        "public.lines",
        &[
            source("order_id", "public.orders", "merchant_id"),
            source("product_id", "public.products", "merchant_id"),
        ],
    );
    let parcels = below("public.parcels", &[source("order_id", "public.orders", "merchant_id")]);
    let contents = below(
        "public.contents",
        &[source("line_id", "public.lines", "tenant_id"), source("parcel_id", "public.parcels", "tenant_id")],
    );
    [
        carrier("public.orders", "merchant_id", &[lines, parcels], quarantine),
        carrier("public.lines", "tenant_id", std::slice::from_ref(&contents), quarantine),
        carrier("public.parcels", "tenant_id", &[contents], quarantine),
    ]
    .map(Step::CarryMoves)
    .into()
}

async fn tenants(trial: &Trial, table: &str) -> String {
    let query = format!(
        "SELECT string_agg(id || ':' || COALESCE(tenant_id::text, '-'), ' ' ORDER BY id) FROM public.{table}"
    );
    trial.db.query_one_text(&query).await
}

#[test]
fn scripts() {
    let step = &all(Some("-1"))[1];
    insta::assert_snapshot!(step.id(), @"carry_moves:public.lines");
    insta::assert_snapshot!(step.describe(), @"let rows below one of public.lines that moves to another tenant follow it");
    insta::assert_snapshot!(show(&step.forward()), @r#"
    -- Transaction
    -- SHARE ROW EXCLUSIVE on public.lines
    INSERT INTO bastide.reader (step, schema, relation) VALUES ('carry_moves:public.lines', 'public', '"public"."contents"') ON CONFLICT DO NOTHING;
    GRANT USAGE ON SCHEMA "public" TO "bastide_owner";
    DO $bastide$BEGIN IF (SELECT relowner <> 'bastide_owner'::regrole FROM pg_class WHERE oid = '"public"."contents"'::regclass) THEN GRANT SELECT ON TABLE "public"."contents" TO "bastide_owner"; END IF; END$bastide$;
    INSERT INTO bastide.reader (step, schema, relation) VALUES ('carry_moves:public.lines', 'public', '"public"."lines"') ON CONFLICT DO NOTHING;
    GRANT USAGE ON SCHEMA "public" TO "bastide_owner";
    DO $bastide$BEGIN IF (SELECT relowner <> 'bastide_owner'::regrole FROM pg_class WHERE oid = '"public"."lines"'::regclass) THEN GRANT SELECT ON TABLE "public"."lines" TO "bastide_owner"; END IF; END$bastide$;
    INSERT INTO bastide.reader (step, schema, relation) VALUES ('carry_moves:public.lines', 'public', '"public"."parcels"') ON CONFLICT DO NOTHING;
    GRANT USAGE ON SCHEMA "public" TO "bastide_owner";
    DO $bastide$BEGIN IF (SELECT relowner <> 'bastide_owner'::regrole FROM pg_class WHERE oid = '"public"."parcels"'::regclass) THEN GRANT SELECT ON TABLE "public"."parcels" TO "bastide_owner"; END IF; END$bastide$;
    INSERT INTO bastide.reader (step, schema, relation) VALUES ('carry_into:public.lines', 'public', '"public"."contents"') ON CONFLICT DO NOTHING;
    GRANT USAGE ON SCHEMA "public" TO "bastide_owner";
    DO $bastide$BEGIN IF (SELECT relowner <> 'bastide_owner'::regrole FROM pg_class WHERE oid = '"public"."contents"'::regclass) THEN GRANT SELECT ON TABLE "public"."contents" TO "bastide_owner"; END IF; END$bastide$;
    DO $bastide$BEGIN IF (SELECT relowner <> 'bastide_owner'::regrole FROM pg_class WHERE oid = '"public"."contents"'::regclass) THEN GRANT UPDATE ("tenant_id") ON TABLE "public"."contents" TO "bastide_owner"; END IF; END$bastide$;
    GRANT SET ON PARAMETER session_replication_role TO "bastide_owner";
    CREATE FUNCTION "bastide"."public.lines.carry_moves"() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $bastide$
    DECLARE
        role text := current_setting('session_replication_role');
        carrying text := COALESCE(current_setting('bastide.carrying', true), '');
    BEGIN
        IF pg_trigger_depth() > 50 OR NOT has_parameter_privilege('session_replication_role', 'SET') THEN
            RETURN NULL;
        END IF;
        -- The row below is not what the legacy statement wrote: no trigger of the legacy schema may react to it, and no
        -- constraint that the row does not meet as it is may fail the statement.
        BEGIN
            PERFORM set_config('session_replication_role', 'replica', true), set_config('bastide.carrying', 'on', true);
            UPDATE "public"."contents" AS c SET "tenant_id" = COALESCE((
                SELECT CASE WHEN count(DISTINCT x.tenant) > 1 THEN '-1'::integer ELSE (array_agg(x.tenant) FILTER (WHERE x.tenant IS NOT NULL))[1] END
                FROM (VALUES ((SELECT p."tenant_id"::integer FROM "public"."lines" AS p WHERE p."id" = c."line_id" LIMIT 1)), ((SELECT p."tenant_id"::integer FROM "public"."parcels" AS p WHERE p."id" = c."parcel_id" LIMIT 1))) AS x (tenant)), c."tenant_id")
            WHERE c."line_id" = NEW."id" AND c."tenant_id" IS DISTINCT FROM NEW."tenant_id"::integer AND (c."tenant_id" IS NULL OR c."tenant_id" = OLD."tenant_id"::integer OR c."tenant_id" = '-1'::integer);
            PERFORM set_config('session_replication_role', role, true), set_config('bastide.carrying', carrying, true);
        EXCEPTION WHEN integrity_constraint_violation OR insufficient_privilege THEN
            NULL;
        END;
        RETURN NULL;
    END
    $bastide$;
    ALTER FUNCTION "bastide"."public.lines.carry_moves"() OWNER TO "bastide_owner";
    REVOKE EXECUTE ON FUNCTION "bastide"."public.lines.carry_moves"() FROM PUBLIC;
    CREATE TRIGGER "!bastide_moves" AFTER UPDATE ON "public"."lines" FOR EACH ROW WHEN (OLD."tenant_id" IS DISTINCT FROM NEW."tenant_id" AND NEW."tenant_id" IS NOT NULL AND (current_setting('session_replication_role') <> 'replica' OR current_setting('bastide.carrying', true) = 'on')) EXECUTE FUNCTION "bastide"."public.lines.carry_moves"();
    ALTER TABLE "public"."lines" ENABLE ALWAYS TRIGGER "!bastide_moves";
    "#);
    insta::assert_snapshot!(show(&step.inverse()), @r#"
    -- Transaction
    -- ACCESS EXCLUSIVE on public.lines
    DROP TRIGGER "!bastide_moves" ON "public"."lines";
    DROP FUNCTION "bastide"."public.lines.carry_moves"();
    DELETE FROM bastide.reader WHERE step = 'carry_into:public.lines';
    DO $bastide$BEGIN
        IF (SELECT relowner <> 'bastide_owner'::regrole FROM pg_class WHERE oid = '"public"."contents"'::regclass) AND NOT EXISTS (SELECT FROM bastide.reader WHERE relation = '"public"."contents"') THEN
            REVOKE SELECT ON TABLE "public"."contents" FROM "bastide_owner";
        END IF;
        IF NOT EXISTS (SELECT FROM bastide.reader WHERE schema = 'public') THEN
            REVOKE USAGE ON SCHEMA "public" FROM "bastide_owner";
        END IF;
    END$bastide$;
    DO $bastide$BEGIN IF (SELECT relowner <> 'bastide_owner'::regrole FROM pg_class WHERE oid = '"public"."contents"'::regclass) AND NOT EXISTS (SELECT FROM bastide.reader WHERE starts_with(step, 'carry_into:') AND relation = '"public"."contents"') THEN REVOKE UPDATE ("tenant_id") ON TABLE "public"."contents" FROM "bastide_owner"; END IF; END$bastide$;
    DELETE FROM bastide.reader WHERE step = 'carry_moves:public.lines';
    DO $bastide$BEGIN
        IF (SELECT relowner <> 'bastide_owner'::regrole FROM pg_class WHERE oid = '"public"."contents"'::regclass) AND NOT EXISTS (SELECT FROM bastide.reader WHERE relation = '"public"."contents"') THEN
            REVOKE SELECT ON TABLE "public"."contents" FROM "bastide_owner";
        END IF;
        IF NOT EXISTS (SELECT FROM bastide.reader WHERE schema = 'public') THEN
            REVOKE USAGE ON SCHEMA "public" FROM "bastide_owner";
        END IF;
    END$bastide$;
    DO $bastide$BEGIN
        IF (SELECT relowner <> 'bastide_owner'::regrole FROM pg_class WHERE oid = '"public"."lines"'::regclass) AND NOT EXISTS (SELECT FROM bastide.reader WHERE relation = '"public"."lines"') THEN
            REVOKE SELECT ON TABLE "public"."lines" FROM "bastide_owner";
        END IF;
        IF NOT EXISTS (SELECT FROM bastide.reader WHERE schema = 'public') THEN
            REVOKE USAGE ON SCHEMA "public" FROM "bastide_owner";
        END IF;
    END$bastide$;
    DO $bastide$BEGIN
        IF (SELECT relowner <> 'bastide_owner'::regrole FROM pg_class WHERE oid = '"public"."parcels"'::regclass) AND NOT EXISTS (SELECT FROM bastide.reader WHERE relation = '"public"."parcels"') THEN
            REVOKE SELECT ON TABLE "public"."parcels" FROM "bastide_owner";
        END IF;
        IF NOT EXISTS (SELECT FROM bastide.reader WHERE schema = 'public') THEN
            REVOKE USAGE ON SCHEMA "public" FROM "bastide_owner";
        END IF;
    END$bastide$;
    DO $bastide$BEGIN IF NOT EXISTS (SELECT FROM bastide.reader WHERE starts_with(step, 'carry_into:')) THEN REVOKE SET ON PARAMETER session_replication_role FROM "bastide_owner"; END IF; END$bastide$;
    "#);
}

#[tokio::test]
async fn comes_and_goes_with_its_grants_and_what_others_need_stays() {
    let mut trial = Trial::of("integer", SCHEMA).await;
    let before = trial.db.schema_dump().await;
    let steps = all(Some("-1"));
    for step in &steps {
        trial.round(step).await;
    }
    let carriers: Vec<&CarryMoves> = steps
        .iter()
        .filter_map(|step| if let Step::CarryMoves(carrier) = step { Some(carrier) } else { None })
        .collect();
    for (at, carrier) in carriers.iter().enumerate() {
        let rest = &carriers[at + 1..];
        let end = Step::EndMoves(EndMoves {
            carrier: (*carrier).clone(),
            still_read: rest.iter().flat_map(|carrier| carrier.reads()).collect(),
            still_written: rest.iter().flat_map(|carrier| carrier.writes()).collect(),
        });
        trial.round(&end).await;
    }
    assert_eq!(trial.db.schema_dump().await, before);
    let left = "SELECT count(*) FROM pg_shdepend WHERE refobjid = 'bastide_owner'::regrole AND classid = 'pg_parameter_acl'::regclass";
    assert_eq!(trial.db.query_one_text(left).await, "0");
}

#[tokio::test]
async fn rows_below_follow_however_deep_and_no_legacy_trigger_sees_it() {
    let mut trial = Trial::of("integer", SCHEMA).await;
    for step in all(Some("-1")) {
        trial.forward(&step).await;
    }
    trial.execute("SET ROLE legacy; UPDATE public.orders SET merchant_id = 20; RESET ROLE").await;
    // Line 2 is now an order's of 20 and a product's of 10; line 3 had none yet; 4 was somebody else's already.
    assert_eq!(tenants(&trial, "lines").await, "1:20 2:-1 3:20 4:30 5:20 6:20");
    assert_eq!(tenants(&trial, "parcels").await, "1:20");
    assert_eq!(tenants(&trial, "contents").await, "1:20 2:-1 3:20");
    assert_eq!(trial.db.query_one_text("SELECT sum(touched) FROM public.lines").await, "0");
    let role = "SELECT current_setting('session_replication_role') || current_setting('bastide.carrying')";
    assert_eq!(trial.client.query_one(role, &[]).await.unwrap().get::<_, String>(0), "origin");
    trial.execute("UPDATE public.orders SET merchant_id = 10").await;
    assert_eq!(tenants(&trial, "lines").await, "1:10 2:10 3:10 4:30 5:10 6:10", "and back, out of quarantine too");
    assert_eq!(tenants(&trial, "contents").await, "1:10 2:10 3:10");
}

#[tokio::test]
async fn without_a_quarantine_a_row_with_two_tenants_stays_where_it_is() {
    let mut trial = Trial::of("integer", SCHEMA).await;
    for step in all(None) {
        trial.forward(&step).await;
    }
    trial.execute("UPDATE public.orders SET merchant_id = 20").await;
    assert_eq!(tenants(&trial, "lines").await, "1:20 2:10 3:20 4:30 5:-1 6:20");
}

#[tokio::test]
async fn our_own_writes_carry_nothing() {
    let mut trial = Trial::of("integer", SCHEMA).await;
    for step in all(Some("-1")) {
        trial.forward(&step).await;
    }
    trial
        .execute("BEGIN; SET LOCAL session_replication_role = replica; UPDATE public.orders SET merchant_id = 20; COMMIT")
        .await;
    assert_eq!(tenants(&trial, "parcels").await, "1:10");
}

#[tokio::test]
async fn under_cutovers_composite_keys_a_row_still_moves() {
    let mut trial = Trial::of("integer", SCHEMA).await;
    trial
        .execute("CREATE UNIQUE INDEX ON public.orders (merchant_id, id); ALTER TABLE public.parcels ADD FOREIGN KEY (tenant_id, order_id) REFERENCES public.orders (merchant_id, id) NOT VALID")
        .await;
    let step = &all(None)[0];
    trial.forward(step).await;
    trial.execute("SET ROLE legacy; UPDATE public.orders SET merchant_id = 20 WHERE id = 1; RESET ROLE").await;
    assert_eq!(tenants(&trial, "parcels").await, "1:20");
    trial.undo(step).await;
    assert_eq!(trial.refused("UPDATE public.orders SET merchant_id = 10 WHERE id = 1").await, "23503");
}

#[tokio::test]
async fn a_row_that_does_not_meet_its_constraint_fails_nobody() {
    let mut trial = Trial::of("integer", SCHEMA).await;
    trial
        .execute("UPDATE public.lines SET touched = 200 WHERE id = 4; ALTER TABLE public.lines ADD CHECK (touched < 100) NOT VALID; UPDATE public.orders SET merchant_id = 30 WHERE id = 4")
        .await;
    for step in all(Some("-1")) {
        trial.forward(&step).await;
    }
    trial.execute("SET ROLE legacy; UPDATE public.orders SET merchant_id = 20; RESET ROLE").await;
    assert_eq!(tenants(&trial, "lines").await, "1:20 2:-1 3:20 4:30 5:20 6:20");
    assert_eq!(tenants(&trial, "contents").await, "1:20 2:-1 3:20");
}

#[tokio::test]
async fn a_chain_deeper_than_the_stack_fails_nobody() {
    let schema = "CREATE TABLE posts (id int PRIMARY KEY, shop int, answers int REFERENCES posts, tenant_id int);
         CREATE INDEX ON posts (answers); CREATE TABLE shops (id int PRIMARY KEY, merchant_id int); INSERT INTO shops VALUES (1, 10);
         INSERT INTO posts SELECT i, CASE i WHEN 1 THEN 1 END, nullif(i - 1, 0), 10 FROM generate_series(1, 3000) i;
         INSERT INTO posts VALUES (5000, NULL, NULL, 10), (5001, NULL, 5000, 10); UPDATE posts SET answers = 5001 WHERE id = 5000";
    let mut trial = Trial::of("integer", schema).await;
    let sources = [source("shop", "public.shops", "merchant_id"), source("answers", "public.posts", "tenant_id")];
    let posts = below("public.posts", &sources);
    trial
        .forward(&Step::CarryMoves(carrier(
            "public.shops",
            "merchant_id",
            std::slice::from_ref(&posts),
            None,
        )))
        .await;
    trial.round(&Step::CarryMoves(carrier("public.posts", "tenant_id", &[posts], None))).await;
    trial.execute("UPDATE public.shops SET merchant_id = 20").await;
    let moved = "SELECT (count(*) FILTER (WHERE tenant_id = 20) BETWEEN 10 AND 100)::text FROM public.posts";
    assert_eq!(trial.db.query_one_text(moved).await, "true");
    // A circle comes to its end.
    trial.execute("UPDATE public.posts SET tenant_id = 20 WHERE id = 5000").await;
    let circle = "SELECT string_agg(tenant_id::text, ' ') FROM public.posts WHERE id >= 5000";
    assert_eq!(trial.db.query_one_text(circle).await, "20 20");
}

#[tokio::test]
async fn a_partitioned_tables_rows_carry_and_are_carried() {
    let schema = "CREATE TABLE orders (id int PRIMARY KEY, merchant_id int); INSERT INTO orders VALUES (1, 10);
         CREATE TABLE lines (id int, day int, order_id int REFERENCES orders, tenant_id int, PRIMARY KEY (id, day)) PARTITION BY LIST (day);
         CREATE TABLE line1 PARTITION OF lines FOR VALUES IN (1); INSERT INTO lines VALUES (1, 1, 1, 10);
         CREATE TABLE contents (id int PRIMARY KEY, line_id int, tenant_id int); INSERT INTO contents VALUES (1, 1, 10)";
    let mut trial = Trial::of("integer", schema).await;
    let lines = below("public.lines", &[source("order_id", "public.orders", "merchant_id")]);
    let contents = below("public.contents", &[source("line_id", "public.lines", "tenant_id")]);
    trial.round(&Step::CarryMoves(carrier("public.orders", "merchant_id", &[lines], None))).await;
    trial.round(&Step::CarryMoves(carrier("public.lines", "tenant_id", &[contents], None))).await;
    trial.execute("UPDATE public.orders SET merchant_id = 20").await;
    assert_eq!(tenants(&trial, "lines").await, "1:20");
    assert_eq!(tenants(&trial, "contents").await, "1:20");
}
