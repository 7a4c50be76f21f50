//! Published databases that nobody made for us: plan, migrate, validate, cut over, validate, roll back; and one root that
//! is no tenant boundary.

use bastide_testkit::legacy;

use crate::{bastide::Bastide, there_and_back::there_and_back};

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
    // What to do instead, and what to write to do it all the same.
    let suggested =
        ["these are boundaries:", "--tenant-root public.customer: 599 tenants", "--new-tenant-root"];
    let written = ["[answers]", "\"boundary:public.store\" = \"accept\""];
    let words = ["rental", "12,035", "16,044", "boundary"];
    for word in words.into_iter().chain(suggested).chain(written) {
        assert!(ran.stderr.contains(word), "{word} is missing in: {}", ran.stderr);
    }
    assert_eq!(db.schema_dump().await, dump, "nothing changed");
}

#[tokio::test]
async fn a_root_that_is_no_boundary_is_accepted_in_writing() {
    let Some((_server, db)) = legacy("sakila").await else { return };
    let bastide = Bastide::on(db.url());
    let settings = bastide.path().join("bastide.toml");
    std::fs::write(&settings, "[answers]\n\"boundary:public.store\" = \"accept\"\n").unwrap();
    let settings = settings.to_str().unwrap();
    let plan = bastide.path().join("plan.toml");
    let plan = plan.to_str().unwrap();
    let by_store = ["--tenant-root", "public.store", "--accept-defaults", "-o", plan];
    bastide.run(&[&["--config", settings, "rls", "plan"], by_store.as_slice()].concat()).expect(0);
    let written = std::fs::read_to_string(plan).unwrap();
    let note = "was accepted as the tenant root, though it is not a tenant boundary:";
    assert!(
        written.contains(note) && written.contains("12,035 of 16,044 rows of public.rental"),
        "{written}"
    );
    // The file alone keeps the word: a second plan needs no bastide.toml.
    bastide.run(&[["rls", "plan"].as_slice(), by_store.as_slice()].concat()).expect(0);
    assert!(std::fs::read_to_string(plan).unwrap().contains(note));
}

/// Three rentals in four are of another store's film or customer: they are held aside, and come back.
#[tokio::test]
async fn a_root_that_is_no_boundary_there_and_back() {
    let Some((_server, db)) = legacy("sakila").await else { return };
    let folder = tempfile::tempdir().unwrap();
    let settings = folder.path().join("bastide.toml");
    std::fs::write(&settings, "[answers]\n\"boundary:public.store\" = \"accept\"\n").unwrap();
    there_and_back(&db, &["--tenant-root", "public.store", "--config", settings.to_str().unwrap()]).await;
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
