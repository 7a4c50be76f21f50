//! Read, decide, write: several statements in one transaction of one tenant.

use std::time::Duration;

use tokio_postgres::Row;

use crate::{Error, Lookup, Parameters, Query, TenantId, lease::Lease, pool::within};

/// An open transaction with its tenant context. Dropping it closes the connection, and the server rolls back.
///
/// Reads here never retry, and success is only what [`TenantTx::commit`] returned: a command may complete and the transaction fail
/// at its end, on a deferred constraint.
#[must_use = "a transaction that is dropped is rolled back"]
pub struct TenantTx {
    lease: Lease,
    tenant: TenantId,
    deadline: Duration,
    /// False while a statement is under way and after one failed. COMMIT would then answer ROLLBACK without an error.
    sound: bool,
}

impl TenantTx {
    pub(crate) fn new(lease: Lease, tenant: TenantId, deadline: Duration) -> Self {
        Self { lease, tenant, deadline, sound: true }
    }

    #[must_use]
    pub fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    pub(crate) fn lease(&self) -> &Lease {
        &self.lease
    }

    /// # Errors
    /// As the server reports; the transaction can then only be rolled back.
    pub async fn query(&mut self, query: &Query, parameters: Parameters<'_>) -> Result<Vec<Row>, Error> {
        self.begin_statement()?;
        let rows = within(self.deadline, async {
            let ready = self.lease.ready(query).await?;
            Ok(self.lease.rows(&ready, query, parameters).await?)
        })
        .await?;
        self.sound = true;
        Ok(rows)
    }

    /// Calls a named look-up within the transaction: what it writes is written with the rest, or not at all.
    ///
    /// # Errors
    /// As the server reports; the transaction can then only be rolled back.
    pub async fn lookup(&mut self, lookup: &Lookup, parameters: Parameters<'_>) -> Result<Vec<Row>, Error> {
        self.query(&lookup.0, parameters).await
    }

    /// How many rows the statement wrote.
    ///
    /// # Errors
    /// As the server reports; the transaction can then only be rolled back.
    pub async fn execute(&mut self, query: &Query, parameters: Parameters<'_>) -> Result<u64, Error> {
        self.begin_statement()?;
        let count = within(self.deadline, async {
            let ready = self.lease.ready(query).await?;
            Ok(self.lease.affected(&ready, query, parameters).await?)
        })
        .await?;
        self.sound = true;
        Ok(count)
    }

    /// # Errors
    /// [`Error::Aborted`] when a statement failed or was dropped before its answer, and what the server reports otherwise. After
    /// an error nothing was written, except after [`Error::Unreachable`] and [`Error::Deadline`], when nobody can know.
    pub async fn commit(self) -> Result<(), Error> {
        if !self.sound {
            self.rollback().await?;
            return Err(Error::Aborted);
        }
        within(self.deadline, async { Ok(self.lease.batch_execute("COMMIT").await?) }).await?;
        self.lease.settle();
        Ok(())
    }

    /// # Errors
    /// When the server cannot be told; it then rolls back by itself, as the connection is closed.
    pub async fn rollback(self) -> Result<(), Error> {
        within(self.deadline, async { Ok(self.lease.batch_execute("ROLLBACK").await?) }).await?;
        self.lease.settle();
        Ok(())
    }

    fn begin_statement(&mut self) -> Result<(), Error> {
        if !std::mem::replace(&mut self.sound, false) {
            return Err(Error::Aborted);
        }
        Ok(())
    }
}
