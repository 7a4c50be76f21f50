//! Attempts: transactions of the application's, always rolled back, sent many at a time so that a matrix costs what the
//! server needs for it and not a round trip each.

use bastide_connect::Target;
use bastide_record::{Cell, Context};
use bastide_sql::{Literal, Sql, sql};
use futures_util::{
    TryStreamExt,
    future::{join_all, join4},
};
use tokio_postgres::{Client, SimpleQueryMessage};

use super::{refusal::Refusal, seals::Seals, subject::Subject};
use crate::{VerifyError, app::AppSession};

/// Long for a probe, short for whoever waits behind one.
const LIMITS: &str =
    "SET LOCAL statement_timeout = '5s'; SET LOCAL lock_timeout = '250ms'; SET LOCAL row_security = on";

/// Attempts that are under way together.
const TOGETHER: usize = 64;

/// The application's way in.
pub(super) struct Actor<'a> {
    client: &'a Client,
    enter: Vec<Sql>,
    production: bool,
    /// The session is nobody else's, and may be discarded.
    alone: bool,
    /// What a script says at its top: how to get to where the attempt was made.
    way_in: String,
    /// Of a database that takes sealed contexts only.
    seals: Option<Seals>,
}

/// One attempt at one cell.
#[derive(Clone, Debug)]
pub(super) struct Trial {
    pub(super) cell: Cell,
    pub(super) before: Option<Before>,
    /// Rows made, and the context set.
    pub(super) opening: Vec<Sql>,
    pub(super) act: Act,
    /// What undoes what a rollback does not: it comes after ROLLBACK, and may fail.
    pub(super) after: Option<Sql>,
    /// How a script comes to the rows that the attempt had ready, before anything else.
    pub(super) given: Vec<Given>,
}

/// What the same connection did before: a transaction, and how it ended.
#[derive(Clone, Debug)]
pub(super) enum Before {
    Committed(Vec<Sql>),
    /// Committed, and then the session discarded.
    Discarded(Vec<Sql>),
    /// One more statement fails, and it is rolled back.
    Failed(Vec<Sql>),
    /// Its COMMIT begins the attempt's own.
    Chained(Vec<Sql>),
}

#[derive(Clone, Debug)]
pub(super) enum Act {
    Statements(Vec<Sql>),
    /// `COPY … TO STDOUT`; its lines are counted.
    CopyOut(Sql),
}

/// A row the attempt holds as a literal. A script reads it again, as the tenant whose it is: no row is in a report.
#[derive(Clone, Debug)]
pub(super) struct Given {
    pub(super) variable: &'static str,
    pub(super) tenant: String,
    pub(super) query: Sql,
    pub(super) literal: Sql,
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

pub(super) type Reply = Result<Answer, Refusal>;

impl<'a> Actor<'a> {
    pub(super) fn new(
        session: &'a AppSession,
        owner: &'a Client,
        production: bool,
        alone: bool,
        app: Option<&Target>,
        seals: Option<Seals>,
    ) -> Self {
        let way_in = match app {
            Some(target) => {
                let (user, database) = (target.user(), target.database());
                let host = target.host_for_people();
                format!("-- psql, logged in as {user} to {database} at {host}")
            }
            None => "-- psql, logged in as the owner; SET ROLE makes it the application".to_owned(),
        };
        // A name may hold a newline; a comment may not.
        let way_in = format!("{}\n\\set ON_ERROR_STOP on\n", way_in.replace(char::is_control, " "));
        Self { client: session.client(owner), enter: session.enter(), production, alone, way_in, seals }
    }

    pub(super) fn may_discard(&self) -> bool {
        self.alone
    }

    /// Makes each attempt, in order, and rolls it back.
    pub(super) async fn all(&self, trials: &[Trial]) -> Result<Vec<Reply>, VerifyError> {
        let mut replies = Vec::with_capacity(trials.len());
        let pipelined = |trial: &Trial| matches!(trial.act, Act::Statements(_));
        // COPY asks the server something first, so nothing may be sent behind it.
        for run in trials.chunk_by(|one, next| pipelined(one) && pipelined(next)) {
            for some in run.chunks(TOGETHER) {
                for reply in join_all(some.iter().map(|trial| self.one(trial))).await {
                    replies.push(reply?);
                }
            }
        }
        Ok(replies)
    }

