//! Copies what inference recorded into the tenant column, in keyset batches, without firing user triggers.

use bastide_catalog::{Catalog, TypeName};
use bastide_sql::{Ident, Literal, QualifiedName, Sql, join, sql};
use serde::{Deserialize, Serialize};

use super::session;
use crate::Script;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backfill {
    /// Of the inference whose findings it writes.
    pub pass: u32,
    pub table: QualifiedName,
    pub column: Ident,
    pub type_name: TypeName,
    /// Empty for a table without a key: rows are then known by a hash of their original columns.
    pub key: Vec<(Ident, TypeName)>,
    pub original_columns: Vec<Ident>,
    /// The column was there before: undoing puts NULL back into the rows this run filled. An added column just goes.
    pub reused: bool,
    /// The quarantine tenant, when the pass took another look at its rows; undoing puts them back there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reopens: Option<String>,
}

impl Backfill {
    pub(super) fn subject(&self) -> String {
        format!("{}.{}:{}", self.table, self.column, self.pass)
    }

    pub(super) fn describe(&self) -> String {
        if self.reopens.is_some() {
            format!("take rows of {} out of quarantine", self.table)
        } else if self.pass == 1 {
            format!("fill {}.{}", self.table, self.column)
        } else {
            format!("fill {}.{} of rows written meanwhile", self.table, self.column)
        }
    }

    pub(super) fn forward(&self) -> Script {
        let value = sql!("found.tenant::{}", self.type_name);
        let pending = match &self.reopens {
            Some(quarantine) => sql!(
                "(t.{} IS NULL OR t.{} = {}::{})",
                self.column,
                self.column,
                Literal::text(quarantine),
                self.type_name
            ),
            None => sql!("t.{} IS NULL", self.column),
        };
        self.script(&value, &pending)
    }

    /// NULL goes back only where the value is still the one this run wrote: what was written since stays.
    pub(super) fn inverse(&self) -> Script {
        if !self.reused {
            return Script::nothing();
        }
        let ours = sql!("t.{} = found.tenant::{}", self.column, self.type_name);
        // NULL would not fit at this point; the passes before put it back where it belongs.
        let before = match &self.reopens {
            Some(quarantine) => sql!("{}::{}", Literal::text(quarantine), self.type_name),
            None => sql!("NULL"),
        };
        self.script(&before, &ours)
    }

    fn script(&self, value: &Sql, condition: &Sql) -> Script {
        if self.key.is_empty() {
            let prelude = [session::silent(), session::canonical_text()].concat();
            return Script::batches(self.table.clone(), prelude, self.by_pages(value, condition));
        }
        let mut prelude = session::silent();
        // A small batch must find its rows through the key: with the default costs the planner reads the whole table,
        // once per batch.
        prelude.extend([
            sql!("SET LOCAL enable_hashjoin = off"),
            sql!("SET LOCAL enable_mergejoin = off"),
            sql!("SET LOCAL enable_seqscan = off"),
        ]);
        prelude.extend(session::canonical_text());
        Script::batches(self.table.clone(), prelude, self.by_key(value, condition))
    }

