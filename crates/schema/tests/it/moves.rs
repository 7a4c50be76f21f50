//! Up and down, and what is left after each.

use crate::scene::Scene;

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
    scene.up(None).await.unwrap();
    let newest = catalogs.last().unwrap();
    assert_eq!(newest.diff(&scene.catalog().await), Vec::<String>::new());
}
