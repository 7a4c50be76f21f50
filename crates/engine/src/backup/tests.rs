//! What `pg_dump` does where it may not read everything, and what verification does with a dump that is not whole.

use bastide_connect::Target;
use bastide_testkit::{Database, Server};
use tempfile::TempDir;

use super::{Dump, Taken, Whole, insisting};
use crate::{BackupChoice, EngineError, MigrationGuard, tools};

struct Scene {
    _server: Server,
    db: Database,
    guard: MigrationGuard,
    dump: Dump,
    _folder: TempDir,
}

impl Scene {
    async fn new() -> Self {
        let server = bastide_testkit::server().await;
        let db = server.database("shop").await;
        db.execute("CREATE TABLE notes (id int PRIMARY KEY, body text); INSERT INTO notes SELECT i, md5(i::text) FROM generate_series(1, 500) i").await;
        let guard = MigrationGuard::acquire(&Target::parse(&db.url()).unwrap()).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let pg_dump = tools::find("pg_dump", &guard).await.unwrap();
        let dump = Dump { pg_dump, folder: folder.path().join("dump"), jobs: 2 };
        Self { _server: server, db, guard, dump, _folder: folder }
    }

    async fn taken(&mut self) -> Taken {
        insisting(&mut self.guard, Some(&self.dump), "", &|_| {}).await.unwrap()
    }

    async fn refused(&self, taken: &Taken) -> String {
        let whole = Whole { taken, dump: &self.dump.folder, jobs: 2 };
        let error = whole.verify(&self.guard, &BackupChoice::Restore, &|_| {}).await.unwrap_err();
        assert!(matches!(error, EngineError::BadBackup { .. }), "{error}");
        let scratch = "SELECT count(*)::text FROM pg_database WHERE datname LIKE 'bastide_verify%'";
        assert_eq!(self.db.query_one_text(scratch).await, "0");
        error.to_string()
    }
}

/// The owner under FORCE: row security would leave half of the rows.
#[tokio::test]
async fn a_login_that_row_security_filters_gets_no_partial_dump() {
    let scene = Scene::new().await;
    scene
        .db
        .execute(
            "CREATE ROLE owner LOGIN PASSWORD 'sesame'; ALTER TABLE notes OWNER TO owner;
             ALTER TABLE notes ENABLE ROW LEVEL SECURITY; ALTER TABLE notes FORCE ROW LEVEL SECURITY;
             CREATE POLICY half ON notes USING (id <= 250)",
        )
        .await;
    let holder = scene.db.client().await;
    holder.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ").await.unwrap();
    let snapshot: String = holder.query_one("SELECT pg_export_snapshot()", &[]).await.unwrap().get(0);
    let owner = Target::parse(&scene.db.url_as("owner", "sesame")).unwrap();
    for jobs in [1, 2] {
        let error = scene.dump.run(&owner, &snapshot, jobs).await.unwrap_err().to_string();
        assert!(error.contains("row-level security policy for table \"notes\""), "{error}");
        std::fs::remove_dir_all(&scene.dump.folder).unwrap();
    }
    let superuser = Target::parse(&scene.db.url()).unwrap();
    scene.dump.run(&superuser, &snapshot, 2).await.unwrap();
}

#[tokio::test]
async fn rows_that_came_back_otherwise_are_named() {
    let mut scene = Scene::new().await;
    let mut taken = scene.taken().await;
    taken.before.tables[0].xor = Some(1);
    let said = scene.refused(&taken).await;
    assert!(said.ends_with("rows of public.notes are not what they were"), "{said}");
    taken.before.tables[0].rows += 1;
    let said = scene.refused(&taken).await;
    assert!(said.ends_with("public.notes has 500 rows in it and had 501"), "{said}");
}

#[tokio::test]
async fn a_file_cut_short_is_found_by_restoring() {
    let mut scene = Scene::new().await;
    let taken = scene.taken().await;
    let data = std::fs::read_dir(&scene.dump.folder).unwrap().map(|entry| entry.unwrap().path());
    let data = data.into_iter().find(|path| path.extension().is_some_and(|e| e == "gz")).unwrap();
    let whole = std::fs::read(&data).unwrap();
    std::fs::write(&data, &whole[..whole.len() / 2]).unwrap();
    let said = scene.refused(&taken).await;
    assert!(said.contains("--verify-backup=list"), "{said}");
}

#[tokio::test]
async fn a_table_without_data_in_the_list_is_named() {
    let mut scene = Scene::new().await;
    let taken = scene.taken().await;
    let without = ["--schema-only", "--format=directory", "--file", scene.dump.folder.to_str().unwrap()];
    std::fs::remove_dir_all(&scene.dump.folder).unwrap();
    scene.db.tool("pg_dump", &without).await;
    assert!(scene.refused(&taken).await.ends_with("it has no rows of public.notes"));
}
