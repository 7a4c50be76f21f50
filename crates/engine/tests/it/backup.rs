//! The backup of a run: that it is whole, private and proved, whatever the database holds and whoever is in the way.

use std::{
    io::Write,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

use bastide_engine::{BackupChoice, EngineError, Event, MigrateOptions, RunOutcome, check_backup, status};
use bastide_plan::Phase;

use crate::{
    kill::{small, victim_dies},
    scene::{Scene, config},
};

const SCRATCH: &str = "SELECT count(*)::text FROM pg_database WHERE datname LIKE 'bastide_verify%'";

async fn restoring(scene: &Scene) -> MigrateOptions {
    let mut options = scene.options().await;
    options.backup = BackupChoice::Restore;
    options.until = Some(Phase::Backup);
    options
}

fn backups(scene: &Scene) -> Vec<PathBuf> {
    let folder = scene.state_dir.path().join("backups");
    let mut found: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    found.sort();
    found
}

fn path(outcome: &RunOutcome) -> PathBuf {
    PathBuf::from(&outcome.run.backup.as_ref().unwrap().path)
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_private_and_restores_row_for_row() {
    let scene = Scene::new().await;
    let mut options = restoring(&scene).await;
    options.until = None;
    let outcome = scene.migrate(&options).await.unwrap();
    let backup = outcome.run.backup.as_ref().unwrap();
    assert_eq!(
        (backup.verified.as_str(), backup.tables, backup.rows),
        ("restore", 4, Some(4 + 400 + 2000 + 4000))
    );
    assert!(backup.snapshot_seconds.is_some_and(|held| held > 0.0));
    assert_eq!(outcome.run.backup_choice, Some(BackupChoice::Restore));
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let folder = path(&outcome);
    assert_eq!(backups(&scene), std::slice::from_ref(&folder));
    assert_eq!((mode(&folder), mode(&folder.join("dump"))), (0o700, 0o700));
    let mut files: Vec<_> =
        std::fs::read_dir(folder.join("dump")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.push(folder.join("manifest.json"));
    assert!(files.len() > 4 && files.iter().all(|file| mode(file) == 0o600), "{files:?}");
    let password = scene.state_dir.path().join("bastide_app.password");
    assert_eq!(mode(&password), 0o600);
    assert_eq!(scene.db.query_one_text(SCRATCH).await, "0");
    let login = std::fs::read_to_string(&password).unwrap();
    scene.db.client_as("bastide_app", login.trim()).await;
    scene.rollback(None).await.unwrap();
    assert!(!password.exists());
    // It outlives the run, and is a database like the one there was.
    let again = scene.server.database("again").await;
    again.tool("pg_restore", &["--exit-on-error", folder.join("dump").to_str().unwrap()]).await;
    assert_eq!(again.schema_dump().await, scene.db.schema_dump().await);
    assert_eq!(again.fingerprints().await, scene.db.fingerprints().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn its_manifest_tells_a_file_that_was_changed_or_is_gone() {
    let scene = Scene::new().await;
    let folder = path(&scene.migrate(&restoring(&scene).await).await.unwrap());
    let manifest = check_backup(&folder).unwrap();
    assert_eq!(
        (manifest.database.as_str(), manifest.rows, manifest.verified.as_str()),
        ("shop", 6404, "restore")
    );
    let says = |what: &str| {
        let error = check_backup(&folder).unwrap_err();
        assert!(
            matches!(error, EngineError::BadBackup { .. }) && error.to_string().contains(what),
            "{error}"
        );
    };
    let toc = folder.join("dump/toc.dat");
    let was = std::fs::read(&toc).unwrap();
    let mut appended = std::fs::File::options().append(true).open(&toc).unwrap();
    appended.write_all(b"x").unwrap();
    says("dump/toc.dat is not what was written");
    std::fs::remove_file(&toc).unwrap();
    says("dump/toc.dat is missing");
    std::fs::write(&toc, was).unwrap();
    check_backup(&folder).unwrap();
    std::fs::remove_file(folder.join("manifest.json")).unwrap();
    says("manifest.json");
}

/// What has made restores fail, differ, or act.
const AWKWARD: &str = r#"
CREATE EXTENSION hstore;
CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
CREATE TYPE pair AS (a int, b text);
CREATE TABLE "Odd names" ("a b" mood, p pair, m money, h hstore, j jsonb, r regclass, f float8, x xml, t timestamptz);
INSERT INTO "Odd names" SELECT (ARRAY['sad','ok','happy'])[i % 3 + 1]::mood, (i, 'x')::pair, i * 1.25, 'a=>1', '{"b": 1}', 'merchants', 0.1 + i, '<a/>', now() FROM generate_series(1, 50) i;
CREATE TABLE parent (id int, v text); CREATE TABLE child () INHERITS (parent);
INSERT INTO parent VALUES (1, 'p'); INSERT INTO child VALUES (2, 'c'), (2, 'c');
CREATE TABLE parts (id int, d date) PARTITION BY RANGE (d);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
CREATE TABLE parts_2 PARTITION OF parts DEFAULT;
INSERT INTO parts VALUES (1, '2020-02-02'), (2, '2023-02-02');
CREATE TABLE collated (t text) PARTITION BY RANGE (t);
CREATE TABLE collated_1 PARTITION OF collated FOR VALUES FROM ('a') TO ('Z');
INSERT INTO collated VALUES ('B'), ('b');
CREATE TABLE forced (id int); ALTER TABLE forced ENABLE ROW LEVEL SECURITY; ALTER TABLE forced FORCE ROW LEVEL SECURITY;
CREATE ROLE somebody; CREATE POLICY mine ON forced TO somebody USING (id < 5);
INSERT INTO forced SELECT generate_series(1, 9);
CREATE UNLOGGED TABLE fleeting AS SELECT 1 AS id;
CREATE TABLE none_at_all (); INSERT INTO none_at_all DEFAULT VALUES;
CREATE TABLE of_extension (id int); INSERT INTO of_extension VALUES (1); ALTER EXTENSION hstore ADD TABLE of_extension;
SELECT lo_from_bytea(0, 'a large object'), lo_from_bytea(0, '');
CREATE FUNCTION at_home() RETURNS int LANGUAGE plpgsql AS $$ BEGIN
  IF current_database() <> 'odd' THEN RAISE EXCEPTION 'acted in %', current_database(); END IF; RETURN 1; END $$;
CREATE MATERIALIZED VIEW totals AS SELECT public.at_home() AS one;
CREATE FUNCTION watch() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM public.at_home(); END $$;
CREATE EVENT TRIGGER watching ON ddl_command_start EXECUTE FUNCTION watch();
COMMENT ON EVENT TRIGGER watching IS 'at home only';
CREATE PUBLICATION everything FOR ALL TABLES;
CREATE SUBSCRIPTION elsewhere CONNECTION 'host=192.0.2.1' PUBLICATION theirs WITH (connect = false);
CREATE TABLE touched (id int); CREATE FUNCTION touching() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM public.at_home(); RETURN NEW; END $$;
CREATE TRIGGER touching BEFORE INSERT ON touched FOR EACH ROW EXECUTE FUNCTION touching(); ALTER TABLE touched ENABLE ALWAYS TRIGGER touching;
INSERT INTO touched VALUES (1);
"#;

/// What a session that minds nothing would stumble over.
const PRESET: &str = "
ALTER DATABASE odd SET lc_monetary = 'C';
ALTER ROLE postgres IN DATABASE odd SET default_transaction_read_only = on;
ALTER ROLE postgres IN DATABASE odd SET statement_timeout = '25ms'";

#[tokio::test(flavor = "multi_thread")]
async fn an_awkward_database_is_restored_without_acting() {
    let server = bastide_testkit::server().await;
    let odd = "CREATE DATABASE odd TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'en-US' LC_COLLATE 'C' LC_CTYPE 'C' ENCODING 'UTF8'";
    server.existing("postgres").execute(odd).await;
    let db = server.existing("odd");
    db.execute(crate::scene::SHOP).await;
    db.execute(AWKWARD).await;
    let scene = Scene::on(server, db, config());
    let roles = "SELECT count(*)::text FROM pg_roles WHERE rolname NOT LIKE 'bastide%'";
    let before = scene.db.query_one_text(roles).await;
    scene.db.execute(PRESET).await;
    let outcome = scene.migrate(&restoring(&scene).await).await.unwrap_or_else(|error| panic!("{error}"));
    let backup = outcome.run.backup.clone().unwrap();
    assert_eq!(backup.verified, "restore");
    let manifest = std::fs::read_to_string(path(&outcome).join("manifest.json")).unwrap();
    assert!(manifest.contains(r#""large_objects": 2"#) && !manifest.contains("of_extension"), "{manifest}");
    assert!(
        manifest.contains("Odd names") && manifest.contains("none_at_all") && manifest.contains("forced")
    );
    assert_eq!(scene.db.query_one_text(roles).await, before);
    assert_eq!(scene.db.query_one_text(SCRATCH).await, "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_run_leaves_nothing_that_passes_for_a_backup_and_its_room_is_freed() {
    for place in ["after_dump:backup", "after_restore:backup", "before_complete:backup"] {
        let scene = small().await;
        assert!(
            victim_dies(&scene, false, &[("BASTIDE_FAULT", place), ("BASTIDE_TEST_BACKUP", "1")]),
            "{place}"
        );
        let left = backups(&scene);
        let [unfinished] = left.as_slice() else { panic!("{place}: {left:?}") };
        assert!(unfinished.extension().is_some_and(|extension| extension == "partial"), "{unfinished:?}");
        let scratch = scene.db.query_one_text(SCRATCH).await;
        assert_eq!(scratch, if place.starts_with("after_restore") { "1" } else { "0" }, "{place}");
        let (run, _) = status(&scene.place().target, None).await.unwrap();
        assert!(run.backup.is_none(), "{place}");
        // It goes on with the proof that was asked for.
        let outcome = scene.resume().await.unwrap();
        assert_eq!(outcome.run.backup.as_ref().unwrap().verified, "restore", "{place}");
        assert_eq!(backups(&scene), [path(&outcome)], "{place}");
        check_backup(&path(&outcome)).unwrap();
        assert_eq!(scene.db.query_one_text(SCRATCH).await, "0", "{place}");
        let events = scene.events.lock().unwrap();
        let freed = |event: &Event| matches!(event, Event::Activity { text, .. } if text.contains("removed") && text.contains(".partial"));
        assert!(events.iter().any(freed), "{place}: {events:?}");
    }
}

/// Rows enough to keep the workers busy while somebody asks for a table that they have yet to come to.
const BUSY: &str = "
CREATE TABLE big_1 AS SELECT i, md5(i::text) AS a, md5((i + 1)::text) AS b FROM generate_series(1, 200000) i;
CREATE TABLE big_2 AS SELECT * FROM big_1;
CREATE TABLE wanted (id int); INSERT INTO wanted VALUES (1); ANALYZE";

#[tokio::test(flavor = "multi_thread")]
async fn whoever_wants_a_table_exclusively_has_it_and_the_backup_is_taken_again() {
    let scene = Scene::new().await;
    scene.db.execute(BUSY).await;
    let (other, watcher) = (scene.db.client().await, scene.db.client().await);
    let wants = tokio::spawn(async move {
        let locked = "SELECT FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE l.relation = 'wanted'::regclass AND l.granted AND a.application_name LIKE '%backup%'";
        while watcher.query(locked, &[]).await.unwrap().is_empty() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        other.batch_execute("BEGIN; SET LOCAL statement_timeout = '60s'; LOCK TABLE wanted IN ACCESS EXCLUSIVE MODE; UPDATE wanted SET id = 2; COMMIT").await.unwrap();
    });
    let outcome = scene.migrate(&restoring(&scene).await).await.unwrap_or_else(|error| panic!("{error}"));
    wants.await.unwrap();
    assert_eq!(outcome.run.backup.as_ref().unwrap().verified, "restore");
    let events = scene.events.lock().unwrap();
    let told: Vec<_> = events
        .iter()
        .filter_map(|event| match event {
            Event::Activity { phase: Phase::Backup, text } => Some(text.as_str()),
            _ => None,
        })
        .collect();
    assert!(told.iter().any(|text| text.contains("once more")), "{told:?}");
    assert_eq!(backups(&scene), [path(&outcome)]);
}

/// A small file system of its own, where this user may make one.
struct Small(PathBuf);

impl Small {
    fn mounted(at: &Path, megabytes: u32) -> Option<Self> {
        let at = at.to_owned();
        std::fs::create_dir_all(&at).unwrap();
        let size = format!("size={megabytes}m,mode=0777");
        let mount =
            std::process::Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(&at).output();
        mount.is_ok_and(|done| done.status.success()).then_some(Self(at))
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let done = std::process::Command::new("umount").arg("--lazy").arg(&self.0).status();
        assert!(std::thread::panicking() || done.is_ok_and(|done| done.success()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_room_nothing_begins() {
    let scene = Scene::new().await;
    let Some(small) = Small::mounted(&scene.state_dir.path().join("small"), 1) else {
        writeln!(std::io::stderr(), "not tested: this user may not mount a small file system").unwrap();
        return;
    };
    scene.db.execute("INSERT INTO order_lines SELECT i, n, repeat('thing ', 20) FROM generate_series(1, 2000) i, generate_series(3, 12) n").await;
    let before = scene.snapshot().await;
    let mut options = restoring(&scene).await;
    options.place.state_dir = small.0.join("state");
    let error = scene.migrate(&options).await.unwrap_err();
    assert_eq!(error.exit_code(), 3, "{error}");
    let told = error.to_string();
    assert!(
        told.contains("1 MB free") && told.contains("the backup ") && told.contains("--state-dir"),
        "{told}"
    );
    scene.assert_as(&before).await;
    assert!(status(&scene.place().target, None).await.is_err());
    assert_eq!(scene.db.query_one_text(SCRATCH).await, "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_tablespace_of_the_server_is_found_before_the_run_fills_it() {
    let scene = Scene::new().await;
    // Where the server's own user can reach it.
    let folder = scene.server.postgres().data_dir().parent().unwrap().join("small");
    let Some(small) = Small::mounted(&folder, 6) else {
        writeln!(std::io::stderr(), "not tested: this user may not mount a small file system").unwrap();
        return;
    };
    let owner = std::fs::metadata(scene.server.postgres().data_dir()).unwrap();
    std::os::unix::fs::chown(&small.0, Some(owner.uid()), Some(owner.gid())).unwrap();
    scene.db.execute(&format!("CREATE TABLESPACE small LOCATION '{}'", small.0.display())).await;
    scene.db.execute("ALTER TABLE order_lines SET TABLESPACE small").await;
    scene.db.execute("INSERT INTO order_lines SELECT i, n, repeat('thing ', 20) FROM generate_series(1, 2000) i, generate_series(3, 12) n").await;
    let mut options = restoring(&scene).await;
    let error = scene.migrate(&options).await.unwrap_err().to_string();
    assert!(error.contains(&small.0.display().to_string()), "{error}");
    assert!(error.contains("restored to verify it") || error.contains("public.order_lines"), "{error}");
    assert!(status(&scene.place().target, None).await.is_err(), "it had begun");
    scene.db.execute("DELETE FROM order_lines WHERE n > 2").await;
    scene.db.execute("VACUUM FULL order_lines").await;
    options.plan = scene.plan().await;
    scene.migrate(&options).await.unwrap();
}
