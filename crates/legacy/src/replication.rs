//! Logical replication, as far as only the server can say: who reads from here, and which tables it lets nobody update.

use bastide_catalog::{Catalog, Identity, Table};
use bastide_plan::{Survey, classify::Classification};
use bastide_sql::sql;
use tokio_postgres::error::SqlState;

use crate::{SurveyError, reading::Reading};

const SLOTS: &str = "SELECT slot_name::text FROM pg_replication_slots WHERE slot_type = 'logical' AND database = current_database() ORDER BY 1";

pub(crate) async fn read(
    reading: &mut Reading<'_>,
    catalog: &Catalog,
    classification: &Classification,
    survey: &mut Survey,
) -> Result<(), SurveyError> {
    if catalog.publications.is_empty() {
        return Ok(());
    }
    let what = "look for replication slots";
    let slots = reading.query(&sql!("{}", bastide_sql::Sql::trusted(SLOTS)), what).await?;
    survey.slots = slots
        .iter()
        .map(|row| row.try_get(0))
        .collect::<Result<_, _>>()
        .map_err(SurveyError::during(what))?;
    for table in catalog.tables.values().filter(|table| is_filled(table, classification)) {
        if let Some(said) = refusal(reading, table).await? {
            survey.unchangeable.push((table.name.clone(), said));
        }
    }
    Ok(())
}

/// Whether the backfill updates its rows.
fn is_filled(table: &Table, classification: &Classification) -> bool {
    let root = table.name == classification.root.table;
    let tenant = classification.tenant_column(&table.name);
    let waits = tenant.is_some_and(|tenant| table.column(&tenant.name).is_none_or(|column| !column.not_null));
    table.holds_rows() && !root && waits
}

/// The server looks when it prepares to run an UPDATE, and EXPLAIN has it go that far. The lock goes with the savepoint.
async fn refusal(reading: &mut Reading<'_>, table: &Table) -> Result<Option<String>, SurveyError> {
    let plain = table
        .columns
        .iter()
        .find(|column| column.generated.is_none() && column.identity != Some(Identity::Always));
    let Some(column) = plain else { return Ok(None) };
    let what = format!("try whether {} may be updated", table.name);
    let update = sql!("EXPLAIN UPDATE ONLY {} SET {} = {}", table.name, column.name, column.name);
    let tried = reading.savepoint(&what).await?;
    let said = match tried.execute(&update, &what).await {
        Ok(()) => None,
        Err(SurveyError::Server { what, source }) => match source.as_db_error() {
            Some(said)
                if [SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, SqlState::INVALID_COLUMN_REFERENCE]
                    .contains(said.code()) =>
            {
                let detail = said.detail().map(|detail| format!(": {detail}")).unwrap_or_default();
                Some(format!("{}{detail}", said.message()))
            }
            _ => return Err(SurveyError::Server { what, source }),
        },
        Err(error) => return Err(error),
    };
    tried.rollback(&what).await?;
    Ok(said)
}
