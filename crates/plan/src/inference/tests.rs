//! What the scripts look like, for merchants ← customers ← orders; what they do is tested on a server.

use bastide_sql::{Ident, Sql};

use super::{
    Edge, Given, Graph, Link, Node, assign_script, crossing_counts, declare_script, hold_aside, rounds,
    survey_script,
};
use crate::TenantRoot;

fn ident(name: &str) -> Ident {
    Ident::new(name).unwrap()
}

fn node(table: &str, root: bool, tenant: Option<&str>, columns: &[&str]) -> Node {
    let columns: Vec<Ident> = columns.iter().map(|name| ident(name)).collect();
    Node {
        quarantine: None,
        reopened: false,
        table: table.parse().unwrap(),
        scoped: true,
        root,
        tenant: tenant.map(ident),
        key: columns[..1].to_vec(),
        original_columns: columns.iter().filter(|c| root || tenant != Some(c.as_str())).cloned().collect(),
        collations: Default::default(),
        layout: columns.iter().map(|name| (name.clone(), Sql::trusted("integer"), true)).collect(),
    }
}

/// Customers have a tenant column that may be NULL; orders have `tenant_id` only once it was added.
fn shop(orders_tenant: Option<&str>) -> Graph {
    let edge = |child, column: &str, parent, link| Edge {
        child,
        parent,
        columns: vec![ident(column)],
        parent_columns: vec![ident("id")],
        link,
    };
    let link = |table: &str, column: &str, references: &str| Link {
        table: table.parse().unwrap(),
        foreign_key: Ident::derived(column, "_fkey"),
        references: references.parse().unwrap(),
        columns: vec![ident(column)],
    };
    let orders: Vec<&str> = ["id", "customer_id"].into_iter().chain(orders_tenant).collect();
    Graph {
        root: TenantRoot {
            table: "public.merchants".parse().unwrap(),
            key: ident("id"),
            key_type: Sql::trusted("integer"),
            new: false,
            first_tenant: None,
        },
        nodes: vec![
            node("public.customers", false, Some("merchant_id"), &["id", "merchant_id"]),
            node("public.merchants", true, Some("id"), &["id"]),
            node("public.orders", false, orders_tenant, &orders),
        ],
        edges: vec![edge(0, "merchant_id", 1, 0), edge(2, "customer_id", 0, 1)],
        links: vec![
            link("public.customers", "merchant_id", "public.merchants"),
            link("public.orders", "customer_id", "public.customers"),
        ],
        seeds: Vec::new(),
        given: Given::Run,
    }
}

fn text(statements: &[Sql]) -> String {
    statements.iter().map(|statement| format!("{statement};\n")).collect()
}

