//! A database, the binary that migrates it, and the places where a process of it can be harmed.

use std::{
    collections::HashSet,
    fs::File,
    path::PathBuf,
    process::Child,
    time::{Duration, Instant},
};

use bastide_connect::Target;
use bastide_engine::{EngineError, RunState, StepRecord, status};
use bastide_testkit::{Columns, Database, Fingerprints, Server, diff};

use super::{fixture::Fixture, small_disk::SmallDisk};
use crate::bastide::{Bastide, Ran};

pub(crate) struct Scene {
    pub(crate) disk: Option<SmallDisk>,
    pub(crate) server: Server,
    pub(crate) db: Database,
    pub(crate) bastide: Bastide,
    /// A server that crashes empties these tables.
    unlogged: Vec<String>,
    pub(crate) crashed: bool,
    columns: Columns,
    rows: Fingerprints,
    schema: String,
    roles: String,
}

/// What a whole run passes, there and back, each place once.
#[derive(Clone, Default)]
pub(crate) struct Places {
    pub(crate) on: Vec<String>,
    pub(crate) back: Vec<String>,
}

const ROLES: &str =
    "SELECT coalesce(string_agg(rolname, ' ' ORDER BY rolname), '') FROM pg_roles WHERE rolname !~ '^pg_'";

const UNLOGGED: &str = "SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'r' AND c.relpersistence = 'u'";

const PLAN: &str = "plan.toml";

impl Scene {
    /// With a plan for it beside its state; on a small disk if one is asked for. `None` where the fixture is absent.
    pub(crate) async fn of(fixture: &Fixture, small_disk: bool) -> Option<Self> {
        let (server, db) = fixture.load().await?;
        let disk = if small_disk {
            let size = db.query_one_text("SELECT pg_database_size(current_database()) / 1048576").await;
            let disk = SmallDisk::mount(&server, size.parse::<u64>().unwrap() * 2 + 48);
            disk.takes(&server, &db).await;
            Some(disk)
        } else {
            None
        };
        let bastide = Bastide::on(db.url());
        let settings = bastide.path().join("bastide.toml");
        std::fs::write(&settings, fixture.settings).unwrap();
        let mut arguments = fixture.planning();
        arguments.extend(["--config".to_owned(), settings.to_str().unwrap().to_owned()]);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let plan = bastide.path().join(PLAN);
        if bastide.run(&arguments).code == 2 {
            // The only questions that no default answers here: keys that stay global.
            let text = std::fs::read_to_string(&plan).unwrap_or_default();
            std::fs::write(&plan, text.replace("answer = \"\"", "answer = \"keep\"")).unwrap();
            bastide.run(&arguments).expect(0);
        }
        let (schema, columns) = (db.schema_dump().await, db.columns().await);
        let rows = db.fingerprints_of(&columns).await;
        let roles = db.query_one_text(ROLES).await;
        let unlogged = db.query_rows(UNLOGGED).await;
        Some(Self { unlogged, crashed: false, disk, server, db, bastide, columns, rows, schema, roles })
    }

    /// Nothing differs from before: schema byte for byte, rows, roles.
    pub(crate) async fn assert_as_before(&self) {
        let now = self.db.schema_dump().await;
        let differing = self.schema.lines().zip(now.lines()).find(|(was, is)| was != is);
        assert!(self.schema == now, "the schema differs, first in {differing:?}");
        let mut rows = self.db.fingerprints_of(&self.columns).await;
        for lost in self.unlogged.iter().filter(|_| self.crashed) {
            rows.insert(lost.clone(), self.rows[lost].clone());
        }
        assert_eq!(diff(&self.rows, &rows), "", "rows differ");
        assert_eq!(self.db.query_one_text(ROLES).await, self.roles, "roles differ");
    }

    pub(crate) async fn run(&self) -> Option<(RunState, Vec<StepRecord>)> {
        match status(&Target::parse(&self.db.url()).unwrap(), None).await {
            Ok((run, steps)) => Some((run.state, steps)),
            Err(EngineError::NoRun) => None,
            Err(error) => panic!("{error}"),
        }
    }

    pub(crate) async fn state(&self) -> Option<RunState> {
        self.run().await.map(|(state, _)| state)
    }

