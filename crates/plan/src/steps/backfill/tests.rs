//! Batches fill what was recorded, take back only that, and go through indexes.

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
    ), line AS MATERIALIZED (
        SELECT a.seq, a.keys, a.tenants FROM bastide.assigned AS a
        WHERE a.run_id = current_setting('bastide.run')::uuid AND a.relation = '"public"."orders"' AND a.pass = 1 AND a.seq > (SELECT span.after FROM span) - 1000 AND a.seq <= (SELECT span.upto FROM span)
    ), named AS MATERIALIZED (
        SELECT jsonb_object_agg(met.id, (
            SELECT d.tenant FROM bastide.assigned_tenant AS d WHERE d.run_id = current_setting('bastide.run')::uuid AND d.id = met.id
        )) AS tenants
        FROM (SELECT DISTINCT unnest(line.tenants) AS id FROM line) AS met WHERE met.id IS NOT NULL
    ), found AS MATERIALIZED (
        SELECT u.key, (SELECT named.tenants FROM named)->>u.tenant::text AS tenant
        FROM line CROSS JOIN LATERAL ROWS FROM (jsonb_array_elements(line.keys), unnest(line.tenants)) WITH ORDINALITY AS u (key, tenant, at)
        WHERE u.tenant IS NOT NULL
            AND line.seq + u.at - 1 > (SELECT span.after FROM span) AND line.seq + u.at - 1 <= (SELECT span.upto FROM span)
    ), changed AS (
        UPDATE ONLY "public"."orders" AS t SET "tenant_id" = found.tenant::integer FROM found
        WHERE t."Shelf" = (found.key->>0)::character(3) AND t."no" = (found.key->>1)::integer AND t."tenant_id" IS NULL
        RETURNING 1
    )
    SELECT (SELECT span.upto::text FROM span WHERE EXISTS (
            SELECT FROM bastide.assigned AS a
            WHERE a.run_id = current_setting('bastide.run')::uuid AND a.relation = '"public"."orders"' AND a.pass = 1 AND a.seq > (SELECT span.upto FROM span) - 1000 AND a.seq + a.rows > (SELECT span.upto FROM span) + 1)),
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
    ), line AS MATERIALIZED (
        SELECT a.seq, a.keys, a.tenants FROM bastide.assigned AS a
        WHERE a.run_id = current_setting('bastide.run')::uuid AND a.relation = '"public"."orders"' AND a.pass = 1 AND a.seq > (SELECT span.after FROM span) - 1000 AND a.seq <= (SELECT span.upto FROM span)
    ), named AS MATERIALIZED (
        SELECT jsonb_object_agg(met.id, (
            SELECT d.tenant FROM bastide.assigned_tenant AS d WHERE d.run_id = current_setting('bastide.run')::uuid AND d.id = met.id
        )) AS tenants
        FROM (SELECT DISTINCT unnest(line.tenants) AS id FROM line) AS met WHERE met.id IS NOT NULL
    ), found AS MATERIALIZED (
        SELECT u.key, (SELECT named.tenants FROM named)->>u.tenant::text AS tenant
        FROM line CROSS JOIN LATERAL ROWS FROM (jsonb_array_elements(line.keys), unnest(line.tenants)) WITH ORDINALITY AS u (key, tenant, at)
        WHERE u.tenant IS NOT NULL
            AND line.seq + u.at - 1 > (SELECT span.after FROM span) AND line.seq + u.at - 1 <= (SELECT span.upto FROM span)
    ), changed AS (
        UPDATE ONLY "public"."orders" AS t SET "tenant_id" = NULL FROM found
        WHERE t."Shelf" = (found.key->>0)::character(3) AND t."no" = (found.key->>1)::integer AND t."tenant_id" = found.tenant::integer
        RETURNING 1
    )
    SELECT (SELECT span.upto::text FROM span WHERE EXISTS (
            SELECT FROM bastide.assigned AS a
            WHERE a.run_id = current_setting('bastide.run')::uuid AND a.relation = '"public"."orders"' AND a.pass = 1 AND a.seq > (SELECT span.upto FROM span) - 1000 AND a.seq + a.rows > (SELECT span.upto FROM span) + 1)),
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

