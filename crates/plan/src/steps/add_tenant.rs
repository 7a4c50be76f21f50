//! A row of the root that the plan makes; user triggers do not fire for it.

use bastide_catalog::{Catalog, TypeName};
use bastide_sql::{Ident, Literal, LockMode, QualifiedName, Sql, join, sql};
use serde::{Deserialize, Serialize};

use super::{context::block, session};
use crate::Script;

/// Why rollback held a row aside; by it the rows are found to be told of.
pub const HELD_BY_ROLLBACK: &str = "it was written for a tenant that rollback took away";

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddTenant {
    pub root: QualifiedName,
    pub key: Ident,
    pub key_type: TypeName,
    pub id: String,
    /// Every other column that must be given, as text to be cast to its type.
    pub values: Vec<(Ident, TypeName, String)>,
    /// Columns that must reference a row of a table all tenants share: they take the first there is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub borrowed: Vec<(Ident, QualifiedName, Ident)>,
    pub quarantine: bool,
}

impl AddTenant {
    pub(super) fn subject(&self) -> String {
        if self.quarantine { "quarantine".to_owned() } else { self.id.clone() }
    }

    pub(super) fn describe(&self) -> String {
        if self.quarantine {
            format!("add the quarantine tenant {} to {}", self.id, self.root)
        } else {
            format!("add tenant {} to {}", self.id, self.root)
        }
    }

    pub(super) fn forward(&self) -> Script {
        let value = |text: &str, type_name: &TypeName| sql!("{}::{}", Literal::text(text), type_name);
        let mut columns = vec![self.key.clone()];
        let mut values = vec![value(&self.id, &self.key_type)];
        for (column, type_name, text) in &self.values {
            columns.push(column.clone());
            values.push(value(text, type_name));
        }
        for (column, table, theirs) in &self.borrowed {
            columns.push(column.clone());
            values.push(sql!("(SELECT {} FROM {} ORDER BY 1 LIMIT 1)", theirs, table));
        }
        // The key may be GENERATED ALWAYS AS IDENTITY.
        let insert = sql!(
            "INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE VALUES ({})",
            self.root,
            join(columns, ", "),
            join(values, ", ")
        );
        Script {
            prelude: session::silent(),
            ..Script::transaction(LockMode::RowExclusive, vec![self.root.clone()], vec![insert])
        }
    }

