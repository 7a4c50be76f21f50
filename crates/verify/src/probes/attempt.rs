//! One attempt: a transaction of the application's, always rolled back, whose script can be pasted into psql.

use bastide_sql::{Literal, Sql, sql};
use tokio_postgres::{Client, SimpleQueryMessage, error::SqlState};

use crate::{VerifyError, app::AppSession};

/// The application's way in.
pub(super) struct Actor<'a> {
    client: &'a Client,
    enter: Vec<Sql>,
    production: bool,
}

/// The tenant context an attempt begins with.
#[derive(Clone, Debug)]
pub(super) enum Context {
    None,
    /// The setting exists and is empty, as after a transaction that set it.
    Empty,
    /// The setting holds no key at all, put there past `set_tenant`.
    Malformed,
    Tenant(String),
}

/// What the server answered, statement by statement.
#[derive(Debug, Default)]
pub(super) struct Answer {
    pub(super) results: Vec<Results>,
}

#[derive(Debug, Default)]
pub(super) struct Results {
    pub(super) rows: Vec<Vec<Option<String>>>,
    pub(super) affected: u64,
}

/// The server's no.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) code: SqlState,
    /// The server names a constraint or column of its own: the row had passed the policy by then. An exception of the
    /// same class raised by a trigger names none.
    pub(super) by_constraint: bool,
    /// The context could not even be set.
    pub(super) early: bool,
}

pub(super) type Reply = Result<Answer, Refusal>;

impl<'a> Actor<'a> {
    pub(super) fn new(session: &'a AppSession, owner: &'a Client, production: bool) -> Self {
        Self { client: session.client(owner), enter: session.enter(), production }
    }

    /// Runs `statements` in `context` and rolls back.
    pub(super) async fn attempt(
        &self,
        object: &str,
        context: &Context,
        statements: &[Sql],
    ) -> Result<Reply, VerifyError> {
        self.within(object, context, "ROLLBACK", async |client| {
            let messages = client.simple_query(&joined(statements)).await?;
            Ok(collect(messages))
        })
        .await
    }

    /// Sets the context, commits, and leaves the connection as the next request would find it.
    pub(super) async fn visit(&self, object: &str, context: &Context) -> Result<Reply, VerifyError> {
        self.within(object, context, "COMMIT", async |_| Ok(Answer::default())).await
    }

    /// The same frame for what the simple protocol cannot carry (COPY).
    pub(super) async fn within(
        &self,
        object: &str,
        context: &Context,
        end: &str,
        act: impl AsyncFnOnce(&Client) -> Result<Answer, tokio_postgres::Error>,
    ) -> Result<Reply, VerifyError> {
        let lost = |source| VerifyError::Lost { object: object.to_owned(), source };
        let outcome = match self.client.batch_execute(&joined(&self.opening(context))).await {
            Err(error) => Err((error, true)),
            Ok(()) => act(self.client).await.map_err(|error| (error, false)),
        };
        self.client.batch_execute(end).await.map_err(lost)?;
        match outcome {
            Ok(answer) => Ok(Ok(answer)),
            Err((error, early)) => match error.as_db_error() {
                Some(refusal) => Ok(Err(Refusal {
                    code: refusal.code().clone(),
                    by_constraint: refusal.constraint().is_some() || refusal.column().is_some(),
                    early,
                })),
                None => Err(lost(error)),
            },
        }
    }

    /// A psql script that makes the attempt again, to be run as the application's login (or, with `SET ROLE`, as the owner).
    pub(super) fn script(&self, context: &Context, statements: &[Sql]) -> String {
        let mut script = joined(&self.opening(context));
        script.push_str(&joined(statements));
        script.push_str("ROLLBACK;\n");
        script
    }

    fn opening(&self, context: &Context) -> Vec<Sql> {
        let mut opening = vec![
            if self.production { sql!("BEGIN READ ONLY") } else { sql!("BEGIN") },
            sql!("SET LOCAL statement_timeout = '15s'"),
            sql!("SET LOCAL lock_timeout = '250ms'"),
            sql!("SET LOCAL row_security = on"),
        ];
        opening.extend(self.enter.iter().cloned());
        match context {
            Context::None => {}
            Context::Empty => opening.push(sql!("SET LOCAL bastide.tenant = ''")),
            Context::Malformed => opening.push(sql!("SET LOCAL bastide.tenant = 'no key'' OR true --'")),
            Context::Tenant(key) => opening.push(set_tenant(key)),
        }
        opening
    }
}

pub(super) fn set_tenant(key: &str) -> Sql {
    sql!("SELECT bastide.set_tenant({})", Literal::text(key))
}

fn joined(statements: &[Sql]) -> String {
    statements.iter().flat_map(|statement| [statement.as_str(), ";\n"]).collect()
}

fn collect(messages: Vec<SimpleQueryMessage>) -> Answer {
    let mut answer = Answer::default();
    let mut current = Results::default();
    for message in messages {
        match message {
            SimpleQueryMessage::Row(row) => {
                current.rows.push((0..row.len()).map(|at| row.get(at).map(str::to_owned)).collect());
            }
            SimpleQueryMessage::CommandComplete(affected) => {
                current.affected = affected;
                answer.results.push(std::mem::take(&mut current));
            }
            _ => {}
        }
    }
    answer
}

impl Answer {
    pub(super) fn of(affected: u64) -> Self {
        Self { results: vec![Results { rows: Vec::new(), affected }] }
    }

    /// Rows the last statement touched, or returned.
    pub(super) fn affected(&self) -> u64 {
        self.results.last().map_or(0, |last| last.affected)
    }

    /// A count in the first row of the last result.
    pub(super) fn number(&self, column: usize) -> u64 {
        let value = self
            .results
            .last()
            .and_then(|last| last.rows.first())
            .and_then(|row| row.get(column)?.as_deref());
        value.and_then(|text| text.parse().ok()).unwrap_or_default()
    }
}

impl Refusal {
    pub(super) fn not_permitted(&self) -> bool {
        !self.early && self.code == SqlState::INSUFFICIENT_PRIVILEGE
    }

    /// An integrity check (class 23) of the server's own.
    pub(super) fn constraint(&self) -> bool {
        !self.early && self.by_constraint && self.code.code().starts_with("23")
    }

    /// The server gave up rather than answered: timeouts, locks, deadlocks.
    pub(super) fn passing(&self) -> bool {
        ["57014", "55P03", "40P01", "40001", "25006"].contains(&self.code.code())
    }

    pub(super) fn words(&self) -> String {
        let early = if self.early { ", already when the context was set" } else { "" };
        format!("refused with {}{early}", self.code.code())
    }
}
