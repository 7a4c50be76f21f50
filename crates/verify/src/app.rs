//! Who the probes are: the application's login through a connection of its own, or, weaker, through `SET ROLE`.

use bastide_connect::{Connected, Target};
use bastide_sql::{Ident, Literal, Sql, sql};
use tokio_postgres::{Client, SimpleQueryMessage};

use crate::VerifyError;

/// The application, as the caller can reach it.
#[derive(Clone, Copy, Debug)]
pub enum App<'a> {
    /// Its real login, through its real way in (pooler included).
    Login(&'a Target),
    /// Only its name is known. `SET ROLE` from the owner's connection is weaker: what the login itself brings along
    /// (settings on the role, `pg_hba.conf`, a pooler) is not seen.
    SetRole(&'a Ident),
}

/// The connection that probes go through.
pub(crate) enum AppSession {
    Own {
        client: Box<Connected>,
        /// The TCP port we asked for; empty for a socket.
        port: String,
        /// The server's time before we came.
        opened: String,
    },
    Borrowed(Ident),
}

impl<'a> App<'a> {
    pub(crate) fn login(self) -> Option<&'a Target> {
        match self {
            Self::Login(target) => Some(target),
            Self::SetRole(_) => None,
        }
    }

    pub(crate) async fn open(self, owner: &Client) -> Result<AppSession, VerifyError> {
        match self {
            Self::Login(target) => {
                let opened = text(owner, "SELECT clock_timestamp()").await?.unwrap_or_default();
                let client = Box::new(target.connect("bastide verify").await?);
                let port = target.tcp_port().map_or_else(String::new, |port| port.to_string());
                Ok(AppSession::Own { client, port, opened })
            }
            Self::SetRole(role) => {
                let known = owner
                    .query_opt("SELECT FROM pg_catalog.pg_roles WHERE rolname = $1", &[&role.as_str()])
                    .await
                    .map_err(VerifyError::reading("the roles"))?;
                known
                    .map(|_| AppSession::Borrowed(role.clone()))
                    .ok_or_else(|| VerifyError::NoRole(role.clone()))
            }
        }
    }
}

impl AppSession {
    pub(crate) fn own_login(&self) -> bool {
        matches!(self, Self::Own { .. })
    }

    /// The role whose isolation is in question.
    pub(crate) async fn role(&self) -> Result<Ident, VerifyError> {
        match self {
            Self::Borrowed(role) => Ok(role.clone()),
            Self::Own { client, .. } => {
                let name = text(client, "SELECT current_user::text").await?;
                Ok(Ident::new(name.unwrap_or_default())?)
            }
        }
    }

    /// Whether something hands connections on between us and the server: it was reached by another port than ours, or had
    /// a session ready before we came. One that is set up to look like the server cannot be told from it.
    pub(crate) async fn pooler(&self) -> Result<bool, VerifyError> {
        let Self::Own { client, port, opened } = self else { return Ok(false) };
        let query = sql!(
            "SELECT coalesce(inet_server_port()::text <> {}, {} <> '') OR backend_start < {}::timestamptz
             FROM pg_catalog.pg_stat_activity WHERE pid = pg_backend_pid()",
            Literal::text(port.as_str()),
            Literal::text(port.as_str()),
            Literal::text(opened.as_str())
        );
        Ok(text(client, query.as_str()).await?.as_deref() == Some("t"))
    }

    /// Who logged in, whatever role it has become since.
    pub(crate) async fn login(&self, owner: &Client) -> Result<Ident, VerifyError> {
        let row = self
            .client(owner)
            .query_one("SELECT session_user::text", &[])
            .await
            .map_err(VerifyError::reading("the application's own name"))?;
        Ok(Ident::new(row.get::<_, String>(0))?)
    }

    pub(crate) fn client<'a>(&'a self, owner: &'a Client) -> &'a Client {
        match self {
            Self::Own { client, .. } => client,
            Self::Borrowed(_) => owner,
        }
    }

    /// What a transaction of the application begins with.
    pub(crate) fn enter(&self) -> Vec<Sql> {
        match self {
            Self::Own { .. } => Vec::new(),
            Self::Borrowed(role) => vec![sql!("SET LOCAL ROLE {}", role)],
        }
    }
}

/// By the simple protocol: a pooler that hands on connections may not know prepared statements.
async fn text(client: &Client, query: &str) -> Result<Option<String>, VerifyError> {
    let answer = client.simple_query(query).await;
    let answer = answer.map_err(VerifyError::reading("the application's own session"))?;
    Ok(answer.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
        _ => None,
    }))
}