    /// Each future sends all it has when it is first polled, so the messages of one attempt stay together.
    pub(super) async fn one(&self, trial: &Trial) -> Result<Reply, VerifyError> {
        let lost = |source| VerifyError::Lost { object: trial.cell.object.clone(), source };
        let before: Vec<String> = self.before(trial).iter().map(|message| self.said(message)).collect();
        let meant_to_fail = usize::from(matches!(trial.before, Some(Before::Failed(_))));
        let opening = self.said(&format!("{}{}", joined(&self.entered(trial)), joined(&trial.opening)));
        let end = match &trial.after {
            Some(after) => format!("ROLLBACK;\n{after}"),
            None => "ROLLBACK".to_owned(),
        };
        let before = async {
            let answers = join_all(before.iter().map(|message| self.client.batch_execute(message))).await;
            answers.into_iter().skip(meant_to_fail).collect::<Result<(), _>>()
        };
        let opening = self.client.batch_execute(&opening);
        let (before, opening, act, end) = match &trial.act {
            Act::Statements(statements) => {
                let statements = self.said(&joined(statements));
                let act = async { self.client.simple_query(&statements).await.map(collect) };
                join4(before, opening, act, self.client.batch_execute(&end)).await
            }
            Act::CopyOut(copy) => (
                before.await,
                opening.await,
                self.lines(copy).await.map(Answer::of),
                self.client.batch_execute(&end).await,
            ),
        };
        match end {
            Err(error) if trial.after.is_none() || error.as_db_error().is_none() => return Err(lost(error)),
            _ => {}
        }
        let (error, early) = match (before.and(opening), act) {
            (Err(error), _) => (error, true),
            (Ok(()), Err(error)) => (error, false),
            (Ok(()), Ok(answer)) => return Ok(Ok(answer)),
        };
        match error.as_db_error() {
            Some(refusal) => Ok(Err(Refusal::of(refusal, early))),
            None => Err(lost(error)),
        }
    }

    /// Text format writes one line a row: a newline inside a value is escaped.
    async fn lines(&self, copy: &Sql) -> Result<u64, tokio_postgres::Error> {
        let stream = self.client.copy_out(copy.as_str()).await?;
        let lines = stream.try_fold(0, async |lines, chunk| {
            Ok(lines + chunk.iter().filter(|byte| **byte == b'\n').map(|_| 1).sum::<u64>())
        });
        lines.await
    }

    /// A psql script that makes the attempt again. Nothing in it is a row of the shop's, and no password.
    pub(super) fn script(&self, trial: &Trial) -> String {
        let mut rest = joined(&trial.opening);
        match &trial.act {
            Act::Statements(statements) => rest.push_str(&joined(statements)),
            Act::CopyOut(copy) => rest.push_str(&joined(std::slice::from_ref(copy))),
        }
        let mut script = self.way_in.clone();
        for given in &trial.given {
            if !rest.contains(given.literal.as_str()) {
                continue;
            }
            rest = rest.replace(given.literal.as_str(), &format!(":'{}'", given.variable));
            script.push_str(&joined(&self.begin()));
            script.push_str(&joined(&[set_tenant(&given.tenant)]));
            script.push_str(&format!("{} \\gset\nROLLBACK;\n", given.query));
        }
        let before = self.before(trial).join(";\n");
        match &trial.before {
            Some(Before::Failed(_)) => {
                script.push_str(&format!("\\set ON_ERROR_STOP off\n{before};\n\\set ON_ERROR_STOP on\n"));
            }
            Some(_) => script.push_str(&format!("{before};\n")),
            None => {}
        }
        script.push_str(&joined(&self.entered(trial)));
        script.push_str(&rest);
        script.push_str("ROLLBACK;\n");
        match &self.seals {
            Some(seals) => seals.asked_for(script, &self.way_in),
            None => script,
        }
    }

    /// Of a database that takes sealed contexts only; else nobody asks.
    pub(super) fn login(&self) -> &str {
        self.seals.as_ref().map_or("", Seals::login)
    }

    fn said(&self, text: &str) -> String {
        self.seals.as_ref().map_or_else(|| text.to_owned(), |seals| seals.said(text))
    }

