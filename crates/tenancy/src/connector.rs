//! How the pool comes by a connection, and when it lends one again.

use std::ops::Deref;

use bastide_connect::{ConnectError, Target};
use deadpool::managed::{Manager, Metrics, RecycleError, RecycleResult};
use deadpool_postgres::ClientWrapper;

use crate::TenantId;

pub(crate) struct Connector {
    pub(crate) target: Target,
}

pub(crate) struct Pooled {
    client: ClientWrapper,
    /// Whose transaction it had last.
    pub(crate) tenant: Option<TenantId>,
}

impl Deref for Pooled {
    type Target = ClientWrapper;

    fn deref(&self) -> &ClientWrapper {
        &self.client
    }
}

impl Manager for Connector {
    type Type = Pooled;
    type Error = ConnectError;

    async fn create(&self) -> Result<Pooled, ConnectError> {
        let (client, driver) = self.target.connect("bastide serve").await?.into_parts();
        Ok(Pooled { client: ClientWrapper::new(client, driver), tenant: None })
    }

    /// Only clean connections come back, so all there is to ask is whether this one was lost meanwhile.
    async fn recycle(&self, pooled: &mut Pooled, _: &Metrics) -> RecycleResult<ConnectError> {
        if pooled.is_closed() { Err(RecycleError::message("the connection was lost")) } else { Ok(()) }
    }
}
