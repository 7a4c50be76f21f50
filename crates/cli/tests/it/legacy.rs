//! `bastide legacy`: the upgrade by itself, run again, checked, and taken back. What is broken on purpose is found by the
//! check that is there for it.

use bastide_testkit::{Database, server};

use crate::bastide::{Bastide, Ran};

/// A root that takes no quarantine tenant, so that tenant columns stay open; a reused column, added ones, a natural key,
/// a table without a key, partitions, names that need quotes.
const SHOP: &str = r#"
CREATE TABLE merchants (id int PRIMARY KEY CHECK (id > 0), slug text NOT NULL UNIQUE);
CREATE TABLE customers (id int PRIMARY KEY, merchant_id int REFERENCES merchants, email text NOT NULL UNIQUE);
CREATE TABLE "Orders" (id int PRIMARY KEY, "customerId" int REFERENCES customers, "Total" numeric(10,2), pieces int);
CREATE TABLE lines (order_id int REFERENCES "Orders", n int, what text, PRIMARY KEY (order_id, n));
CREATE TABLE visits ("Who" int REFERENCES customers, at timestamptz);
CREATE TABLE events (id int, at date, order_id int REFERENCES "Orders", PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
CREATE TABLE events_2025 PARTITION OF events FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
INSERT INTO merchants VALUES (1, 'one'), (2, 'two');
INSERT INTO customers SELECT i, CASE WHEN i <= 4 THEN i % 2 + 1 END, 'c' || i FROM generate_series(1, 5) i;
INSERT INTO "Orders" SELECT i, i % 4 + 1, i * 1.5, i FROM generate_series(1, 40) i;
INSERT INTO lines SELECT i, 1 FROM generate_series(1, 40) i;
INSERT INTO visits SELECT i % 4 + 1, '2025-03-01' FROM generate_series(1, 20) i;
INSERT INTO events SELECT i, '2025-02-01', i FROM generate_series(1, 40) i;
UPDATE customers SET merchant_id = 1 WHERE id = 5;
"#;

const UPGRADE: [&str; 8] = [
    "legacy",
    "upgrade",
    "--yes",
    "--accept-defaults",
    "--verify-backup",
    "list",
    "--tenant-root",
    "public.merchants",
];

#[track_caller]
fn fails(bastide: &Bastide, arguments: &[&str]) -> String {
    let ran = bastide.run(&[&["legacy", "validate", "--format", "json"], arguments].concat());
    let verdict = ran.json();
    let mut found = Vec::new();
    for check in verdict["checks"].as_array().unwrap() {
        for looked in check["looked"].as_array().unwrap().iter().filter(|l| l["state"] == "failed") {
            let samples: Vec<&str> =
                looked["samples"].as_array().unwrap().iter().filter_map(|s| s.as_str()).collect();
            let (id, object) = (check["id"].as_str().unwrap(), looked["object"].as_str().unwrap());
            found.push(format!("{id} {object} [{}]", samples.join("; ")));
        }
    }
    ran.expect(i32::from(!found.is_empty()));
    found.join(", ")
}

/// As somebody would whom no trigger sees.
async fn behind_our_back(db: &Database, statements: &str) {
    db.execute(&format!(
        "SET session_replication_role = replica; {statements}; RESET session_replication_role"
    ))
    .await;
}

#[tokio::test]
async fn what_is_broken_is_found_by_its_own_check() {
    let server = server().await;
    let db = server.database("shop").await;
    db.execute(SHOP).await;
    let (dump, columns) = (db.schema_dump().await, db.columns().await);
    let rows = db.fingerprints_of(&columns).await;
    let bastide = Bastide::on(db.url());
    bastide.run(&UPGRADE).expect(0);
    assert_eq!(fails(&bastide, &["--exact"]), "");
    let text = bastide.run(&["legacy", "validate", "--exact"]).expect(0).stdout;
    for line in
        ["tenants   holds", "links     holds", "sums      holds", "keys      holds", "evidence  holds"]
    {
        assert!(text.contains(line), "{line} is missing in:\n{text}");
    }
    let verdict = bastide.run(&["legacy", "validate", "--format", "json"]).json();
    let run = verdict["run"].as_str().unwrap();
    let page = std::fs::read_to_string(bastide.path().join(format!("reports/{run}.rows.html"))).unwrap();
    assert!(page.contains("The rows are as they should be.") && !page.contains("What fails"));

    // Each broken, found, and mended.
    let broken = [
        (
            r#"UPDATE "Orders" SET tenant_id = NULL WHERE id = 7"#,
            r#"UPDATE "Orders" SET tenant_id = 1 WHERE id = 7"#,
            r#"tenants public."Orders" [7]"#,
        ),
        (
            "UPDATE events SET tenant_id = 99 WHERE id = 8",
            "UPDATE events SET tenant_id = 2 WHERE id = 8",
            "tenants public.events_2025 [8, 2025-02-01], links public.events.events_order_id_fkey [8, 2025-02-01], evidence public.events_2025 [8, 2025-02-01]",
        ),
        (
            "UPDATE customers SET merchant_id = 2 WHERE id = 4; UPDATE \"Orders\" SET tenant_id = 2 WHERE \"customerId\" = 4 AND id <> 3; UPDATE visits SET tenant_id = 2 WHERE \"Who\" = 4; UPDATE lines SET tenant_id = 2 WHERE order_id % 4 = 3 AND order_id <> 3; UPDATE events SET tenant_id = 2 WHERE order_id % 4 = 3 AND order_id <> 3",
            "UPDATE customers SET merchant_id = 1 WHERE id = 4; UPDATE \"Orders\" SET tenant_id = 1 WHERE \"customerId\" = 4; UPDATE visits SET tenant_id = 1 WHERE \"Who\" = 4; UPDATE lines SET tenant_id = 1 WHERE order_id % 4 = 3; UPDATE events SET tenant_id = 1 WHERE order_id % 4 = 3",
            "links public.\"Orders\".\"Orders_customerId_fkey\" [3]",
        ),
        (
            "ALTER TABLE customers DROP CONSTRAINT customers_email_key; UPDATE customers SET email = 'c3' WHERE id = 1",
            "UPDATE customers SET email = 'c1' WHERE id = 1; ALTER TABLE customers ADD UNIQUE (email)",
            "keys public.customers (email) [2, c3]",
        ),
    ];
    for (breaks, mends, found) in broken {
        behind_our_back(&db, breaks).await;
        let page = bastide.path().join("rows.html");
        assert_eq!(fails(&bastide, &["--html", page.to_str().unwrap()]), found, "{breaks}");
        assert!(std::fs::read_to_string(&page).unwrap().contains("What fails"), "{breaks}");
        behind_our_back(&db, mends).await;
        assert_eq!(fails(&bastide, &["--exact"]), "", "{mends}");
    }
    // What may as well be the shop's own work is said, and fails only where nobody should have worked.
    for (writes, takes_back, found) in [
        (
            "DELETE FROM lines WHERE order_id = 9",
            "INSERT INTO lines (order_id, n, tenant_id) VALUES (9, 1, 1)",
            "sums public.lines []",
        ),
        (
            r#"UPDATE "Orders" SET "Total" = "Total" + 0.01 WHERE id = 9"#,
            r#"UPDATE "Orders" SET "Total" = "Total" - 0.01 WHERE id = 9"#,
            r#"sums public."Orders" []"#,
        ),
    ] {
        behind_our_back(&db, writes).await;
        assert_eq!(fails(&bastide, &["--exact"]), found, "{writes}");
        assert_eq!(fails(&bastide, &[]), "");
        assert!(bastide.run(&["legacy", "validate"]).stdout.contains("rows were written since"));
        behind_our_back(&db, takes_back).await;
        assert_eq!(fails(&bastide, &["--exact"]), "");
    }
    // Evidence that is gone; a whole line of it, where lines are packed.
    db.execute(
        r#"DO $$ BEGIN
          IF to_regclass('bastide.assigned') IS NULL THEN DELETE FROM bastide.assignment WHERE relation = '"public"."lines"';
          ELSE EXECUTE 'DELETE FROM bastide.assigned WHERE relation = ''"public"."lines"'''; END IF;
        END $$"#,
    )
    .await;
    let found = fails(&bastide, &[]);
    assert!(found.starts_with("evidence public.lines [") && !found.contains(", evidence"), "{found}");
    db.execute(r#"DELETE FROM bastide.rule WHERE relation = '"public"."Orders"'"#).await;
    assert!(fails(&bastide, &[]).contains(r#"evidence public."Orders" []"#));

    bastide.run(&["legacy", "rollback", "--yes"]).expect(0);
    assert_eq!(db.schema_dump().await, dump, "the schema is as it was");
    let after = db.fingerprints_of(&columns).await;
    assert_eq!(after, rows, "{}", bastide_testkit::diff(&rows, &after));
}

#[tokio::test]
async fn an_upgrade_again_finds_only_what_came_since() {
    let server = server().await;
    let db = server.database("shop").await;
    db.execute(SHOP).await;
    let (dump, columns) = (db.schema_dump().await, db.columns().await);
    let rows = db.fingerprints_of(&columns).await;
    let bastide = Bastide::on(db.url());
    bastide.run(&UPGRADE).expect(0);
    let status = bastide.run(&["rls", "status"]).expect(0).stdout;
    for word in ["upgraded", "rls resume", "legacy validate", "legacy rollback"] {
        assert!(status.contains(word), "{word} is missing in: {status}");
    }
    let again = bastide.run(&UPGRADE).expect(0).stdout;
    assert!(again.contains("nothing to do: every row has its tenant"), "{again}");
    assert!(bastide.run(&["legacy", "upgrade"]).expect(2).stderr.contains("--yes"));

    behind_our_back(
        &db,
        "INSERT INTO lines VALUES (7, 2, 'late'); INSERT INTO visits VALUES (1, '2025-07-01')",
    )
    .await;
    assert_eq!(
        fails(&bastide, &[]),
        "tenants public.lines [7, 2], tenants public.visits [1, 2025-07-01 00:00:00+00]"
    );
    let found = bastide.run(&["legacy", "upgrade", "--yes", "--format", "json"]).expect(0).json();
    assert_eq!((&found["rows_without_tenant_before"], &found["rows_without_tenant"]), (&2.into(), &0.into()));
    assert_eq!(found["state"], "upgraded");
    assert_eq!(fails(&bastide, &[]), "");

    bastide.run(&["legacy", "rollback", "--yes"]).expect(0);
    assert_eq!(db.schema_dump().await, dump, "the schema is as it was");
    db.execute("DELETE FROM lines WHERE n = 2; DELETE FROM visits WHERE at = '2025-07-01'").await;
    let after = db.fingerprints_of(&columns).await;
    assert_eq!(after, rows, "{}", bastide_testkit::diff(&rows, &after));
    let said = bastide.run(&["legacy", "validate"]).expect(2).stderr;
    assert!(said.contains("rolled back") && said.contains("legacy upgrade"), "{said}");
}

#[tokio::test]
async fn what_cannot_be_used_is_named() {
    #[track_caller]
    fn says(ran: Ran, code: i32, words: &[&str]) {
        let ran = ran.expect(code);
        for word in words {
            assert!(ran.stderr.contains(word), "{word:?} is missing in: {}", ran.stderr);
        }
    }
    let server = server().await;
    let db = server.database("shop").await;
    db.execute(SHOP).await;
    let other = server.database("other").await;
    other.execute(SHOP).await;
    let dump = db.schema_dump().await;
    let (bastide, elsewhere) = (Bastide::on(db.url()), Bastide::on(other.url()));
    says(bastide.run(&["legacy", "validate"]), 2, &["no run", "rls migrate"]);
    says(bastide.run(&["legacy", "validate", "--run", "seven"]), 2, &["seven", "no run id"]);
    let nowhere = "00000000-0000-7000-8000-000000000000";
    says(bastide.run(&["legacy", "validate", "--run", nowhere]), 2, &[nowhere]);
    says(bastide.run(&["legacy", "rollback", "--yes", "--run", nowhere]), 2, &[nowhere]);
    let plan = bastide.path().join("plan.toml");
    bastide.run(&["legacy", "plan", "--accept-defaults", "--tenant-root", "public.merchants"]).expect(0);
    let with = |plan: &std::path::Path| {
        ["legacy", "upgrade", "--yes", "--plan"]
            .map(str::to_owned)
            .into_iter()
            .chain([plan.display().to_string()])
            .collect::<Vec<_>>()
    };
    let run = |on: &Bastide, arguments: Vec<String>| {
        on.run(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
    };
    says(run(&elsewhere, with(&plan)), 2, &["plan.toml", "made for the database", "shop"]);
    let text = std::fs::read_to_string(&plan).unwrap();
    let half = bastide.path().join("half.toml");
    std::fs::write(&half, &text[..text.len() / 2]).unwrap();
    says(run(&bastide, with(&half)), 2, &["half.toml"]);
    assert_eq!(db.schema_dump().await, dump);
    // Also where a run that goes on has a plan of its own.
    run(&bastide, with(&plan)).expect(0);
    elsewhere.run(&UPGRADE).expect(0);
    says(run(&elsewhere, with(&plan)), 2, &["made for the database"]);
    says(run(&bastide, with(&half)), 2, &["half.toml"]);
    run(&bastide, with(&plan)).expect(0);
}
