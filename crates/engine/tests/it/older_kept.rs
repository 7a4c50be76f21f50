//! Runs kept in the tree as the Bastide of their day left them: newer binaries take them back, exactly.
//!
//! In `older/` there are, as plain SQL, the small shop before it was migrated and its runs pending cutover, cut over and killed
//! in the middle of a step. `BASTIDE_KEEP_OLDER=crates/engine/tests/it/older cargo nextest run -p bastide-engine older_kept::keeps`
//! makes them anew, in a folder that has none; they are kept when the format of the journal is raised, and then others are added.

use std::path::{Path, PathBuf};

use bastide_engine::{EngineError, RunState, status, without_backup};
use bastide_testkit::{Database, Server, diff, server};

use crate::{
    kill::victim_dies,
    scene::{Scene, place, same_schema},
};

const STATES: [&str; 3] = ["pending_cutover", "cut_over", "half_way"];

/// Without passwords, which a test's own server does not ask for.
const ROLES: &str = "SELECT format('CREATE ROLE %I %s %s %s;', rolname, CASE WHEN rolcanlogin THEN 'LOGIN' ELSE 'NOLOGIN' END,
       CASE WHEN rolbypassrls THEN 'BYPASSRLS' ELSE 'NOBYPASSRLS' END, CASE WHEN rolinherit THEN 'INHERIT' ELSE 'NOINHERIT' END)
    || coalesce(format(' COMMENT ON ROLE %I IS %L;', rolname, shobj_description(oid, 'pg_authid')), '')
  FROM pg_roles WHERE rolname !~ '^pg_' AND rolname <> 'postgres' ORDER BY rolname";

/// A dump that any client can load, with the roles in front of it, whatever the versions of the programs were.
async fn dump(db: &Database) -> String {
    let roles = db.query_rows(ROLES).await;
    let rows = db.tool("pg_dump", &["--inserts", "--rows-per-insert=500"]).await;
    let mut text = roles.join("\n") + "\n";
    for line in rows.lines().filter(|line| !line.starts_with('\\') && !line.starts_with("-- Dumped")) {
        // A materialised view of an ordinary owner is refreshed through the policies that let him see every row.
        text.push_str(if line == "SET row_security = off;" { "SET row_security = on;" } else { line });
        text.push('\n');
    }
    text
}

async fn make(folder: &Path) {
    let file = |name: &str| folder.join(format!("{name}.sql"));
    for state in STATES {
        assert!(!file(state).exists(), "{} is kept", file(state).display());
        let scene = Scene::small().await;
        if state == STATES[0] {
            std::fs::write(file("before"), dump(&scene.db).await).unwrap();
        }
        let mut options = scene.options().await;
        options.backup = without_backup("a test", "in code");
        let plan = serde_json::to_string(&options.plan).unwrap();
        std::fs::write(scene.state_dir.path().join("plan.json"), plan).unwrap();
        if state == "half_way" {
            // Index builds commit by themselves: the key is there, and its step is not done.
            let steps = options.plan.steps.iter().map(|step| step.id.as_str());
            let key = steps.rev().find(|id| id.starts_with("add_tenant_key:")).unwrap();
            let killed_at = format!("after_statement:{key}");
            assert!(victim_dies(&scene, false, &[("BASTIDE_FAULT", &killed_at)]), "nobody came by");
        } else {
            scene.migrate(&options).await.unwrap();
        }
        if state == "cut_over" {
            scene.cutover().await.unwrap();
        }
        std::fs::write(file(state), dump(&scene.db).await).unwrap();
    }
}

/// The run of `state`, and the shop before it.
async fn restored(folder: &Path, state: &str) -> (Server, Database, Database) {
    let server = server().await;
    let text = |name: &str| std::fs::read_to_string(folder.join(format!("{name}.sql"))).unwrap();
    let db = server.database("small").await;
    db.execute(&text(state)).await;
    let before = server.database("before").await;
    // Roles are there already.
    let only_rows: String =
        text("before").lines().skip_while(|line| !line.starts_with("--")).collect::<Vec<_>>().join("\n");
    before.execute(&only_rows).await;
    // What the dump program of this day makes of the schema of that day.
    let schema = before.schema_dump().await.replace('\'', "''");
    db.execute(&format!(
        "UPDATE bastide.run SET before = jsonb_set(before, '{{schema}}', to_jsonb('{schema}'::text))"
    ))
    .await;
    (server, db, before)
}

