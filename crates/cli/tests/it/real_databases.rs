//! Published databases that nobody made for us: plan, migrate, validate, cut over, validate, roll back; and one root that
//! is no tenant boundary.

use bastide_testkit::{Database, diff, legacy};

use crate::bastide::Bastide;

/// The whole way there and back; before and after must be the same, byte for byte.
async fn there_and_back(db: &Database, root: &[&str]) {
    let (dump, columns) = (db.schema_dump().await, db.columns().await);
    let rows = db.fingerprints_of(&columns).await;
    let bastide = Bastide::on(db.url());
    let planned = [&["rls", "plan", "--accept-defaults"], root].concat();
    bastide.run(&planned).expect(0);
    assert_eq!(db.schema_dump().await, dump, "planning changes nothing");

    let plan = bastide.path().join("plan.toml");
    bastide.run(&["rls", "migrate", "--yes", "--plan", plan.to_str().unwrap()]).expect(0);
    assert_ne!(db.schema_dump().await, dump);
    isolated(&bastide, "pending cutover");
    bastide.run(&["rls", "cutover", "--yes"]).expect(0);
    isolated(&bastide, "cut over");
    bastide.run(&["rls", "rollback", "--yes"]).expect(0);

    assert_eq!(db.schema_dump().await, dump, "the schema is as it was");
    let after = db.fingerprints_of(&columns).await;
    assert_eq!(after, rows, "{}", diff(&rows, &after));
    let roles = "SELECT count(*)::text FROM pg_roles WHERE rolname IN ('bastide_app', 'bastide_owner')";
    assert_eq!(db.query_one_text(roles).await, "0", "the run's roles are gone");
}

#[track_caller]
fn isolated(bastide: &Bastide, when: &str) {
    let ran = bastide.run(&["rls", "validate", "--format", "json"]).expect(0);
    let verdict = ran.json();
    let open: Vec<_> = verdict["findings"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|finding| finding["severity"] != "info" && finding["pending_cutover"] == false)
        .collect();
    assert!(open.is_empty(), "{when}: {open:#?}");
    assert!(verdict["own_login"].as_bool().unwrap());
    assert!(
        verdict["probes"].as_array().unwrap().iter().any(|probe| probe["outcome"] == "held"),
        "{when}: something held"
    );
}

#[tokio::test]
async fn a_rental_chain_as_one_tenant() {
    let Some((_server, db)) = legacy("sakila").await else { return };
    there_and_back(&db, &["--new-tenant-root", "tenants"]).await;
}

#[tokio::test]
async fn a_store_is_no_tenant_boundary_and_the_links_are_named() {
    let Some((_server, db)) = legacy("sakila").await else { return };
    let dump = db.schema_dump().await;
    let bastide = Bastide::on(db.url());
    let ran = bastide
        .run(&["rls", "migrate", "--yes", "--accept-defaults", "--tenant-root", "public.store"])
        .expect(2);
    for word in ["rental", "12,035", "16,044", "boundary"] {
        assert!(ran.stderr.contains(word), "{word} is missing in: {}", ran.stderr);
    }
    assert_eq!(db.schema_dump().await, dump, "nothing changed");
}

#[tokio::test]
async fn a_food_trader_as_one_tenant() {
    let Some((_server, db)) = legacy("northwind").await else { return };
    there_and_back(&db, &["--new-tenant-root", "tenants"]).await;
}

#[tokio::test]
async fn a_food_trader_by_customer() {
    let Some((_server, db)) = legacy("northwind").await else { return };
    there_and_back(&db, &["--tenant-root", "public.customers"]).await;
}

#[tokio::test]
async fn a_music_shop_by_customer() {
    let Some((_server, db)) = legacy("chinook").await else { return };
    there_and_back(&db, &["--tenant-root", "public.customer"]).await;
}
