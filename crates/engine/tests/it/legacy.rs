//! Real legacy databases: there, cut over, and back; and the one that must be refused.

use bastide_engine::{RunState, make_plan};
use bastide_plan::{Config, RootChoice};

use crate::scene::{Scene, config};

async fn round_trip(name: &str, root: RootChoice) {
    let Some((server, db)) = bastide_testkit::legacy(name).await else { return };
    let scene = Scene::on(server, db, Config { root, ..config() });
    let before = scene.snapshot().await;
    let outcome = scene.migrate(&scene.options().await).await.unwrap();
    assert!(outcome.verdict.unwrap().isolated());
    let outcome = scene.cutover().await.unwrap();
    assert_eq!(outcome.run.state, RunState::CutOver);
    assert!(outcome.verdict.unwrap().isolated());
    let undone = scene.rollback(None).await.unwrap();
    assert!(undone.written_since.is_empty(), "{:?}", undone.written_since);
    scene.assert_as(&before).await;
}

fn existing(table: &str) -> RootChoice {
    RootChoice::Existing(table.parse().unwrap())
}

fn new() -> RootChoice {
    RootChoice::New("public.merchants".parse().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn chinook_by_its_customers() {
    round_trip("chinook", existing("public.customer")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn northwind_by_its_customers() {
    round_trip("northwind", existing("public.customers")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn northwind_as_one_tenant() {
    round_trip("northwind", new()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sakila_as_one_tenant() {
    round_trip("sakila", new()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_root_that_is_no_boundary_is_refused_by_name() {
    let Some((server, db)) = bastide_testkit::legacy("sakila").await else { return };
    let scene = Scene::on(server, db, Config { root: existing("public.store"), ..config() });
    let before = scene.snapshot().await;
    let error = make_plan(&scene.place().target, &scene.config, &|_| {}).await.unwrap_err();
    assert_eq!(error.exit_code(), 2, "{error}");
    let said = error.to_string();
    assert!(
        said.contains("not a tenant boundary") && said.contains("12,035 of 16,044 rows of public.rental"),
        "{said}"
    );
    scene.assert_as(&before).await;
}
