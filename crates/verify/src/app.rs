//! Who the probes are: the application's login through a connection of its own, or, weaker, through `SET ROLE`.

use bastide_connect::{Connected, Target};
use bastide_sql::{Ident, Sql, sql};
use tokio_postgres::Client;

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
    Own(Connected),
    Borrowed(Ident),
}

impl App<'_> {
    pub(crate) async fn open(self, owner: &Client) -> Result<AppSession, VerifyError> {
        match self {
            Self::Login(target) => Ok(AppSession::Own(target.connect("bastide verify").await?)),
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
        matches!(self, Self::Own(_))
    }

    /// The role whose isolation is in question.
    pub(crate) async fn role(&self) -> Result<Ident, VerifyError> {
        match self {
            Self::Borrowed(role) => Ok(role.clone()),
            Self::Own(client) => {
                let row = client
                    .query_one("SELECT current_user::text", &[])
                    .await
                    .map_err(VerifyError::reading("the application's own name"))?;
                Ok(Ident::new(row.get::<_, String>(0))?)
            }
        }
    }

    pub(crate) fn client<'a>(&'a self, owner: &'a Client) -> &'a Client {
        match self {
            Self::Own(client) => client,
            Self::Borrowed(_) => owner,
        }
    }

    /// What a transaction of the application begins with.
    pub(crate) fn enter(&self) -> Vec<Sql> {
        match self {
            Self::Own(_) => Vec::new(),
            Self::Borrowed(role) => vec![sql!("SET LOCAL ROLE {}", role)],
        }
    }
}
