//! How the pool comes by a connection, and when it lends one again.

use bastide_connect::{ConnectError, Target};
use deadpool::managed::{Manager, Metrics, RecycleError, RecycleResult};
use deadpool_postgres::ClientWrapper;

pub(crate) struct Connector {
    pub(crate) target: Target,
}

impl Manager for Connector {
    type Type = ClientWrapper;
    type Error = ConnectError;

    async fn create(&self) -> Result<ClientWrapper, ConnectError> {
        let (client, driver) = self.target.connect("bastide serve").await?.into_parts();
        Ok(ClientWrapper::new(client, driver))
    }

    /// Only clean connections come back, so all there is to ask is whether this one was lost meanwhile.
    async fn recycle(&self, client: &mut ClientWrapper, _: &Metrics) -> RecycleResult<ConnectError> {
        if client.is_closed() { Err(RecycleError::message("the connection was lost")) } else { Ok(()) }
    }
}
