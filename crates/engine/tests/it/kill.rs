//! SIGKILL before and after every journal write and every step; a server that dies.
//!
//! Every place is hit in three ways. Two runs are killed at each place in turn, one forward and one on its way back, by
//! processes that each go on where the last one died; and from each place a fresh run is rolled back, which several tests
//! share among them.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use bastide_engine::{
    BackupChoice, EngineError, MigrateOptions, OnFailure, RunState, cutover, migrate, resume, rollback,
    status, upgrade_again, without_backup,
};

use crate::scene::{Scene, place};

/// Tests that share the places among them.
const SHARDS: u32 = 6;

/// Not a test by itself: what the tests below start, and kill. Begins a run, or goes on with the one there is, until it is
/// cut over or, going back, rolled back.
#[tokio::test(flavor = "multi_thread")]
async fn victim() {
    let Ok(url) = std::env::var("BASTIDE_TEST_URL") else { return };
    let state_dir = std::env::var("BASTIDE_TEST_STATE").unwrap();
    let back = std::env::var("BASTIDE_TEST_BACK").is_ok();
    let place = place(&url, Path::new(&state_dir));
    loop {
        let state = match status(&place.target, None).await {
            Ok((run, _)) => run.state,
            Err(EngineError::NoRun) => RunState::RolledBack,
            Err(error) => panic!("{error}"),
        };
        if std::env::var("BASTIDE_TEST_AGAIN").is_ok() {
            upgrade_again(&place, &|_| {}).await.unwrap();
            return;
        }
        match state {
            RunState::RolledBack | RunState::Finished if back => return,
            _ if back => drop(rollback(&place, None, None, &|_| {}).await.unwrap()),
            RunState::RolledBack | RunState::Finished => {
                let plan = std::fs::read_to_string(Path::new(&state_dir).join("plan.json")).unwrap();
                let options = MigrateOptions {
                    place: place.clone(),
                    plan: serde_json::from_str(&plan).unwrap(),
                    until: None,
                    on_failure: OnFailure::Rollback,
                    backup: match std::env::var("BASTIDE_TEST_BACKUP") {
                        Ok(_) => BackupChoice::Restore,
                        Err(_) => without_backup("a test", "in code"),
                    },
                    app_password: Some("sesame".to_owned()),
                };
                migrate(&options, &|_| {}).await.unwrap();
            }
            RunState::PendingCutover => drop(cutover(&place, None, &|_| {}).await.unwrap()),
            RunState::CutOver => return,
            RunState::Running | RunState::Stopped | RunState::Upgraded | RunState::RollingBack => {
                resume(&place, None, Some("sesame".to_owned()), &|_| {}).await.unwrap();
            }
        }
    }
}

/// The smallest shop, and a plan for it beside its state.
pub(crate) async fn small() -> Scene {
    let scene = Scene::small().await;
    let plan = serde_json::to_string(&scene.plan().await).unwrap();
    std::fs::write(scene.state_dir.path().join("plan.json"), plan).unwrap();
    scene
}

/// All but a new root, which excludes the rest.
#[tokio::test(flavor = "multi_thread")]
async fn the_small_shop_needs_every_kind_of_step() {
    let plan = Scene::small().await.plan().await;
    let kinds: BTreeSet<&str> =
        plan.steps.iter().filter_map(|step| step.id.as_str().split(':').next()).collect();
    insta::assert_snapshot!(kinds.into_iter().collect::<Vec<_>>().join(" "), @"add_not_null_check add_tenant add_tenant_column add_tenant_foreign_key add_tenant_index add_tenant_key analyze_table backfill carry_moves close_table close_view create_app_role create_context drop_check drop_legacy_key end_moves grant_app hold_aside infer_tenants keep_legacy_writes own_materialised_view protect_partitions protect_table release_legacy_writes restrict_function secure_view set_not_null set_tenant_default settle_links validate_constraint");
}

/// Starts a victim; true when it was killed, false when it came to its end.
pub(crate) fn victim_dies(scene: &Scene, back: bool, set: &[(&str, &str)]) -> bool {
    let status = a_victim(scene, back, set).status().unwrap();
    assert!(status.success() || status.code().is_none(), "neither killed nor done with {set:?}: {status}");
    !status.success()
}

pub(crate) fn a_victim(scene: &Scene, back: bool, set: &[(&str, &str)]) -> Command {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child
        .args(["--exact", "kill::victim", "--nocapture"])
        .env("BASTIDE_TEST_URL", scene.db.url())
        .env("BASTIDE_TEST_STATE", scene.state_dir.path())
        .envs(set.iter().copied())
        .stdout(Stdio::null())
        .stderr(Stdio::inherit());
    if back {
        child.env("BASTIDE_TEST_BACK", "1");
    }
    child
}

