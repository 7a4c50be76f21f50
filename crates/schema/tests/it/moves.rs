//! Up and down, and what is left after each.

use bastide_schema::{Files, Migrations, SchemaError, VersionState, history, losses, status};

use crate::{
    scene::Scene,
    small::{BASE, LATER, NOTES, small},
};

#[tokio::test]
async fn up_down_and_up_again_leave_the_same() {
    let scene = Scene::empty().await;
    let mut catalogs = vec![scene.catalog().await];
    for version in 1..=scene.options.migrations.newest() {
        scene.up(Some(version)).await.unwrap();
        catalogs.push(scene.catalog().await);
    }
    for version in (0..scene.options.migrations.newest()).rev() {
        scene.down(None).await.unwrap();
        let at = usize::try_from(version).unwrap();
        assert_eq!(catalogs[at].diff(&scene.catalog().await), Vec::<String>::new(), "back at {version}");
    }
    let left = "SELECT count(*) FROM bastide.scope";
    assert_eq!(scene.db.query_one_text(left).await, "0");
    scene.up(None).await.unwrap();
    let newest = catalogs.last().unwrap();
    assert_eq!(newest.diff(&scene.catalog().await), Vec::<String>::new());
}

#[tokio::test]
async fn the_record_says_what_is_applied_and_all_that_ever_was() {
    let scene = Scene::small().await;
    let target = &scene.options.place.target;
    let standing = async || {
        let status = status(target, &small()).await.unwrap();
        status.versions.iter().map(|version| version.state).collect::<Vec<_>>()
    };
    assert_eq!(standing().await, [VersionState::Pending; 3]);
    assert!(history(target).await.unwrap().is_empty());
    scene.up(None).await.unwrap();
    assert_eq!(standing().await, [VersionState::Applied; 3]);
    assert!(scene.up(None).await.unwrap().applied.is_empty());
    scene.down(Some(1)).await.unwrap();
    assert_eq!(standing().await, [VersionState::Applied, VersionState::Pending, VersionState::Pending]);
    let done: Vec<String> = history(target)
        .await
        .unwrap()
        .iter()
        .map(|change| format!("{} {} by {}", change.action, change.name, change.login))
        .collect();
    insta::assert_snapshot!(done.join("\n"), @"
    up base by postgres
    up notes by postgres
    started later by postgres
    up later by postgres
    undoing later by postgres
    down later by postgres
    down notes by postgres
    ");
    let app = scene.db.client_as("bastide_app", "app").await;
    for table in ["schema_version", "schema_history"] {
        let error = app.batch_execute(&format!("SELECT FROM bastide.{table}")).await.unwrap_err();
        assert_eq!(error.code().unwrap().code(), "42501");
    }
}

#[tokio::test]
async fn what_undoing_loses_is_counted_first() {
    let scene = Scene::small().await;
    scene.up(None).await.unwrap();
    scene
        .db
        .execute("INSERT INTO shops VALUES (1, 'a', 'Ahoy'), (2, 'b', NULL); INSERT INTO notes (shop_id) VALUES (1), (1), (2)")
        .await;
    let losses = losses(&scene.options.place.target, Some(0)).await.unwrap();
    let lines: Vec<String> = losses
        .iter()
        .flat_map(|loss| loss.lines().into_iter().map(|line| format!("{} {line}", loss.name)))
        .collect();
    insta::assert_snapshot!(lines.join("\n"), @"
    later table public.log, 0 row(s)
    notes table public.notes, 3 row(s)
    notes column public.shops.motto, 1 value(s)
    base table public.shops, 2 row(s)
    ");
}

#[tokio::test]
async fn a_migration_that_fails_leaves_nothing_of_itself() {
    let fails = |folder, up, isolate| Files { folder, up, down: "", isolate };
    for (last, code) in [
        (fails("0003_fails", "CREATE TABLE public.half (id int); SELECT 1 / 0", ""), 1),
        (fails("0003_open", "CREATE TABLE public.half (id int)", ""), 1),
        (fails("0003_across", "CREATE TABLE public.half (id int PRIMARY KEY)", "public.half id"), 1),
    ] {
        let scene = Scene::with(Migrations::new(&[BASE, NOTES, last]).unwrap()).await;
        scene.up(Some(2)).await.unwrap();
        let before = (scene.catalog().await, history(&scene.options.place.target).await.unwrap().len());
        let error = scene.up(None).await.unwrap_err();
        assert_eq!(error.exit_code(), code, "{error}");
        assert!(error.to_string().contains(last.folder), "{error}");
        assert_eq!(before.0.diff(&scene.catalog().await), Vec::<String>::new(), "{}", last.folder);
        assert_eq!(before.1, history(&scene.options.place.target).await.unwrap().len());
    }
}

#[tokio::test]
async fn files_that_were_changed_since_stop_it_and_the_kept_script_undoes_it_all_the_same() {
    let mut scene = Scene::small().await;
    let before = scene.catalog().await;
    scene.up(None).await.unwrap();
    let edited = Files { down: "SELECT 'nothing like it'", ..NOTES };
    scene.options.migrations = Migrations::new(&[BASE, edited, LATER]).unwrap();
    let error = scene.up(None).await.unwrap_err();
    assert!(matches!(&error, SchemaError::Changed { label } if label == "0002_notes"), "{error}");
    let told = status(&scene.options.place.target, &scene.options.migrations).await.unwrap();
    assert_eq!(told.versions[1].state, VersionState::Changed);
    // Not even the files are needed.
    scene.options.migrations = Migrations::new(&[BASE]).unwrap();
    let error = scene.up(None).await.unwrap_err();
    assert!(matches!(error, SchemaError::Newer { there: 2, newest: 1 }), "{error}");
    assert_eq!(error.exit_code(), 2);
    scene.down(Some(0)).await.unwrap();
    assert_eq!(before.diff(&scene.catalog().await), Vec::<String>::new());
    assert!(scene.db.query_rows("SELECT FROM pg_roles WHERE rolname = 'bastide_app'").await.is_empty());
}

#[tokio::test]
async fn a_version_that_is_not_there_is_no_place_to_go() {
    let scene = Scene::small().await;
    for to in [-1, 4] {
        assert_eq!(scene.up(Some(to)).await.unwrap_err().exit_code(), 2);
        assert_eq!(scene.down(Some(to)).await.unwrap_err().exit_code(), 2);
    }
    assert!(scene.down(None).await.unwrap().undone.is_empty());
}

#[tokio::test]
async fn of_two_at_once_one_applies_and_the_other_waits_or_is_told() {
    let scene = Scene::small().await;
    let (one, other) = tokio::join!(scene.up(None), scene.up(None));
    let codes: Vec<u8> =
        [&one, &other].map(|went| went.as_ref().map_or_else(SchemaError::exit_code, |_| 0)).to_vec();
    assert!(codes.contains(&0) && codes.iter().all(|code| [0, 5].contains(code)), "{one:?} {other:?}");
    let ups = history(&scene.options.place.target).await.unwrap();
    let ups: Vec<i32> =
        ups.iter().filter(|change| change.action == "up").map(|change| change.version).collect();
    assert_eq!(ups, [1, 2, 3]);

    let held = bastide_engine::MigrationGuard::acquire(&scene.options.place.target).await.unwrap();
    assert_eq!(scene.down(None).await.unwrap_err().exit_code(), 5);
    drop(held);
}

#[tokio::test]
async fn a_lock_in_the_way_stops_it_with_nothing_done() {
    let mut scene = Scene::small().await;
    scene.up(Some(1)).await.unwrap();
    let mut other = scene.db.client().await;
    let reader = other.transaction().await.unwrap();
    reader.batch_execute("SELECT FROM public.shops").await.unwrap();
    scene.options.place.patience.tries = 3;
    let error = scene.up(Some(2)).await.unwrap_err();
    assert!(
        matches!(&error, SchemaError::Blocked { label, tries: 3, .. } if label == "0002_notes"),
        "{error}"
    );
    assert_eq!(error.exit_code(), 4);
    reader.rollback().await.unwrap();
    scene.up(Some(2)).await.unwrap();
}

#[tokio::test]
async fn another_login_is_served_as_well() {
    let mut scene = Scene::empty().await;
    scene.options.app_role = bastide_sql::Ident::constant("Shop App");
    scene.up(None).await.unwrap();
    assert_eq!(bastide_schema::check(&scene.options).await.unwrap().differences, Vec::<String>::new());
    let may = "SELECT has_function_privilege('Shop App', 'bastide.canaries()', 'EXECUTE') AND has_table_privilege('Shop App', 'public.orders', 'SELECT')";
    assert_eq!(scene.db.query_one_text(may).await, "t");
    assert!(scene.db.query_rows("SELECT FROM pg_roles WHERE rolname = 'bastide_app'").await.is_empty());
    scene.down(Some(0)).await.unwrap();
    assert!(scene.db.query_rows("SELECT FROM pg_roles WHERE rolname = 'Shop App'").await.is_empty());
}
