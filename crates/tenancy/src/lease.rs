//! A connection on loan, which comes back clean or not at all.

use std::ops::Deref;

use deadpool::managed::Object;
use deadpool_postgres::ClientWrapper;
use tokio_postgres::{Row, Statement};

use crate::{Error, Parameters, Query, connector::Connector};

/// Held while a connection is in use. Only [`Lease::settle`] gives it back to the pool; dropping the lease in any other
/// way (an early return, a dropped future, a panic) takes it out of the pool and closes its socket, so that the server rolls
/// back whatever was open and nobody reads answers that were meant for somebody else.
pub(crate) struct Lease {
    object: Option<Object<Connector>>,
    named_statements: bool,
}

impl Lease {
    pub(crate) fn new(object: Object<Connector>, named_statements: bool) -> Self {
        Self { object: Some(object), named_statements }
    }

    /// The answer to COMMIT, to ROLLBACK or to a lone statement has been read: nothing is open.
    pub(crate) fn settle(mut self) {
        drop(self.object.take());
    }

    /// What must be known about a statement before it can be sent; from the connection's cache after the first time.
    pub(crate) async fn ready(&self, query: &Query) -> Result<Ready, Error> {
        if !self.named_statements {
            return Ok(Ready::Unnamed);
        }
        let types: Vec<_> = query.parameters.iter().map(|kind| kind.postgres()).collect();
        Ok(Ready::Named(self.prepare_typed_cached(query.sql, &types).await?))
    }

    /// Sends the statement in the very first poll of the future, which is what lets several leave in one flush.
    pub(crate) async fn rows(
        &self,
        ready: &Ready,
        query: &Query,
        parameters: Parameters<'_>,
    ) -> Result<Vec<Row>, tokio_postgres::Error> {
        match ready {
            Ready::Named(statement) => self.query(statement, parameters).await,
            Ready::Unnamed => {
                let typed: Vec<_> = parameters
                    .iter()
                    .zip(query.parameters)
                    .map(|(value, kind)| (*value, kind.postgres()))
                    .collect();
                self.query_typed(query.sql, &typed).await
            }
        }
    }

    pub(crate) async fn affected(
        &self,
        ready: &Ready,
        query: &Query,
        parameters: Parameters<'_>,
    ) -> Result<u64, tokio_postgres::Error> {
        match ready {
            Ready::Named(statement) => self.execute(statement, parameters).await,
            Ready::Unnamed => {
                let typed: Vec<_> = parameters
                    .iter()
                    .zip(query.parameters)
                    .map(|(value, kind)| (*value, kind.postgres()))
                    .collect();
                self.execute_typed(query.sql, &typed).await
            }
        }
    }
}

pub(crate) enum Ready {
    Named(Statement),
    Unnamed,
}

impl Deref for Lease {
    type Target = ClientWrapper;

    fn deref(&self) -> &ClientWrapper {
        // `settle` consumes the lease and `drop` ends it: nobody can see it empty.
        self.object.as_ref().expect("a lease holds its connection until it is settled")
    }
}

impl Drop for Lease {
    #[expect(clippy::disallowed_methods, reason = "the one place that takes out")]
    fn drop(&mut self) {
        if let Some(object) = self.object.take() {
            tracing::debug!("closing a connection whose transaction did not complete");
            // The wrapper's own drop aborts the connection task, which closes the socket.
            drop(Object::take(object));
        }
    }
}
