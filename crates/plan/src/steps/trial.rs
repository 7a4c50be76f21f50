//! How steps are tried: on a real server, do → undo → do → finish, the schema compared by `pg_dump` after the undoing
//! and the projected catalog with the real one after the doing.

use bastide_catalog::Catalog;
use bastide_sql::{Ident, LockMode, QualifiedName, Sql, join, sql};
use bastide_testkit::{Database, Server};
use tokio_postgres::{Client, types::Type};

use super::{CreateContext, Step};
use crate::{Mode, Script};

const SCHEMA: &str = include_str!("../../../engine/src/schema.sql");

pub(super) const RUN: &str = "018f0000-0000-7000-8000-000000000001";

pub(super) struct Trial {
    pub(super) db: Database,
    pub(super) client: Client,
    /// Rows to a batch: small, so that there are several.
    pub(super) limit: i64,
    _server: Server,
}

pub(super) fn name(text: &str) -> QualifiedName {
    text.parse().unwrap()
}

pub(super) fn ident(text: &str) -> Ident {
    Ident::new(text).unwrap()
}

pub(super) fn idents(texts: &[&str]) -> Vec<Ident> {
    texts.iter().map(|text| ident(text)).collect()
}

/// A script as a snapshot shows it.
pub(super) fn show(script: &Script) -> String {
    let mut lines = vec![format!("-- {:?}", script.mode)];
    if let Some(lock) = script.lock {
        let locked: Vec<String> = script.locked.iter().map(ToString::to_string).collect();
        lines.push(format!("-- {lock} on {}", locked.join(", ")));
    }
    lines.extend(script.prelude.iter().chain(&script.statements).map(|statement| format!("{statement};")));
    lines.join("\n")
}

impl Trial {
    /// A database with `schema` in it, and a run that has created its tenant context, for tenants of type `root_type`.
    pub(super) async fn of(root_type: &'static str, schema: &str) -> Self {
        let server = bastide_testkit::server().await;
        let db = server.database("trial").await;
        db.execute("CREATE ROLE bastide_owner NOLOGIN BYPASSRLS; CREATE ROLE bastide_app LOGIN; CREATE ROLE legacy LOGIN; CREATE ROLE reporting LOGIN; CREATE ROLE keeper LOGIN").await;
        db.execute(schema).await;
        db.execute(&format!("BEGIN; {SCHEMA}; COMMIT")).await;
        db.execute(&format!("INSERT INTO bastide.run (id, format, bastide, state, phase, plan) VALUES ('{RUN}', 1, '0', 'running', 'analysis', '{{}}')")).await;
        let client = db.client().await;
        client
            .batch_execute(&format!(
                "SET bastide.run = '{RUN}'; SET search_path = pg_catalog; SET row_security = off"
            ))
            .await
            .unwrap();
        let mut trial = Self { db, client, limit: 2, _server: server };
        trial.forward(&Step::CreateContext(CreateContext { root_type: Sql::trusted(root_type) })).await;
        trial
    }

    pub(super) async fn execute(&self, text: &str) {
        self.client.batch_execute(text).await.unwrap_or_else(|error| panic!("{text}\n{error:?}"));
    }

    /// The SQLSTATE a statement fails with.
    pub(super) async fn refused(&self, text: &str) -> String {
        let error = self.client.batch_execute(text).await.expect_err(text);
        self.client.batch_execute("ROLLBACK").await.unwrap();
        error.code().unwrap_or_else(|| panic!("{error:?}")).code().to_owned()
    }

    pub(super) async fn catalog(&mut self) -> Catalog {
        bastide_catalog::read(&mut self.client).await.unwrap()
    }

    pub(super) async fn forward(&mut self, step: &Step) {
        self.run(&step.forward()).await.unwrap_or_else(|error| panic!("{}: {error:?}", step.id()));
    }

    pub(super) async fn undo(&mut self, step: &Step) {
        self.run(&step.inverse()).await.unwrap_or_else(|error| panic!("undoing {}: {error:?}", step.id()));
    }

