//! `rls validate` from outside: its forms, its baseline, and what cannot be validated.

use bastide_testkit::{Database, Schema, Server};
use serde_json::Value;

use crate::{bastide::Bastide, shapes::loaded};

/// A database that was migrated and cut over, and the folder that knows its login.
pub(crate) async fn cut_over() -> (Server, Database, Bastide) {
    let (server, db) = loaded(include_str!("../../../../fixtures/legacy/shapes/levels.sql")).await;
    let bastide = Bastide::on(db.url());
    bastide
        .run(&[
            "rls",
            "migrate",
            "--yes",
            "--accept-defaults",
            "--no-backup",
            "--i-have-a-backup",
            "--tenant-root",
            "public.shop",
        ])
        .expect(0);
    bastide.run(&["rls", "cutover", "--yes"]).expect(0);
    (server, db, bastide)
}

fn strings(value: &Value) -> Vec<&str> {
    value.as_array().unwrap().iter().map(|item| item.as_str().unwrap()).collect()
}

#[tokio::test]
async fn every_form_says_the_same_and_a_baseline_is_held_to() {
    let (_server, db, bastide) = cut_over().await;
    let table = "public.shop";
    let folder = bastide.path().to_owned();
    let file = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    let sound = bastide.run(&["rls", "validate", "--format", "json"]).expect(0).json();
    assert!(sound["passes"].as_bool().unwrap() && strings(&sound["against"]).is_empty());
    let ended = |outcome: &str| {
        sound["probes"].as_array().unwrap().iter().filter(|probe| probe["outcome"] == outcome).count()
    };
    for outcome in ["held", "breached", "untested"] {
        assert_eq!(sound["cells"][outcome], ended(outcome), "{outcome}");
    }
    assert!(sound["seconds"].as_f64().unwrap() > 0.0);

    db.execute(&format!("GRANT TRUNCATE ON {table} TO bastide_app")).await;
    let spoilt = bastide.run(&["rls", "validate"]).expect(1);
    assert!(spoilt.stdout.contains("does not pass:"), "{}", spoilt.stdout);
    assert!(spoilt.stdout.lines().all(|line| !line.starts_with("public.") || line.chars().count() <= 100));
    for (form, told) in [
        ("html", "<!DOCTYPE html>"),
        ("junit", "<?xml version=\"1.0\""),
        ("sarif", "\"version\": \"2.1.0\""),
        ("json", "\"passes\": false"),
        ("text", "does not pass:"),
    ] {
        let ran = bastide.run(&["rls", "validate", "--as", form]).expect(1);
        assert!(ran.stdout.contains(told), "{form}: {}", ran.stdout);
        assert!(ran.stdout.contains(table) && ran.stdout.contains("TRUNCATE"), "{form}: {}", ran.stdout);
    }
    let written = bastide.run(&["rls", "validate", "-o", &file("out.sarif")]).expect(1);
    assert!(written.stdout.contains("does not pass:"));
    let sarif: Value = serde_json::from_str(&std::fs::read_to_string(file("out.sarif")).unwrap()).unwrap();
    assert_eq!(sarif["runs"][0]["properties"]["passes"], false);

    // Accepted: it passes, says so, and is not isolated all the same.
    let accept = file("baseline.toml");
    bastide
        .run(&["rls", "validate", "--write-baseline", &accept, "--reason", "the \"nightly\" job\nneeds it"])
        .expect(1);
    let accepted =
        bastide.run(&["rls", "validate", "--baseline", &accept, "--format", "json"]).expect(0).json();
    assert_eq!((&accepted["passes"], &accepted["isolated"]), (&true.into(), &false.into()));
    assert_eq!(accepted["baseline"]["accepted"][0]["reason"], "the \"nightly\" job\nneeds it");
    bastide.run(&["rls", "validate", "--baseline", &accept, "--production"]).expect(0);

    let schema = Schema::parse(include_str!("../../../../docs/validate.schema.json"));
    for document in [&sound, &accepted] {
        assert_eq!(schema.complaints(document), Vec::<String>::new());
    }

    // Something new fails; so does something expired; so does something that is gone.
    db.execute(&format!(
        "GRANT TRIGGER ON {table} TO bastide_app; ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY"
    ))
    .await;
    let new = bastide.run(&["rls", "validate", "--baseline", &accept, "--format", "json"]).expect(1).json();
    assert_eq!(new["baseline"]["new"][0]["id"], "BST-002", "{:#}", new["baseline"]);
    db.execute(&format!(
        "REVOKE TRIGGER ON {table} FROM bastide_app; ALTER TABLE {table} FORCE ROW LEVEL SECURITY"
    ))
    .await;
    let text = std::fs::read_to_string(&accept).unwrap();
    let expires = text.lines().find(|line| line.starts_with("expires")).unwrap();
    std::fs::write(&accept, text.replace(expires, "expires = 2020-01-31")).unwrap();
    let expired = bastide.run(&["rls", "validate", "--baseline", &accept]).expect(1);
    assert!(expired.stdout.contains("was accepted until 2020-01-31"), "{}", expired.stdout);
    std::fs::write(&accept, &text).unwrap();
    db.execute(&format!("REVOKE TRUNCATE ON {table} FROM bastide_app")).await;
    let gone = bastide.run(&["rls", "validate", "--baseline", &accept]).expect(1);
    assert!(gone.stdout.contains("disappeared: remove it from the baseline"), "{}", gone.stdout);

    // A baseline that cannot be meant.
    for (changed, told) in [
        (text.replace("reason = ", "cause = "), "line"),
        (text.replace(expires, "expires = 2027-01-31T10:00:00Z"), "`expires` is a day"),
        (text.replace("oid = ", "oid = 9"), "it is of the database"),
        (text.replace("format = 1", "format = 2"), "its format is 2"),
    ] {
        std::fs::write(&accept, changed).unwrap();
        let ran = bastide.run(&["rls", "validate", "--baseline", &accept]).expect(2);
        assert!(ran.stderr.contains(told) && ran.stdout.is_empty(), "{told}: {}", ran.stderr);
    }
}

