//! The legacy shop, as the demo does it but smaller: dirty in every way, migrated all the way there and all the way back.

use bastide_demo::LegacyShop;
use bastide_sql::Ident;
use bastide_testkit::{Database, Server, diff, template};

use crate::bastide::Bastide;

const ROOT: [&str; 3] = ["--accept-defaults", "--tenant-root", "public.merchants"];

pub(crate) async fn shop() -> (Server, Database) {
    let version = concat!(
        include_str!("../../../../fixtures/legacy/shop/schema.sql"),
        include_str!("../../../demo/src/fill.sql")
    );
    template("shop", version, async |db| {
        let maintenance = bastide_connect::Target::parse(&db.url()).unwrap().with_database("postgres");
        let shop = LegacyShop { seed: 1, scale: 0.03 };
        shop.create(&maintenance, &Ident::constant("shop")).await.unwrap();
    })
    .await
}

#[tokio::test]
async fn the_legacy_shop_there_and_back() {
    let (_server, db) = shop().await;
    let (dump, columns) = (db.schema_dump().await, db.columns().await);
    let rows = db.fingerprints_of(&columns).await;
    let bastide = Bastide::on(db.url());
    let summary =
        bastide.run(&[&["rls", "migrate", "--yes", "--format", "json"][..], &ROOT].concat()).expect(0).json();
    assert!(summary["rows_assigned"].as_u64().unwrap() > 5_000, "{summary:#}");
    assert!(summary["rows_quarantined"].as_u64().unwrap() > 0, "{summary:#}");
    assert_eq!(summary["probes_failed"], 0);

    // Assigned rows are right: the generator's truth is that number n belongs to merchant 1 + (n - 1) % merchants.
    let wrong = "WITH m AS (SELECT count(*) AS n FROM storefront_configs),
        truth AS (SELECT c.merchant_id, c.id FROM storefront_configs c)
        SELECT count(*)::text FROM (
            SELECT p.merchant_id, t.merchant_id AS true FROM products p, m, truth t WHERE t.id = 1 + (p.id - 1) % m.n
            UNION ALL SELECT c.tenant_id, t.merchant_id FROM customers c, m, truth t WHERE t.id = 1 + (c.id - 1) % m.n
            UNION ALL SELECT c.merchant_id, t.merchant_id FROM categories c, m, truth t WHERE t.id = 1 + (c.id - 1) % m.n
        ) x WHERE x.merchant_id <> x.true AND x.merchant_id IN (SELECT merchant_id FROM truth)";
    assert_eq!(db.query_one_text(wrong).await, "0", "no row went to the wrong merchant");
    let untouched = "SELECT count(*)::text FROM orders WHERE updated_at > now() - interval '1 hour'";
    assert_eq!(db.query_one_text(untouched).await, "0", "the updated_at trigger did not fire");

    // The legacy application goes on writing, and its rows get their tenant.
    db.execute("SET ROLE shop_legacy; INSERT INTO orders (customer_id, number, currency) SELECT customer_id, 'S-new', currency FROM orders WHERE merchant_id IS NOT NULL AND customer_id IS NOT NULL AND number = (SELECT max(number) FROM orders WHERE customer_id IS NOT NULL AND status = 'delivered')").await;
    let given = "SELECT (o.merchant_id = c.tenant_id)::text FROM orders o JOIN customers c ON c.id = o.customer_id WHERE number = 'S-new'";
    assert_eq!(db.query_one_text(given).await, "true");
    db.execute("DELETE FROM orders WHERE number = 'S-new'").await;

    // A new customer has no order yet, so nothing says whose he is; by cutover his order does, and both stay.
    db.execute(
        "SET ROLE shop_legacy; INSERT INTO customers (email, name) VALUES ('new@mail.example', 'New')",
    )
    .await;
    db.execute("SET ROLE shop_legacy; INSERT INTO orders (merchant_id, customer_id, number, currency) SELECT m.id, c.id, 'S-first', m.currency FROM merchants m, customers c WHERE m.slug = 'nordlicht-kaffee' AND c.email = 'new@mail.example'").await;
    let quarantined = "SELECT (c.tenant_id = m.id)::text FROM customers c, merchants m WHERE c.email = 'new@mail.example' AND m.slug = 'nordlicht-kaffee'";
    assert_eq!(db.query_one_text(quarantined).await, "false");

    bastide.run(&["rls", "validate"]).expect(0);
    bastide.run(&["legacy", "validate"]).expect(0);
    let cut = bastide
        .run(&["rls", "cutover", "--watch", "0", "--in-use", "--yes", "--format", "json"])
        .expect(0)
        .json();
    assert!(cut["rows_held"].as_u64().unwrap() > 0, "rows of crossing links are held aside: {cut:#}");
    bastide.run(&["rls", "validate"]).expect(0);
    let checked = bastide.run(&["legacy", "validate"]).expect(0);
    assert!(checked.stdout.contains("held aside"), "{}", checked.stdout);
    assert_eq!(db.query_one_text(quarantined).await, "true", "his order said whose he is");
    assert_eq!(db.query_one_text("SELECT count(*)::text FROM orders WHERE number = 'S-first'").await, "1");
    bastide.run(&["rls", "status"]).expect(0);
    bastide.run(&["rls", "report"]).expect(0);
    let told = bastide.run(&["rls", "finish"]).expect(2).stderr;
    assert!(told.contains(" rows held aside"), "{told}");
    let look = told.split_once("look at them first: ").and_then(|(_, query)| query.lines().next()).unwrap();
    let held = db.query_one_text(&format!("SELECT count(*)::text FROM ({look}) AS held")).await;
    assert!(told.contains(&format!("these {held} rows are in no other table")), "{told}");
    bastide.run(&["rls", "rollback", "--yes"]).expect(0);

    // What was written since is kept; without it, everything is as before.
    let kept = "SELECT count(*)::text FROM orders o JOIN customers c ON c.id = o.customer_id WHERE number = 'S-first' AND email = 'new@mail.example'";
    assert_eq!(db.query_one_text(kept).await, "1");
    db.execute(
        "DELETE FROM orders WHERE number = 'S-first'; DELETE FROM customers WHERE email = 'new@mail.example'",
    )
    .await;
    assert_eq!(db.schema_dump().await, dump, "the schema is as it was");
    let after = db.fingerprints_of(&columns).await;
    assert_eq!(after, rows, "{}", diff(&rows, &after));
    let roles = "SELECT count(*)::text FROM pg_roles WHERE rolname IN ('bastide_app', 'bastide_owner')";
    assert_eq!(db.query_one_text(roles).await, "0", "the run's roles are gone");
}

