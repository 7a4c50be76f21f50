//! Reads a [`Catalog`] from a server: one snapshot, a fixed number of set-wise queries, whatever the schema's size.
//!
//! [`relations`] settles once which relations are looked at; the other queries take their OIDs. Nothing here needs
//! more than the right to connect: the system catalogs used are readable by everybody, and what is not becomes `None`.

mod acl;
mod columns;
mod constraints;
mod functions;
mod indexes;
mod policies;
mod publications;
mod relations;
mod roles;
mod rows;
mod server;
mod triggers;

use std::{collections::HashMap, fmt};

use bastide_sql::IdentError;
use tokio_postgres::{Client, Transaction, error::SqlState};

use self::rows::Reader;
use crate::Catalog;

/// What goes wrong while reading a catalog; each says what was being read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error("could not read {what}: {}", ServerMessage(source))]
    Server { what: &'static str, source: tokio_postgres::Error },
    #[error("could not read {what}: the server's answer for `{column}` has an unexpected type")]
    Column { what: &'static str, column: &'static str, source: tokio_postgres::Error },
    #[error("could not read {what}: {source}")]
    Name { what: &'static str, source: IdentError },
    #[error("could not read {what}: `{value}` is no `{column}` that this version of Bastide knows")]
    Unknown { what: &'static str, column: &'static str, value: String },
    #[error("could not read {what}: the schema is being changed meanwhile; try again when that has ended")]
    Changing { what: &'static str },
}

/// Under a loop that does nothing but CREATE and DROP one attempt in six fails; of eight in a row, one in a million.
const ATTEMPTS: u32 = 8;

/// Reads everything outside the system's schemas and `bastide`, as of one moment.
///
/// # Errors
/// When the connection fails, or the schema changes under every attempt.
pub async fn read(client: &mut Client) -> Result<Catalog, ReadError> {
    let mut attempt = 1;
    loop {
        match one(client).await {
            Err(error) if attempt < ATTEMPTS && error.is_passing() => attempt += 1,
            outcome => return outcome,
        }
    }
}

async fn one(client: &mut Client) -> Result<Catalog, ReadError> {
    let reader = Reader::begin(client).await?;
    let catalog = snapshot(&reader).await?;
    reader.end().await?;
    Ok(catalog)
}

/// The same inside a transaction, with what it has changed and not committed. Not of one moment: who changes the schema
/// meanwhile is in the way.
///
/// # Errors
/// When the connection fails, or the schema changes meanwhile.
pub async fn read_within(transaction: &mut Transaction<'_>) -> Result<Catalog, ReadError> {
    let reader = Reader::within(transaction).await?;
    let catalog = snapshot(&reader).await?;
    reader.back().await?;
    Ok(catalog)
}

async fn snapshot(reader: &Reader<'_>) -> Result<Catalog, ReadError> {
    let found = relations::read(reader).await?;
    let acls = acl::read(reader, &found.oids()).await?;
    let mut parts = relations::Parts {
        columns: columns::read(reader, &found.oids(), &acls).await?,
        constraints: constraints::read(reader, &found.oids()).await?,
        indexes: indexes::read(reader, &found.oids()).await?,
        triggers: triggers::read(reader, &found.oids()).await?,
        rules: triggers::read_rules(reader, &found.oids()).await?,
        policies: policies::read(reader, &found.oids()).await?,
        links: relations::read_links(reader, &found.oids()).await?,
    };
    Ok(Catalog {
        server: server::read(reader, &acls).await?,
        schemas: server::read_schemas(reader, &acls).await?,
        tables: found.tables(&mut parts, &acls)?,
        views: found.views(&mut parts, &acls)?,
        sequences: found.sequences(&acls)?,
        functions: functions::read(reader, &acls).await?,
        roles: roles::read(reader).await?,
        default_privileges: roles::read_default_privileges(reader, &acls).await?,
        publications: publications::read(reader).await?,
        subscriptions: publications::read_subscriptions(reader).await?,
        event_triggers: triggers::read_event_triggers(reader).await?,
    })
}

/// What belongs to a relation, by its OID.
type ByOid<T> = HashMap<u32, T>;

impl ReadError {
    /// `pg_get_…def` and `format_type` look past our snapshot, so an object dropped meanwhile is an internal error
    /// ("cache lookup failed"), an undefined object, or no definition at all. Sizes and view definitions take a
    /// moment's ACCESS SHARE lock, which a session with a `lock_timeout` may not get at once.
    fn is_passing(&self) -> bool {
        match self {
            Self::Changing { .. } => true,
            Self::Server { source, .. } => source.code().is_some_and(|code| {
                [
                    SqlState::INTERNAL_ERROR,
                    SqlState::LOCK_NOT_AVAILABLE,
                    SqlState::UNDEFINED_TABLE,
                    SqlState::UNDEFINED_OBJECT,
                    SqlState::T_R_SERIALIZATION_FAILURE,
                ]
                .contains(code)
            }),
            _ => false,
        }
    }
}

/// The server's sentence, without the client library's "db error" in front.
struct ServerMessage<'a>(&'a tokio_postgres::Error);

impl fmt::Display for ServerMessage<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_db_error() {
            Some(error) => f.write_str(error.message()),
            None => fmt::Display::fmt(self.0, f),
        }
    }
}
