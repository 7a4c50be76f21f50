//! `bastide schema`: what is printed, and the exit codes.

use bastide_schema::Migrations;
use bastide_testkit::{Database, Server};
use serde_json::json;

use crate::bastide::Bastide;

async fn platform() -> (Server, Database, Bastide) {
    let server = bastide_testkit::server().await;
    let db = server.database("platform").await;
    let bastide = Bastide::on(db.url());
    (server, db, bastide)
}

#[tokio::test]
async fn up_and_down_say_what_they_did_and_would_lose() {
    let (_server, db, bastide) = platform().await;
    let empty = db.schema_dump().await;
    let all: Vec<String> = Migrations::embedded().unwrap().all().iter().map(|known| known.label()).collect();
    let newest = all.len();
    assert!(bastide.run(&["schema", "history"]).expect(0).stdout.contains("nothing was ever applied"));
    let status = bastide.run(&["schema", "status"]).expect(0).stdout;
    let pending: String = all.iter().map(|label| format!("  {label}: pending\n")).collect();
    assert_eq!(status, format!("version 0 of {newest}\n{pending}"));
    let dry = bastide.run(&["schema", "up", "--to", "1", "--dry-run"]).expect(0).stdout;
    assert!(dry.starts_with("-- 0001_shop\n"), "{dry}");
    for said in [
        "CREATE TABLE public.orders",
        "CREATE POLICY \"bastide_tenant\" ON \"public\".\"orders\"",
        "FORCE ROW LEVEL SECURITY",
    ] {
        assert!(dry.contains(said), "{said}");
    }
    assert_eq!(db.schema_dump().await, empty, "a dry run changes nothing");

    let up = bastide.run(&["schema", "up", "--format", "json"]).expect(0).json();
    assert_eq!(up, json!({"from": 0, "to": newest, "applied": all, "adopted": null}));
    let password = std::fs::read_to_string(bastide.path().join("bastide_app.password")).unwrap();
    db.client_as("bastide_app", password.trim())
        .await
        .batch_execute("SELECT FROM public.orders")
        .await
        .unwrap();
    assert_eq!(
        bastide.run(&["schema", "up"]).expect(0).stdout,
        format!("version {newest}; there is nothing to apply\n")
    );
    let checked = bastide.run(&["schema", "check", "--format", "json"]).expect(0).json();
    assert_eq!(checked, json!({"version": newest, "newest": newest, "differences": [], "weaker": null}));

    // Nobody said yes.
    let refused = bastide.run(&["schema", "down", "--to", "2"]).expect(2);
    assert!(
        refused.stderr.contains(
            "undoing 0003_watch loses\n  table bastide.canary, 2 row(s)\n  table bastide.crossing, 0 row(s)\n"
        ),
        "{}",
        refused.stderr
    );
    assert!(refused.stderr.contains("add --yes"), "{}", refused.stderr);
    let down = bastide.run(&["schema", "down", "--to", "1", "--yes", "--format", "json"]).expect(0).json();
    let undone: Vec<&String> = all[1..].iter().rev().collect();
    assert_eq!(down, json!({"from": newest, "to": 1, "undone": undone}));
    let history = bastide.run(&["schema", "history", "--format", "json"]).expect(0).json();
    let done: Vec<_> =
        history.as_array().unwrap().iter().map(|change| (&change["action"], &change["version"])).collect();
    let ups = (1..=newest).map(|version| (json!("up"), json!(version)));
    let downs = (2..=newest).rev().map(|version| (json!("down"), json!(version)));
    let expected: Vec<_> = ups.chain(downs).collect();
    assert_eq!(done, expected.iter().map(|(action, version)| (action, version)).collect::<Vec<_>>());

    let disagreed = bastide.run(&["schema", "check"]).expect(1).stdout;
    let missing: String = all[1..]
        .iter()
        .map(|label| format!("  {label}: is not applied: type `bastide schema up`\n"))
        .collect();
    assert_eq!(disagreed, format!("version 1: database and files disagree\n{missing}"));
    bastide.run(&["schema", "down", "--to", "0", "--yes"]).expect(0);
    assert_eq!(db.schema_dump().await, empty);
    assert!(!bastide.path().join("bastide_app.password").exists());
}

#[tokio::test]
async fn what_stops_it_has_an_exit_code() {
    let (_server, db, bastide) = platform().await;
    bastide.run(&["schema", "up", "--to", "9"]).expect(2);
    let lock = db.client().await;
    lock.batch_execute("SELECT pg_advisory_lock(x'0062617374696465'::bigint)").await.unwrap();
    assert!(bastide.run(&["schema", "up"]).expect(5).stderr.contains("holds the lock"));
    drop(lock);
    db.execute("CREATE TABLE public.theirs (id int)").await;
    assert!(bastide.run(&["schema", "up"]).expect(2).stderr.contains("public.theirs"));
    let nowhere = Bastide::on("postgresql://nobody@127.0.0.1:1/none".to_owned());
    for command in ["up", "status", "history", "check"] {
        nowhere.run(&["schema", command]).expect(3);
    }
}
