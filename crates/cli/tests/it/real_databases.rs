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
