//! SIGKILL before and after every journal write and every step; a server that dies.

use std::{
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use bastide_engine::{EngineError, RunState, cutover, make_plan, migrate, resume, rollback, status};

use crate::scene::{Scene, config, options, place};

/// Not a test by itself: what the tests below start, and kill.
#[tokio::test(flavor = "multi_thread")]
async fn victim() {
    let Ok(url) = std::env::var("BASTIDE_TEST_URL") else { return };
    let state_dir = std::env::var("BASTIDE_TEST_STATE").unwrap();
    let place = place(&url, Path::new(&state_dir));
    let plan = make_plan(&place.target, &config(), &|_| {}).await.unwrap();
    migrate(&options(place.clone(), plan), &|_| {}).await.unwrap();
    cutover(&place, None, &|_| {}).await.unwrap();
    if std::env::var("BASTIDE_TEST_BACK").is_ok() {
        rollback(&place, None, None, &|_| {}).await.unwrap();
    }
}

/// True when it was killed; false when it ran to its end, because there are fewer points than that.
fn killed_at(scene: &Scene, url: &str, point: u32, back: bool) -> bool {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child
        .args(["--exact", "kill::victim", "--nocapture"])
        .env("BASTIDE_TEST_URL", url)
        .env("BASTIDE_TEST_STATE", scene.state_dir.path())
        .env("BASTIDE_FAULT", format!("#{point}"))
        .stdout(Stdio::null())
        .stderr(Stdio::inherit());
    if back {
        child.env("BASTIDE_TEST_BACK", "1");
    }
    let status = child.status().unwrap();
    assert!(
        status.success() || status.code().is_none(),
        "neither killed nor done at point {point}: {status}"
    );
    !status.success()
}

/// Kills at every `stride`-th point from `first`; `settle` brings the run to an end, after which nothing may differ.
async fn everywhere(first: u32, back: bool, resumes: bool) {
    let scene = Scene::new().await;
    let stride: u32 =
        std::env::var("BASTIDE_KILL_STRIDE").ok().and_then(|text| text.parse().ok()).unwrap_or(23);
    let before = scene.snapshot().await;
    let mut point = first;
    let mut kills = 0;
    while killed_at(&scene, &scene.db.url(), point, back) {
        kills += 1;
        let place = scene.place();
        match status(&place.target, None).await {
            // Killed before it had begun: nothing to settle.
            Err(EngineError::NoRun) => {}
            Err(error) => panic!("point {point}: {error}"),
            Ok((run, _)) => {
                if resumes
                    && matches!(run.state, RunState::Running | RunState::Stopped | RunState::RollingBack)
                {
                    resume(&place, None, None, &|_| {})
                        .await
                        .unwrap_or_else(|error| panic!("resume after point {point}: {error}"));
                }
                let (run, _) = status(&place.target, None).await.unwrap();
                if run.state != RunState::RolledBack {
                    rollback(&place, None, None, &|_| {})
                        .await
                        .unwrap_or_else(|error| panic!("rollback after point {point}: {error}"));
                }
            }
        }
        scene.assert_as(&before).await;
        point += stride;
    }
    assert!(kills > 3, "only {kills} points were reached; is the feature `fault` on?");
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_anywhere_a_run_rolls_back() {
    everywhere(3, false, false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_anywhere_a_run_resumes() {
    everywhere(11, false, true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_anywhere_a_rollback_goes_on() {
    everywhere(17, true, true).await;
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
