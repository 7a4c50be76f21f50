//! Planning makes temporary tables and rolls them back; the shop's event triggers see that, and may refuse it.

use bastide_catalog::{Catalog, EventTrigger};
use bastide_sql::{Sql, sql};
use tokio_postgres::{Client, error::SqlState};

use crate::SurveyError;

/// What inference makes, at its smallest, under the search_path of all our sessions.
const LEAST: &str = "SET LOCAL search_path = pg_catalog;
CREATE TEMP TABLE pg_temp.bastide_least (one integer) ON COMMIT DROP;
CREATE TEMP TABLE pg_temp.bastide_less ON COMMIT DROP AS SELECT 1 AS one;
CREATE INDEX ON pg_temp.bastide_less (one)";

/// Tries it. Nothing else can refuse a superuser a temporary table.
///
/// # Errors
/// [`SurveyError::EventTrigger`], which names those that fire.
pub(crate) async fn must_let_pass(client: &mut Client, catalog: &Catalog) -> Result<(), SurveyError> {
    let triggers: Vec<&EventTrigger> =
        catalog.event_triggers.iter().filter(|trigger| trigger.fires()).collect();
    if triggers.is_empty() {
        return Ok(());
    }
    let what = "try whether event triggers let temporary tables pass";
    let transaction = client.transaction().await.map_err(SurveyError::during(what))?;
    let Err(error) = transaction.batch_execute(LEAST).await else {
        return transaction.rollback().await.map_err(SurveyError::during(what));
    };
    let Some(said) = error.as_db_error() else { return Err(SurveyError::during(what)(error)) };
    let lost = [SqlState::UNDEFINED_TABLE, SqlState::UNDEFINED_FUNCTION].contains(said.code());
    let named =
        triggers.iter().map(|trigger| format!("{} (which calls {}())", trigger.name, trigger.function));
    let remedies = triggers.iter().map(|trigger| remedy(trigger, lost).to_string());
    Err(SurveyError::EventTrigger {
        said: said.message().to_owned(),
        triggers: named.collect::<Vec<_>>().join(", "),
        remedy: remedies.collect::<Vec<_>>().join("; "),
    })
}

/// A function that looks for a name in vain is no guard; it counts on a search_path.
fn remedy(trigger: &EventTrigger, lost: bool) -> Sql {
    if lost {
        let function = &trigger.function;
        return sql!("ALTER FUNCTION {}() SET search_path = {}", function, function.schema);
    }
    sql!("ALTER EVENT TRIGGER {} DISABLE", trigger.name)
}
