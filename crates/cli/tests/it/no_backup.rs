//! Without a backup only on somebody's word, which is kept.

use std::{io::Write, process::Stdio};

use bastide_testkit::{Database, Server, server};

use crate::bastide::{Bastide, Ran};

const MIGRATE: [&str; 6] =
    ["rls", "migrate", "--accept-defaults", "--tenant-root", "public.tenant", "--no-backup"];

async fn rooted() -> (Server, Database) {
    let server = server().await;
    let db = server.database("shop").await;
    db.execute(
        "CREATE TABLE tenant (id integer PRIMARY KEY, name text NOT NULL);
         CREATE TABLE note (id integer PRIMARY KEY, tenant_id integer NOT NULL REFERENCES tenant, body text);
         INSERT INTO tenant VALUES (1, 'a'), (2, 'b'); INSERT INTO note SELECT g, 1 + g % 2, 'x' FROM generate_series(1, 50) g;",
    )
    .await;
    (server, db)
}

const BEGUN: &str = "SELECT count(*)::text FROM pg_namespace WHERE nspname = 'bastide'";

#[tokio::test]
async fn yes_does_not_say_that_there_is_another() {
    let (_server, db) = rooted().await;
    let bastide = Bastide::on(db.url());
    let told = bastide.run(&[&MIGRATE[..], &["--yes"]].concat()).expect(2).stderr;
    insta::assert_snapshot!(told.trim_end(), @"error: nothing was changed: --no-backup leaves shop without a backup of Bastide's. If you have one of your own, say so with --no-backup --i-have-a-backup (--yes does not); otherwise leave --no-backup out");
    let upgrade = [&["legacy", "upgrade", "--yes"][..], &MIGRATE[2..]].concat();
    assert_eq!(bastide.run(&upgrade).expect(2).stderr, told);
    let alone = bastide.run(&["rls", "migrate", "--yes", "--i-have-a-backup"]).expect(2).stderr;
    assert!(alone.contains("--no-backup"), "{alone}");
    // Nothing is run, so nothing has to be said.
    bastide.run(&[&MIGRATE[..], &["--dry-run"]].concat()).expect(0);
    assert_eq!(db.query_one_text(BEGUN).await, "0");
}

#[tokio::test]
async fn journal_and_report_say_who_said_so() {
    let (_server, db) = rooted().await;
    let bastide = Bastide::on(db.url());
    let ran =
        bastide.command().args(MIGRATE).args(["--yes", "--i-have-a-backup"]).env("SUDO_USER", "ada").output();
    let ran = Ran::of(ran.unwrap()).expect(0);
    let line = ran.stdout.lines().find(|line| line.contains("backup")).unwrap_or(&ran.stdout);
    let said = line.split_once(" said on ").unwrap_or_default();
    assert!(said.0.contains("none: ada (uid "), "{line}");
    assert!(said.1.ends_with("UTC that there is another (--i-have-a-backup)"), "{line}");
    let journal = "SELECT backup_choice #>> '{none,by}' FROM bastide.run";
    assert!(db.query_one_text(journal).await.starts_with("ada (uid "));
    assert!(!bastide.path().join("backups").exists());
    let reports = std::fs::read_dir(bastide.path().join("reports")).unwrap();
    let pages = reports
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "html"));
    let pages: Vec<_> = pages.map(|path| std::fs::read_to_string(path).unwrap()).collect();
    assert!(pages.len() == 1 && pages[0].contains("none: ada (uid "), "{}", pages.len());
}

/// On a terminal of its own, by util-linux's `script`.
#[cfg(target_os = "linux")]
fn typed(bastide: &Bastide, answer: &str) -> Ran {
    let binary = bastide.command();
    let arguments = binary.get_args().map(|argument| argument.to_string_lossy().into_owned());
    let line: Vec<String> = [binary.get_program().to_string_lossy().into_owned()]
        .into_iter()
        .chain(arguments)
        .chain(MIGRATE.iter().chain(&["--yes"]).map(ToString::to_string))
        .map(|word| format!("'{word}'"))
        .collect();
    let mut child = std::process::Command::new("script")
        .args(["--quiet", "--return", "--command", &line.join(" "), "/dev/null"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(format!("{answer}\n").as_bytes()).unwrap();
    Ran::of(child.wait_with_output().unwrap())
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn asked_one_types_the_name_of_the_database() {
    let (_server, db) = rooted().await;
    let bastide = Bastide::on(db.url());
    let ran = typed(&bastide, "yes").expect(2);
    assert!(ran.stdout.contains("No backup of shop will be taken"), "{}", ran.stdout);
    assert_eq!(db.query_one_text(BEGUN).await, "0");
    typed(&bastide, "shop").expect(0);
    let how = "SELECT backup_choice #>> '{none,how}' FROM bastide.run";
    assert_eq!(db.query_one_text(how).await, "asked, they typed the database's name");
}
