//! A run that really goes on, watched from another terminal: held up by a lock, cut off, killed, done.

use std::{
    io::{BufRead, BufReader, Lines},
    process::{Child, ChildStdout, Stdio},
};

use bastide_testkit::{Database, Server};
use serde_json::Value;
use tokio_postgres::Client;

use crate::bastide::{Bastide, Ran};

const SHOP: &str = "
CREATE TABLE merchants (id int PRIMARY KEY, name text NOT NULL);
CREATE TABLE orders (id int PRIMARY KEY, merchant_id int REFERENCES merchants);
INSERT INTO merchants VALUES (1, 'one'), (2, 'two');
INSERT INTO orders SELECT i, 1 + i % 2 FROM generate_series(1, 500) i;
";

/// A run under way that cannot get past a lock of somebody who reads.
struct Held {
    _server: Server,
    db: Database,
    bastide: Bastide,
    reader: Client,
    pid: i32,
    run: Child,
}

impl Held {
    async fn up() -> Self {
        let server = bastide_testkit::server().await;
        let db = server.database("shop").await;
        db.execute(SHOP).await;
        let bastide = Bastide::on(db.url());
        let reader = db.client().await;
        let pid = reader.query_one("SELECT pg_backend_pid()", &[]).await.unwrap().get(0);
        reader.batch_execute("BEGIN; SELECT FROM orders LIMIT 1").await.unwrap();
        let mut command = bastide.command();
        command.args(["rls", "migrate", "--no-backup", "--i-have-a-backup", "--yes", "--accept-defaults"]);
        command.args(["--tenant-root", "public.merchants"]);
        let run = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let mut held = Self { _server: server, db, bastide, reader, pid, run };
        while held
            .db
            .query_one_text("SELECT count(*)::text FROM pg_class WHERE oid = to_regclass('bastide.journal')")
            .await
            == "0"
        {
            assert!(held.run.try_wait().unwrap().is_none(), "the run ended before it began its journal");
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        held
    }

    fn watch(&self, format: &str) -> Watching {
        let mut command = self.bastide.command();
        command.args(["rls", "status", "--watch", "--interval", "0.1", "--format", format]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Watching { child, lines }
    }
}

struct Watching {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Watching {
    /// The next line that is as wanted; the test fails when the watch ends before.
    fn until(&mut self, what: &str, wanted: impl Fn(&str) -> bool) -> String {
        let mut seen = String::new();
        for line in self.lines.by_ref() {
            let line = line.unwrap();
            if wanted(&line) {
                return line;
            }
            seen.push_str(&line);
            seen.push('\n');
        }
        panic!("the watch ended before {what}:\n{seen}");
    }

    fn seen(&mut self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let line = self.until(what, |line| wanted(&serde_json::from_str(line).expect("each line is JSON")));
        serde_json::from_str(&line).unwrap()
    }

    /// The last line, and how it went.
    fn end(mut self) -> (String, Ran) {
        let last = self.lines.by_ref().map(Result::unwrap).last().unwrap_or_default();
        (last, Ran::of(self.child.wait_with_output().unwrap()))
    }
}

#[tokio::test]
async fn a_run_is_watched_until_it_ends_and_whoever_holds_it_up_is_named() {
    let mut held = Held::up().await;
    let mut watch = held.watch("json");
    let pid = held.pid;
    let seen = watch.seen("somebody was in the way", |seen| seen["blocked_by"][0]["pid"] == pid);
    assert_eq!((&seen["event"], &seen["run"]["state"]), (&"seen".into(), &"running".into()));
    assert!(seen["holder"].as_str().unwrap().contains("bastide"), "{seen}");
    assert!(seen["run"]["step"]["text"].as_str().unwrap().contains("public.orders"), "{seen}");
    assert_eq!(seen["seconds_left"], Value::Null, "nothing is known of how long a reader reads");

    // Whoever watches takes no lock that outlives a look, and the one of the migration least of all.
    let locks = "SELECT count(*)::text FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE a.application_name = 'bastide status' AND (l.locktype = 'advisory' OR l.mode <> 'AccessShareLock' AND l.locktype = 'relation')";
    assert_eq!(held.db.query_one_text(locks).await, "0");
    // A connection that is cut is made again.
    held.db.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'bastide status'").await;
    watch.seen("the connection was cut", |seen| seen["event"] == "lost");
    watch.seen("it was back", |seen| seen["event"] == "seen" && seen["blocked_by"][0]["pid"] == pid);

    held.reader.batch_execute("COMMIT").await.unwrap();
    watch.seen("the reader was gone", |seen| seen["blocked_by"] == Value::Array(Vec::new()));
    let (last, ran) = watch.end();
    let ended: Value = serde_json::from_str(&last).unwrap();
    assert_eq!((&ended["event"], &ended["state"]), (&"ended".into(), &"pending_cutover".into()));
    assert_eq!((ended["steps_done"].as_u64() > Some(10), ran.code), (true, 0), "{ended} {}", ran.stderr);
    assert!(held.run.wait().unwrap().success(), "the run was not disturbed");

    // Of a run that has ended there is nothing to watch.
    let ran = held.bastide.run(&["rls", "status", "--watch"]).expect(0);
    assert!(ran.stdout.contains("state  pending cutover"), "{}", ran.stdout);
}

#[tokio::test]
async fn a_run_that_was_killed_is_said_to_have_died() {
    let mut held = Held::up().await;
    let mut watch = held.watch("text");
    let name = format!("in its way: pid {} (", held.pid);
    let line = watch.until("somebody was in the way", |line| line.contains(&name));
    assert!(line.starts_with("assignment, ") && line.contains("public.orders"), "{line}");
    held.run.kill().unwrap();
    held.run.wait().unwrap();
    watch.until("the lock was free", |line| line.contains("nobody holds the lock"));
    watch.until("it was given up", |line| {
        line.contains("the run died: nobody holds the lock of database shop")
    });
    let (last, ran) = watch.end();
    assert!(last.starts_with("next   `bastide rls resume` goes on"), "{last}");
    assert_eq!(ran.code, 4);

    held.reader.batch_execute("COMMIT").await.unwrap();
    held.bastide.run(&["rls", "rollback", "--yes"]).expect(0);
    let ran = held.bastide.run(&["rls", "status", "--watch", "--format", "json"]).expect(0);
    assert_eq!(
        (ran.json()["event"].as_str(), ran.json()["state"].as_str()),
        (Some("ended"), Some("rolled_back"))
    );
}

#[tokio::test]
async fn there_must_be_something_to_watch_and_a_sensible_interval() {
    let server = bastide_testkit::server().await;
    let db = server.database("shop").await;
    let bastide = Bastide::on(db.url());
    let ran = bastide.run(&["rls", "status", "--watch"]).expect(2);
    assert!(ran.stderr.contains("there is no run in this database"), "{}", ran.stderr);
    for wrong in ["0", "soon", "-1"] {
        bastide.run(&["rls", "status", "--watch", &format!("--interval={wrong}")]).expect(2);
    }
    bastide.run(&["rls", "status", "--interval", "2"]).expect(2);
}