    /// Attempts as either tenant of `subject` can be made from here on.
    pub(super) async fn seal(&self, owner: &Client, subject: &Subject<'_>) -> Result<(), VerifyError> {
        let Some(seals) = &self.seals else { return Ok(()) };
        for side in subject.own.iter().chain(&subject.other) {
            seals.make(owner, &side.key).await?;
        }
        Ok(())
    }

    fn begin(&self) -> Vec<Sql> {
        let mut begin =
            vec![if self.production { sql!("BEGIN READ ONLY") } else { sql!("BEGIN") }, Sql::trusted(LIMITS)];
        begin.extend(self.enter.iter().cloned());
        begin
    }

    /// What a transaction begins with; one that is chained to another has begun.
    fn entered(&self, trial: &Trial) -> Vec<Sql> {
        let begun = usize::from(matches!(trial.before, Some(Before::Chained(_))));
        self.begin().split_off(begun)
    }

    /// Message by message: what discards a session may stand in no other.
    fn before(&self, trial: &Trial) -> Vec<String> {
        let transaction =
            |statements: &[Sql], end: &str| format!("{}{}{end}", joined(&self.begin()), joined(statements));
        match &trial.before {
            None => Vec::new(),
            Some(Before::Committed(some)) => vec![transaction(some, "COMMIT")],
            Some(Before::Discarded(some)) => {
                vec![transaction(some, "COMMIT"), "DISCARD ALL".to_owned()]
            }
            Some(Before::Failed(some)) => vec![transaction(some, "SELECT 1 / 0"), "ROLLBACK".to_owned()],
            Some(Before::Chained(some)) => vec![transaction(some, "COMMIT AND CHAIN")],
        }
    }
}

/// By the tenant's key; where contexts are sealed, a token takes its place when it is sent.
pub(super) fn set_tenant(key: &str) -> Sql {
    sql!("SELECT {}", call(key))
}

pub(super) fn call(argument: &str) -> Sql {
    sql!("bastide.set_tenant({})", Literal::text(argument))
}

/// What brings a transaction into a context; `own` is the tenant that acts. For a context that the transaction before
/// left behind, what that transaction does comes first.
pub(super) fn enter(context: Context, own: &str) -> (Option<Before>, Vec<Sql>) {
    let before = vec![set_tenant(own)];
    match context {
        Context::Own | Context::Other => (None, vec![set_tenant(own)]),
        Context::Unset => (None, Vec::new()),
        Context::Empty => (None, vec![sql!("SET LOCAL bastide.tenant = ''")]),
        Context::Malformed => (None, vec![sql!("SET LOCAL bastide.tenant = 'no key'' OR true --'")]),
        Context::AfterReset => (None, vec![set_tenant(own), sql!("RESET bastide.tenant")]),
        Context::AfterReturn => (Some(Before::Committed(before)), Vec::new()),
        Context::AfterDiscard => (Some(Before::Discarded(before)), Vec::new()),
        Context::AfterFailure => (Some(Before::Failed(before)), Vec::new()),
        Context::AfterChain => (Some(Before::Chained(before)), Vec::new()),
        // It resets the limits, too.
        Context::AfterResetAll => (None, vec![set_tenant(own), sql!("RESET ALL"), Sql::trusted(LIMITS)]),
        Context::AfterRollbackTo => {
            let savepoint = sql!("SAVEPOINT bastide_context");
            (None, vec![savepoint, set_tenant(own), sql!("ROLLBACK TO bastide_context")])
        }
    }
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

impl Trial {
    pub(super) fn new(cell: Cell, own: &str, statements: Vec<Sql>) -> Self {
        let (before, opening) = enter(cell.context, own);
        Self { cell, before, opening, act: Act::Statements(statements), after: None, given: Vec::new() }
    }
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
        self.number_of(self.results.len().saturating_sub(1), column)
    }

    /// The same of one of several statements.
    pub(super) fn number_of(&self, statement: usize, column: usize) -> u64 {
        let row = self.results.get(statement).and_then(|result| result.rows.first());
        row.and_then(|row| row.get(column)?.as_deref()?.parse().ok()).unwrap_or_default()
    }

    pub(super) fn affected_by(&self, statement: usize) -> u64 {
        self.results.get(statement).map_or(0, |result| result.affected)
    }
}
