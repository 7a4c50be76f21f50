//! Copies what inference recorded into the tenant column, in keyset batches, without firing user triggers.

use bastide_catalog::{Catalog, TypeName};
use bastide_sql::{Ident, Literal, QualifiedName, Sql, join, sql};
use serde::{Deserialize, Serialize};

use super::session;
use crate::{
    Script,
    inference::{self, CHUNK},
};

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

/// What was recorded of a row that has no key, when a pass ran more than once.
#[derive(Clone, Copy)]
enum Found {
    /// For filling: what it found last.
    Last,
    /// For undoing: whatever it may have filled.
    Ever,
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
        self.script(&value, &pending, Found::Last)
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
        self.script(&before, &ours, Found::Ever)
    }

    fn script(&self, value: &Sql, condition: &Sql, found: Found) -> Script {
        let mut prelude = session::silent();
        // A small batch must find its rows through the key: with the default costs the planner reads the whole table,
        // once per batch.
        prelude.extend([
            sql!("SET LOCAL enable_hashjoin = off"),
            sql!("SET LOCAL enable_mergejoin = off"),
            sql!("SET LOCAL enable_seqscan = off"),
        ]);
        prelude.extend(session::canonical_text());
        let statement = if self.key.is_empty() {
            self.by_pages(value, condition, found)
        } else {
            self.by_key(value, condition)
        };
        Script::batches(self.table.clone(), prelude, statement)
    }

    /// Walks `bastide.assigned` row by row, in the order of its numbers; the cursor is the last number seen. Numbers may
    /// have gaps between passes. The span comes in through sub-selects, so that the index finds its lines: joined to it, the
    /// server unpacks every line for every batch.
    fn by_key(&self, value: &Sql, condition: &Sql) -> Sql {
        let matches = self
            .key
            .iter()
            .enumerate()
            .map(|(at, (column, type_name))| sql!("t.{} = (found.key->>{})::{}", column, at, type_name));
        let of_ours = sql!(
            "a.run_id = current_setting('bastide.run')::uuid AND a.relation = {} AND a.pass = {}",
            self.relation(),
            self.pass
        );
        sql!(
            "WITH span AS MATERIALIZED (
    SELECT after, after + $2::bigint AS upto
    FROM (
        SELECT GREATEST($1::text::bigint, a.seq - 1) AS after FROM bastide.assigned AS a
        WHERE {} AND a.seq > COALESCE($1::text::bigint, 0) - {} AND a.seq + a.rows > COALESCE($1::text::bigint, 0) + 1
        ORDER BY a.seq LIMIT 1
    ) AS first
), found AS MATERIALIZED (
    SELECT u.key, d.tenant
    FROM bastide.assigned AS a
        CROSS JOIN LATERAL ROWS FROM (jsonb_array_elements(a.keys), unnest(a.tenants)) WITH ORDINALITY AS u (key, tenant, at)
        JOIN bastide.assigned_tenant AS d ON d.run_id = a.run_id AND d.id = u.tenant
    WHERE {} AND a.seq > (SELECT span.after FROM span) - {} AND a.seq <= (SELECT span.upto FROM span)
        AND a.seq + u.at - 1 > (SELECT span.after FROM span) AND a.seq + u.at - 1 <= (SELECT span.upto FROM span)
), changed AS (
    UPDATE ONLY {} AS t SET {} = {} FROM found
    WHERE {} AND {}
    RETURNING 1
)
SELECT (SELECT span.upto::text FROM span WHERE EXISTS (
        SELECT FROM bastide.assigned AS a WHERE {} AND a.seq > span.upto - {} AND a.seq + a.rows > span.upto + 1)),
    (SELECT count(*) FROM changed)",
            of_ours,
            CHUNK,
            of_ours,
            CHUNK,
            self.table,
            self.column,
            value,
            join(matches, " AND "),
            condition,
            of_ours,
            CHUNK
        )
    }

    /// Walks the table's pages; the cursor is the next page. A row that moves while this runs keeps its NULL and is found
    /// by the second pass.
    fn by_pages(&self, value: &Sql, condition: &Sql, found: Found) -> Sql {
        let (distinct, order) = match found {
            Found::Last => (sql!(" ON (seen.at)"), sql!("\n    ORDER BY seen.at, a.seq DESC")),
            Found::Ever => (sql!(""), sql!("")),
        };
        sql!(
            "WITH span AS MATERIALIZED (
    SELECT first, first + GREATEST(1, $2::bigint / 50) AS beyond
    FROM (SELECT COALESCE($1::text::bigint, 0) AS first) AS cursor
), seen AS MATERIALIZED (
    SELECT t.ctid AS at, {} AS hash FROM ONLY {} AS t
    WHERE t.ctid >= (SELECT format('(%s,0)', first)::tid FROM span)
      AND t.ctid < (SELECT format('(%s,0)', LEAST(beyond, 4294967295))::tid FROM span)
), found AS MATERIALIZED (
    SELECT DISTINCT{} seen.at, d.tenant
    FROM seen JOIN bastide.assigned_keyless AS a ON a.run_id = current_setting('bastide.run')::uuid
            AND a.relation = {} AND a.hash = seen.hash AND a.pass = {}
        JOIN bastide.assigned_tenant AS d ON d.run_id = a.run_id AND d.id = a.tenant{}
), changed AS (
    UPDATE ONLY {} AS t SET {} = {} FROM found
    WHERE t.ctid = found.at AND {}
    RETURNING 1
)
SELECT (SELECT CASE WHEN beyond * current_setting('block_size')::bigint < pg_relation_size({}::regclass) THEN beyond::text END FROM span),
    (SELECT count(*) FROM changed)",
            inference::row_hash(&sql!("t"), &self.original_columns),
            self.table,
            distinct,
            self.relation(),
            self.pass,
            order,
            self.table,
            self.column,
            value,
            condition,
            self.relation()
        )
    }

    /// What readies this step for running again over rows that came since: what to forget first, and the cursor to begin
    /// with (an expression of type text). Of no row may an older word be written in the place of the new one.
    ///
    /// `packed`: `bastide.assigned` holds the evidence. There each pass has numbers of its own, so the step goes on behind
    /// the last one; what is forgotten are rows that nothing settled, who are recorded again if they still are such. In
    /// the older layout everything about rows that are open now goes, and the step begins at the beginning.
    #[must_use]
    pub fn look_again(&self, packed: bool) -> (Sql, Sql) {
        let of_run = sql!("a.run_id = current_setting('bastide.run')::uuid AND a.relation = {}", self.relation());
        if !packed {
            let key: Vec<Ident> = self.key.iter().map(|(column, _)| column.clone()).collect();
            let forget = sql!(
                "DELETE FROM bastide.assignment AS a USING ONLY {} AS t WHERE {} AND t.{} IS NULL AND a.key = {}",
                self.table,
                of_run,
                self.column,
                inference::row_key(&Ident::constant("t"), &key, &self.original_columns)
            );
            return (forget, sql!("NULL"));
        }
        if self.key.is_empty() {
            let forget = sql!(
                "DELETE FROM bastide.assigned_keyless AS a WHERE {} AND a.pass = {} AND a.tenant IS NULL",
                of_run,
                self.pass
            );
            return (forget, sql!("NULL"));
        }
        let forget = sql!(
            "DELETE FROM bastide.assigned AS a WHERE {} AND a.pass = {} AND a.with_tenant = 0",
            of_run,
            self.pass
        );
        let last = sql!("(SELECT max(a.seq + a.rows - 1)::text FROM bastide.assigned AS a WHERE {})", of_run);
        (forget, last)
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
        WITH span AS MATERIALIZED (
            SELECT after, after + $2::bigint AS upto
            FROM (
                SELECT GREATEST($1::text::bigint, a.seq - 1) AS after FROM bastide.assigned AS a
                WHERE a.run_id = current_setting('bastide.run')::uuid AND a.relation = '"public"."orders"' AND a.pass = 1 AND a.seq > COALESCE($1::text::bigint, 0) - 1000 AND a.seq + a.rows > COALESCE($1::text::bigint, 0) + 1
                ORDER BY a.seq LIMIT 1
            ) AS first
        ), found AS MATERIALIZED (
            SELECT u.key, d.tenant
            FROM bastide.assigned AS a
                CROSS JOIN LATERAL ROWS FROM (jsonb_array_elements(a.keys), unnest(a.tenants)) WITH ORDINALITY AS u (key, tenant, at)
                JOIN bastide.assigned_tenant AS d ON d.run_id = a.run_id AND d.id = u.tenant
            WHERE a.run_id = current_setting('bastide.run')::uuid AND a.relation = '"public"."orders"' AND a.pass = 1 AND a.seq > (SELECT span.after FROM span) - 1000 AND a.seq <= (SELECT span.upto FROM span)
                AND a.seq + u.at - 1 > (SELECT span.after FROM span) AND a.seq + u.at - 1 <= (SELECT span.upto FROM span)
        ), changed AS (
            UPDATE ONLY "public"."orders" AS t SET "tenant_id" = found.tenant::integer FROM found
            WHERE t."Shelf" = (found.key->>0)::character(3) AND t."no" = (found.key->>1)::integer AND t."tenant_id" IS NULL
            RETURNING 1
        )
        SELECT (SELECT span.upto::text FROM span WHERE EXISTS (
                SELECT FROM bastide.assigned AS a WHERE a.run_id = current_setting('bastide.run')::uuid AND a.relation = '"public"."orders"' AND a.pass = 1 AND a.seq > span.upto - 1000 AND a.seq + a.rows > span.upto + 1)),
            (SELECT count(*) FROM changed);
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
        WITH span AS MATERIALIZED (
            SELECT after, after + $2::bigint AS upto
            FROM (
                SELECT GREATEST($1::text::bigint, a.seq - 1) AS after FROM bastide.assigned AS a
                WHERE a.run_id = current_setting('bastide.run')::uuid AND a.relation = '"public"."orders"' AND a.pass = 1 AND a.seq > COALESCE($1::text::bigint, 0) - 1000 AND a.seq + a.rows > COALESCE($1::text::bigint, 0) + 1
                ORDER BY a.seq LIMIT 1
            ) AS first
        ), found AS MATERIALIZED (
            SELECT u.key, d.tenant
            FROM bastide.assigned AS a
                CROSS JOIN LATERAL ROWS FROM (jsonb_array_elements(a.keys), unnest(a.tenants)) WITH ORDINALITY AS u (key, tenant, at)
                JOIN bastide.assigned_tenant AS d ON d.run_id = a.run_id AND d.id = u.tenant
            WHERE a.run_id = current_setting('bastide.run')::uuid AND a.relation = '"public"."orders"' AND a.pass = 1 AND a.seq > (SELECT span.after FROM span) - 1000 AND a.seq <= (SELECT span.upto FROM span)
                AND a.seq + u.at - 1 > (SELECT span.after FROM span) AND a.seq + u.at - 1 <= (SELECT span.upto FROM span)
        ), changed AS (
            UPDATE ONLY "public"."orders" AS t SET "tenant_id" = NULL FROM found
            WHERE t."Shelf" = (found.key->>0)::character(3) AND t."no" = (found.key->>1)::integer AND t."tenant_id" = found.tenant::integer
            RETURNING 1
        )
        SELECT (SELECT span.upto::text FROM span WHERE EXISTS (
                SELECT FROM bastide.assigned AS a WHERE a.run_id = current_setting('bastide.run')::uuid AND a.relation = '"public"."orders"' AND a.pass = 1 AND a.seq > span.upto - 1000 AND a.seq + a.rows > span.upto + 1)),
            (SELECT count(*) FROM changed);
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
        SET LOCAL enable_hashjoin = off;
        SET LOCAL enable_mergejoin = off;
        SET LOCAL enable_seqscan = off;
        SET LOCAL DateStyle = 'ISO, YMD';
        SET LOCAL IntervalStyle = 'postgres';
        SET LOCAL TimeZone = 'UTC';
        SET LOCAL extra_float_digits = 1;
        SET LOCAL bytea_output = 'hex';
        WITH span AS MATERIALIZED (
            SELECT first, first + GREATEST(1, $2::bigint / 50) AS beyond
            FROM (SELECT COALESCE($1::text::bigint, 0) AS first) AS cursor
        ), seen AS MATERIALIZED (
            SELECT t.ctid AS at, md5(ROW(t."at", t."What")::text)::uuid AS hash FROM ONLY "public"."events" AS t
            WHERE t.ctid >= (SELECT format('(%s,0)', first)::tid FROM span)
              AND t.ctid < (SELECT format('(%s,0)', LEAST(beyond, 4294967295))::tid FROM span)
        ), found AS MATERIALIZED (
            SELECT DISTINCT ON (seen.at) seen.at, d.tenant
            FROM seen JOIN bastide.assigned_keyless AS a ON a.run_id = current_setting('bastide.run')::uuid
                    AND a.relation = '"public"."events"' AND a.hash = seen.hash AND a.pass = 1
                JOIN bastide.assigned_tenant AS d ON d.run_id = a.run_id AND d.id = a.tenant
            ORDER BY seen.at, a.seq DESC
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
        SET LOCAL enable_hashjoin = off;
        SET LOCAL enable_mergejoin = off;
        SET LOCAL enable_seqscan = off;
        SET LOCAL DateStyle = 'ISO, YMD';
        SET LOCAL IntervalStyle = 'postgres';
        SET LOCAL TimeZone = 'UTC';
        SET LOCAL extra_float_digits = 1;
        SET LOCAL bytea_output = 'hex';
        WITH span AS MATERIALIZED (
            SELECT first, first + GREATEST(1, $2::bigint / 50) AS beyond
            FROM (SELECT COALESCE($1::text::bigint, 0) AS first) AS cursor
        ), seen AS MATERIALIZED (
            SELECT t.ctid AS at, md5(ROW(t."at", t."What")::text)::uuid AS hash FROM ONLY "public"."events" AS t
            WHERE t.ctid >= (SELECT format('(%s,0)', first)::tid FROM span)
              AND t.ctid < (SELECT format('(%s,0)', LEAST(beyond, 4294967295))::tid FROM span)
        ), found AS MATERIALIZED (
            SELECT DISTINCT seen.at, d.tenant
            FROM seen JOIN bastide.assigned_keyless AS a ON a.run_id = current_setting('bastide.run')::uuid
                    AND a.relation = '"public"."events"' AND a.hash = seen.hash AND a.pass = 1
                JOIN bastide.assigned_tenant AS d ON d.run_id = a.run_id AND d.id = a.tenant
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

    /// As inference would: in its own way of printing values, rows that had a tenant left out, three rows to a line.
    async fn assign(trial: &Trial) {
        trial.execute(&format!(
            r#"SET timezone = 'UTC'; SET datestyle = 'ISO, YMD';
               INSERT INTO bastide.assigned_tenant (run_id, tenant) VALUES ('{RUN}', '7');
               INSERT INTO bastide.assigned (run_id, relation, seq, rows, with_tenant, pass, conflict, keys, tenants, rules)
               SELECT '{RUN}', '"public"."orders"', min(at), count(*), count(tenant), 1, false, jsonb_agg(key), array_agg(tenant), array_agg(1)
               FROM (SELECT row_number() OVER (ORDER BY no) AS at, jsonb_build_array("Shelf"::text, no::text) AS key, CASE WHEN no <> 5 THEN 1 END AS tenant FROM public.orders WHERE tenant_id IS NULL) AS a
               GROUP BY (at - 1) / 3;
               INSERT INTO bastide.assigned_keyless (run_id, relation, hash, pass, conflict, tenant, rule)
               SELECT '{RUN}', '"public"."events"', md5(ROW(at, "What")::text)::uuid, 1, false, 1, 1 FROM public.events WHERE tenant_id IS NULL;
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

    /// One batch: the next cursor and the rows it changed.
    async fn batch(trial: &mut Trial, script: &Script, cursor: Option<&str>, most: i64) -> (Option<String>, i64) {
        let transaction = trial.client.transaction().await.unwrap();
        for setting in &script.prelude {
            transaction.batch_execute(setting.as_str()).await.unwrap();
        }
        let statement = script.statements[0].as_str();
        let row = transaction.query_one(statement, &[&cursor, &most]).await.unwrap();
        transaction.commit().await.unwrap();
        (row.get(0), row.get(1))
    }

    #[tokio::test]
    async fn a_batch_is_no_larger_than_told_and_goes_on_in_the_middle_of_a_line() {
        let mut trial = Trial::of("integer", SCHEMA).await;
        trial.execute("INSERT INTO public.orders SELECT 'b', i FROM generate_series(1, 3) AS i").await;
        assign(&trial).await;
        // Of nine rows without a tenant the numbers 1 to 3, 4 to 6 and 7 to 9 are one line each; then a gap, another pass, a gap.
        trial.execute(&format!(
            r#"INSERT INTO public.orders SELECT 'c', i FROM generate_series(1, 3) AS i;
               INSERT INTO bastide.assigned VALUES
                 ('{RUN}', '"public"."orders"', 5000, 2, 2, 2, false, '[["c", "1"], ["c", "2"]]', '{{1,1}}', '{{1,1}}'),
                 ('{RUN}', '"public"."orders"', 9000, 1, 1, 1, false, '[["c", "3"]]', '{{1}}', '{{1}}')"#
        ))
        .await;
        let script = keyed(true).forward();
        let mut seen = Vec::new();
        let mut cursor: Option<String> = None;
        loop {
            let (next, rows) = batch(&mut trial, &script, cursor.as_deref(), 4).await;
            seen.push((next.clone(), rows));
            if next.is_none() {
                break;
            }
            cursor = next;
        }
        // Number 7 (no = 5) has no tenant; the gap costs no batch.
        assert_eq!(seen, [(Some("4".to_owned()), 4), (Some("8".to_owned()), 3), (Some("12".to_owned()), 1), (None, 1)]);
        let open = r#"SELECT string_agg("Shelf" || no, ' ' ORDER BY "Shelf", no) FROM public.orders WHERE tenant_id IS NULL"#;
        assert_eq!(trial.db.query_one_text(open).await, "a5 c1 c2", "another pass's rows are its own");
        let (next, rows) = batch(&mut trial, &script, Some("3"), 2).await;
        assert_eq!((next.as_deref(), rows), (Some("5"), 0), "the same batch twice is harmless");
    }

    #[tokio::test]
    async fn of_two_findings_about_a_row_without_a_key_the_later_fills_and_both_are_undone() {
        let mut trial = Trial::of("integer", SCHEMA).await;
        assign(&trial).await;
        trial.execute(&format!(
            r#"SET timezone = 'UTC'; SET datestyle = 'ISO, YMD'; SET session_replication_role = replica;
               UPDATE public.events SET tenant_id = 7 WHERE at = '2024-05-02 12:00+02';
               INSERT INTO bastide.assigned_tenant (run_id, tenant) VALUES ('{RUN}', '8');
               INSERT INTO bastide.assigned_keyless (run_id, relation, hash, pass, conflict, tenant, rule)
               SELECT '{RUN}', '"public"."events"', md5(ROW(at, "What")::text)::uuid, 1, false, 2, 1 FROM public.events WHERE tenant_id IS DISTINCT FROM 99"#
        )).await;
        trial.forward(&keyless(true)).await;
        let tenants = "SELECT tenant_id || ' ' || count(*) FROM public.events WHERE tenant_id IS NOT NULL GROUP BY tenant_id ORDER BY tenant_id";
        assert_eq!(trial.db.query_rows(tenants).await, ["7 1", "8 38", "99 1"]);
        trial.undo(&keyless(true)).await;
        assert_eq!(trial.db.query_rows(tenants).await, ["99 1"]);
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
        assert!(plan.contains("using orders_pkey") && plan.contains("using assigned_pkey"), "{plan}");
    }

    #[tokio::test]
    async fn a_partition_is_filled_by_itself() {
        let schema = r#"CREATE TABLE parts (id int, tenant_id int); CREATE TABLE heir () INHERITS (parts);
             INSERT INTO parts VALUES (1); INSERT INTO heir VALUES (1)"#;
        let mut trial = Trial::of("integer", schema).await;
        trial.execute(&format!(r#"INSERT INTO bastide.assigned_tenant (run_id, tenant) VALUES ('{RUN}', '7');
             INSERT INTO bastide.assigned VALUES ('{RUN}', '"public"."parts"', 1, 1, 1, 2, false, '[["1"]]', '{{1}}', '{{1}}')"#)).await;
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