/// Every place that a whole run passes, one way, with how often it has passed there.
fn places(scene: &Scene, back: bool) -> Vec<String> {
    let log = scene.state_dir.path().join("places");
    let unharmed = !victim_dies(scene, back, &[("BASTIDE_FAULT_LOG", log.to_str().unwrap())]);
    assert!(unharmed);
    let passed = std::fs::read_to_string(&log).expect("the feature `fault` is on");
    std::fs::remove_file(&log).unwrap();
    let mut times: BTreeMap<&str, u32> = BTreeMap::new();
    let mut places = Vec::new();
    for (at, place) in passed.lines().enumerate() {
        let time = times.entry(place).or_default();
        *time += 1;
        // Whoever goes on after a batch begins with the next one; after the last, the step is done with it.
        let batch = place.starts_with("after_batch");
        if !batch || (*time == 1 && passed.lines().nth(at + 1) == Some(place)) {
            places.push(format!("{place}@{time}"));
        }
    }
    places
}

pub(crate) fn tell(what: &str) {
    writeln!(std::io::stderr(), "{what}").expect("stderr is open");
}

async fn state(scene: &Scene) -> RunState {
    status(&scene.place().target, None).await.unwrap().0.state
}

/// One run, killed at every place: each process goes on where the one before it died.
async fn killed_again_and_again(back: bool) {
    let scene = small().await;
    let before = scene.snapshot().await;
    let forward = places(&scene, false);
    let backward = places(&scene, true);
    scene.assert_as(&before).await;
    if back {
        assert!(!victim_dies(&scene, false, &[]));
    }
    let places = if back { backward } else { forward };
    for place in &places {
        assert!(victim_dies(&scene, back, &[("BASTIDE_FAULT", place)]), "nobody came by {place}");
    }
    assert!(places.len() > 100, "only {} places; is the feature `fault` on?", places.len());
    assert!(!victim_dies(&scene, back, &[]));
    tell(&format!("{} places, {0} kills, going {}", places.len(), if back { "back" } else { "on" }));
    if !back {
        assert_eq!(state(&scene).await, RunState::CutOver);
        assert!(!victim_dies(&scene, true, &[]));
    }
    assert_eq!(state(&scene).await, RunState::RolledBack);
    scene.assert_as(&before).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_killed_at_every_place_goes_on() {
    killed_again_and_again(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_killed_at_every_place_goes_on() {
    killed_again_and_again(true).await;
}

/// From every [`SHARDS`]-th place a run is rolled back, after which nothing differs.
async fn rolled_back(shard: u32) {
    let scene = small().await;
    let before = scene.snapshot().await;
    let mut point = shard + 1;
    let mut kills = 0;
    while victim_dies(&scene, false, &[("BASTIDE_FAULT", &format!("#{point}"))]) {
        kills += 1;
        match status(&scene.place().target, None).await {
            // Killed before it had begun: nothing to undo.
            Err(EngineError::NoRun) => {}
            Ok((run, _)) if run.state == RunState::RolledBack => {}
            found => {
                found.unwrap_or_else(|error| panic!("point {point}: {error}"));
                rollback(&scene.place(), None, None, &|_| {})
                    .await
                    .unwrap_or_else(|error| panic!("rollback after point {point}: {error}"));
            }
        }
        scene.assert_as(&before).await;
        point += SHARDS;
    }
    tell(&format!("{kills} places, {kills} kills, each rolled back; {SHARDS} tests share the places"));
    assert!(kills > 20, "only {kills} places were reached; is the feature `fault` on?");
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_anywhere_a_run_rolls_back_1_of_6() {
    rolled_back(0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_anywhere_a_run_rolls_back_2_of_6() {
    rolled_back(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_anywhere_a_run_rolls_back_3_of_6() {
    rolled_back(2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_anywhere_a_run_rolls_back_4_of_6() {
    rolled_back(3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_anywhere_a_run_rolls_back_5_of_6() {
    rolled_back(4).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_anywhere_a_run_rolls_back_6_of_6() {
    rolled_back(5).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_dies_and_comes_back_loses_nothing() {
    let mut scene = Scene::new().await;
    let before = scene.snapshot().await;
    let options = scene.options().await;
    let running = tokio::spawn(async move { migrate(&options, &|_| {}).await });
    tokio::time::sleep(Duration::from_millis(1200)).await;
    scene.server.crash();
    scene.server.restart().await;
    // Either it went on by itself, or it stopped and says how to go on; never half of either.
    match running.await.unwrap() {
        Ok(_) => {}
        Err(error) => {
            let state = match status(&scene.place().target, None).await {
                Ok((run, _)) => Some(run.state),
                Err(EngineError::NoRun) => None,
                Err(error) => panic!("{error}"),
            };
            if matches!(state, Some(RunState::Running | RunState::Stopped | RunState::RollingBack)) {
                scene.resume().await.unwrap_or_else(|again| panic!("after `{error}`: {again}"));
            }
        }
    }
    if !matches!(status(&scene.place().target, None).await, Err(EngineError::NoRun))
        && status(&scene.place().target, None).await.unwrap().0.state != RunState::RolledBack
    {
        scene.rollback(None).await.unwrap();
    }
    scene.assert_as(&before).await;
}
