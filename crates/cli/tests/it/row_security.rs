//! Row security that is there before: there and back. Until cutover it stays what it was to whoever had it.

use bastide_testkit::Database;

use crate::{
    bastide::Bastide,
    shapes::loaded,
    there_and_back::{Meanwhile, there_and_back_with_writes},
};

const POLICIES: &str = include_str!("../../../../fixtures/legacy/shapes/policies.sql");

/// What each role of the shop sees: the same before the run and until cutover.
const SEEN: &[(&str, &str)] = &[
    ("BEGIN; SET LOCAL ROLE seller; SET LOCAL app.shop = '2'; SELECT count(*) FROM customer; ROLLBACK", "4"),
    ("BEGIN; SET LOCAL ROLE seller; SELECT count(*) FROM customer; ROLLBACK", "0"),
    ("BEGIN; SET LOCAL ROLE auditor; SELECT count(*) FROM customer; ROLLBACK", "12"),
    ("BEGIN; SET LOCAL ROLE keeper; SET LOCAL app.shop = '3'; SELECT count(*) FROM customer; ROLLBACK", "4"),
    ("BEGIN; SET LOCAL ROLE seller; SELECT count(*) FROM sale WHERE id <= 40; ROLLBACK", "39"),
    (
        "BEGIN; SET LOCAL ROLE seller; WITH u AS (UPDATE sale SET note = 'u' WHERE id <= 40 RETURNING 1) SELECT count(*) FROM u; ROLLBACK",
        "31",
    ),
    (
        "BEGIN; SET LOCAL ROLE seller; WITH d AS (DELETE FROM sale WHERE id <= 40 RETURNING 1) SELECT count(*) FROM d; ROLLBACK",
        "0",
    ),
    ("BEGIN; SET LOCAL ROLE seller; SELECT count(*) FROM letter; ROLLBACK", "0"),
    ("BEGIN; SET LOCAL ROLE seller; SELECT count(*) FROM note WHERE id <= 40; ROLLBACK", "40"),
    ("BEGIN; SET LOCAL ROLE keeper; SELECT count(*) FROM visit; ROLLBACK", "20"),
    ("BEGIN; SET LOCAL ROLE seller; SELECT count(*) FROM stock; ROLLBACK", "20"),
    ("BEGIN; SET LOCAL ROLE seller; SET LOCAL app.shop = '2'; SELECT count(*) FROM event; ROLLBACK", "7"),
    ("BEGIN; SET LOCAL ROLE seller; SELECT count(*) FROM event_2024; ROLLBACK", "20"),
];

async fn there_and_back(db: &Database, sale: &str, cut_over: &[(&str, &str)]) {
    for (query, answer) in SEEN {
        assert_eq!(db.query_one_text(query).await, *answer, "before the run: {query}");
    }
    let folder = Bastide::on(db.url());
    let file = folder.path().join("bastide.toml");
    let tables = ["customer", "event", "letter", "note", "stock"]
        .map(|table| format!("\"rls:public.{table}\" = \"replace\"\n"));
    std::fs::write(&file, format!("[answers]\n{}\"rls:public.sale\" = \"{sale}\"\n", tables.concat()))
        .unwrap();
    let meanwhile = Meanwhile {
        login: "seller",
        writes: "INSERT INTO sale VALUES (1000, 4, 'new'); INSERT INTO note VALUES (1000, 1000)",
        settled: SEEN,
        cut_over,
        written: "SELECT count(*)::text FROM sale WHERE id >= 1000",
        unwrite: "DELETE FROM note WHERE id >= 1000; DELETE FROM sale WHERE id >= 1000",
    };
    let config = file.to_str().unwrap();
    there_and_back_with_writes(db, &["--config", config, "--tenant-root", "public.shop"], meanwhile).await;
    for (query, answer) in SEEN {
        assert_eq!(db.query_one_text(query).await, *answer, "after rollback: {query}");
    }
}

#[tokio::test]
async fn all_of_it_is_replaced_at_cutover() {
    let (_server, db) = loaded(POLICIES).await;
    let cut_over = [
        ("SELECT string_agg(DISTINCT polname::text, ' ') FROM pg_policy", "bastide_tenant"),
        (
            "BEGIN; SET LOCAL ROLE seller; SET LOCAL app.shop = '2'; SELECT count(*) FROM customer; ROLLBACK",
            "0",
        ),
        (
            "BEGIN; SET LOCAL ROLE bastide_app; SET LOCAL bastide.tenant = '2'; SELECT count(*) FROM customer; ROLLBACK",
            "4",
        ),
    ];
    there_and_back(&db, "replace", &cut_over).await;
}

#[tokio::test]
async fn what_only_narrows_may_stay() {
    let (_server, db) = loaded(POLICIES).await;
    let cut_over = [
        (
            "SELECT string_agg(DISTINCT polname::text, ' ' ORDER BY polname::text) FROM pg_policy",
            "bastide_tenant narrow",
        ),
        (
            "BEGIN; SET LOCAL ROLE bastide_app; SET LOCAL bastide.tenant = '2'; SELECT count(*) FROM sale WHERE id = 13; ROLLBACK",
            "0",
        ),
    ];
    there_and_back(&db, "keep", &cut_over).await;
}
