//! Each kind of legacy key goes and comes back exactly.

use super::*;
use crate::steps::{
    Step,
    trial::{Trial, ident, idents, name, show},
};

fn step(table: &str, key: &str, kind: LegacyKey, definition: &str, columns: &[&str]) -> DropLegacyKey {
    DropLegacyKey {
        table: name(table),
        name: ident(key),
        kind,
        definition: Sql::trusted(definition),
        columns: idents(columns),
        partitioned: false,
    }
}

#[test]
fn scripts_of_a_unique_constraint() {
    let key = step(
        "public.users",
        "users_mail",
        LegacyKey::UniqueConstraint,
        "UNIQUE NULLS NOT DISTINCT (\"Mail\") INCLUDE (id) DEFERRABLE",
        &["Mail"],
    );
    insta::assert_snapshot!(key.restorable_check().unwrap(), @r#"SELECT ROW(t."Mail")::text, count(*) FROM "public"."users" AS t WHERE true GROUP BY t."Mail" HAVING count(*) > 1 LIMIT 100"#);
    let step = Step::DropLegacyKey(key);
    insta::assert_snapshot!(step.id(), @"drop_legacy_key:public.users.users_mail");
    insta::assert_snapshot!(step.describe(), @"drop users_mail of public.users: its successor keeps tenants apart");
    insta::assert_snapshot!(show(&step.forward()), @r#"
    -- Transaction
    -- ACCESS EXCLUSIVE on public.users
    INSERT INTO bastide.remembered (step, detail)
    SELECT 'drop_legacy_key:public.users.users_mail', jsonb_build_object('comment', obj_description(k.oid, 'pg_constraint'), 'index_comment', obj_description(c.oid, 'pg_class'),
        'options', array_to_string(c.reloptions, ', '), 'tablespace', s.spcname, 'cluster', i.indisclustered, 'replica', i.indisreplident)
    FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid LEFT JOIN pg_tablespace s ON s.oid = c.reltablespace
    LEFT JOIN pg_constraint k ON k.conindid = c.oid AND k.conrelid = i.indrelid AND k.contype = 'u'
    WHERE c.oid = '"public"."users_mail"'::regclass
    ON CONFLICT (step) DO UPDATE SET detail = excluded.detail;
    ALTER TABLE "public"."users" DROP CONSTRAINT "users_mail";
    "#);
    insta::assert_snapshot!(show(&step.inverse()), @r#"
    -- Autocommit
    -- SHARE ROW EXCLUSIVE on public.users
    ALTER TABLE "public"."users" DROP CONSTRAINT IF EXISTS "users_mail";
    DROP INDEX IF EXISTS "public"."users_mail";
    SET lock_timeout = '10s';
    CREATE UNIQUE INDEX CONCURRENTLY "users_mail" ON "public"."users" ("Mail") INCLUDE (id) NULLS NOT DISTINCT;
    SET lock_timeout = '50ms';
    ALTER TABLE "public"."users" ADD CONSTRAINT "users_mail" UNIQUE USING INDEX "users_mail" DEFERRABLE;
    DO $bastide$DECLARE
        known jsonb := (SELECT detail FROM bastide.remembered WHERE step = 'drop_legacy_key:public.users.users_mail');
    BEGIN
        IF known->>'comment' IS NOT NULL THEN
            EXECUTE format('COMMENT ON CONSTRAINT %s ON %s IS %L', '"users_mail"', '"public"."users"', known->>'comment');
        END IF;
        IF known->>'index_comment' IS NOT NULL THEN
            EXECUTE format('COMMENT ON INDEX %s IS %L', '"public"."users_mail"', known->>'index_comment');
        END IF;
        IF known->>'options' IS NOT NULL THEN
            EXECUTE format('ALTER INDEX %s SET (%s)', '"public"."users_mail"', known->>'options');
        END IF;
        IF known->>'tablespace' IS NOT NULL THEN
            EXECUTE format('ALTER INDEX %s SET TABLESPACE %I', '"public"."users_mail"', known->>'tablespace');
        END IF;
        IF (known->>'cluster')::boolean THEN
            ALTER TABLE "public"."users" CLUSTER ON "users_mail";
        END IF;
        IF (known->>'replica')::boolean THEN
            ALTER TABLE "public"."users" REPLICA IDENTITY USING INDEX "users_mail";
        END IF;
    END$bastide$;
    "#);
}

#[test]
fn scripts_of_a_unique_index() {
    let definition = "CREATE UNIQUE INDEX users_mail ON public.users USING btree (mail)";
    let key = step("public.users", "users_mail", LegacyKey::UniqueIndex, definition, &["mail"]);
    insta::assert_snapshot!(key.restorable_check().unwrap(), @r#"SELECT ROW(t."mail")::text, count(*) FROM "public"."users" AS t WHERE t."mail" IS NOT NULL GROUP BY t."mail" HAVING count(*) > 1 LIMIT 100"#);
    insta::assert_snapshot!(show(&Step::DropLegacyKey(key.clone()).forward()), @r#"
    -- Transaction
    -- ACCESS EXCLUSIVE on public.users
    INSERT INTO bastide.remembered (step, detail)
    SELECT 'drop_legacy_key:public.users.users_mail', jsonb_build_object('comment', obj_description(k.oid, 'pg_constraint'), 'index_comment', obj_description(c.oid, 'pg_class'),
        'options', array_to_string(c.reloptions, ', '), 'tablespace', s.spcname, 'cluster', i.indisclustered, 'replica', i.indisreplident)
    FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid LEFT JOIN pg_tablespace s ON s.oid = c.reltablespace
    LEFT JOIN pg_constraint k ON k.conindid = c.oid AND k.conrelid = i.indrelid AND k.contype = 'u'
    WHERE c.oid = '"public"."users_mail"'::regclass
    ON CONFLICT (step) DO UPDATE SET detail = excluded.detail;
    DROP INDEX "public"."users_mail";
    "#);
    insta::assert_snapshot!(show(&Step::DropLegacyKey(key).inverse()), @r#"
    -- Autocommit
    -- SHARE ROW EXCLUSIVE on public.users
    DROP INDEX IF EXISTS "public"."users_mail";
    SET lock_timeout = '10s';
    CREATE UNIQUE INDEX CONCURRENTLY users_mail ON public.users USING btree (mail);
    SET lock_timeout = '50ms';
    DO $bastide$DECLARE
        known jsonb := (SELECT detail FROM bastide.remembered WHERE step = 'drop_legacy_key:public.users.users_mail');
    BEGIN
        IF known->>'comment' IS NOT NULL THEN
            EXECUTE format('COMMENT ON CONSTRAINT %s ON %s IS %L', '"users_mail"', '"public"."users"', known->>'comment');
        END IF;
        IF known->>'index_comment' IS NOT NULL THEN
            EXECUTE format('COMMENT ON INDEX %s IS %L', '"public"."users_mail"', known->>'index_comment');
        END IF;
        IF known->>'options' IS NOT NULL THEN
            EXECUTE format('ALTER INDEX %s SET (%s)', '"public"."users_mail"', known->>'options');
        END IF;
        IF known->>'tablespace' IS NOT NULL THEN
            EXECUTE format('ALTER INDEX %s SET TABLESPACE %I', '"public"."users_mail"', known->>'tablespace');
        END IF;
        IF (known->>'cluster')::boolean THEN
            ALTER TABLE "public"."users" CLUSTER ON "users_mail";
        END IF;
        IF (known->>'replica')::boolean THEN
            ALTER TABLE "public"."users" REPLICA IDENTITY USING INDEX "users_mail";
        END IF;
    END$bastide$;
    "#);
}

#[test]
fn scripts_of_a_foreign_key() {
    let kind = LegacyKey::ForeignKey { references: name("public.shops"), validated: true };
    let key = step(
        "public.users",
        "users_shop",
        kind,
        "FOREIGN KEY (shop_id) REFERENCES public.shops(id)",
        &["shop_id"],
    );
    assert_eq!(key.restorable_check(), None);
    insta::assert_snapshot!(show(&Step::DropLegacyKey(key.clone()).forward()), @r#"
    -- Transaction
    -- ACCESS EXCLUSIVE on public.users, public.shops
    INSERT INTO bastide.remembered (step, detail)
    SELECT 'drop_legacy_key:public.users.users_shop', jsonb_build_object('comment', obj_description(oid, 'pg_constraint'))
    FROM pg_constraint WHERE conrelid = '"public"."users"'::regclass AND conname = 'users_shop'
    ON CONFLICT (step) DO UPDATE SET detail = excluded.detail;
    ALTER TABLE "public"."users" DROP CONSTRAINT "users_shop";
    "#);
    insta::assert_snapshot!(show(&Step::DropLegacyKey(key).inverse()), @r#"
    -- Autocommit
    -- SHARE ROW EXCLUSIVE on public.users, public.shops
    DO $bastide$BEGIN
        IF NOT EXISTS (SELECT FROM pg_constraint WHERE conrelid = '"public"."users"'::regclass AND conname = 'users_shop') THEN
            ALTER TABLE "public"."users" ADD CONSTRAINT "users_shop" FOREIGN KEY (shop_id) REFERENCES public.shops(id) NOT VALID;
        END IF;
    END$bastide$;
    ALTER TABLE "public"."users" VALIDATE CONSTRAINT "users_shop";
    DO $bastide$DECLARE
        known jsonb := (SELECT detail FROM bastide.remembered WHERE step = 'drop_legacy_key:public.users.users_shop');
    BEGIN
        IF known->>'comment' IS NOT NULL THEN
            EXECUTE format('COMMENT ON CONSTRAINT %s ON %s IS %L', '"users_shop"', '"public"."users"', known->>'comment');
        END IF;
    END$bastide$;
    "#);
}

const SCHEMA: &str = r#"CREATE TABLE shops (id int PRIMARY KEY);
     CREATE TABLE users (id int PRIMARY KEY, "Mail (x)" text NOT NULL, login text, shop_id int, other_shop int);
     ALTER TABLE users ADD CONSTRAINT mail_key UNIQUE ("Mail (x)") INCLUDE (login) WITH (fillfactor = 70);
     ALTER TABLE users ADD CONSTRAINT soon UNIQUE (login, shop_id) DEFERRABLE INITIALLY DEFERRED;
     ALTER TABLE users CLUSTER ON mail_key;
     COMMENT ON CONSTRAINT mail_key ON users IS 'it''s one each'; COMMENT ON INDEX mail_key IS 'of the index';
     CREATE UNIQUE INDEX "Login" ON users (login DESC) NULLS NOT DISTINCT WITH (fillfactor = 80); COMMENT ON INDEX "Login" IS 'log-in';
     ALTER TABLE users ADD CONSTRAINT shop FOREIGN KEY (shop_id) REFERENCES shops ON DELETE CASCADE DEFERRABLE;
     ALTER TABLE users ADD CONSTRAINT unproven FOREIGN KEY (other_shop) REFERENCES shops NOT VALID;
     COMMENT ON CONSTRAINT shop ON users IS 'home';
     CREATE TABLE parts (id int, mail text) PARTITION BY LIST (id); CREATE TABLE part1 PARTITION OF parts FOR VALUES IN (1);
     ALTER TABLE parts ADD CONSTRAINT parts_mail UNIQUE (id, mail); CREATE UNIQUE INDEX parts_idx ON parts (mail, id);
     ALTER TABLE parts ADD CONSTRAINT parts_shop FOREIGN KEY (id) REFERENCES shops"#;

/// Each legacy key of the schema, as the planner would read it from the catalog.
async fn all(trial: &mut Trial) -> Vec<DropLegacyKey> {
    let catalog = trial.catalog().await;
    let mut steps = Vec::new();
    for table in
        catalog.tables.values().filter(|table| table.kind != bastide_catalog::TableKind::Partition)
    {
        let partitioned = table.kind == bastide_catalog::TableKind::Partitioned;
        for key in &table.keys {
            let kind = match key.kind {
                bastide_catalog::KeyKind::Primary => continue,
                bastide_catalog::KeyKind::Unique => LegacyKey::UniqueConstraint,
                bastide_catalog::KeyKind::UniqueIndex => LegacyKey::UniqueIndex,
            };
            let (name, definition) = (key.name.clone(), key.definition.clone());
            steps.push(DropLegacyKey {
                table: table.name.clone(),
                name,
                kind,
                definition,
                columns: key.columns.clone(),
                partitioned,
            });
        }
        for key in &table.foreign_keys {
            let kind =
                LegacyKey::ForeignKey { references: key.references.clone(), validated: key.validated };
            let (name, definition) = (key.name.clone(), key.definition.clone());
            steps.push(DropLegacyKey {
                table: table.name.clone(),
                name,
                kind,
                definition,
                columns: key.columns.clone(),
                partitioned,
            });
        }
    }
    steps
}

#[tokio::test]
async fn every_kind_of_key_comes_back_as_it_was() {
    let mut trial = Trial::of("integer", SCHEMA).await;
    let before = trial.db.schema_dump().await;
    let steps = all(&mut trial).await;
    assert_eq!(steps.len(), 8);
    for step in steps {
        let step = Step::DropLegacyKey(step);
        trial.round(&step).await;
        trial.undo(&step).await;
        if step.inverse().mode == crate::Mode::Autocommit {
            trial.undo(&step).await;
        }
        assert_eq!(before, trial.db.schema_dump().await, "{}", step.id());
    }
}

#[tokio::test]
async fn what_collides_now_is_found_before_and_refused_harmlessly() {
    let mut trial = Trial::of("integer", SCHEMA).await;
    let key = all(&mut trial).await.into_iter().find(|step| step.name == ident("mail_key")).unwrap();
    let step = Step::DropLegacyKey(key.clone());
    let check = key.restorable_check().unwrap();
    trial.forward(&step).await;
    assert_eq!(trial.db.query_rows(check.as_str()).await, Vec::<String>::new());
    trial.execute("INSERT INTO public.users VALUES (1, 'a@b', 'x'), (2, 'a@b', 'y')").await;
    assert_eq!(trial.db.query_rows(check.as_str()).await, ["(a@b)|2"]);
    let error = trial.run(&step.inverse()).await.unwrap_err();
    assert_eq!(error.code().map(|code| code.code()), Some("23505"));
    trial.execute("DELETE FROM public.users WHERE id = 2").await;
    trial.undo(&step).await;
    assert_eq!(trial.refused("INSERT INTO public.users VALUES (3, 'a@b', 'z')").await, "23505");
}
