//! A run is harmed: killed, its server stopped at once, its connection cut, its locks held by others, its disk full. The next
//! command finishes and validates, or takes everything back.
//!
//! Here a sample: one place for every kind of step and each fault, there and back. `./x soak migrate` takes all fixtures.

mod fixture;
mod harm;
mod rollback_to;
mod scene;
mod small_disk;
mod soak;

use std::collections::BTreeMap;

use bastide_engine::RunState;

use self::{
    fixture::{NEW_ROOT, SMALL},
    harm::{Fault, journey, lockable, taken_back},
    scene::{Came, Places, Scene},
    small_disk::{SmallDisk, may_mount, tell},
};

/// `backfill` of `after_done:backfill:public.orders`; places of the run itself are a kind, too.
fn kind(place: &str) -> &str {
    place.split(':').nth(1).filter(|_| place.matches(':').count() > 1).unwrap_or("run")
}

/// One place for each kind of step, another one for each.
fn one_of_each_kind(places: &[String]) -> Vec<String> {
    let mut kinds: BTreeMap<&str, Vec<&String>> = BTreeMap::new();
    for place in places {
        kinds.entry(kind(place)).or_default().push(place);
    }
    let picked = kinds.values().enumerate().map(|(nth, places)| places[nth * 3 % places.len()].clone());
    picked.collect()
}

async fn sample(scene: &mut Scene, fault: Fault, places: &Places) {
    let (on, back) = (one_of_each_kind(&places.on), one_of_each_kind(&places.back));
    let (there, stops) = way(scene, fault, &on, false).await;
    scene.bastide.run(&["rls", "validate"]).expect(0);
    let (and_back, stopped) = way(scene, fault, &back, true).await;
    scene.assert_as_before().await;
    let one = on[on.len() / 2].clone();
    assert!(taken_back(scene, fault, &one).await, "nobody came by {one}");
    tell(&format!(
        "{fault}: {there} places on the way there ({stops} stops), {and_back} on the way back ({stopped} stops)"
    ));
}

async fn way(scene: &mut Scene, fault: Fault, places: &[String], back: bool) -> (u32, u32) {
    let tally = journey(scene, fault, places, back).await;
    assert_eq!(tally.points as usize, places.len(), "every place was passed");
    assert!(places.len() >= 15, "{places:?}");
    let reached = if back { RunState::RolledBack } else { RunState::CutOver };
    assert_eq!(scene.state().await, Some(reached));
    (tally.points, tally.stops)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_dies_at_any_kind_of_step_is_waited_for() {
    let mut scene = Scene::of(&SMALL, false).await.unwrap();
    let places = scene.places().await;
    sample(&mut scene, Fault::Crash, &places).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_cut_at_any_kind_of_step_is_made_anew() {
    let mut scene = Scene::of(&SMALL, false).await.unwrap();
    let places = scene.places().await;
    sample(&mut scene, Fault::Cut, &places).await;
}

/// One that is cut again and again is no reason to undo everything: it stops, and `resume` goes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_cut_all_the_time_stops_the_run_and_undoes_nothing() {
    let mut scene = Scene::of(&SMALL, false).await.unwrap();
    let Places { on, back } = scene.places().await;
    let every_third = |places: Vec<String>| places.into_iter().step_by(3).collect::<Vec<_>>();
    let there = journey(&mut scene, Fault::Cut, &every_third(on), false).await;
    assert_eq!(scene.state().await, Some(RunState::CutOver));
    scene.bastide.run(&["rls", "validate"]).expect(0);
    let back = journey(&mut scene, Fault::Cut, &every_third(back), true).await;
    scene.assert_as_before().await;
    assert!(there.stops > 0 && back.stops > 0, "{there:?} {back:?}");
    assert!(there.points > 80 && back.points > 80, "{there:?} {back:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_in_the_way_of_any_kind_of_step_is_named_and_stops_it() {
    let mut scene = Scene::of(&SMALL, false).await.unwrap();
    let places = scene.places().await;
    let places = lockable(&mut scene, &places).await;
    sample(&mut scene, Fault::Lock, &places).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_full_at_any_kind_of_step_is_said_and_nothing_is_lost() {
    if may_mount("crash::a_disk_full_at_any_kind_of_step_is_said_and_nothing_is_lost") {
        let mut scene = Scene::of(&SMALL, true).await.unwrap();
        let places = scene.places().await;
        sample(&mut scene, Fault::Full, &places).await;
    }
}

/// The server panics then, and cannot even recover before there is room.
#[tokio::test(flavor = "multi_thread")]
async fn a_write_ahead_log_without_room_is_a_server_that_dies() {
    if !may_mount("crash::a_write_ahead_log_without_room_is_a_server_that_dies") {
        return;
    }
    let mut scene = Scene::of(&SMALL, false).await.unwrap();
    let disk = SmallDisk::mount(&scene.server, 64);
    scene.server.crash();
    disk.takes_wal(&scene.server.postgres().data_dir().join("cluster"));
    scene.server.restart().await;
    let mut panics = 0;
    for (back, place) in
        [(false, "before_done:settle_links:crossing"), (true, "after_undoing:close_table:public.orders")]
    {
        while let Some(command) = scene.next_command(back).await {
            let mut victim = scene.victim(&command, &[place.to_owned()]);
            if let Came::To(_) = victim.comes().await {
                panics += 1;
                disk.fill();
                let writer = scene.db.client().await;
                // Until the next segment has no room.
                while writer
                    .batch_execute(
                        "SELECT pg_logical_emit_message(false, '', repeat('x', 100000)), pg_switch_wal()",
                    )
                    .await
                    .is_ok()
                {}
                victim.goes_on();
                tokio::time::sleep(std::time::Duration::from_millis(500)).await;
                disk.empty();
                scene.server.crash();
                scene.server.restart().await;
                let Came::ToAnEnd(code, said) = victim.comes().await else { panic!("a second {place}") };
                assert!(matches!(code, Some(0 | 4)), "{code:?}: {said}");
            }
        }
    }
    assert_eq!(panics, 2);
    scene.assert_as_before().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_root_is_made_and_taken_back_whatever_befalls() {
    let mut scene = Scene::of(&NEW_ROOT, false).await.unwrap();
    let places = scene.places().await;
    let of_the_root = |places: &[String]| {
        let places = places.iter().filter(|place| kind(place) == "create_tenant_root");
        places.cloned().collect::<Vec<_>>()
    };
    let (on, back) = (of_the_root(&places.on), of_the_root(&places.back));
    assert!(on.len() >= 4 && back.len() >= 4, "{on:?} {back:?}");
    for fault in [Fault::Kill, Fault::Crash, Fault::Cut] {
        let there = journey(&mut scene, fault, &on, false).await;
        let and_back = journey(&mut scene, fault, &back, true).await;
        assert_eq!((there.points as usize, and_back.points as usize), (on.len(), back.len()));
        scene.assert_as_before().await;
    }
}
