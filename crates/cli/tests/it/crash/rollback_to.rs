//! `rls rollback --to PHASE`, to every phase from every later state; and rows that the old keys cannot hold.

use bastide_engine::RunState;

use super::{fixture::SMALL, scene::Scene};

const PHASES: [&str; 7] =
    ["preflight", "backup", "analysis", "assignment", "policies", "validation", "optimisation"];

/// Privileges granted to our own role come in the order in which they were granted.
fn sorted(dump: &str) -> String {
    let mut lines: Vec<&str> = dump.lines().collect();
    lines.sort_unstable();
    lines.join("\n")
}

async fn migrated(scene: &Scene, until: &str) {
    let command = scene.next_command(false).await.unwrap();
    let mut command: Vec<&str> = command.iter().map(String::as_str).collect();
    command.extend(["--until", until]);
    scene.bastide.run(&command).expect(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_leads_to_what_until_gives_and_resume_goes_on() {
    let scene = Scene::of(&SMALL, false).await.unwrap();
    let mut dumps = Vec::new();
    for (nth, phase) in PHASES.iter().enumerate() {
        migrated(&scene, phase).await;
        dumps.push(sorted(&scene.db.schema_dump().await));
        // From where this phase ends, to every phase before, each time anew through `resume`.
        for earlier in PHASES[1..nth.max(1)].iter().rev() {
            scene.bastide.run(&["rls", "rollback", "--yes", "--to", earlier]).expect(0);
            let at = PHASES.iter().position(|phase| phase == earlier).unwrap();
            assert!(sorted(&scene.db.schema_dump().await) == dumps[at], "{phase} to {earlier}");
        }
        if nth > 0 {
            scene.bastide.run(&["rls", "rollback", "--yes", "--to", "preflight"]).expect(0);
        } else {
            scene.bastide.run(&["rls", "rollback", "--yes"]).expect(0);
        }
        scene.assert_as_before().await;
    }
    // From cutover, to each; `resume` and `cutover` lead back to it.
    scene.travel(false).await;
    let cut_over = sorted(&scene.db.schema_dump().await);
    for (nth, phase) in PHASES.iter().enumerate().skip(1).rev() {
        scene.bastide.run(&["rls", "rollback", "--yes", "--to", phase]).expect(0);
        assert!(sorted(&scene.db.schema_dump().await) == dumps[nth], "cutover to {phase}");
        scene.travel(false).await;
        assert_eq!(scene.state().await, Some(RunState::CutOver));
        assert!(sorted(&scene.db.schema_dump().await) == cut_over, "from {phase} on");
        scene.bastide.run(&["rls", "validate"]).expect(0);
    }
    scene.travel(true).await;
    scene.assert_as_before().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_the_old_keys_cannot_hold_stop_it_before_anything_changes() {
    let scene = Scene::of(&SMALL, false).await.unwrap();
    scene.travel(false).await;
    // One e-mail in two shops, and the number of an order that is held aside.
    scene
        .db
        .execute(
            "SET row_security = off; INSERT INTO customers (id, merchant_id, email) VALUES (801, 1, 'twice@example.com'), (802, 2, 'twice@example.com');
             INSERT INTO orders VALUES (33, 1, 2)",
        )
        .await;
    let dump = scene.db.schema_dump().await;
    let ran = scene.bastide.run(&["rls", "rollback", "--yes"]).expect(4);
    let words = [
        "public.customers has 1 value(s) of (email) more than once",
        "1 row(s) of public.orders held aside cannot come back",
        "Nothing was changed; mend these rows, then type `bastide rls rollback` again",
    ];
    for word in words {
        assert!(ran.stderr.contains(word), "{word} is missing in: {}", ran.stderr);
    }
    assert_eq!(scene.db.schema_dump().await, dump);
    assert_eq!(scene.state().await, Some(RunState::CutOver));

    // Mended; the other rows written since stay, and are named.
    scene
        .db
        .execute(
            "SET row_security = off; DELETE FROM customers WHERE id = 802; DELETE FROM orders WHERE id = 33",
        )
        .await;
    let ran = scene.bastide.run(&["rls", "rollback", "--yes"]).expect(0);
    assert!(ran.stdout.contains("rows were written since the run began"), "{}", ran.stdout);
    assert_eq!(scene.db.query_one_text("SELECT count(*)::text FROM customers WHERE id = 801").await, "1");
    scene.db.execute("DELETE FROM customers WHERE id = 801").await;
    scene.assert_as_before().await;
}
