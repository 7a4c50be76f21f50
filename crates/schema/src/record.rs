//! The record in the database: which versions are applied, with what undoes them, and every up and down there ever was.

use std::collections::BTreeMap;

use bastide_catalog::Fingerprint;
use bastide_connect::Target;
use serde::Serialize;
use time::OffsetDateTime;
use tokio_postgres::{GenericClient, Row, error::SqlState, types::Json};
use uuid::Uuid;

use crate::{SchemaError, loss::Made, migration::label};

/// Makes both tables where they are missing, in schema `bastide`, which must be there.
pub(crate) const TABLES: &str = include_str!("record.sql");

/// One version as it is applied.
#[derive(Clone, Debug)]
pub struct Applied {
    pub version: i32,
    pub name: String,
    pub checksum: String,
    pub state: State,
    pub(crate) transaction: bool,
    pub(crate) down: String,
    pub(crate) made: Made,
    /// The run that left it.
    pub adopted: Option<Uuid>,
    pub(crate) fingerprint: Option<Fingerprint>,
    pub app_role: String,
    pub applied_at: OffsetDateTime,
    pub applied_by: String,
    pub seconds: f64,
    pub bastide: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    Done,
    /// Its statements have begun and not all ended.
    Started,
    /// Those that undo it have begun and not all ended.
    Undoing,
}

impl State {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Started => "started",
            Self::Undoing => "undoing",
        }
    }
}

impl Applied {
    #[must_use]
    pub fn label(&self) -> String {
        label(self.version, &self.name)
    }
}

/// What was done to one version, once.
#[derive(Clone, Debug, Serialize)]
pub struct Change {
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// `up`, `down`, `adopted` or `rolled back`; of one that runs outside a transaction also `started` and `undoing`.
    pub action: String,
    pub version: i32,
    pub name: String,
    pub checksum: String,
    pub login: String,
    pub seconds: f64,
    pub bastide: String,
}

/// Every change there ever was, oldest first.
///
/// # Errors
/// When the database cannot be reached, or the login may not read the record.
pub async fn history(target: &Target) -> Result<Vec<Change>, SchemaError> {
    let client = target.connect("bastide").await?;
    if !is_there(&*client).await? {
        return Ok(Vec::new());
    }
    let rows = client
        .query(
            "SELECT at, action, version, name, checksum, login, seconds, bastide FROM bastide.schema_history ORDER BY id",
            &[],
        )
        .await
        .map_err(reading)?;
    let change = |row: &Row| {
        Ok(Change {
            at: row.try_get(0)?,
            action: row.try_get(1)?,
            version: row.try_get(2)?,
            name: row.try_get(3)?,
            checksum: row.try_get(4)?,
            login: row.try_get(5)?,
            seconds: row.try_get(6)?,
            bastide: row.try_get(7)?,
        })
    };
    rows.iter().map(change).collect::<Result<_, tokio_postgres::Error>>().map_err(reading)
}

/// In order; empty where there is no record.
pub(crate) async fn applied(client: &impl GenericClient) -> Result<Vec<Applied>, SchemaError> {
    if !is_there(client).await? {
        return Ok(Vec::new());
    }
    let rows = client
        .query(
            "SELECT version, name, checksum, state, transaction, down, made, adopted, fingerprint, app_role, applied_at, applied_by, seconds, bastide FROM bastide.schema_version ORDER BY version",
            &[],
        )
        .await
        .map_err(reading)?;
    rows.iter().map(read).collect::<Result<_, _>>().map_err(reading)
}

fn read(row: &Row) -> Result<Applied, tokio_postgres::Error> {
    let state: &str = row.try_get(3)?;
    Ok(Applied {
        version: row.try_get(0)?,
        name: row.try_get(1)?,
        checksum: row.try_get(2)?,
        state: match state {
            "started" => State::Started,
            "undoing" => State::Undoing,
            _ => State::Done,
        },
        transaction: row.try_get(4)?,
        down: row.try_get(5)?,
        made: row.try_get::<_, Json<Made>>(6)?.0,
        adopted: row.try_get(7)?,
        fingerprint: row.try_get::<_, Option<Json<Fingerprint>>>(8)?.map(|json| json.0),
        app_role: row.try_get(9)?,
        applied_at: row.try_get(10)?,
        applied_by: row.try_get(11)?,
        seconds: row.try_get(12)?,
        bastide: row.try_get(13)?,
    })
}