    /// Walks `bastide.assignment` by its sequence; the cursor is the last number seen.
    fn by_key(&self, value: &Sql, condition: &Sql) -> Sql {
        let matches = self
            .key
            .iter()
            .enumerate()
            .map(|(at, (column, type_name))| sql!("t.{} = (found.key->>{})::{}", column, at, type_name));
        sql!(
            "WITH found AS MATERIALIZED (
    SELECT seq, key, tenant FROM bastide.assignment
    WHERE run_id = current_setting('bastide.run')::uuid AND relation = {}{} AND seq > COALESCE($1::text::bigint, 0)
    ORDER BY seq LIMIT $2::bigint
), changed AS (
    UPDATE ONLY {} AS t SET {} = {} FROM found
    WHERE {} AND found.tenant IS NOT NULL AND {}
    RETURNING 1
)
SELECT (SELECT CASE WHEN count(*) = $2::bigint THEN max(seq)::text END FROM found), (SELECT count(*) FROM changed)",
            self.relation(),
            self.of_pass(),
            self.table,
            self.column,
            value,
            join(matches, " AND "),
            condition
        )
    }

    /// Walks the table's pages; the cursor is the next page. A row that moves while this runs keeps its NULL and is found
    /// by the second pass.
    fn by_pages(&self, value: &Sql, condition: &Sql) -> Sql {
        let originals = self.original_columns.iter().map(|column| sql!("t.{}", column));
        sql!(
            "WITH span AS MATERIALIZED (
    SELECT first, first + GREATEST(1, $2::bigint / 50) AS beyond
    FROM (SELECT COALESCE($1::text::bigint, 0) AS first) AS cursor
), seen AS MATERIALIZED (
    SELECT t.ctid AS at, 'md5:' || md5(ROW({})::text) AS hash FROM ONLY {} AS t
    WHERE t.ctid >= (SELECT format('(%s,0)', first)::tid FROM span)
      AND t.ctid < (SELECT format('(%s,0)', LEAST(beyond, 4294967295))::tid FROM span)
), found AS MATERIALIZED (
    SELECT DISTINCT seen.at, a.tenant FROM seen JOIN bastide.assignment AS a ON a.key->>0 = seen.hash
    WHERE a.run_id = current_setting('bastide.run')::uuid AND a.relation = {}{} AND a.tenant IS NOT NULL
), changed AS (
    UPDATE ONLY {} AS t SET {} = {} FROM found
    WHERE t.ctid = found.at AND {}
    RETURNING 1
)
SELECT (SELECT CASE WHEN beyond * current_setting('block_size')::bigint < pg_relation_size({}::regclass) THEN beyond::text END FROM span),
    (SELECT count(*) FROM changed)",
            join(originals, ", "),
            self.table,
            self.relation(),
            self.of_pass(),
            self.table,
            self.column,
            value,
            condition,
            self.relation()
        )
    }

    /// The passes that fill NULL read everything recorded; the one that reopens quarantine only what it found itself.
    fn of_pass(&self) -> Sql {
        if self.reopens.is_none() {
            return sql!("");
        }
        let (above, up_to) = crate::inference::rules_of_pass(self.pass);
        sql!(" AND rule > {} AND rule <= {}", above, up_to)
    }

    fn relation(&self) -> Literal {
        Literal::text(sql!("{}", self.table).as_str())
    }

    /// Rows are not part of a snapshot.
    pub(super) fn apply(&self, _: &mut Catalog) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::{
        Step,
        trial::{RUN, Trial, ident, idents, name, show},
    };

    fn keyed(reused: bool) -> Step {
        Step::Backfill(Backfill {
            pass: 1,
            table: name("public.orders"),
            column: ident("tenant_id"),
            type_name: sql!("integer"),
            key: vec![(ident("Shelf"), sql!("character(3)")), (ident("no"), sql!("integer"))],
            original_columns: idents(&["Shelf", "no"]),
            reused,
            reopens: None,
        })
    }

    fn keyless(reused: bool) -> Step {
        Step::Backfill(Backfill {
            pass: 1,
            table: name("public.events"),
            column: ident("tenant_id"),
            type_name: sql!("integer"),
            key: Vec::new(),
            original_columns: idents(&["at", "What"]),
            reused,
            reopens: None,
        })
    }

    #[test]
    fn scripts() {
        insta::assert_snapshot!(keyed(true).id(), @"backfill:public.orders.tenant_id:1");
        insta::assert_snapshot!(keyed(true).describe(), @"fill public.orders.tenant_id");
        insta::assert_snapshot!(show(&keyed(true).forward()), @r#"
        -- Batches
        -- ROW EXCLUSIVE on public.orders
        SET LOCAL row_security = off;
        SET LOCAL session_replication_role = replica;
        SET LOCAL enable_hashjoin = off;
        SET LOCAL enable_mergejoin = off;
        SET LOCAL enable_seqscan = off;
        SET LOCAL DateStyle = 'ISO, YMD';
        SET LOCAL IntervalStyle = 'postgres';
        SET LOCAL TimeZone = 'UTC';
        SET LOCAL extra_float_digits = 1;
        SET LOCAL bytea_output = 'hex';
        WITH found AS MATERIALIZED (
            SELECT seq, key, tenant FROM bastide.assignment
            WHERE run_id = current_setting('bastide.run')::uuid AND relation = '"public"."orders"' AND seq > COALESCE($1::text::bigint, 0)
            ORDER BY seq LIMIT $2::bigint
        ), changed AS (
            UPDATE ONLY "public"."orders" AS t SET "tenant_id" = found.tenant::integer FROM found
            WHERE t."Shelf" = (found.key->>0)::character(3) AND t."no" = (found.key->>1)::integer AND found.tenant IS NOT NULL AND t."tenant_id" IS NULL
            RETURNING 1
        )
        SELECT (SELECT CASE WHEN count(*) = $2::bigint THEN max(seq)::text END FROM found), (SELECT count(*) FROM changed);
        "#);
        insta::assert_snapshot!(show(&keyed(true).inverse()), @r#"
        -- Batches
        -- ROW EXCLUSIVE on public.orders
        SET LOCAL row_security = off;
        SET LOCAL session_replication_role = replica;
        SET LOCAL enable_hashjoin = off;
        SET LOCAL enable_mergejoin = off;
        SET LOCAL enable_seqscan = off;
        SET LOCAL DateStyle = 'ISO, YMD';
        SET LOCAL IntervalStyle = 'postgres';
        SET LOCAL TimeZone = 'UTC';
        SET LOCAL extra_float_digits = 1;
        SET LOCAL bytea_output = 'hex';
        WITH found AS MATERIALIZED (
            SELECT seq, key, tenant FROM bastide.assignment
            WHERE run_id = current_setting('bastide.run')::uuid AND relation = '"public"."orders"' AND seq > COALESCE($1::text::bigint, 0)
            ORDER BY seq LIMIT $2::bigint
        ), changed AS (
            UPDATE ONLY "public"."orders" AS t SET "tenant_id" = NULL FROM found
            WHERE t."Shelf" = (found.key->>0)::character(3) AND t."no" = (found.key->>1)::integer AND found.tenant IS NOT NULL AND t."tenant_id" = found.tenant::integer
            RETURNING 1
        )
        SELECT (SELECT CASE WHEN count(*) = $2::bigint THEN max(seq)::text END FROM found), (SELECT count(*) FROM changed);
        "#);
        insta::assert_snapshot!(show(&keyed(false).inverse()), @"-- Nothing");
    }

    #[test]
    fn scripts_without_a_key() {
        insta::assert_snapshot!(show(&keyless(true).forward()), @r#"
        -- Batches
        -- ROW EXCLUSIVE on public.events
        SET LOCAL row_security = off;
        SET LOCAL session_replication_role = replica;
        SET LOCAL DateStyle = 'ISO, YMD';
        SET LOCAL IntervalStyle = 'postgres';
        SET LOCAL TimeZone = 'UTC';
        SET LOCAL extra_float_digits = 1;
        SET LOCAL bytea_output = 'hex';
        WITH span AS MATERIALIZED (
            SELECT first, first + GREATEST(1, $2::bigint / 50) AS beyond
            FROM (SELECT COALESCE($1::text::bigint, 0) AS first) AS cursor
        ), seen AS MATERIALIZED (
            SELECT t.ctid AS at, 'md5:' || md5(ROW(t."at", t."What")::text) AS hash FROM ONLY "public"."events" AS t
            WHERE t.ctid >= (SELECT format('(%s,0)', first)::tid FROM span)
              AND t.ctid < (SELECT format('(%s,0)', LEAST(beyond, 4294967295))::tid FROM span)
        ), found AS MATERIALIZED (
            SELECT DISTINCT seen.at, a.tenant FROM seen JOIN bastide.assignment AS a ON a.key->>0 = seen.hash
            WHERE a.run_id = current_setting('bastide.run')::uuid AND a.relation = '"public"."events"' AND a.tenant IS NOT NULL
        ), changed AS (
            UPDATE ONLY "public"."events" AS t SET "tenant_id" = found.tenant::integer FROM found
            WHERE t.ctid = found.at AND t."tenant_id" IS NULL
            RETURNING 1
        )
        SELECT (SELECT CASE WHEN beyond * current_setting('block_size')::bigint < pg_relation_size('"public"."events"'::regclass) THEN beyond::text END FROM span),
            (SELECT count(*) FROM changed);
        "#);
        insta::assert_snapshot!(show(&keyless(true).inverse()), @r#"
        -- Batches
        -- ROW EXCLUSIVE on public.events
        SET LOCAL row_security = off;
        SET LOCAL session_replication_role = replica;
        SET LOCAL DateStyle = 'ISO, YMD';
        SET LOCAL IntervalStyle = 'postgres';
        SET LOCAL TimeZone = 'UTC';
        SET LOCAL extra_float_digits = 1;
        SET LOCAL bytea_output = 'hex';
        WITH span AS MATERIALIZED (
            SELECT first, first + GREATEST(1, $2::bigint / 50) AS beyond
            FROM (SELECT COALESCE($1::text::bigint, 0) AS first) AS cursor
        ), seen AS MATERIALIZED (
            SELECT t.ctid AS at, 'md5:' || md5(ROW(t."at", t."What")::text) AS hash FROM ONLY "public"."events" AS t
            WHERE t.ctid >= (SELECT format('(%s,0)', first)::tid FROM span)
              AND t.ctid < (SELECT format('(%s,0)', LEAST(beyond, 4294967295))::tid FROM span)
        ), found AS MATERIALIZED (
            SELECT DISTINCT seen.at, a.tenant FROM seen JOIN bastide.assignment AS a ON a.key->>0 = seen.hash
            WHERE a.run_id = current_setting('bastide.run')::uuid AND a.relation = '"public"."events"' AND a.tenant IS NOT NULL
        ), changed AS (
            UPDATE ONLY "public"."events" AS t SET "tenant_id" = NULL FROM found
            WHERE t.ctid = found.at AND t."tenant_id" = found.tenant::integer
            RETURNING 1
        )
        SELECT (SELECT CASE WHEN beyond * current_setting('block_size')::bigint < pg_relation_size('"public"."events"'::regclass) THEN beyond::text END FROM span),
            (SELECT count(*) FROM changed);
        "#);
    }

    const SCHEMA: &str = r#"CREATE TABLE orders ("Shelf" char(3), no int, tenant_id int, PRIMARY KEY ("Shelf", no));
         INSERT INTO orders SELECT 'a', i, CASE WHEN i = 3 THEN 99 END FROM generate_series(1, 7) AS i;
         CREATE TABLE events (at timestamptz, "What" text, tenant_id int);
         INSERT INTO events SELECT timestamptz '2024-05-01 12:00+02' + i * interval '1 day', repeat('long', 400), CASE WHEN i = 3 THEN 99 END FROM generate_series(1, 40) AS i;
         CREATE FUNCTION loud() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'woken'; END $$;
         CREATE TRIGGER loud BEFORE UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION loud();
         CREATE TRIGGER loud BEFORE UPDATE ON events FOR EACH ROW EXECUTE FUNCTION loud()"#;

    /// As inference would: in its own way of printing values, rows that had a tenant left out.
    async fn assign(trial: &Trial) {
        let insert = "INSERT INTO bastide.assignment (run_id, relation, key, tenant, rule)";
        trial.execute(&format!(
            r#"SET timezone = 'UTC'; SET datestyle = 'ISO, YMD';
               {insert} SELECT '{RUN}', '"public"."orders"', jsonb_build_array("Shelf"::text, no::text), CASE WHEN no <> 5 THEN '7' END, 1 FROM public.orders WHERE tenant_id IS NULL ORDER BY no;
               {insert} SELECT '{RUN}', '"public"."events"', jsonb_build_array('md5:' || md5(ROW(at, "What")::text)), '7', 1 FROM public.events WHERE tenant_id IS NULL;
               SET timezone = 'Asia/Tokyo'; SET datestyle = 'German'"#
        ))
        .await;
    }

    const ORDERS: &str =
        "SELECT string_agg(COALESCE(tenant_id::text, '-'), ' ' ORDER BY no) FROM public.orders";
    const EVENTS: &str = "SELECT string_agg(DISTINCT COALESCE(tenant_id::text, '-'), ' ') || ' ' || count(tenant_id) FROM public.events";

    #[tokio::test]
    async fn fills_in_batches_and_takes_back_only_its_own() {
        let mut trial = Trial::of("integer", SCHEMA).await;
        assign(&trial).await;
        let before = trial.db.query_one_text(ORDERS).await;
        for _ in 0..2 {
            assert_eq!(trial.run(&keyed(true).forward()).await.unwrap(), 5);
            assert_eq!(trial.db.query_one_text(ORDERS).await, "7 7 99 7 - 7 7");
            assert_eq!(trial.run(&keyed(true).forward()).await.unwrap(), 0, "running it again is harmless");
            trial.undo(&keyed(true)).await;
            assert_eq!(trial.db.query_one_text(ORDERS).await, before);
        }
        trial.forward(&keyed(true)).await;
        trial.execute("SET session_replication_role = replica; UPDATE public.orders SET tenant_id = 8 WHERE no = 1; RESET session_replication_role").await;
        trial.undo(&keyed(true)).await;
        assert_eq!(trial.db.query_one_text(ORDERS).await, "8 - 99 - - - -", "written since, so it stays");
    }

    #[tokio::test]
    async fn a_table_without_a_key_is_walked_by_its_pages() {
        let mut trial = Trial::of("integer", SCHEMA).await;
        assign(&trial).await;
        assert_eq!(trial.run(&keyless(true).forward()).await.unwrap(), 39);
        assert_eq!(trial.db.query_one_text(EVENTS).await, "7 99 40");
        trial.undo(&keyless(true)).await;
        assert_eq!(trial.db.query_one_text(EVENTS).await, "- 99 1");
        trial.forward(&keyless(true)).await;
        assert_eq!(trial.db.query_one_text(EVENTS).await, "7 99 40");
    }

    #[tokio::test]
    async fn a_batch_goes_through_the_key() {
        let mut trial = Trial::of("integer", SCHEMA).await;
        trial.execute(r#"INSERT INTO public.orders SELECT 'b', i FROM generate_series(1, 20000) AS i; ANALYZE public.orders"#).await;
        assign(&trial).await;
        let script = keyed(true).forward();
        let mut plan = String::new();
        let transaction = trial.client.transaction().await.unwrap();
        for setting in &script.prelude {
            transaction.batch_execute(setting.as_str()).await.unwrap();
        }
        let statement = script.statements[0].as_str().replace("$1", "NULL").replace("$2", "1000");
        for row in transaction.query(&format!("EXPLAIN {statement}"), &[]).await.unwrap() {
            plan.push_str(row.get(0));
            plan.push('\n');
        }
        assert!(plan.contains("using orders_pkey"), "{plan}");
    }

    #[tokio::test]
    async fn a_partition_is_filled_by_itself() {
        let schema = r#"CREATE TABLE parts (id int, tenant_id int); CREATE TABLE heir () INHERITS (parts);
             INSERT INTO parts VALUES (1); INSERT INTO heir VALUES (1)"#;
        let mut trial = Trial::of("integer", schema).await;
        trial.execute(&format!(r#"INSERT INTO bastide.assignment (run_id, relation, key, tenant, rule) VALUES ('{RUN}', '"public"."parts"', '["1"]', '7', 1)"#)).await;
        let step = Step::Backfill(Backfill {
            pass: 2,
            table: name("public.parts"),
            column: ident("tenant_id"),
            type_name: sql!("integer"),
            key: vec![(ident("id"), sql!("integer"))],
            original_columns: idents(&["id"]),
            reused: false,
            reopens: None,
        });
        assert_eq!(trial.run(&step.forward()).await.unwrap(), 1);
        assert_eq!(trial.db.query_one_text("SELECT count(tenant_id) FROM public.heir").await, "0");
    }
}
