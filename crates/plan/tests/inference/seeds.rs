//! What is said outright: declared references and rules, and tenants that the plan proposes.

use std::collections::{BTreeMap, BTreeSet};

use bastide_plan::{
    Declarations, DeclaredReference, Rule,
    inference::{Graph, assign_script, components, prelude, survey_script},
};
use bastide_sql::Ident;
use bastide_testkit::Database;

use crate::fixture::{QUARANTINE, assigned, bootstrap, catalog, graph, name, run};

fn rule(called: &str, table: &str, tenant: &str) -> Rule {
    Rule {
        name: called.to_owned(),
        table: name(table),
        when: None,
        tenant: Some(tenant.parse().unwrap()),
        column: None,
        tenants: BTreeMap::new(),
        csv: None,
        csv_sha256: None,
        keys: None,
    }
}

fn reference(table: &str, column: &str, references: &str, theirs: &str) -> DeclaredReference {
    DeclaredReference {
        table: name(table),
        columns: vec![Ident::new(column).unwrap()],
        references: name(references),
        referenced_columns: vec![Ident::new(theirs).unwrap()],
    }
}

async fn declared(db: &Database, graph: Graph, declared: &Declarations) -> Graph {
    graph.declare(&catalog(db).await, declared)
}

#[tokio::test]
async fn a_rule_goes_before_references_and_speaks_both_ways() {
    let server = bastide_testkit::server().await;
    let db = server.database("seeds").await;
    bootstrap(&db).await;
    // Names that our own scripts use, too.
    db.execute(
        r#"CREATE TABLE m (id integer PRIMARY KEY);
           INSERT INTO m VALUES (1), (2), (3);
           CREATE TABLE r (id integer PRIMARY KEY, q text);
           CREATE TABLE q (id integer PRIMARY KEY, r integer REFERENCES r, m_id integer REFERENCES m, s0 text, tenant text);
           CREATE TABLE d (id integer PRIMARY KEY, q integer REFERENCES q);
           INSERT INTO r VALUES (1, 'x'), (2, 'x');
           INSERT INTO q VALUES (1, 1, 1, '2', 'a'), (2, 2, 3, NULL, 'b'), (3, 2, 1, '9', 'c'), (4, NULL, NULL, '9', 'd');
           INSERT INTO d VALUES (1, 1), (2, 2), (3, 3), (4, 4);"#,
    )
    .await;
    let plain =
        graph(&db, "public.m", "id", &[("public.q", "t"), ("public.d", "t"), ("public.r", "t")]).await;
    let rules =
        Declarations { rules: vec![rule("said", "public.q", "s0::integer")], ..Declarations::default() };
    let with_rule = declared(&db, plain, &rules).await;
    // Row 1 of q is 2's by the rule, though it references 1; the value 9 is nobody's and says nothing.
    insta::assert_snapshot!(assigned(&db, &with_rule).await, @r#"
    "public"."d" ["1"] → 2 (parent: public.d.q → public.q)
    "public"."d" ["2"] → 3 (parent: public.d.q → public.q)
    "public"."d" ["3"] → 1 (parent: public.d.q → public.q)
    "public"."d" ["4"] → -1 (unreachable: public.d: no reference leads to a tenant)
    "public"."q" ["1"] → 2 (declared: rule said of public.q)
    "public"."q" ["2"] → 3 (parent: public.q.m_id → public.m)
    "public"."q" ["3"] → 1 (parent: public.q.m_id → public.m)
    "public"."q" ["4"] → -1 (unreachable: public.q: no reference leads to a tenant)
    "public"."r" ["1"] → 2 (child: public.r ← public.q.r)
    "public"."r" ["2"] → -1 (conflict: public.r ← public.q.r)
    "#);
}

#[tokio::test]
async fn rules_that_disagree_make_a_conflict_and_no_choice() {
    let server = bastide_testkit::server().await;
    let db = server.database("seeds").await;
    bootstrap(&db).await;
    db.execute(
        "CREATE TABLE m (id integer PRIMARY KEY); INSERT INTO m VALUES (1), (2);
         CREATE TABLE t (id integer PRIMARY KEY, up integer REFERENCES t) ;
         INSERT INTO t VALUES (1, NULL), (2, 1), (3, 2);",
    )
    .await;
    let plain = graph(&db, "public.m", "id", &[("public.t", "t")]).await;
    let mut first = rule("one", "public.t", "1");
    first.when = Some("id >= 2".parse().unwrap());
    let mut second = rule("two", "public.t", "2");
    second.when = Some("id <= 2".parse().unwrap());
    let both = Declarations { rules: vec![first, second], ..Declarations::default() };
    let graph = declared(&db, plain, &both).await;
    insta::assert_snapshot!(assigned(&db, &graph).await, @r#"
    "public"."t" ["1"] → 2 (declared: rule two of public.t)
    "public"."t" ["2"] → -1 (conflict: rule one of public.t)
    "public"."t" ["3"] → 1 (declared: rule one of public.t)
    "#);
}

#[tokio::test]
async fn a_rule_speaks_of_partitions_and_heirs() {
    let server = bastide_testkit::server().await;
    let db = server.database("heirs").await;
    bootstrap(&db).await;
    db.execute(
        "CREATE TABLE m (id integer PRIMARY KEY); INSERT INTO m VALUES (1), (2);
         CREATE TABLE p (id integer PRIMARY KEY, m integer); CREATE TABLE c (PRIMARY KEY (id)) INHERITS (p); CREATE TABLE g (PRIMARY KEY (id)) INHERITS (c);
         INSERT INTO p VALUES (1, 1); INSERT INTO c VALUES (2, 2); INSERT INTO g VALUES (3, 1);",
    )
    .await;
    let plain =
        graph(&db, "public.m", "id", &[("public.p", "t"), ("public.c", "t"), ("public.g", "t")]).await;
    let rules = Declarations { rules: vec![rule("of m", "public.p", "m")], ..Declarations::default() };
    let graph = declared(&db, plain, &rules).await;
    insta::assert_snapshot!(assigned(&db, &graph).await, @r#"
    "public"."c" ["2"] → 2 (declared: rule of m of public.p)
    "public"."g" ["3"] → 1 (declared: rule of m of public.p)
    "public"."p" ["1"] → 1 (declared: rule of m of public.p)
    "#);
}

#[tokio::test]
async fn a_declared_reference_carries_evidence_like_a_foreign_key() {
    let server = bastide_testkit::server().await;
    let db = server.database("seeds").await;
    bootstrap(&db).await;
    db.execute(
        r#"CREATE TABLE m (id integer PRIMARY KEY, code varchar(3) UNIQUE); INSERT INTO m VALUES (1, 'A'), (2, 'B');
           CREATE TABLE o (id integer, "Shop" text, day integer, PRIMARY KEY (id, day)) PARTITION BY LIST (day);
           CREATE TABLE o1 PARTITION OF o FOR VALUES IN (1); CREATE TABLE o2 PARTITION OF o FOR VALUES IN (2);
           INSERT INTO o VALUES (1, 'A', 1), (2, 'B', 2), (3, 'Z', 2), (4, NULL, 1);
           CREATE TABLE l (id integer PRIMARY KEY, o bigint, day bigint);
           INSERT INTO l VALUES (1, 1, 1), (2, 2, 2), (3, 2, 1), (4, 3, 2);"#,
    )
    .await;
    let plain = graph(&db, "public.m", "id", &[("public.o", "t"), ("public.l", "t")]).await;
    let mut to_order = reference("public.l", "o", "public.o", "id");
    to_order.columns.push(Ident::new("day").unwrap());
    to_order.referenced_columns.push(Ident::new("day").unwrap());
    let both = Declarations {
        references: vec![reference("public.o", "Shop", "public.m", "code"), to_order],
        ..Declarations::default()
    };
    let graph = declared(&db, plain, &both).await;
    insta::assert_snapshot!(assigned(&db, &graph).await, @r#"
    "public"."l" ["1"] → 1 (parent: public.l.(o, day) → public.o1)
    "public"."l" ["2"] → 2 (parent: public.l.(o, day) → public.o2)
    "public"."l" ["3"] → -1 (unreachable: public.l: no reference leads to a tenant)
    "public"."l" ["4"] → -1 (unreachable: public.l: no reference leads to a tenant)
    "public"."o1" ["1", "1"] → 1 (parent: public.o1."Shop" → public.m)
    "public"."o1" ["4", "1"] → -1 (unreachable: public.o1: no reference leads to a tenant)
    "public"."o2" ["2", "2"] → 2 (parent: public.o2."Shop" → public.m)
    "public"."o2" ["3", "2"] → -1 (unreachable: public.o2: no reference leads to a tenant)
    "#);
}

#[tokio::test]
async fn a_proposed_tenant_gets_only_what_nothing_else_settles() {
    let server = bastide_testkit::server().await;
    let db = server.database("seeds").await;
    bootstrap(&db).await;
    // Group 9 hangs together through parents and children; 5 is 1's; 7 conflicts, and its parent 6 hears nothing of it.
    db.execute(
        "CREATE TABLE m (id integer PRIMARY KEY); INSERT INTO m VALUES (1), (2), (-5), (-6);
         CREATE TABLE p (id integer PRIMARY KEY, m_id integer REFERENCES m);
         INSERT INTO p VALUES (1, 1), (2, 2), (6, NULL), (9, NULL), (10, NULL);
         CREATE TABLE c (id integer PRIMARY KEY, a integer REFERENCES p, b integer REFERENCES p);
         INSERT INTO c VALUES (5, 1, NULL), (7, 1, 2), (8, 9, NULL), (9, 10, 9), (11, NULL, NULL);
         CREATE TABLE g (id integer PRIMARY KEY, c integer REFERENCES c);
         INSERT INTO g VALUES (1, 8), (2, 9), (3, 7);",
    )
    .await;
    let plain =
        graph(&db, "public.m", "id", &[("public.p", "t"), ("public.c", "t"), ("public.g", "t")]).await;
    let key = |key: &str| vec![key.to_owned()];
    let one = plain.clone().propose(&name("public.p"), &key("10"), "-5", "the group of 10".to_owned());
    insta::assert_snapshot!(assigned(&db, &one).await, @r#"
    "public"."c" ["11"] → -1 (unreachable: public.c: no reference leads to a tenant)
    "public"."c" ["5"] → 1 (parent: public.c.a → public.p)
    "public"."c" ["7"] → -1 (conflict: public.c.a → public.p)
    "public"."c" ["8"] → -5 (parent: public.c.a → public.p)
    "public"."c" ["9"] → -5 (parent: public.c.a → public.p)
    "public"."g" ["1"] → -5 (parent: public.g.c → public.c)
    "public"."g" ["2"] → -5 (parent: public.g.c → public.c)
    "public"."g" ["3"] → -1 (conflict: public.g.c → public.c)
    "public"."p" ["1"] → 1 (parent: public.p.m_id → public.m)
    "public"."p" ["10"] → -5 (proposed: the group of 10)
    "public"."p" ["2"] → 2 (parent: public.p.m_id → public.m)
    "public"."p" ["6"] → -1 (unreachable: public.p: no reference leads to a tenant)
    "public"."p" ["9"] → -5 (child: public.p ← public.c.b)
    "#);
    // Where two tenants of one group meet is a conflict, and no choice.
    db.execute("TRUNCATE bastide.assigned, bastide.rule").await;
    let two = one.propose(&name("public.g"), &key("1"), "-6", "the group of 1".to_owned());
    insta::assert_snapshot!(assigned(&db, &two).await, @r#"
    "public"."c" ["11"] → -1 (unreachable: public.c: no reference leads to a tenant)
    "public"."c" ["5"] → 1 (parent: public.c.a → public.p)
    "public"."c" ["7"] → -1 (conflict: public.c.a → public.p)
    "public"."c" ["8"] → -6 (child: public.c ← public.g.c)
    "public"."c" ["9"] → -5 (parent: public.c.a → public.p)
    "public"."g" ["1"] → -6 (proposed: the group of 1)
    "public"."g" ["2"] → -5 (parent: public.g.c → public.c)
    "public"."g" ["3"] → -1 (conflict: public.g.c → public.c)
    "public"."p" ["1"] → 1 (parent: public.p.m_id → public.m)
    "public"."p" ["10"] → -5 (proposed: the group of 10)
    "public"."p" ["2"] → 2 (parent: public.p.m_id → public.m)
    "public"."p" ["6"] → -1 (unreachable: public.p: no reference leads to a tenant)
    "public"."p" ["9"] → -1 (conflict: public.p ← public.c.a)
    "#);
}

/// Random forests, chains and cycles: the groups are those that union-find makes.
#[tokio::test]
async fn groups_are_the_connected_components() {
    let server = bastide_testkit::server().await;
    let db = server.database("groups").await;
    db.execute(
        "CREATE TABLE m (id integer PRIMARY KEY);
         CREATE TABLE a (id integer PRIMARY KEY, a integer REFERENCES a);
         CREATE TABLE b (id integer PRIMARY KEY, a integer REFERENCES a, b integer REFERENCES b);
         SELECT setseed(0.25);
         INSERT INTO a SELECT i, CASE WHEN i % 3 > 0 AND i > 1 THEN i - 1 END FROM generate_series(1, 300) i;
         UPDATE a SET a = 150 WHERE id = 100;
         INSERT INTO b SELECT i, CASE WHEN random() < 0.2 THEN 1 + floor(random() * 300)::int END, CASE WHEN random() < 0.7 THEN greatest(1, i - 1 - floor(random() * 9)::int) END FROM generate_series(1, 400) i;",
    )
    .await;
    let graph = graph(&db, "public.m", "id", &[("public.a", "t"), ("public.b", "t")]).await;
    let mut client = db.client().await;
    let transaction = client.transaction().await.unwrap();
    let script = components(&graph);
    for statement in prelude().iter().chain(&survey_script(&graph).prepare).chain(&script.prepare) {
        transaction.batch_execute(statement.as_str()).await.unwrap();
    }
    let found = transaction
        .query("SELECT label, string_agg(CASE node WHEN 0 THEN (SELECT 'a' || id FROM ONLY public.a WHERE ctid = rid) ELSE (SELECT 'b' || id FROM ONLY public.b WHERE ctid = rid) END, ' ') FROM pg_temp.bastide_c GROUP BY 1", &[])
        .await
        .unwrap();
    let groups: BTreeSet<BTreeSet<String>> =
        found.iter().map(|row| row.get::<_, String>(1).split(' ').map(str::to_owned).collect()).collect();
    assert_eq!(graph.nodes[0].table, name("public.a"));

    let links = db
        .query_rows("SELECT 'a' || id, 'a' || a FROM a WHERE a IS NOT NULL UNION ALL SELECT 'b' || id, 'a' || a FROM b WHERE a IS NOT NULL UNION ALL SELECT 'b' || id, 'b' || b FROM b WHERE b IS NOT NULL")
        .await;
    let rows = db.query_rows("SELECT 'a' || id FROM a UNION ALL SELECT 'b' || id FROM b").await;
    let mut of: BTreeMap<String, String> = rows.iter().map(|row| (row.clone(), row.clone())).collect();
    for link in &links {
        let (x, y) = link.split_once('|').unwrap();
        let (x, y) = (of[x].clone(), of[y].clone());
        of.values_mut().filter(|label| **label == x).for_each(|label| label.clone_from(&y));
    }
    let mut expected: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (row, label) in of {
        expected.entry(label).or_default().insert(row);
    }
    assert!(expected.len() > 20, "the test looked at too little: {}", expected.len());
    assert_eq!(groups, expected.into_values().collect());
    transaction.rollback().await.unwrap();
}

/// Nothing that was recorded is recorded twice, and a second pass finds nothing to do once columns are filled.
#[tokio::test]
async fn seeds_speak_in_every_pass() {
    let server = bastide_testkit::server().await;
    let db = server.database("passes").await;
    bootstrap(&db).await;
    db.execute(
        "CREATE TABLE m (id integer PRIMARY KEY); INSERT INTO m VALUES (1), (-1);
         CREATE TABLE t (id integer PRIMARY KEY, t integer); INSERT INTO t VALUES (1, NULL), (2, -1), (3, 1);",
    )
    .await;
    let plain = graph(&db, "public.m", "id", &[("public.t", "t")]).await;
    let rules = Declarations { rules: vec![rule("all", "public.t", "1")], ..Declarations::default() };
    let graph = declared(&db, plain, &rules).await;
    run(&db, &assign_script(&graph.clone().reopen(QUARANTINE), None, 3)).await.unwrap();
    assert_eq!(
        db.query_rows("SELECT key->>0, tenant, rule > 2000000 FROM bastide.assignment ORDER BY 1").await,
        ["1|1|t", "2|1|t"],
        "what is open and what is in quarantine"
    );
}

#[tokio::test]
async fn groups_wholly_of_a_kind_get_its_tenant_and_mixed_ones_do_not() {
    let server = bastide_testkit::server().await;
    let db = server.database("kinds").await;
    bootstrap(&db).await;
    // Groups: 1 all test; 2 mixed; 3 archived and test, so neither; 4 has no sign anywhere; 5 is merchant 1's.
    db.execute(
        "CREATE TABLE m (id integer PRIMARY KEY); INSERT INTO m VALUES (1), (-2), (-3);
         CREATE TABLE s (id integer PRIMARY KEY, m_id integer REFERENCES m);
         INSERT INTO s VALUES (1, NULL), (2, NULL), (3, NULL), (4, NULL), (5, 1);
         CREATE TABLE c (id integer PRIMARY KEY, s integer REFERENCES s, label text, test boolean, gone boolean);
         INSERT INTO c VALUES (1, 1, 'x', true, false), (2, 1, 'x', true, NULL), (3, 2, 'x', true, NULL), (4, 2, 'x', NULL, NULL),
           (5, 3, 'x', true, true), (6, 5, 'x', true, true), (7, NULL, 'x', false, true);
         CREATE TABLE o (c integer REFERENCES c); INSERT INTO o VALUES (1), (2), (4), (6), (7), (NULL);",
    )
    .await;
    let plain =
        graph(&db, "public.m", "id", &[("public.s", "t"), ("public.c", "t"), ("public.o", "t")]).await;
    let sign = |text: &'static str| BTreeMap::from([(name("public.c"), bastide_sql::Sql::trusted(text))]);
    // One sign names its column bare, and one that our own tables have, too.
    let graph = plain.sort(0, "-2", "category test", &sign("test AND label = 'x'")).sort(
        1,
        "-3",
        "category archived",
        &sign("c.gone"),
    );
    insta::assert_snapshot!(assigned(&db, &graph).await, @r#"
    "public"."c" ["1"] → -2 (proposed: category test)
    "public"."c" ["2"] → -2 (proposed: category test)
    "public"."c" ["3"] → -1 (unreachable: public.c: no reference leads to a tenant)
    "public"."c" ["4"] → -1 (unreachable: public.c: no reference leads to a tenant)
    "public"."c" ["5"] → -1 (unreachable: public.c: no reference leads to a tenant)
    "public"."c" ["6"] → 1 (parent: public.c.s → public.s)
    "public"."c" ["7"] → -3 (proposed: category archived)
    "public"."o" ["md5:7acce3193127d4b71a6c2b140c22dc95"] → -2 (proposed: category test)
    "public"."o" ["md5:9e19759ee26e1600b92e668d3f345a40"] → 1 (parent: public.o.c → public.c)
    "public"."o" ["md5:bcd8b0c2eb1fce714eab6cef0d771acc"] → -1 (unreachable: public.o: no reference leads to a tenant)
    "public"."o" ["md5:e4b00b4a65a415cf9ebaa9f83719c071"] → -2 (proposed: category test)
    "public"."o" ["md5:e7e0b504610fac2eb3eaba34d6edee5b"] → -3 (proposed: category archived)
    "public"."o" ["md5:fad3d57b4bef0f4ad55dff54679164a3"] → -1 (unreachable: public.o: no reference leads to a tenant)
    "public"."s" ["1"] → -2 (proposed: category test)
    "public"."s" ["2"] → -1 (unreachable: public.s: no reference leads to a tenant)
    "public"."s" ["3"] → -1 (unreachable: public.s: no reference leads to a tenant)
    "public"."s" ["4"] → -1 (unreachable: public.s: no reference leads to a tenant)
    "public"."s" ["5"] → 1 (parent: public.s.m_id → public.m)
    "#);
}