#[test]
fn work_tables_begin_with_what_the_columns_say() {
    insta::assert_snapshot!(text(&rounds::prepare(&shop(None))), @r#"
    CREATE TEMP TABLE pg_temp.bastide_w0 ON COMMIT DROP AS
    SELECT s.rid, CASE WHEN s.lo = s.hi AND NOT s.muddled THEN s.lo END COLLATE "C" AS tenant,
      COALESCE(s.lo <> s.hi, false) OR s.muddled AS conflict, s.rule, CASE WHEN s.lo IS NOT NULL OR s.muddled THEN 1 END AS stratum
    FROM (
      SELECT c.ctid AS rid, LEAST(p0.bastide_fact) COLLATE "C" AS lo, GREATEST(p0.bastide_fact) COLLATE "C" AS hi, false AS muddled, CASE WHEN p0.bastide_fact IS NOT NULL THEN 1 ELSE 0 END AS rule
      FROM ONLY "public"."customers" AS c
      LEFT JOIN (SELECT p."id", p."id"::text COLLATE "C" AS bastide_fact FROM ONLY "public"."merchants" AS p WHERE true) AS p0 ON c."merchant_id" = p0."id"
      WHERE true AND c."merchant_id" IS NULL
    ) AS s;
    CREATE TEMP TABLE pg_temp.bastide_q0 (round integer, rid tid) ON COMMIT DROP;
    CREATE TEMP TABLE pg_temp.bastide_w2 ON COMMIT DROP AS
    SELECT s.rid, CASE WHEN s.lo = s.hi AND NOT s.muddled THEN s.lo END COLLATE "C" AS tenant,
      COALESCE(s.lo <> s.hi, false) OR s.muddled AS conflict, s.rule, CASE WHEN s.lo IS NOT NULL OR s.muddled THEN 1 END AS stratum
    FROM (
      SELECT c.ctid AS rid, LEAST(p1.bastide_fact, p1.bastide_tenant) COLLATE "C" AS lo, GREATEST(p1.bastide_fact, p1.bastide_tenant) COLLATE "C" AS hi, COALESCE(p1.bastide_conflict, false) AS muddled, CASE WHEN p1.bastide_conflict THEN 3 WHEN p1.bastide_fact IS NOT NULL THEN 3 WHEN p1.bastide_tenant IS NOT NULL THEN 3 ELSE 0 END AS rule
      FROM ONLY "public"."orders" AS c
      LEFT JOIN (SELECT p."id", p."merchant_id"::text COLLATE "C" AS bastide_fact, y.tenant AS bastide_tenant, y.conflict AS bastide_conflict FROM ONLY "public"."customers" AS p LEFT JOIN pg_temp.bastide_w0 AS y ON y.rid = p.ctid) AS p1 ON c."customer_id" = p1."id"
      WHERE true
    ) AS s;
    CREATE TEMP TABLE pg_temp.bastide_q2 (round integer, rid tid) ON COMMIT DROP;
    CREATE TEMP TABLE pg_temp.bastide_l1 (child tid, parent tid) ON COMMIT DROP;
    "#);
}

#[test]
fn rounds_follow_references_both_ways() {
    insta::assert_snapshot!(rounds::rounds(&shop(None)), @r#"
    DECLARE
      bastide_round integer := 0;
      bastide_stratum integer := 1;
      bastide_begun integer := 0;
      bastide_down boolean := true;
      bastide_deep boolean := false;
      bastide_last boolean := false;
      bastide_rows bigint;
      bastide_fresh boolean[] := ARRAY[false, false, false]::boolean[];
      bastide_next boolean[];
      bastide_open boolean[];
    BEGIN
      IF current_setting('transaction_isolation') NOT IN ('repeatable read', 'serializable') THEN
        RAISE EXCEPTION 'inference needs one snapshot: run it in a REPEATABLE READ transaction' USING ERRCODE = '25001';
      END IF;
      -- A work table without statistics looks small; looking its rows up one by one would take minutes.
      SET LOCAL enable_nestloop = off;
      LOOP
        WHILE true = ANY (bastide_fresh) LOOP
          IF NOT bastide_deep AND bastide_round >= 8 THEN
            SET LOCAL enable_nestloop = on;
            CREATE INDEX ON pg_temp.bastide_l1 (child);
            CREATE INDEX ON pg_temp.bastide_l1 (parent);
            ANALYZE pg_temp.bastide_l1;
            CREATE INDEX ON pg_temp.bastide_q0 (round);
            ANALYZE pg_temp.bastide_q0;
            CREATE INDEX ON pg_temp.bastide_q2 (round);
            ANALYZE pg_temp.bastide_q2;
            bastide_deep := true;
          END IF;
          bastide_next := array_fill(false, ARRAY[3]);
          IF bastide_down THEN
            IF bastide_stratum > 1 AND bastide_fresh[1] THEN
              WITH reached AS (UPDATE pg_temp.bastide_w2 AS x SET tenant = CASE WHEN s.conflict OR s.lo <> s.hi OR x.tenant <> s.lo THEN NULL ELSE s.lo END,
        conflict = COALESCE(s.conflict OR s.lo <> s.hi OR x.tenant <> s.lo, false), rule = 3, stratum = bastide_stratum
    FROM (
      SELECT l.child AS rid, y.tenant AS lo, y.tenant AS hi, y.conflict
      FROM pg_temp.bastide_q0 AS q JOIN pg_temp.bastide_w0 AS y ON y.rid = q.rid JOIN pg_temp.bastide_l1 AS l ON l.parent = q.rid WHERE q.round = bastide_round
    ) AS s
    WHERE x.rid = s.rid AND NOT x.conflict AND (x.stratum IS NULL OR x.stratum = bastide_stratum) AND (s.conflict OR s.lo <> s.hi OR x.tenant IS DISTINCT FROM s.lo) RETURNING x.rid)
              INSERT INTO pg_temp.bastide_q2 SELECT bastide_round + 1, rid FROM reached;
              GET DIAGNOSTICS bastide_rows = ROW_COUNT;
              IF bastide_rows > 0 THEN bastide_next[3] := true; END IF;
            END IF;
          ELSE
            IF bastide_fresh[3] THEN
              WITH reached AS (UPDATE pg_temp.bastide_w0 AS x SET tenant = CASE WHEN s.conflict OR s.lo <> s.hi OR x.tenant <> s.lo THEN NULL ELSE s.lo END,
        conflict = COALESCE(s.conflict OR s.lo <> s.hi OR x.tenant <> s.lo, false), rule = 4, stratum = bastide_stratum
    FROM (
      SELECT l.parent AS rid, min(y.tenant) AS lo, max(y.tenant) AS hi, bool_or(y.conflict) AS conflict
      FROM pg_temp.bastide_q2 AS q JOIN pg_temp.bastide_w2 AS y ON y.rid = q.rid JOIN pg_temp.bastide_l1 AS l ON l.child = q.rid WHERE q.round = bastide_round
      GROUP BY l.parent
    ) AS s
    WHERE x.rid = s.rid AND NOT x.conflict AND (x.stratum IS NULL OR x.stratum = bastide_stratum) AND (s.conflict OR s.lo <> s.hi OR x.tenant IS DISTINCT FROM s.lo) RETURNING x.rid)
              INSERT INTO pg_temp.bastide_q0 SELECT bastide_round + 1, rid FROM reached;
              GET DIAGNOSTICS bastide_rows = ROW_COUNT;
              IF bastide_rows > 0 THEN bastide_next[1] := true; END IF;
            END IF;
          END IF;
          bastide_fresh := bastide_next;
          bastide_round := bastide_round + 1;
        END LOOP;
        -- The next stratum begins with the rows that this one decided.
        bastide_stratum := bastide_stratum + 1;
        bastide_down := NOT bastide_down;
        bastide_round := bastide_round + 1;
        bastide_fresh := array_fill(false, ARRAY[3]);
        IF bastide_stratum = 2 THEN
          -- Whether a node has rows that may still hear something.
          bastide_open := ARRAY[EXISTS (SELECT FROM pg_temp.bastide_w0 AS x WHERE x.stratum IS NULL), false, EXISTS (SELECT FROM pg_temp.bastide_w2 AS x WHERE x.stratum IS NULL)]::boolean[];
          IF true = ANY (bastide_open) THEN
            CREATE UNIQUE INDEX ON pg_temp.bastide_w0 (rid);
            CREATE UNIQUE INDEX ON pg_temp.bastide_w2 (rid);
            IF bastide_open[3] OR bastide_open[1] THEN
              INSERT INTO pg_temp.bastide_l1 SELECT c.ctid, p.ctid FROM pg_temp.bastide_w2 AS x JOIN ONLY "public"."orders" AS c ON c.ctid = x.rid JOIN ONLY "public"."customers" AS p ON c."customer_id" = p."id" JOIN pg_temp.bastide_w0 AS y ON y.rid = p.ctid WHERE x.stratum IS NULL UNION ALL SELECT c.ctid, p.ctid FROM pg_temp.bastide_w2 AS x JOIN ONLY "public"."orders" AS c ON c.ctid = x.rid JOIN ONLY "public"."customers" AS p ON c."customer_id" = p."id" JOIN pg_temp.bastide_w0 AS y ON y.rid = p.ctid WHERE y.stratum IS NULL AND x.stratum IS NOT NULL;
            END IF;
          END IF;
          IF bastide_deep OR bastide_down AND (EXISTS (SELECT FROM pg_temp.bastide_w2 AS x WHERE x.stratum IS NULL)) OR NOT bastide_down AND false THEN
            INSERT INTO pg_temp.bastide_q0 SELECT bastide_round, y.rid FROM pg_temp.bastide_w0 AS y WHERE (y.stratum = 1) AND NOT y.conflict;
            GET DIAGNOSTICS bastide_rows = ROW_COUNT;
            IF bastide_rows > 0 THEN bastide_fresh[1] := true; END IF;
          END IF;
          IF bastide_deep OR bastide_down AND false OR NOT bastide_down AND (EXISTS (SELECT FROM pg_temp.bastide_w0 AS x WHERE x.stratum IS NULL)) THEN
            INSERT INTO pg_temp.bastide_q2 SELECT bastide_round, y.rid FROM pg_temp.bastide_w2 AS y JOIN (SELECT DISTINCT u.rid FROM (SELECT l.child AS rid FROM pg_temp.bastide_l1 AS l) AS u) AS l ON l.rid = y.rid WHERE (y.stratum = 1) AND NOT y.conflict;
            GET DIAGNOSTICS bastide_rows = ROW_COUNT;
            IF bastide_rows > 0 THEN bastide_fresh[3] := true; END IF;
          END IF;
            NULL;
        ELSE
          IF bastide_deep OR bastide_down AND (EXISTS (SELECT FROM pg_temp.bastide_w2 AS x WHERE x.stratum IS NULL)) OR NOT bastide_down AND false THEN
            INSERT INTO pg_temp.bastide_q0 SELECT DISTINCT bastide_round, q.rid FROM pg_temp.bastide_q0 AS q JOIN pg_temp.bastide_w0 AS y ON y.rid = q.rid
              WHERE q.round >= bastide_begun AND q.round < bastide_round AND y.stratum = bastide_stratum - 1 AND (bastide_down OR NOT y.conflict);
            GET DIAGNOSTICS bastide_rows = ROW_COUNT;
            IF bastide_rows > 0 THEN bastide_fresh[1] := true; END IF;
          END IF;
          IF bastide_deep OR bastide_down AND false OR NOT bastide_down AND (EXISTS (SELECT FROM pg_temp.bastide_w0 AS x WHERE x.stratum IS NULL)) THEN
            INSERT INTO pg_temp.bastide_q2 SELECT DISTINCT bastide_round, q.rid FROM pg_temp.bastide_q2 AS q JOIN pg_temp.bastide_w2 AS y ON y.rid = q.rid
              WHERE q.round >= bastide_begun AND q.round < bastide_round AND y.stratum = bastide_stratum - 1 AND (bastide_down OR NOT y.conflict);
            GET DIAGNOSTICS bastide_rows = ROW_COUNT;
            IF bastide_rows > 0 THEN bastide_fresh[3] := true; END IF;
          END IF;
        END IF;
        EXIT WHEN NOT (true = ANY (bastide_fresh));
        bastide_begun := bastide_round;
      END LOOP;
      SET LOCAL enable_nestloop = on;
    END
    "#);
}

#[test]
fn a_survey_counts_tables_and_links() {
    let script = survey_script(&shop(None));
    let orders = script.tables.last().unwrap();
    insta::assert_snapshot!(orders.counts, @r#"SELECT count(*), 0::bigint FROM ONLY "public"."orders" AS c"#);
    insta::assert_snapshot!(orders.evidence.as_ref().unwrap(), @r"
    SELECT v.kind, v.path, f.rows
    FROM (SELECT 0 + CASE WHEN x.conflict THEN 4 + x.rule WHEN x.tenant IS NULL THEN 11 ELSE x.rule END AS id, count(*) AS rows FROM pg_temp.bastide_w2 AS x GROUP BY 1) AS f JOIN (VALUES (3, 'parent', 'public.orders.customer_id → public.customers'), (7, 'conflict', 'public.orders.customer_id → public.customers'), (11, 'unreachable', 'public.orders: no reference leads to a tenant')) AS v (id, kind, path) ON v.id = f.id ORDER BY v.id
    ");
    insta::assert_snapshot!(script.links[1].counts, @r#"
    SELECT sum(l.rows)::bigint, sum(l.crossing)::bigint FROM (
    SELECT count(*) AS rows, count(*) FILTER (WHERE x.tenant IS DISTINCT FROM COALESCE(p."merchant_id"::text, y.tenant)) AS crossing FROM ONLY "public"."orders" AS c JOIN ONLY "public"."customers" AS p ON c."customer_id" = p."id" LEFT JOIN pg_temp.bastide_w2 AS x ON x.rid = c.ctid LEFT JOIN pg_temp.bastide_w0 AS y ON y.rid = p.ctid
    ) AS l
    "#);
    insta::assert_snapshot!(script.links[1].samples, @r#"
    SELECT s.key FROM (
    (SELECT concat_ws(', ', c."id"::text) FROM ONLY "public"."orders" AS c JOIN ONLY "public"."customers" AS p ON c."customer_id" = p."id" LEFT JOIN pg_temp.bastide_w2 AS x ON x.rid = c.ctid LEFT JOIN pg_temp.bastide_w0 AS y ON y.rid = p.ctid WHERE x.tenant IS DISTINCT FROM COALESCE(p."merchant_id"::text, y.tenant) ORDER BY c.ctid LIMIT 5)
    ) AS s (key) LIMIT 5
    "#);
    insta::assert_snapshot!(crossing_counts(&shop(Some("tenant_id")))[1].counts, @r#"
    SELECT sum(l.rows)::bigint, sum(l.crossing)::bigint FROM (
    SELECT count(*) AS rows, count(*) FILTER (WHERE c."tenant_id"::text IS DISTINCT FROM p."merchant_id"::text) AS crossing FROM ONLY "public"."orders" AS c JOIN ONLY "public"."customers" AS p ON c."customer_id" = p."id"
    ) AS l
    "#);
}

#[test]
fn an_assignment_ends_early_when_nothing_is_open() {
    let script = text(&assign_script(&shop(Some("tenant_id")), Some("-1"), 2));
    let (before, after) = (script.find("RETURN;").unwrap(), script.find("INSERT INTO bastide").unwrap());
    insta::assert_snapshot!(&script[..before], @r#"
    SET LOCAL search_path = pg_catalog, pg_temp;
    DO $bastide$#variable_conflict use_column
    BEGIN
      IF NOT (EXISTS (SELECT FROM ONLY "public"."customers" AS c WHERE true AND c."merchant_id" IS NULL)
        OR EXISTS (SELECT FROM ONLY "public"."orders" AS c WHERE true AND c."tenant_id" IS NULL)) THEN
    "#);
    insta::assert_snapshot!(&script[after..], @r#"
    INSERT INTO bastide.rule (run_id, id, relation, kind, path)
    SELECT current_setting('bastide.run')::uuid, v.id, '"public"."customers"', v.kind, v.path
    FROM (SELECT DISTINCT 1000000 + CASE WHEN x.conflict THEN 4 + x.rule WHEN x.tenant IS NULL THEN 9 ELSE x.rule END AS id FROM pg_temp.bastide_w0 AS x) AS f JOIN (VALUES (1000001, 'parent', 'public.customers.merchant_id → public.merchants'), (1000005, 'conflict', 'public.customers.merchant_id → public.merchants'), (1000004, 'child', 'public.customers ← public.orders.customer_id'), (1000008, 'conflict', 'public.customers ← public.orders.customer_id'), (1000009, 'unreachable', 'public.customers: no reference leads to a tenant')) AS v (id, kind, path) ON v.id = f.id ORDER BY v.id
    ON CONFLICT (run_id, id) DO NOTHING;
      INSERT INTO bastide.assigned_tenant (run_id, tenant)
    SELECT current_setting('bastide.run')::uuid, f.tenant
    FROM (SELECT DISTINCT CASE WHEN x.conflict OR x.tenant IS NULL THEN '-1' ELSE x.tenant END AS tenant FROM pg_temp.bastide_w0 AS x) AS f
    WHERE f.tenant IS NOT NULL AND NOT EXISTS (
      SELECT FROM bastide.assigned_tenant AS d WHERE d.run_id = current_setting('bastide.run')::uuid AND d.tenant = f.tenant);
      INSERT INTO bastide.assigned (run_id, relation, seq, rows, with_tenant, pass, conflict, keys, tenants, rules)
    SELECT current_setting('bastide.run')::uuid, '"public"."customers"', min(b.at) + (
        SELECT COALESCE(max(s.seq + s.rows - 1), 0) FROM bastide.assigned AS s
        WHERE s.run_id = current_setting('bastide.run')::uuid AND s.relation = '"public"."customers"'
      ), count(*), count(b.tenant), 2, b.conflict, jsonb_agg(b.key), array_agg(b.tenant), array_agg(b.rule)
    FROM (
      SELECT a.*, (a.at - 1) / 1000 AS line FROM (
        SELECT r.*, row_number() OVER (ORDER BY r.conflict, r.rid) AS at FROM (
      SELECT x.rid, x.conflict, jsonb_build_array("t"."id"::text) AS key, d.id AS tenant, 1000000 + CASE WHEN x.conflict THEN 4 + x.rule WHEN x.tenant IS NULL THEN 9 ELSE x.rule END AS rule
      FROM pg_temp.bastide_w0 AS x JOIN ONLY "public"."customers" AS t ON t.ctid = x.rid
      LEFT JOIN bastide.assigned_tenant AS d ON d.run_id = current_setting('bastide.run')::uuid AND d.tenant = CASE WHEN x.conflict OR x.tenant IS NULL THEN '-1' ELSE x.tenant END) AS r
      ) AS a ORDER BY a.conflict, line, a.at
    ) AS b
    GROUP BY b.conflict, b.line;
      INSERT INTO bastide.rule (run_id, id, relation, kind, path)
    SELECT current_setting('bastide.run')::uuid, v.id, '"public"."orders"', v.kind, v.path
    FROM (SELECT DISTINCT 1000000 + CASE WHEN x.conflict THEN 4 + x.rule WHEN x.tenant IS NULL THEN 11 ELSE x.rule END AS id FROM pg_temp.bastide_w2 AS x) AS f JOIN (VALUES (1000003, 'parent', 'public.orders.customer_id → public.customers'), (1000007, 'conflict', 'public.orders.customer_id → public.customers'), (1000011, 'unreachable', 'public.orders: no reference leads to a tenant')) AS v (id, kind, path) ON v.id = f.id ORDER BY v.id
    ON CONFLICT (run_id, id) DO NOTHING;
      INSERT INTO bastide.assigned_tenant (run_id, tenant)
    SELECT current_setting('bastide.run')::uuid, f.tenant
    FROM (SELECT DISTINCT CASE WHEN x.conflict OR x.tenant IS NULL THEN '-1' ELSE x.tenant END AS tenant FROM pg_temp.bastide_w2 AS x) AS f
    WHERE f.tenant IS NOT NULL AND NOT EXISTS (
      SELECT FROM bastide.assigned_tenant AS d WHERE d.run_id = current_setting('bastide.run')::uuid AND d.tenant = f.tenant);
      INSERT INTO bastide.assigned (run_id, relation, seq, rows, with_tenant, pass, conflict, keys, tenants, rules)
    SELECT current_setting('bastide.run')::uuid, '"public"."orders"', min(b.at) + (
        SELECT COALESCE(max(s.seq + s.rows - 1), 0) FROM bastide.assigned AS s
        WHERE s.run_id = current_setting('bastide.run')::uuid AND s.relation = '"public"."orders"'
      ), count(*), count(b.tenant), 2, b.conflict, jsonb_agg(b.key), array_agg(b.tenant), array_agg(b.rule)
    FROM (
      SELECT a.*, (a.at - 1) / 1000 AS line FROM (
        SELECT r.*, row_number() OVER (ORDER BY r.conflict, r.rid) AS at FROM (
      SELECT x.rid, x.conflict, jsonb_build_array("t"."id"::text) AS key, d.id AS tenant, 1000000 + CASE WHEN x.conflict THEN 4 + x.rule WHEN x.tenant IS NULL THEN 11 ELSE x.rule END AS rule
      FROM pg_temp.bastide_w2 AS x JOIN ONLY "public"."orders" AS t ON t.ctid = x.rid
      LEFT JOIN bastide.assigned_tenant AS d ON d.run_id = current_setting('bastide.run')::uuid AND d.tenant = CASE WHEN x.conflict OR x.tenant IS NULL THEN '-1' ELSE x.tenant END) AS r
      ) AS a ORDER BY a.conflict, line, a.at
    ) AS b
    GROUP BY b.conflict, b.line;
    END$bastide$;
    "#);
}

#[test]
fn nothing_is_recorded_for_a_root_alone() {
    let mut graph = shop(None);
    graph.nodes = vec![node("public.merchants", true, Some("id"), &["id"])];
    graph.edges.clear();
    assert!(assign_script(&graph, None, 1).is_empty());
}

#[test]
fn a_declaration_is_one_rule_for_each_table() {
    let tables = ["public.orders".parse().unwrap(), "\"It's\".lines".parse().unwrap()];
    insta::assert_snapshot!(text(&declare_script(&tables)), @r#"
    INSERT INTO bastide.rule (run_id, id, relation, kind, path)
    SELECT current_setting('bastide.run')::uuid, v.id, v.relation, 'declared', 'declared by --new-tenant-root' FROM (VALUES (1, '"public"."orders"'), (2, '"It''s"."lines"')) AS v (id, relation);
    "#);
}

#[test]
fn rows_held_aside_leave_children_first_and_return_parents_first() {
    let scripts = hold_aside(&shop(Some("tenant_id")));
    let script = text(&scripts.script);
    // What finds rows, what moves them, and where one transaction ends.
    let told = |line: &&str| {
        ["INSERT INTO pg_temp", "FROM (SELECT (s.r)", "WHILE", "DELETE FROM ONLY", "COMMIT", "EXIT", "RAISE"]
            .iter()
            .any(|start| line.trim_start().starts_with(start))
    };
    let lines: Vec<&str> = script.lines().filter(told).collect();
    insta::assert_snapshot!(lines.join("\n"), @r#"
        COMMIT;
        INSERT INTO pg_temp.bastide_h0 SELECT t.ctid, t.xmin, 0, 'has no tenant' FROM ONLY "public"."customers" AS t WHERE t."merchant_id" IS NULL;
        INSERT INTO pg_temp.bastide_h2 SELECT t.ctid, t.xmin, 0, 'has no tenant' FROM ONLY "public"."orders" AS t WHERE t."tenant_id" IS NULL;
        INSERT INTO pg_temp.bastide_h0 SELECT c.ctid, c.xmin, 0, 'joins two tenants: public.customers.merchant_id → public.merchants'
        INSERT INTO pg_temp.bastide_h2 SELECT c.ctid, c.xmin, 0, 'joins two tenants: public.orders.customer_id → public.customers'
        INSERT INTO pg_temp.bastide_h0 SELECT c.ctid, c.xmin, 0, 'references a row held aside: public.customers.merchant_id → public.merchants'
    FROM (SELECT (s.r).* FROM (SELECT h.row::pg_temp.bastide_g1 AS r FROM bastide.held AS h WHERE run_id = current_setting('bastide.run')::uuid AND relation = '"public"."merchants"' AND restored_at IS NULL ORDER BY h.seq OFFSET 0) AS s) AS p JOIN ONLY "public"."customers" AS c ON c."merchant_id" = p."id" WHERE NOT EXISTS (SELECT FROM ONLY "public"."merchants" AS q WHERE c."merchant_id" = q."id") ON CONFLICT (rid) DO NOTHING;
        INSERT INTO pg_temp.bastide_h2 SELECT c.ctid, c.xmin, 0, 'references a row held aside: public.orders.customer_id → public.customers'
    FROM (SELECT (s.r).* FROM (SELECT h.row::pg_temp.bastide_g0 AS r FROM bastide.held AS h WHERE run_id = current_setting('bastide.run')::uuid AND relation = '"public"."customers"' AND restored_at IS NULL ORDER BY h.seq OFFSET 0) AS s) AS p JOIN ONLY "public"."orders" AS c ON c."customer_id" = p."id" WHERE NOT EXISTS (SELECT FROM ONLY "public"."customers" AS q WHERE c."customer_id" = q."id") ON CONFLICT (rid) DO NOTHING;
          INSERT INTO pg_temp.bastide_h0 SELECT c.ctid, c.xmin, bastide_round + 1, 'references a row held aside: public.customers.merchant_id → public.merchants'
          INSERT INTO pg_temp.bastide_h2 SELECT c.ctid, c.xmin, bastide_round + 1, 'references a row held aside: public.orders.customer_id → public.customers'
          EXIT WHEN bastide_done = 0;
      RAISE EXCEPTION USING MESSAGE = 'a row of the tenant root public.merchants references another tenant''s row, so it cannot be held aside; choose another root', ERRCODE = '23503'; END IF;
        EXIT WHEN NOT (EXISTS (SELECT FROM pg_temp.bastide_h1) OR EXISTS (SELECT FROM pg_temp.bastide_h0) OR EXISTS (SELECT FROM pg_temp.bastide_h2));
        WHILE EXISTS (SELECT FROM pg_temp.bastide_h2) LOOP
          COMMIT;
          DELETE FROM ONLY "public"."orders" AS t USING locked AS l WHERE t.ctid = l.rid;
          COMMIT;
        WHILE EXISTS (SELECT FROM pg_temp.bastide_h0) LOOP
          COMMIT;
          DELETE FROM ONLY "public"."customers" AS t USING locked AS l WHERE t.ctid = l.rid;
          COMMIT;
        WHILE EXISTS (SELECT FROM pg_temp.bastide_h1) LOOP
          COMMIT;
          DELETE FROM ONLY "public"."merchants" AS t USING locked AS l WHERE t.ctid = l.rid;
          COMMIT;
          RAISE EXCEPTION USING MESSAGE = 'the rows to hold aside are locked or change all the time', ERRCODE = '55P03';
    "#);
    insta::assert_snapshot!(text(&scripts.restore), @r#"
    SET LOCAL search_path = pg_catalog, pg_temp;
    SET LOCAL session_replication_role = replica;
    CREATE TEMP TABLE pg_temp.bastide_r1 ("id" integer) ON COMMIT DROP;
    INSERT INTO "public"."merchants" ("id") OVERRIDING SYSTEM VALUE SELECT "id" FROM (SELECT (s.r).* FROM (SELECT h.row::pg_temp.bastide_r1 AS r FROM bastide.held AS h WHERE run_id = current_setting('bastide.run')::uuid AND relation = '"public"."merchants"' AND restored_at IS NULL ORDER BY h.seq OFFSET 0) AS s) AS s;
    UPDATE bastide.held SET restored_at = clock_timestamp() WHERE run_id = current_setting('bastide.run')::uuid AND relation = '"public"."merchants"' AND restored_at IS NULL;
    CREATE TEMP TABLE pg_temp.bastide_r0 ("id" integer, "merchant_id" integer) ON COMMIT DROP;
    INSERT INTO "public"."customers" ("id", "merchant_id") OVERRIDING SYSTEM VALUE SELECT "id", "merchant_id" FROM (SELECT (s.r).* FROM (SELECT h.row::pg_temp.bastide_r0 AS r FROM bastide.held AS h WHERE run_id = current_setting('bastide.run')::uuid AND relation = '"public"."customers"' AND restored_at IS NULL ORDER BY h.seq OFFSET 0) AS s) AS s;
    UPDATE bastide.held SET restored_at = clock_timestamp() WHERE run_id = current_setting('bastide.run')::uuid AND relation = '"public"."customers"' AND restored_at IS NULL;
    CREATE TEMP TABLE pg_temp.bastide_r2 ("id" integer, "customer_id" integer, "tenant_id" integer) ON COMMIT DROP;
    INSERT INTO "public"."orders" ("id", "customer_id", "tenant_id") OVERRIDING SYSTEM VALUE SELECT "id", "customer_id", "tenant_id" FROM (SELECT (s.r).* FROM (SELECT h.row::pg_temp.bastide_r2 AS r FROM bastide.held AS h WHERE run_id = current_setting('bastide.run')::uuid AND relation = '"public"."orders"' AND restored_at IS NULL ORDER BY h.seq OFFSET 0) AS s) AS s;
    UPDATE bastide.held SET restored_at = clock_timestamp() WHERE run_id = current_setting('bastide.run')::uuid AND relation = '"public"."orders"' AND restored_at IS NULL;
    "#);
}

#[test]
fn a_dollar_quote_cannot_be_closed_from_inside() {
    let inner = Sql::trusted("SELECT '$bastide$', '$bastide_$'");
    let quoted = bastide_sql::sql!("DO {}", super::render::Dollar(&inner));
    assert_eq!(quoted.as_str(), "DO $bastide__$SELECT '$bastide$', '$bastide_$'$bastide__$");
}