    /// What an operator types next, on the way to cutover or back; `None` when there is nothing left.
    pub(crate) async fn next_command(&self, back: bool) -> Option<Vec<String>> {
        let plan = self.bastide.path().join(PLAN);
        let words: &[&str] = match (self.state().await, back) {
            (None | Some(RunState::RolledBack), true) | (Some(RunState::CutOver), false) => return None,
            (Some(RunState::Finished), _) => panic!("nobody finished it"),
            (None | Some(RunState::RolledBack), false) => &[
                "rls",
                "migrate",
                "--yes",
                "--no-backup",
                "--i-have-a-backup",
                "--plan",
                plan.to_str().unwrap(),
            ],
            (Some(RunState::PendingCutover), false) => {
                &["rls", "cutover", "--watch", "0", "--in-use", "--yes"]
            }
            (Some(RunState::RollingBack), true) => &["rls", "resume"],
            (Some(_), true) => &["rls", "rollback", "--yes"],
            (Some(RunState::RollingBack), false) => &["rls", "rollback", "--yes"],
            (Some(RunState::Running | RunState::Stopped | RunState::Upgraded), false) => &["rls", "resume"],
        };
        Some(words.iter().map(|word| (*word).to_owned()).collect())
    }

    /// All the way, unharmed.
    pub(crate) async fn travel(&self, back: bool) {
        while let Some(command) = self.next_command(back).await {
            self.bastide.run(&command.iter().map(String::as_str).collect::<Vec<_>>()).expect(0);
        }
    }

    /// By going there and back, unharmed.
    pub(crate) async fn places(&self) -> Places {
        let mut places = Places::default();
        for (back, places) in [(false, &mut places.on), (true, &mut places.back)] {
            let log = self.bastide.path().join("places");
            while let Some(command) = self.next_command(back).await {
                let ran = self.bastide.command().args(&command).env("BASTIDE_FAULT_LOG", &log).output();
                Ran::of(ran.unwrap()).expect(0);
            }
            let passed = std::fs::read_to_string(&log).expect("the feature `fault` is on");
            let mut seen = HashSet::new();
            places.extend(passed.lines().filter(|place| seen.insert(*place)).map(str::to_owned));
            std::fs::remove_file(&log).unwrap();
        }
        self.assert_as_before().await;
        places
    }

    /// Starts `command`, which stops at each of `places`.
    pub(crate) fn victim(&self, command: &[String], places: &[String]) -> Victim {
        let file = |name: &str| self.bastide.path().join(name);
        let (gate, stderr) = (file("gate"), file("stderr"));
        let child = self
            .bastide
            .command()
            .args(command)
            .env("BASTIDE_FAULT", places.join("\n"))
            .env("BASTIDE_FAULT_GATE", &gate)
            .env("BASTIDE_FAULT_TRIES", "3")
            .stdout(File::create(file("stdout")).unwrap())
            .stderr(File::create(&stderr).unwrap())
            .spawn()
            .unwrap();
        Victim { child, gate, stderr, command: command.join(" ") }
    }
}

pub(crate) struct Victim {
    child: Child,
    gate: PathBuf,
    stderr: PathBuf,
    command: String,
}

pub(crate) enum Came {
    To(String),
    /// With the exit code, `None` when it was killed, and what it said.
    ToAnEnd(Option<i32>, String),
}

/// Nothing here takes longer than a lost server's recovery.
const STUCK: Duration = Duration::from_secs(170);

impl Victim {
    pub(crate) async fn comes(&mut self) -> Came {
        let begun = Instant::now();
        loop {
            if let Ok(place) = std::fs::read_to_string(&self.gate) {
                return Came::To(place);
            }
            if let Some(status) = self.child.try_wait().unwrap() {
                return Came::ToAnEnd(status.code(), std::fs::read_to_string(&self.stderr).unwrap());
            }
            assert!(begun.elapsed() < STUCK, "stuck: bastide {}", self.command);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub(crate) fn goes_on(&self) {
        std::fs::remove_file(&self.gate).unwrap();
    }

    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.goes_on();
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            let killed = self.child.kill().and_then(|()| self.child.wait());
            assert!(killed.is_ok() || std::thread::panicking());
        }
    }
}
