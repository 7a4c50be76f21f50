//! Which defaults a catalog suggests, and what a declared category comes to.

use bastide_sql::Sql;

use super::*;
use crate::{
    Refusal,
    fixture::{Fixture, name},
};

fn catalog(columns: &[(&str, &str)]) -> Catalog {
    let mut catalog = Fixture::new().table("things", &["id integer pk"]).catalog();
    let table = catalog.tables.get_mut(&name("things")).unwrap();
    let template = table.columns[0].clone();
    for (column, kind) in columns {
        table.columns.push(Column {
            name: crate::fixture::ident(column),
            type_name: Sql::trusted(*kind),
            collation: None,
            ..template.clone()
        });
    }
    catalog
}

fn declared(text: &str) -> Result<Declarations, String> {
    toml::from_str(text).map_err(|error| error.message().to_owned())
}

fn told(catalog: &Catalog, settings: &str) -> String {
    let found = categories(catalog, &declared(settings).unwrap()).unwrap();
    let lines = found.iter().map(|found| format!("{}: {}\n  {}", found.category, found.why, found.predicate));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn defaults_come_from_types_and_whole_words() {
    let catalog = catalog(&[
        ("isTest", "boolean"),
        ("latest", "boolean"),
        ("E-Mail", "public.citext"),
        ("status", "public.\"Mood\""),
        ("order_total", "numeric(10,2)"),
        ("birth_date", "date"),
        ("created_at", "timestamp(3) with time zone"),
        ("active", "text"),
        ("closed", "boolean[]"),
    ]);
    insta::assert_snapshot!(told(&catalog, ""), @r#"
archived: status says archived, deleted, removed or discontinued
  (lower(c."status"::text) IN ('archived', 'deleted', 'removed', 'discontinued'))
closed: status says closed, cancelled, canceled, terminated, void, voided or expired
  (lower(c."status"::text) IN ('closed', 'cancelled', 'canceled', 'terminated', 'void', 'voided', 'expired'))
inactive: status says inactive, disabled, suspended, deactivated, blocked, dormant or churned
  (lower(c."status"::text) IN ('inactive', 'disabled', 'suspended', 'deactivated', 'blocked', 'dormant', 'churned'))
old: created_at is older than 2 years
  (c."created_at"::timestamp with time zone < CURRENT_TIMESTAMP - '2 years'::interval)
test: "isTest" is true; or "E-Mail" is at a domain reserved for tests (RFC 2606); or status says test, testing, demo or sandbox
  (c."isTest" OR lower(c."E-Mail"::text) ~ '@([^@]*[.])?(example[.](com|net|org)|test|example|invalid|localhost)$' OR lower(c."status"::text) IN ('test', 'testing', 'demo', 'sandbox'))
zero value: order_total is 0
  (c."order_total"::numeric = 0)
"#);
}

#[test]
fn a_declared_category_takes_the_place_of_the_default_of_its_name() {
    let catalog = catalog(&[("isTest", "boolean"), ("code", "text")]);
    let settings = "[[category]]\nname = \"test\"\ncolumn = \"code\"\nmatches = \"T'%\"
        [[category]]\nname = \"test\"\ntable = \"public.things\"\nwhen = \"id > 5\"
        [[category]]\nname = \"none\"\ntype = \"text\"\nequals = [\"\", 1, true]";
    insta::assert_snapshot!(told(&catalog, settings), @r#"
none: code is , 1 or true
  (c."code"::text IN ('', '1', 'true'))
test: code is like T'%; or id > 5
  (c."code"::text LIKE 'T''%' OR (id > 5))
"#);
    // What is written is read back.
    let settings = declared(settings).unwrap();
    let again: Declarations = toml::from_str(&toml::to_string(&settings).unwrap()).unwrap();
    assert_eq!(again.categories[..2], settings.categories[..2]);
    assert_eq!(
        told(&catalog, &toml::to_string(&settings).unwrap()),
        told(&catalog, &toml::to_string(&again).unwrap())
    );
}

#[test]
fn what_applies_nowhere_is_refused() {
    let catalog = catalog(&[("born", "date")]);
    let settings =
        declared("[[category]]\nname = \"x\"\ncolumn = \"bron\"\nolder_than = \"1 year\"").unwrap();
    let refused = categories(&catalog, &settings).unwrap_err();
    assert!(matches!(&refused, Refusal::Category { key: "column", .. }), "{refused}");
    insta::assert_snapshot!(refused, @"[[category]] x, key `column`: there is no column bron in any table; did you mean born?");
}

#[test]
fn a_sample_is_about_as_large_as_wanted() {
    assert_eq!(Share::of(1000, 1000), None);
    let share = Share::of(1_000_000, 41_666_667).unwrap();
    assert!((share.percent() - 2.399).abs() < 0.01, "{}", share.percent());
    assert!(share.scaled(1_000_000) > 41_000_000);
    assert!(Share::of(1, u64::MAX).unwrap().percent() > 0.0, "never nothing");
}
