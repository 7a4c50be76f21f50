//! A database that a run has migrated, from there on; and those that are none of ours.

use bastide_engine::EngineError;
use bastide_schema::{SchemaError, check, history};
use bastide_verify::{App, Options as Verifying};

use crate::scene::Scene;

#[tokio::test]
async fn a_migrated_shop_is_version_one_and_goes_on_and_back() {
    let scene = Scene::legacy().await;
    let legacy = scene.db.schema_dump().await;
    let place = &scene.options.place;
    let run = scene.migrate().await;
    let went = scene.up(None).await.unwrap();
    assert_eq!((went.adopted, went.from, went.to), (Some(run), 0, scene.options.migrations.newest()));
    assert_eq!(check(&scene.options).await.unwrap().differences, Vec::<String>::new());
    let plan = scene.plan().await;
    assert!(plan.steps.is_empty(), "{:?}", plan.steps.iter().map(|step| &step.id).collect::<Vec<_>>());

    // What stands on the run comes off first.
    let rolled_back = async || bastide_engine::rollback(place, None, None, &|_| {}).await;
    let error = rolled_back().await.unwrap_err();
    assert!(matches!(error, EngineError::SchemaOnTop { newest } if newest == went.to), "{error}");
    assert_eq!(error.exit_code(), 2);
    assert!(error.to_string().contains("bastide schema down --to 1"), "{error}");
    let error = scene.down(Some(0)).await.unwrap_err();
    assert!(matches!(error, SchemaError::Adopted { run: left } if left == run), "{error}");
    scene.down(Some(1)).await.unwrap();
    rolled_back().await.unwrap();
    assert_eq!(scene.db.schema_dump().await, legacy);
    let last = history(&place.target).await.unwrap().pop().unwrap();
    assert_eq!((last.action.as_str(), last.version), ("rolled back", 1));
    let error = scene.up(None).await.unwrap_err();
    assert!(matches!(error, SchemaError::NotCutOver { state: "rolled back", .. }), "{error}");
}

#[tokio::test]
async fn a_shop_that_is_another_is_told_where_it_differs() {
    let scene = Scene::legacy().await;
    scene
        .db
        .execute(
            "CREATE TABLE public.extra (id int PRIMARY KEY); ALTER TABLE public.tags ADD COLUMN colour text",
        )
        .await;
    scene.migrate().await;
    let error = scene.up(None).await.unwrap_err();
    let SchemaError::NotTheShop { differences, .. } = &error else { panic!("{error}") };
    assert!(differences.iter().any(|line| line.starts_with("table public.extra: is new")), "{differences:?}");
    assert!(
        differences.iter().any(|line| line.contains("table public.tags: columns, colour")),
        "{differences:?}"
    );
    assert_eq!(error.exit_code(), 1);
    assert!(history(&scene.options.place.target).await.unwrap().is_empty());
    let left = "SELECT count(*) FROM pg_database WHERE datname LIKE 'bastide_schema%'";
    assert_eq!(scene.db.query_one_text(left).await, "0");
}

#[tokio::test]
async fn somebody_elses_database_is_refused_untouched() {
    let scene = Scene::empty().await;
    scene.db.execute("CREATE TABLE public.theirs (id int)").await;
    let before = scene.db.schema_dump().await;
    let error = scene.up(None).await.unwrap_err();
    insta::assert_snapshot!(error, @"there are tables in platform that Bastide did not make, first: public.theirs. Name an empty database, or migrate this one as a legacy database: `bastide rls plan`");
    assert_eq!(error.exit_code(), 2);
    assert_eq!(scene.db.schema_dump().await, before);
    assert_eq!(scene.db.query_one_text("SELECT to_regnamespace('bastide') IS NULL").await, "t");
}

#[tokio::test]
async fn a_platform_built_from_nothing_is_isolated_and_has_nothing_to_plan() {
    let scene = Scene::empty().await;
    scene.up(Some(2)).await.unwrap();
    scene.db.execute(include_str!("../../../commerce/tests/shop/data.sql")).await;
    scene.up(None).await.unwrap();
    let plan = scene.plan().await;
    assert!(plan.steps.is_empty(), "{:?}", plan.steps.iter().map(|step| &step.id).collect::<Vec<_>>());
    let login = scene.options.place.target.with_user("bastide_app", Some("app"));
    let verdict =
        bastide_verify::verify(&mut scene.db.client().await, App::Login(&login), Verifying::default())
            .await
            .unwrap();
    let open: Vec<String> =
        verdict.open_findings().map(|f| format!("{} {}: {}", f.id, f.object, f.message)).collect();
    assert_eq!(open, Vec::<String>::new());
    assert!(verdict.isolated() && verdict.breaches().next().is_none());
    assert!(verdict.probes.len() > 300, "{} probes", verdict.probes.len());
    let scoped = scene.db.query_one_text("SELECT count(*) FROM bastide.scoped_tables").await;
    assert_eq!(verdict.scoped_tables.to_string(), scoped);
}
