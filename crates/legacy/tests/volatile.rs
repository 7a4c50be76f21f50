//! Rules whose expressions say something else each time they are asked.

use std::collections::{BTreeMap, BTreeSet};

use bastide_plan::{Config, Declarations, RootChoice, Rule};
use bastide_sql::Ident;
use bastide_testkit::Database;

const SCHEMA: &str = "
CREATE TABLE m (id integer PRIMARY KEY, since date); INSERT INTO m VALUES (1, '2020-01-01'), (2, '2020-01-01');
CREATE TABLE e (id integer PRIMARY KEY, at date, \":funcid 1598\" integer); INSERT INTO e SELECT g, '2021-01-01', g % 2 + 1 FROM generate_series(1, 9) g;
CREATE SEQUENCE s;
CREATE FUNCTION roll(integer) RETURNS integer LANGUAGE sql VOLATILE AS 'SELECT 1 + $1 % 2';
CREATE FUNCTION pick(integer) RETURNS integer LANGUAGE sql STABLE AS 'SELECT 1 + $1 % 2';
CREATE FUNCTION same(integer, integer) RETURNS boolean LANGUAGE sql VOLATILE AS 'SELECT $1 = $2';
CREATE OPERATOR === (LEFTARG = integer, RIGHTARG = integer, FUNCTION = same);
CREATE VIEW lucky AS SELECT 1 + (random() * 1)::integer AS id; CREATE VIEW luckier AS SELECT id FROM lucky;
";

/// What a survey says of a rule: nothing when it may be.
async fn told(db: &Database, when: Option<&str>, tenant: &str) -> String {
    let rule = Rule {
        name: "said".to_owned(),
        table: "public.e".parse().unwrap(),
        when: when.map(|when| when.parse().unwrap()),
        tenant: Some(tenant.parse().unwrap()),
        column: None,
        tenants: BTreeMap::new(),
        csv: None,
        csv_sha256: None,
        keys: None,
    };
    let config = Config {
        root: RootChoice::Existing("public.m".parse().unwrap()),
        app_role: Ident::constant("bastide_app"),
        exclude_schemas: BTreeSet::new(),
        exclude_tables: BTreeSet::new(),
        accept_defaults: true,
        declared: Declarations { rules: vec![rule], ..Declarations::default() },
        answers: BTreeMap::new(),
    };
    let mut client = db.client().await;
    let catalog = bastide_catalog::read(&mut client).await.unwrap();
    let said = bastide_legacy::survey(&mut client, &catalog, &config, &|_| ()).await;
    said.err().map(|error| error.to_string()).unwrap_or_default()
}

#[tokio::test]
async fn a_volatile_function_is_refused_and_never_called() {
    let server = bastide_testkit::server().await;
    let db = server.database("volatile").await;
    db.execute(SCHEMA).await;
    insta::assert_snapshot!(told(&db, None, "1 + floor(random() * 2)::integer").await, @"[[rule]] said (of public.e): it calls random(), which is VOLATILE, and a row's tenant must be the same whenever it is asked for; use what is IMMUTABLE or STABLE; mend it in bastide.toml and try again");
    for (when, tenant, called) in [
        (None, "public.roll(id)", "public.roll(integer)"),
        (Some("random() < 2"), "1", "random()"),
        (Some("id OPERATOR(public.===) 1"), "1", "public.same(integer,integer)"),
        (None, "(SELECT max(l.id) FROM public.luckier AS l)", "random()"),
        (None, "nextval('public.s')::integer", "nextval(regclass)"),
        (None, "CASE WHEN id > 0 THEN 1 ELSE (ARRAY[public.roll(1)])[1] END", "public.roll(integer)"),
        (None, "(SELECT a.id FROM public.m AS a ORDER BY random() LIMIT 1)", "random()"),
    ] {
        let said = told(&db, when, tenant).await;
        assert!(said.contains(&format!("it calls {called}, which is VOLATILE")), "{tenant}: {said}");
    }
    assert_eq!(db.query_one_text("SELECT is_called::text FROM s").await, "false");
}

#[tokio::test]
async fn what_stays_the_same_while_a_pass_looks_is_taken() {
    let server = bastide_testkit::server().await;
    let db = server.database("stable").await;
    db.execute(SCHEMA).await;
    for (when, tenant) in [
        (None, "1 + id % 2"),
        (None, "public.pick(id)"),
        (Some("at < now()"), "1"),
        (Some("at < CURRENT_TIMESTAMP"), "1"),
        (None, "(SELECT min(a.id) FROM public.m AS a WHERE a.since < at)"),
        // 1598 is the number of random(): only the server's own notation counts.
        (None, "\":funcid 1598\""),
        (Some("':funcid 1598' <> at::text"), "1"),
    ] {
        assert_eq!(told(&db, when, tenant).await, "", "{tenant}");
    }
}