    /// Do, compare with the projection, undo, compare with before; and the same from every half-done state.
    pub(super) async fn round(&mut self, step: &Step) {
        let before = self.db.schema_dump().await;
        let mut expected = self.catalog().await;
        self.forward(step).await;
        step.apply(&mut expected);
        assert_eq!(expected.diff(&self.catalog().await), Vec::<String>::new(), "projection of {}", step.id());
        let done = self.db.schema_dump().await;
        self.undo(step).await;
        assert_eq!(before, self.db.schema_dump().await, "after undoing {}", step.id());
        if step.forward().mode == Mode::Autocommit {
            self.halves(step, &before, &done).await;
        }
        self.forward(step).await;
        assert_eq!(done, self.db.schema_dump().await, "after doing {} again", step.id());
    }

    async fn halves(&mut self, step: &Step, before: &str, done: &str) {
        let script = step.forward();
        for made in 1..script.statements.len() {
            let half = Script { statements: script.statements[..made].to_vec(), ..script.clone() };
            self.run(&half).await.unwrap();
            self.undo(step).await;
            assert_eq!(
                before,
                self.db.schema_dump().await,
                "after undoing {made} statements of {}",
                step.id()
            );
            self.run(&half).await.unwrap();
            self.forward(step).await;
            self.forward(step).await;
            assert_eq!(done, self.db.schema_dump().await, "after resuming {} at {made}", step.id());
            self.undo(step).await;
            self.undo(step).await;
            assert_eq!(before, self.db.schema_dump().await, "after undoing {} twice", step.id());
        }
    }

    pub(super) async fn run(&mut self, script: &Script) -> Result<i64, tokio_postgres::Error> {
        let result = match script.mode {
            Mode::Nothing => Ok(0),
            Mode::Transaction | Mode::LongTransaction => self.in_one_message(script).await,
            Mode::Autocommit => self.one_by_one(script).await,
            Mode::Batches => self.in_batches(script).await,
        };
        if result.is_err() {
            self.client.batch_execute("ROLLBACK").await?;
        }
        result
    }

    async fn in_one_message(&self, script: &Script) -> Result<i64, tokio_postgres::Error> {
        let long = script.mode == Mode::LongTransaction;
        let begin = if long { sql!("BEGIN ISOLATION LEVEL REPEATABLE READ") } else { sql!("BEGIN") };
        let mut message = vec![begin];
        message.extend(script.prelude.iter().cloned());
        if let (Some(mode), false) = (script.lock, script.locked.is_empty()) {
            message.push(sql!("LOCK TABLE {} IN {} MODE", join(&script.locked, ", "), mode));
        }
        message.extend(script.statements.iter().cloned());
        message.push(sql!("COMMIT"));
        let text: Vec<&str> = message.iter().map(Sql::as_str).collect();
        self.client.batch_execute(&text.join(";\n")).await.map(|()| 0)
    }

    async fn one_by_one(&self, script: &Script) -> Result<i64, tokio_postgres::Error> {
        assert!(script.prelude.is_empty(), "SET LOCAL means nothing outside a transaction");
        for statement in &script.statements {
            self.client.batch_execute(statement.as_str()).await?;
        }
        Ok(0)
    }

    async fn in_batches(&mut self, script: &Script) -> Result<i64, tokio_postgres::Error> {
        assert_eq!((script.statements.len(), script.lock), (1, Some(LockMode::RowExclusive)));
        let statement =
            self.client.prepare_typed(script.statements[0].as_str(), &[Type::TEXT, Type::INT8]).await?;
        let (mut cursor, mut changed) = (None::<String>, 0);
        loop {
            let transaction = self.client.transaction().await?;
            for setting in &script.prelude {
                transaction.batch_execute(setting.as_str()).await?;
            }
            let row = transaction.query_one(&statement, &[&cursor, &self.limit]).await?;
            transaction.commit().await?;
            changed += row.get::<_, i64>(1);
            let next: Option<String> = row.get(0);
            assert_ne!(next, cursor.clone().or(Some(String::new())), "the cursor moves on");
            cursor = next;
            if cursor.is_none() {
                return Ok(changed);
            }
        }
    }
}
