//! SIGKILL at every place: what is left is named, goes on, and goes back.

use std::{
    path::Path,
    process::{Command, Stdio},
};

use bastide_schema::{Migrations, Options, down, status, up};

use crate::{
    scene::{Scene, quiet},
    small::{BASE, LATER, NOTES},
};

/// Not a test by itself: what the test below starts, and kills.
#[tokio::test]
async fn victim() {
    let Ok(url) = std::env::var("BASTIDE_TEST_URL") else { return };
    let state = std::env::var("BASTIDE_TEST_STATE").unwrap();
    let options = Options {
        place: crate::scene::place(&url, Path::new(&state)),
        app_role: crate::scene::app(),
        app_password: None,
        migrations: Migrations::new(&[BASE, NOTES, LATER]).unwrap(),
    };
    if std::env::var("BASTIDE_TEST_BACK").is_ok() {
        down(&options, Some(0), &quiet).await.unwrap();
    } else {
        up(&options, None, &quiet).await.unwrap();
    }
}

#[tokio::test]
async fn killed_at_any_place_it_goes_on_and_goes_back() {
    let scene = Scene::small().await;
    let before = scene.catalog().await;
    let undisturbed = Scene::small().await;
    let places = [false, true].map(|back| {
        let log = undisturbed.state_dir().join("places");
        let log = log.to_str().unwrap().to_owned();
        assert!(!dies(&undisturbed, back, &[("BASTIDE_FAULT_LOG", &log)]));
        let places = std::fs::read_to_string(&log).unwrap();
        std::fs::remove_file(&log).unwrap();
        let mut passed: Vec<String> = Vec::new();
        for place in places.lines() {
            let again = passed.iter().any(|known| known == place);
            passed.push(if again { format!("{place}@2") } else { place.to_owned() });
        }
        passed
    });
    insta::assert_snapshot!(places.concat().join("\n"), @"
    before_migration:0001_base
    before_commit:0001_base
    after_commit:0001_base
    before_migration:0002_notes
    before_commit:0002_notes
    after_commit:0002_notes
    before_migration:0003_later
    before_commit:0003_later
    after_commit:0003_later
    before_statement:0003_later:1
    before_statement:0003_later:2
    before_commit:0003_later@2
    after_commit:0003_later@2
    before_undoing:0003_later
    before_statement:0003_later:1
    before_statement:0003_later:2
    before_commit:0003_later
    after_commit:0003_later
    before_undoing:0002_notes
    before_commit:0002_notes
    after_commit:0002_notes
    before_undoing:0001_base
    before_commit:0001_base
    after_commit:0001_base
    ");
    let [forward, back] = places;
    for place in &forward {
        assert!(dies(&scene, false, &[("BASTIDE_FAULT", place)]), "{place} was not passed");
        let standing = status(&scene.options.place.target, &scene.options.migrations).await.unwrap();
        let begun = place.starts_with("before_statement")
            || ["after_commit:0003_later", "before_commit:0003_later@2"].contains(&place.as_str());
        assert_eq!(standing.half_way(), begun, "{place}: {standing:?}");
    }
    assert!(!dies(&scene, false, &[]));
    let whole = scene.catalog().await;
    undisturbed.up(None).await.unwrap();
    assert_eq!(undisturbed.catalog().await.diff(&whole), Vec::<String>::new());
    for place in &back {
        assert!(dies(&scene, true, &[("BASTIDE_FAULT", place)]), "{place} was not passed");
        status(&scene.options.place.target, &scene.options.migrations).await.unwrap();
    }
    assert!(!dies(&scene, true, &[]));
    assert_eq!(before.diff(&scene.catalog().await), Vec::<String>::new());

    // What stands half-way can be taken back, too, and what is half taken back must be before anything else.
    scene.up(Some(2)).await.unwrap();
    let two = scene.catalog().await;
    assert!(dies(&scene, false, &[("BASTIDE_FAULT", "before_statement:0003_later:2")]));
    assert!(dies(&scene, true, &[("BASTIDE_FAULT", "before_statement:0003_later:2")]));
    assert_eq!(scene.up(None).await.unwrap_err().exit_code(), 4);
    scene.down(Some(2)).await.unwrap();
    assert_eq!(two.diff(&scene.catalog().await), Vec::<String>::new());
}

/// True when it was killed, false when it came to its end.
fn dies(scene: &Scene, back: bool, set: &[(&str, &str)]) -> bool {
    let mut victim = Command::new(std::env::current_exe().unwrap());
    victim.args(["--exact", "killed::victim"]).env("BASTIDE_TEST_URL", scene.db.url());
    victim.env("BASTIDE_TEST_STATE", scene.state_dir()).envs(set.iter().copied());
    if back {
        victim.env("BASTIDE_TEST_BACK", "1");
    }
    let status = victim.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap();
    assert!(status.success() || status.code().is_none(), "neither killed nor done with {set:?}: {status}");
    status.code().is_none()
}