async fn is_there(client: &impl GenericClient) -> Result<bool, SchemaError> {
    client
        .query_one("SELECT pg_catalog.to_regclass('bastide.schema_version') IS NOT NULL", &[])
        .await
        .and_then(|row| row.try_get(0))
        // Who may not even look into the schema is told so by its own words.
        .map_err(reading)
}

/// What is written of a version.
pub(crate) struct Entry<'a> {
    pub(crate) version: i32,
    pub(crate) name: &'a str,
    pub(crate) checksum: &'a str,
    pub(crate) state: State,
    pub(crate) transaction: bool,
    pub(crate) down: &'a str,
    pub(crate) made: &'a Made,
    pub(crate) said: &'a BTreeMap<String, String>,
    pub(crate) adopted: Option<Uuid>,
    pub(crate) app_role: &'a str,
    pub(crate) seconds: f64,
}

pub(crate) async fn write(client: &impl GenericClient, entry: &Entry<'_>) -> Result<(), SchemaError> {
    client
        .execute(
            "INSERT INTO bastide.schema_version (version, name, checksum, state, transaction, down, made, adopted, app_role, seconds, bastide, said) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
             ON CONFLICT (version) DO UPDATE SET state = excluded.state, checksum = excluded.checksum, down = excluded.down, made = excluded.made, applied_at = excluded.applied_at, applied_by = excluded.applied_by, seconds = excluded.seconds, bastide = excluded.bastide",
            &[
                &entry.version,
                &entry.name,
                &entry.checksum,
                &entry.state.word(),
                &entry.transaction,
                &entry.down,
                &Json(entry.made),
                &entry.adopted,
                &entry.app_role,
                &entry.seconds,
                &env!("CARGO_PKG_VERSION"),
                &Json(entry.said),
            ],
        )
        .await
        .map_err(writing)?;
    let action = match (entry.adopted, entry.state) {
        (Some(_), _) => "adopted",
        (None, State::Done) => "up",
        (None, state) => state.word(),
    };
    remember(client, action, entry.version, entry.name, entry.checksum, entry.seconds).await
}

/// The statements that undo it have begun.
pub(crate) async fn undoing(client: &impl GenericClient, applied: &Applied) -> Result<(), SchemaError> {
    let state = State::Undoing.word();
    client
        .execute(
            "UPDATE bastide.schema_version SET state = $1 WHERE version = $2",
            &[&state, &applied.version],
        )
        .await
        .map_err(writing)?;
    remember(client, state, applied.version, &applied.name, &applied.checksum, 0.0).await
}

pub(crate) async fn erase(
    client: &impl GenericClient,
    applied: &Applied,
    seconds: f64,
) -> Result<(), SchemaError> {
    client
        .execute("DELETE FROM bastide.schema_version WHERE version = $1", &[&applied.version])
        .await
        .map_err(writing)?;
    remember(client, "down", applied.version, &applied.name, &applied.checksum, seconds).await
}

/// What the schema is now, for who cannot build it again to compare.
pub(crate) async fn fingerprint(
    client: &impl GenericClient,
    fingerprint: &Fingerprint,
) -> Result<(), SchemaError> {
    client
        .execute(
            "UPDATE bastide.schema_version SET fingerprint = $1 WHERE version = (SELECT max(version) FROM bastide.schema_version)",
            &[&Json(fingerprint)],
        )
        .await
        .map_err(writing)?;
    Ok(())
}

async fn remember(
    client: &impl GenericClient,
    action: &str,
    version: i32,
    name: &str,
    checksum: &str,
    seconds: f64,
) -> Result<(), SchemaError> {
    client
        .execute(
            "INSERT INTO bastide.schema_history (action, version, name, checksum, seconds, bastide) VALUES ($1, $2, $3, $4, $5, $6)",
            &[&action, &version, &name, &checksum, &seconds, &env!("CARGO_PKG_VERSION")],
        )
        .await
        .map_err(writing)?;
    Ok(())
}

fn reading(error: tokio_postgres::Error) -> SchemaError {
    if error.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE) {
        return SchemaError::MayNotRead;
    }
    SchemaError::server("reading the record of the schema")(error)
}

fn writing(error: tokio_postgres::Error) -> SchemaError {
    SchemaError::server("writing the record of the schema")(error)
}
