//! Why verification could not be done at all.

use bastide_sql::Ident;

#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    #[error(transparent)]
    Connect(#[from] bastide_connect::ConnectError),
    #[error(transparent)]
    Catalog(#[from] bastide_catalog::ReadError),
    #[error(
        "this database has no schema `bastide`: nothing has been migrated yet; begin with `bastide rls plan`"
    )]
    NotMigrated,
    #[error("there is no role `{0}` on this server; name the application's login with `--app-role`")]
    NoRole(Ident),
    #[error(
        "the role `{0}` is filtered by row security itself, so what it counts cannot be compared with; \
         verify as a superuser or a role with BYPASSRLS"
    )]
    OwnerFiltered(String),
    #[error("while reading {what}: {source}")]
    Read { what: &'static str, source: tokio_postgres::Error },
    #[error("the connection was lost while probing {object}: {source}")]
    Lost { object: String, source: tokio_postgres::Error },
    #[error("the catalog holds a name that is none: {0}")]
    Name(#[from] bastide_sql::IdentError),
}

impl VerifyError {
    pub(crate) fn reading(what: &'static str) -> impl FnOnce(tokio_postgres::Error) -> Self {
        move |source| Self::Read { what, source }
    }
}
