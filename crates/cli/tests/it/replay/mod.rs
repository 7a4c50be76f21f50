//! The shop goes on: what its application says all day is replayed by several connections through every phase of a real
//! migration, there and back, and nothing comes of it that would not have come without one.

mod player;
mod script;

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use bastide_testkit::Database;

use self::player::{Outcomes, Played, Player};
use crate::{bastide::Bastide, shop::shop};

const REPLAY: &str = include_str!("../../../../../fixtures/legacy/shop/replay.sql");
/// So many that each unit is said at least once.
const BEFORE: u32 = 60;

/// Each session's rounds, all sessions at once.
async fn play(players: Vec<Player>, stop: Option<&Arc<AtomicBool>>) -> Vec<Player> {
    let playing: Vec<_> = players
        .into_iter()
        .map(|player| match stop {
            Some(stop) => tokio::spawn(player.until(stop.clone())),
            None => tokio::spawn(player.rounds(BEFORE)),
        })
        .collect();
    let mut played = Vec::new();
    for player in playing {
        played.push(player.await.unwrap());
    }
    played
}

fn collect(players: &mut [Player]) -> Played {
    let mut all = Played::default();
    for player in players {
        let played = std::mem::take(&mut player.played);
        all.outcomes.extend(played.outcomes);
        all.rounds += played.rounds;
        all.retried += played.retried;
        all.prepared_again.extend(played.prepared_again);
    }
    all
}

/// What came of a unit that never came of it before.
fn surprises(before: &Outcomes, during: &Outcomes) -> Vec<String> {
    let mut surprises = Vec::new();
    for (place, outcomes) in during {
        for (outcome, times) in outcomes {
            if !before.get(place).is_some_and(|known| known.contains_key(outcome)) {
                surprises.push(format!("{place:?}, {times} times: {outcome:?}, not {:?}", before.get(place)));
            }
        }
    }
    surprises
}

async fn players(db: &Database) -> Vec<Player> {
    db.execute(
        "ALTER ROLE shop_owner LOGIN PASSWORD 'shop_owner'; ALTER ROLE shop_legacy PASSWORD 'shop_legacy'",
    )
    .await;
    let merchant = db.query_one_text("SELECT id FROM merchants WHERE slug = 'nordlicht-kaffee'").await;
    let mut players = Vec::new();
    for session in script::read(REPLAY) {
        players.push(Player::new(db, session, &merchant).await);
    }
    players
}

/// The binary, without keeping this process from playing meanwhile.
async fn bastide(bastide: &Arc<Bastide>, arguments: &[&str], code: i32) {
    let (bastide, arguments) =
        (bastide.clone(), arguments.iter().map(ToString::to_string).collect::<Vec<_>>());
    let running = tokio::task::spawn_blocking(move || {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        bastide.run(&arguments)
    });
    running.await.unwrap().expect(code);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_legacy_statement_fails_because_of_a_migration() {
    let (_server, db) = shop().await;
    let mut players = play(players(&db).await, None).await;
    let before = collect(&mut players);
    for (place, outcomes) in &before.outcomes {
        assert_eq!(outcomes.len(), 1, "{place:?} says the same in every round: {outcomes:?}");
    }
    assert_eq!((before.retried, before.prepared_again.len()), (0, 0));

    let stop = Arc::new(AtomicBool::new(false));
    let playing = tokio::spawn({
        let stop = stop.clone();
        async move { play(players, Some(&stop)).await }
    });
    let binary = Arc::new(Bastide::on(db.url()));
    let settings = binary.path().join("bastide.toml");
    std::fs::write(&settings, "[answers]\n\"login:shop_legacy\" = \"bypass\"\n").unwrap();
    let migrate = [
        "--config",
        settings.to_str().unwrap(),
        "rls",
        "migrate",
        "--yes",
        "--accept-defaults",
        "--verify-backup",
        "list",
        "--tenant-root",
        "public.merchants",
    ];
    bastide(&binary, &migrate, 0).await;
    bastide(&binary, &["rls", "rollback", "--yes"], 0).await;
    stop.store(true, Ordering::SeqCst);
    let during = collect(&mut playing.await.unwrap());

    let surprises = surprises(&before.outcomes, &during.outcomes);
    assert!(surprises.is_empty(), "{surprises:#?}");
    // A column comes and goes: at most one refusal each, and the replay would have noticed more.
    let added =
        BTreeMap::from([("star_customer", 2), ("star_lines", 2), ("star_tags", 2), ("star_notes", 2)]);
    for (name, times) in &during.prepared_again {
        assert!(added.get(name.as_str()).is_some_and(|most| times <= most), "{name}: {times}");
    }
    assert!(!during.prepared_again.is_empty(), "the replay saw columns come");
}
