//! The versions of the platform's own schema (crate `bastide-schema`) on top of a run: rollback must not pull the ground from
//! under them.

use std::collections::BTreeMap;

use bastide_plan::Config;
use bastide_sql::{Sql, sql};
use tokio_postgres::{Client, types::Json};

use crate::EngineError;

/// # Errors
/// [`EngineError::SchemaOnTop`] while a version after the first, which is what the run itself leaves, is applied.
pub(crate) async fn nothing_on_top(client: &Client) -> Result<(), EngineError> {
    let doing = "looking for versions of the platform's schema";
    if !is_there(client).await? {
        return Ok(());
    }
    let newest: Option<i32> = client
        .query_one("SELECT max(version) FROM bastide.schema_version", &[])
        .await
        .and_then(|row| row.try_get(0))
        .map_err(EngineError::server(doing))?;
    match newest {
        Some(newest) if newest > 1 => Err(EngineError::SchemaOnTop { newest }),
        _ => Ok(()),
    }
}

/// What the platform's migrations say of their tables, so that planning need not ask; whoever plans may say otherwise.
pub(crate) async fn said(client: &Client, config: &Config) -> Result<Config, EngineError> {
    let doing = "reading what the platform's schema says of its tables";
    if !is_there(client).await? {
        return Ok(config.clone());
    }
    let rows = client
        .query("SELECT said FROM bastide.schema_version ORDER BY version DESC", &[])
        .await
        .map_err(EngineError::server(doing))?;
    let mut config = config.clone();
    for row in rows {
        let said: Json<BTreeMap<String, String>> = row.try_get(0).map_err(EngineError::server(doing))?;
        for (question, answer) in said.0 {
            config.answers.entry(question).or_insert(answer);
        }
    }
    Ok(config)
}

async fn is_there(client: &Client) -> Result<bool, EngineError> {
    client
        .query_one("SELECT to_regclass('bastide.schema_version') IS NOT NULL", &[])
        .await
        .and_then(|row| row.try_get(0))
        .map_err(EngineError::server("looking for versions of the platform's schema"))
}

/// The first version was what the run left, and is not there any more.
pub(crate) fn forget_adopted() -> Sql {
    sql!(
        "DO $$ BEGIN
    IF to_regclass('bastide.schema_version') IS NOT NULL THEN
        INSERT INTO bastide.schema_history (action, version, name, checksum, seconds, bastide)
            SELECT 'rolled back', version, name, checksum, 0, bastide FROM bastide.schema_version;
        DELETE FROM bastide.schema_version;
    END IF;
END $$"
    )
}