    /// Legacy rows that the keeper gave this tenant (in a column that was there before) get their NULL back first. Rows that
    /// must have a tenant, which legacy statements wrote "for each tenant", have none in the old schema: they are held
    /// aside with what refers to them. The tenant is locked first, so that nobody comes to refer to it meanwhile; triggers
    /// are asleep, so nothing would stop that.
    pub(super) fn inverse(&self) -> Script {
        let release: Sql = block(sql!(
            "DECLARE
    link record;
    more bigint;
    found bigint;
BEGIN
    PERFORM FROM {} WHERE {} = {}::{} FOR UPDATE;
    CREATE TEMP TABLE bastide_going (rel oid, tid tid, PRIMARY KEY (rel, tid)) ON COMMIT DROP;
    FOR link IN
        SELECT c.conrelid::regclass AS child, a.attname AS column_name, a.attnotnull AS must, format_type(a.atttypid, NULL) AS type_name
        FROM pg_constraint c
        JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1]
        JOIN pg_attribute k ON k.attrelid = c.confrelid AND k.attnum = c.confkey[1]
        WHERE c.contype = 'f' AND c.confrelid = {}::regclass AND cardinality(c.conkey) = 1 AND k.attname = {} AND c.conparentid = 0
    LOOP
        IF link.must THEN
            EXECUTE format('INSERT INTO pg_temp.bastide_going SELECT tableoid, ctid FROM %s WHERE %I = %L::%s FOR UPDATE', link.child, link.column_name, {}, link.type_name);
        ELSE
            EXECUTE format('UPDATE %s SET %I = NULL WHERE %I = %L::%s', link.child, link.column_name, link.column_name, {}, link.type_name);
        END IF;
    END LOOP;
    WHILE EXISTS (SELECT FROM pg_temp.bastide_going) LOOP
        more := 0;
        FOR link IN
            SELECT c.conrelid::regclass AS child, c.confrelid::regclass AS parent, string_agg(format('c.%I = p.%I', own.attname, theirs.attname), ' AND ') AS pairs
            FROM pg_constraint c
            CROSS JOIN LATERAL unnest(c.conkey, c.confkey) AS k (own, theirs)
            JOIN pg_attribute own ON own.attrelid = c.conrelid AND own.attnum = k.own
            JOIN pg_attribute theirs ON theirs.attrelid = c.confrelid AND theirs.attnum = k.theirs
            WHERE c.contype = 'f' AND c.conparentid = 0
            GROUP BY c.oid, c.conrelid, c.confrelid
        LOOP
            EXECUTE format('INSERT INTO pg_temp.bastide_going SELECT c.tableoid, c.ctid FROM %s AS c JOIN %s AS p ON %s JOIN pg_temp.bastide_going AS g ON g.rel = p.tableoid AND g.tid = p.ctid ON CONFLICT DO NOTHING', link.child, link.parent, link.pairs);
            GET DIAGNOSTICS found = ROW_COUNT;
            more := more + found;
        END LOOP;
        EXIT WHEN more = 0;
    END LOOP;
    FOR link IN
        SELECT DISTINCT g.rel::regclass AS child, concat('\"', replace(n.nspname, '\"', '\"\"'), '\".\"', replace(t.relname, '\"', '\"\"'), '\"') AS relation,
            ARRAY(SELECT a.attname FROM pg_index i CROSS JOIN LATERAL unnest(i.indkey) WITH ORDINALITY AS k (attnum, at)
                  JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum WHERE i.indrelid = g.rel AND i.indisprimary ORDER BY k.at)::text[] AS key
        FROM pg_temp.bastide_going g JOIN pg_class t ON t.oid = g.rel JOIN pg_namespace n ON n.oid = t.relnamespace
    LOOP
        EXECUTE format('INSERT INTO bastide.held (run_id, relation, key, tenant, row, reason) SELECT current_setting(''bastide.run'')::uuid, %L, (SELECT coalesce(jsonb_agg(to_jsonb(t) ->> k.name ORDER BY k.at), ''[]'') FROM unnest(%L::text[]) WITH ORDINALITY AS k (name, at)), %L, (t.*)::text, %L FROM %s AS t JOIN pg_temp.bastide_going AS g ON g.rel = t.tableoid AND g.tid = t.ctid',
            link.relation, link.key, {}, {}, link.child);
        EXECUTE format('DELETE FROM %s AS t USING pg_temp.bastide_going AS g WHERE g.rel = t.tableoid AND g.tid = t.ctid', link.child);
    END LOOP;
END",
            self.root,
            self.key,
            Literal::text(&self.id),
            self.key_type,
            Literal::text(sql!("{}", self.root).as_str()),
            Literal::text(self.key.as_str()),
            Literal::text(&self.id),
            Literal::text(&self.id),
            Literal::text(&self.id),
            Literal::text(HELD_BY_ROLLBACK)
        ));
        let delete = sql!(
            "DELETE FROM {} WHERE {} = {}::{}",
            self.root,
            self.key,
            Literal::text(&self.id),
            self.key_type
        );
        Script {
            prelude: session::silent(),
            ..Script::long(LockMode::RowExclusive, vec![self.root.clone()], vec![release, delete])
        }
    }

    /// Rows are not part of a snapshot.
    pub(super) fn apply(&self, _: &mut Catalog) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::{
        Step,
        trial::{Trial, ident, name, show},
    };

    fn step() -> Step {
        Step::AddTenant(AddTenant {
            root: name("public.Merchants"),
            key: ident("id"),
            key_type: sql!("integer"),
            id: "-1".to_owned(),
            values: vec![(ident("Name"), sql!("character varying(20)"), "it's quarantine".to_owned())],
            borrowed: Vec::new(),
            quarantine: true,
        })
    }

    const SCHEMA: &str = r#"CREATE TABLE "Merchants" (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, "Name" varchar(20) NOT NULL);
         CREATE TABLE log (what text);
         CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.log VALUES (TG_OP); RETURN NEW; END $$;
         CREATE TRIGGER note BEFORE INSERT OR UPDATE ON "Merchants" FOR EACH ROW EXECUTE FUNCTION note();
         CREATE TABLE orders (id int, merchant_id int REFERENCES "Merchants" ON DELETE CASCADE);
         CREATE TABLE strict (merchant_id int NOT NULL REFERENCES "Merchants" ON DELETE CASCADE)"#;

    #[test]
    fn scripts() {
        insta::assert_snapshot!(step().id(), @"add_tenant:quarantine");
        insta::assert_snapshot!(step().describe(), @r#"add the quarantine tenant -1 to public."Merchants""#);
        insta::assert_snapshot!(show(&step().forward()), @r#"
        -- Transaction
        -- ROW EXCLUSIVE on public."Merchants"
        SET LOCAL row_security = off;
        SET LOCAL session_replication_role = replica;
        INSERT INTO "public"."Merchants" ("id", "Name") OVERRIDING SYSTEM VALUE VALUES ('-1'::integer, 'it''s quarantine'::character varying(20));
        "#);
        insta::assert_snapshot!(show(&step().inverse()), @r#"
    -- LongTransaction
    -- ROW EXCLUSIVE on public."Merchants"
    SET LOCAL row_security = off;
    SET LOCAL session_replication_role = replica;
    DO $bastide$DECLARE
        link record;
        more bigint;
        found bigint;
    BEGIN
        PERFORM FROM "public"."Merchants" WHERE "id" = '-1'::integer FOR UPDATE;
        CREATE TEMP TABLE bastide_going (rel oid, tid tid, PRIMARY KEY (rel, tid)) ON COMMIT DROP;
        FOR link IN
            SELECT c.conrelid::regclass AS child, a.attname AS column_name, a.attnotnull AS must, format_type(a.atttypid, NULL) AS type_name
            FROM pg_constraint c
            JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1]
            JOIN pg_attribute k ON k.attrelid = c.confrelid AND k.attnum = c.confkey[1]
            WHERE c.contype = 'f' AND c.confrelid = '"public"."Merchants"'::regclass AND cardinality(c.conkey) = 1 AND k.attname = 'id' AND c.conparentid = 0
        LOOP
            IF link.must THEN
                EXECUTE format('INSERT INTO pg_temp.bastide_going SELECT tableoid, ctid FROM %s WHERE %I = %L::%s FOR UPDATE', link.child, link.column_name, '-1', link.type_name);
            ELSE
                EXECUTE format('UPDATE %s SET %I = NULL WHERE %I = %L::%s', link.child, link.column_name, link.column_name, '-1', link.type_name);
            END IF;
        END LOOP;
        WHILE EXISTS (SELECT FROM pg_temp.bastide_going) LOOP
            more := 0;
            FOR link IN
                SELECT c.conrelid::regclass AS child, c.confrelid::regclass AS parent, string_agg(format('c.%I = p.%I', own.attname, theirs.attname), ' AND ') AS pairs
                FROM pg_constraint c
                CROSS JOIN LATERAL unnest(c.conkey, c.confkey) AS k (own, theirs)
                JOIN pg_attribute own ON own.attrelid = c.conrelid AND own.attnum = k.own
                JOIN pg_attribute theirs ON theirs.attrelid = c.confrelid AND theirs.attnum = k.theirs
                WHERE c.contype = 'f' AND c.conparentid = 0
                GROUP BY c.oid, c.conrelid, c.confrelid
            LOOP
                EXECUTE format('INSERT INTO pg_temp.bastide_going SELECT c.tableoid, c.ctid FROM %s AS c JOIN %s AS p ON %s JOIN pg_temp.bastide_going AS g ON g.rel = p.tableoid AND g.tid = p.ctid ON CONFLICT DO NOTHING', link.child, link.parent, link.pairs);
                GET DIAGNOSTICS found = ROW_COUNT;
                more := more + found;
            END LOOP;
            EXIT WHEN more = 0;
        END LOOP;
        FOR link IN
            SELECT DISTINCT g.rel::regclass AS child, concat('"', replace(n.nspname, '"', '""'), '"."', replace(t.relname, '"', '""'), '"') AS relation,
                ARRAY(SELECT a.attname FROM pg_index i CROSS JOIN LATERAL unnest(i.indkey) WITH ORDINALITY AS k (attnum, at)
                      JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum WHERE i.indrelid = g.rel AND i.indisprimary ORDER BY k.at)::text[] AS key
            FROM pg_temp.bastide_going g JOIN pg_class t ON t.oid = g.rel JOIN pg_namespace n ON n.oid = t.relnamespace
        LOOP
            EXECUTE format('INSERT INTO bastide.held (run_id, relation, key, tenant, row, reason) SELECT current_setting(''bastide.run'')::uuid, %L, (SELECT coalesce(jsonb_agg(to_jsonb(t) ->> k.name ORDER BY k.at), ''[]'') FROM unnest(%L::text[]) WITH ORDINALITY AS k (name, at)), %L, (t.*)::text, %L FROM %s AS t JOIN pg_temp.bastide_going AS g ON g.rel = t.tableoid AND g.tid = t.ctid',
                link.relation, link.key, '-1', 'it was written for a tenant that rollback took away', link.child);
            EXECUTE format('DELETE FROM %s AS t USING pg_temp.bastide_going AS g WHERE g.rel = t.tableoid AND g.tid = t.ctid', link.child);
        END LOOP;
    END$bastide$;
    DELETE FROM "public"."Merchants" WHERE "id" = '-1'::integer;
    "#);
    }

    #[tokio::test]
    async fn wakes_no_trigger() {
        let mut trial = Trial::of("integer", SCHEMA).await;
        trial.round(&step()).await;
        assert_eq!(trial.db.query_one_text("SELECT count(*) FROM public.log").await, "0");
        assert_eq!(
            trial.db.query_one_text(r#"SELECT id || "Name" FROM public."Merchants""#).await,
            "-1it's quarantine"
        );
    }

    #[tokio::test]
    async fn rows_it_was_given_meanwhile_outlive_it() {
        let mut trial = Trial::of("integer", SCHEMA).await;
        trial.forward(&step()).await;
        trial.execute("INSERT INTO public.orders VALUES (1, -1)").await;
        trial.undo(&step()).await;
        assert_eq!(trial.db.query_one_text("SELECT merchant_id IS NULL FROM public.orders").await, "t");
        assert_eq!(trial.db.query_one_text(r#"SELECT count(*) FROM public."Merchants""#).await, "0");
    }

    #[tokio::test]
    async fn a_row_that_must_have_a_tenant_is_held_aside_with_what_refers_to_it() {
        let schema = format!(
            "{SCHEMA}; ALTER TABLE strict ADD id int PRIMARY KEY;
             CREATE TABLE notes (strict_id int REFERENCES strict, \"the text\" text);
             CREATE TABLE parts (note text, strict_id int NOT NULL REFERENCES strict) PARTITION BY LIST (strict_id);
             CREATE TABLE parts_all PARTITION OF parts DEFAULT;
             INSERT INTO \"Merchants\" (\"Name\") VALUES ('one'); INSERT INTO strict VALUES (1, 1); INSERT INTO notes VALUES (1, 'stays')"
        );
        let mut trial = Trial::of("integer", &schema).await;
        trial.forward(&step()).await;
        trial.execute("INSERT INTO public.strict VALUES (-1, 2); INSERT INTO public.notes VALUES (2, 'it''s \"gone\"'); INSERT INTO public.parts VALUES ('too', 2)").await;
        trial.undo(&step()).await;
        let held = "SELECT relation || key || row FROM bastide.held ORDER BY relation";
        insta::assert_snapshot!(trial.db.query_rows(held).await.join("\n"), @r#"
    "public"."notes"[](2,"it's ""gone""")
    "public"."parts_all"[](too,2)
    "public"."strict"["2"](-1,2)
    "#);
        let left = "SELECT (SELECT count(*) FROM strict) || ' ' || (SELECT count(*) FROM notes) || ' ' || (SELECT count(*) FROM parts)";
        assert_eq!(trial.db.query_one_text(left).await, "1 1 0");
    }
}