/// What the server does for one batch of 1,000 rows after `cursor`, each node with how often it ran and what it returned.
async fn done_for_a_batch(trial: &mut Trial, script: &Script, cursor: &str) -> String {
    let transaction = trial.client.transaction().await.unwrap();
    for setting in &script.prelude {
        transaction.batch_execute(setting.as_str()).await.unwrap();
    }
    let statement = script.statements[0].as_str().replace("$1", &format!("'{cursor}'")).replace("$2", "1000");
    let explain = format!("EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF, BUFFERS OFF) {statement}");
    let plan = transaction.query(&explain, &[]).await.unwrap();
    transaction.rollback().await.unwrap();
    plan.iter().map(|row| row.get::<_, String>(0) + "\n").collect()
}

/// (loops, rows it returned in each) of the nodes whose line contains `node`.
fn ran(plan: &str, node: &str) -> Vec<(u64, f64)> {
    let number = |line: &str, name: &str| -> f64 {
        let (_, rest) = line.split_once(name).unwrap_or_else(|| panic!("{name} of {line}"));
        rest.split([' ', ')']).next().unwrap().parse().unwrap()
    };
    let nodes = plan.lines().filter(|line| line.contains(node) && line.contains("(actual"));
    nodes.map(|line| (number(line, "loops=") as u64, number(line, "actual rows="))).collect()
}

/// Twenty lines of a thousand rows and five hundred tenants, as the run that has just recorded them finds them (`fresh`), or once
/// autovacuum has looked at them.
#[tokio::test]
async fn a_batch_goes_through_the_indexes_whatever_the_server_knows_of_the_evidence() {
    let mut trial = Trial::of("integer", SCHEMA).await;
    trial
        .execute(&format!(
            r#"INSERT INTO public.orders SELECT 'b', i FROM generate_series(1, 20000) AS i; ANALYZE public.orders;
               INSERT INTO bastide.assigned_tenant (run_id, tenant) SELECT '{RUN}', i::text FROM generate_series(1, 500) AS i;
               INSERT INTO bastide.assigned (run_id, relation, seq, rows, with_tenant, pass, conflict, keys, tenants, rules)
               SELECT '{RUN}', '"public"."orders"', min(no), count(*), count(*), 1, false, jsonb_agg(jsonb_build_array('b  ', no::text)), array_agg((SELECT min(id) FROM bastide.assigned_tenant) + no % 500), array_agg(1)
               FROM public.orders WHERE "Shelf" = 'b' GROUP BY (no - 1) / 1000"#
        ))
        .await;
    for (fresh, script) in [(true, keyed(true).forward()), (false, keyed(true).forward()), (true, keyed(true).inverse())] {
        if !fresh {
            trial.execute("ANALYZE bastide.assigned, bastide.assigned_tenant").await;
        }
        let plan = done_for_a_batch(&mut trial, &script, "15500").await;
        assert!(!plan.contains("Seq Scan"), "{plan}");
        // The first line, those of the batch, and whether there is one behind it: each asked for once, and none besides read.
        let lines: Vec<f64> = ran(&plan, "on assigned a").iter().map(|(loops, rows)| *loops as f64 * rows).collect();
        assert_eq!(lines, [1.0, 2.0, 1.0], "{plan}");
        let removed = plan.lines().filter_map(|line| line.trim().strip_prefix("Rows Removed by Filter: "));
        let most: u64 = removed.map(|rows| rows.parse::<u64>().unwrap()).max().unwrap();
        assert!(most <= 1_000, "{plan}");
        assert!(!plan.contains("Join Filter"), "{plan}");
        assert_eq!(ran(&plan, "Function Scan on u"), [(2, 500.0)], "each line is unpacked once: {plan}");
        assert_eq!(ran(&plan, "using assigned_tenant_pkey"), [(500, 1.0)], "each tenant is looked up once: {plan}");
        assert_eq!(ran(&plan, "using orders_pkey").first().map(|(loops, _)| *loops), Some(1_000), "{plan}");
    }
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
