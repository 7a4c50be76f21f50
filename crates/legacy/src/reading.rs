//! A transaction that reads, and how long it may take.

use std::time::{Duration, Instant};

use bastide_sql::{Sql, sql};
use tokio_postgres::{Client, Row, Transaction, error::SqlState};

use crate::{SurveyError, error::LOCK_TIMEOUT_SECONDS};

/// Begun by [`bastide_plan::inference::prelude`]. Every statement gets what is left of the time as its `statement_timeout`.
pub(crate) struct Reading<'a> {
    transaction: Transaction<'a>,
    until: Option<Until>,
}

/// When to stop, and what to say of it.
#[derive(Clone, Copy)]
pub(crate) struct Until {
    began: Instant,
    limit: Duration,
}

impl Until {
    pub(crate) fn new(limit: Duration) -> Self {
        Self { began: Instant::now(), limit }
    }

    /// The first part of it.
    pub(crate) fn share(self, numerator: u32, denominator: u32) -> Self {
        Self { limit: self.limit * numerator / denominator, ..self }
    }

    pub(crate) fn deadline(self) -> Instant {
        self.began + self.limit
    }

    fn left(self) -> Option<Duration> {
        self.limit.checked_sub(self.began.elapsed()).filter(|left| !left.is_zero())
    }

    fn is_over(self, what: String) -> SurveyError {
        SurveyError::OutOfTime { what, seconds: self.began.elapsed().as_secs() }
    }
}

impl<'a> Reading<'a> {
    pub(crate) async fn begin(
        client: &'a mut Client,
        until: Option<Until>,
        what: &str,
    ) -> Result<Self, SurveyError> {
        let transaction = client.transaction().await.map_err(SurveyError::during(what))?;
        // Set by hand: the prelude's first statement must come before any query, and it sets what time there is, too.
        let mut reading = Self { transaction, until: None };
        for statement in bastide_plan::inference::prelude() {
            reading.execute(&statement, what).await?;
        }
        let patience = sql!("SET LOCAL lock_timeout = '{}s'", LOCK_TIMEOUT_SECONDS);
        reading.execute(&patience, what).await?;
        reading.until = until;
        Ok(reading)
    }

    pub(crate) fn transaction(&mut self) -> &mut Transaction<'a> {
        &mut self.transaction
    }

    /// The transaction for statements that others send; each of them may take what is left now.
    pub(crate) async fn paced(&mut self, what: &str) -> Result<&mut Transaction<'a>, SurveyError> {
        self.pace(what).await?;
        Ok(&mut self.transaction)
    }

    pub(crate) fn until(&mut self, until: Option<Until>) {
        self.until = until;
    }

    pub(crate) async fn savepoint(&mut self, what: &str) -> Result<Reading<'_>, SurveyError> {
        let transaction =
            self.transaction.savepoint("bastide_part").await.map_err(SurveyError::during(what))?;
        Ok(Reading { transaction, until: self.until })
    }

    /// Keeps what was done since the savepoint.
    pub(crate) async fn keep(self, what: &str) -> Result<(), SurveyError> {
        self.transaction.commit().await.map_err(SurveyError::during(what))
    }

    pub(crate) async fn rollback(self, what: &str) -> Result<(), SurveyError> {
        self.transaction.rollback().await.map_err(SurveyError::during(what))
    }

    pub(crate) async fn execute(&self, statement: &Sql, what: &str) -> Result<(), SurveyError> {
        self.pace(what).await?;
        self.transaction.batch_execute(statement.as_str()).await.map_err(|error| self.failed(what, error))
    }

    pub(crate) async fn query(&self, query: &Sql, what: &str) -> Result<Vec<Row>, SurveyError> {
        self.pace(what).await?;
        self.transaction.query(query.as_str(), &[]).await.map_err(|error| self.failed(what, error))
    }

    pub(crate) async fn query_one(&self, query: &Sql, what: &str) -> Result<Row, SurveyError> {
        self.pace(what).await?;
        self.transaction.query_one(query.as_str(), &[]).await.map_err(|error| self.failed(what, error))
    }

    /// Lets the server read a query, and runs nothing.
    pub(crate) async fn prepare(&self, query: &Sql, what: &str) -> Result<(), SurveyError> {
        self.pace(what).await?;
        let read = self.transaction.prepare(query.as_str()).await;
        read.map(drop).map_err(|error| self.failed(what, error))
    }

    async fn pace(&self, what: &str) -> Result<(), SurveyError> {
        let Some(until) = self.until else { return Ok(()) };
        let Some(left) = until.left() else { return Err(until.is_over(what.to_owned())) };
        let milliseconds = u64::try_from(left.as_millis()).unwrap_or(u64::MAX).clamp(1, i32::MAX as u64);
        let set = sql!("SET LOCAL statement_timeout = {}", milliseconds);
        self.transaction.batch_execute(set.as_str()).await.map_err(SurveyError::during(what))
    }

    fn failed(&self, what: &str, error: tokio_postgres::Error) -> SurveyError {
        match self.until {
            Some(until) if error.code() == Some(&SqlState::QUERY_CANCELED) && until.left().is_none() => {
                until.is_over(what.to_owned())
            }
            _ => SurveyError::during(what)(error),
        }
    }
}
