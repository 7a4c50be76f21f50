//! The keys that sealed tenant contexts are made with: listed, added, retired. They live in the database; whoever serves has a
//! copy in a file.

use bastide_connect::Target;
use serde::Serialize;
use tokio_postgres::{Client, Row, error::SqlState};

use crate::EngineError;

#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct SealKey {
    pub id: i32,
    #[serde(with = "time::serde::rfc3339")]
    pub made_at: time::OffsetDateTime,
    /// In hexadecimal. For the file of keys, and nothing else.
    #[serde(skip)]
    pub secret: String,
}

/// Never the secret.
impl std::fmt::Debug for SealKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SealKey")
            .field("id", &self.id)
            .field("made_at", &self.made_at)
            .finish_non_exhaustive()
    }
}

/// The oldest first.
///
/// # Errors
/// [`EngineError::NotSealed`] where contexts are plain.
pub async fn seal_keys(target: &Target) -> Result<Vec<SealKey>, EngineError> {
    let client = target.connect("bastide").await?;
    read(&client).await
}

/// One more key; those there were open what they sealed as before.
///
/// # Errors
/// As [`seal_keys`].
pub async fn add_seal_key(target: &Target) -> Result<Vec<SealKey>, EngineError> {
    let client = target.connect("bastide").await?;
    audited(&client, "WITH made AS (SELECT bastide.add_seal_key() AS id), told AS (INSERT INTO bastide.audit (action, object) SELECT 'add_seal_key', id::text FROM made RETURNING object) SELECT object::integer FROM told", None).await?;
    read(&client).await
}

/// From now on nothing that the key sealed opens.
///
/// # Errors
/// [`EngineError::SealKey`] for the newest key, and for one that is not there.
pub async fn retire_seal_key(target: &Target, id: i32) -> Result<Vec<SealKey>, EngineError> {
    let client = target.connect("bastide").await?;
    let keys = read(&client).await?;
    let known = keys.iter().any(|key| key.id == id);
    if !known || keys.last().is_some_and(|newest| newest.id == id) {
        return Err(EngineError::SealKey {
            id,
            known,
            keys: keys.iter().map(|key| key.id.to_string()).collect(),
        });
    }
    audited(&client, "WITH gone AS (DELETE FROM bastide.seal_key WHERE id = $1 RETURNING id), told AS (INSERT INTO bastide.audit (action, object) SELECT 'retire_seal_key', id::text FROM gone RETURNING object) SELECT object::integer FROM told", Some(id)).await?;
    read(&client).await
}

async fn audited(client: &Client, statement: &str, id: Option<i32>) -> Result<(), EngineError> {
    let rows = match &id {
        Some(id) => client.query(statement, &[id]).await,
        None => client.query(statement, &[]).await,
    };
    rows.map(drop).map_err(refused)
}

async fn read(client: &Client) -> Result<Vec<SealKey>, EngineError> {
    let rows = client
        .query("SELECT id, made_at, encode(secret, 'hex') AS secret FROM bastide.seal_key ORDER BY id", &[])
        .await
        .map_err(refused)?;
    let key =
        |row: &Row| Ok(SealKey { id: row.try_get(0)?, made_at: row.try_get(1)?, secret: row.try_get(2)? });
    rows.iter()
        .map(key)
        .collect::<Result<_, _>>()
        .map_err(EngineError::server("reading the keys of sealed contexts"))
}

fn refused(error: tokio_postgres::Error) -> EngineError {
    let missing = [SqlState::UNDEFINED_TABLE, SqlState::UNDEFINED_FUNCTION, SqlState::INVALID_SCHEMA_NAME];
    if error.code().is_some_and(|code| missing.contains(code)) {
        return EngineError::NotSealed;
    }
    EngineError::server("reading the keys of sealed contexts")(error)
}