#[tokio::test]
async fn without_answers_the_run_stops_before_it_changes_anything() {
    let (_server, db) = shop().await;
    let dump = db.schema_dump().await;
    let bastide = Bastide::on(db.url());
    let ran = bastide.run(&["rls", "migrate", "--yes", "--tenant-root", "public.merchants"]).expect(2);
    assert!(ran.stdout.contains("open  "), "{}", ran.stdout);
    assert!(ran.stderr.contains("--accept-defaults"), "{}", ran.stderr);
    assert_eq!(db.schema_dump().await, dump);

    // Answered in the plan file, it goes on; planning again keeps the answers.
    bastide.run(&["rls", "plan", "--tenant-root", "public.merchants"]).expect(2);
    let file = bastide.path().join("plan.toml");
    // What a reviewer does who agrees with every default.
    let mut default = String::new();
    let mut text = String::new();
    for line in std::fs::read_to_string(&file).unwrap().lines() {
        if let Some(found) = line.strip_prefix("default = ") {
            default = found.to_owned();
        }
        let answered = line == "answer = \"\"";
        text.push_str(&if answered { format!("answer = {default}\n") } else { format!("{line}\n") });
    }
    std::fs::write(&file, text).unwrap();
    bastide.run(&["rls", "plan", "--tenant-root", "public.merchants"]).expect(0);
    bastide
        .run(&["rls", "migrate", "--yes", "--verify-backup", "list", "--plan", file.to_str().unwrap()])
        .expect(0);
    bastide.run(&["rls", "rollback", "--yes"]).expect(0);
    assert_eq!(db.schema_dump().await, dump);
}