#[tokio::test]
async fn what_cannot_be_validated_is_never_green() {
    let (_server, db, bastide) = cut_over().await;
    // Too little was looked at.
    let bound = bastide.run(&["rls", "validate", "--max-untested", "0"]);
    let untested = bastide.run(&["rls", "validate", "--format", "json"]).json();
    let untested =
        untested["probes"].as_array().unwrap().iter().filter(|probe| probe["outcome"] == "untested").count();
    assert_eq!(bound.code, i32::from(untested > 0), "{}", bound.stdout);
    bastide.run(&["rls", "validate", "--max-untested", "many"]).expect(2);
    bastide.run(&["rls", "validate", "-o", "verdict.docx"]).expect(2);
    let no_file = bastide.run(&["rls", "validate", "--baseline", "no.toml"]).expect(2);
    assert!(no_file.stderr.contains("--write-baseline"), "{}", no_file.stderr);

    // The application's login cannot connect.
    let wrong = db.url_as("bastide_app", "wrong");
    let refused = bastide.run(&["rls", "validate", "--app-url", &wrong]).expect(3);
    assert!(refused.stderr.contains("bastide_app") && refused.stdout.is_empty(), "{}", refused.stderr);

    // It is a superuser: no policy binds it.
    let by_role = ["rls", "validate", "--app-role", "bastide_app"];
    let sound = bastide.run(&by_role).expect(0);
    assert!(sound.stdout.contains("by SET ROLE to bastide_app, not through its own login: weaker"));
    db.execute("ALTER ROLE bastide_app SUPERUSER").await;
    let superuser = bastide.run(&["rls", "validate"]).expect(1);
    assert!(superuser.stdout.contains("BST-010 critical: bastide_app"), "{}", superuser.stdout);
    db.execute("ALTER ROLE bastide_app NOSUPERUSER").await;

    // Somebody holds a table: nothing waits behind us for long, and there is no verdict.
    let blocker = db.client().await;
    blocker.batch_execute("BEGIN; LOCK TABLE shop IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let held = bastide.run(&["rls", "validate"]);
    blocker.batch_execute("ROLLBACK").await.unwrap();
    assert_eq!((held.code, held.stdout.as_str()), (3, ""), "{}", held.stderr);

    // Nothing is scoped.
    db.execute("DELETE FROM bastide.scope").await;
    let nothing = bastide.run(&["rls", "validate"]).expect(1);
    assert!(nothing.stdout.contains("no table is scoped"), "{}", nothing.stdout);
}