async fn taken_back(db: &Database, before: &Database) {
    let folder = tempfile::tempdir().unwrap();
    let undone =
        bastide_engine::rollback(&place(&db.url(), folder.path()), None, None, &|_| {}).await.unwrap();
    assert_eq!(undone.run.state, RunState::RolledBack);
    assert_eq!(undone.written_since, [""; 0]);
    same_schema(&before.schema_dump().await, &db.schema_dump().await);
    let columns = before.columns().await;
    let (was, is) = (before.fingerprints_of(&columns).await, db.fingerprints_of(&columns).await);
    assert_eq!(diff(&was, &is), "", "rows differ");
    let left = "SELECT count(*) FROM pg_roles WHERE rolname LIKE 'bastide%'";
    assert_eq!(db.query_one_text(left).await, "0", "its roles are gone");
}

fn kept() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/older")
}

async fn kept_is_taken_back(state: &str, expected: RunState) {
    let (_server, db, before) = restored(&kept(), state).await;
    let target = bastide_connect::Target::parse(&db.url()).unwrap();
    assert_eq!(status(&target, None).await.unwrap().0.state, expected);
    taken_back(&db, &before).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_pending_cutover_is_taken_back() {
    kept_is_taken_back("pending_cutover", RunState::PendingCutover).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_cut_over_is_taken_back() {
    kept_is_taken_back("cut_over", RunState::CutOver).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_was_killed_is_taken_back() {
    kept_is_taken_back("half_way", RunState::Running).await;
}

/// What this binary leaves, the next one can take back as well.
#[tokio::test(flavor = "multi_thread")]
async fn keeps_runs_that_can_be_taken_back() {
    let scratch = tempfile::tempdir().unwrap();
    // Tests run in the folder of their crate; this is given from the root of the tree.
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let folder = std::env::var_os("BASTIDE_KEEP_OLDER").map_or(scratch.path().to_owned(), |to| root.join(to));
    make(&folder).await;
    for state in STATES {
        let (_server, db, before) = restored(&folder, state).await;
        taken_back(&db, &before).await;
    }
}

/// Inverses are concrete SQL: neither the plan nor the way there need be understood.
#[tokio::test(flavor = "multi_thread")]
async fn one_whose_plan_cannot_be_read_is_taken_back() {
    for state in STATES {
        let (_server, db, before) = restored(&kept(), state).await;
        db.execute(
            r#"UPDATE bastide.run SET plan = '{"of": "another day"}';
               UPDATE bastide.journal SET forward = jsonb_build_object('mode', forward->'mode', 'statements', 7)"#,
        )
        .await;
        let folder = tempfile::tempdir().unwrap();
        let place = place(&db.url(), folder.path());
        let error = bastide_engine::resume(&place, None, None, &|_| {}).await.unwrap_err();
        assert!(matches!(error, EngineError::OtherPlan { .. }), "{error}");
        assert!(error.to_string().contains("`bastide rls rollback` undoes it all the same"), "{error}");
        assert_eq!(error.exit_code(), 4);
        taken_back(&db, &before).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_a_newer_format_is_left_alone() {
    let (_server, db, _) = restored(&kept(), "cut_over").await;
    db.execute("UPDATE bastide.run SET format = 99, bastide = '9.9.9'; ALTER TABLE bastide.run RENAME COLUMN phases TO stages").await;
    let (schema, folder) = (db.schema_dump().await, tempfile::tempdir().unwrap());
    let place = place(&db.url(), folder.path());
    let scene_of = |error: EngineError| {
        assert_eq!(error.exit_code(), 3, "{error}");
        error.to_string()
    };
    let said = scene_of(bastide_engine::rollback(&place, None, None, &|_| {}).await.unwrap_err());
    let run = db.query_one_text("SELECT id FROM bastide.run").await;
    let shown = said.replace(&run, "ID").replace(env!("CARGO_PKG_VERSION"), "VERSION");
    insta::assert_snapshot!(shown, @"run ID was begun by Bastide 9.9.9, whose journal has format 99; this one, VERSION, reads formats up to 1. Nothing was changed; install Bastide 9.9.9 or a newer one, then type the command again");
    assert_eq!(said, scene_of(bastide_engine::resume(&place, None, None, &|_| {}).await.unwrap_err()));
    assert_eq!(said, scene_of(bastide_engine::cutover(&place, None, &|_| {}).await.unwrap_err()));
    assert_eq!(said, scene_of(status(&place.target, None).await.unwrap_err()));
    same_schema(&schema, &db.schema_dump().await);
}
