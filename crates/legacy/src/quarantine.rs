//! Whether the tenant root takes the row that quarantine needs: only the server can say, so it is asked.

use bastide_catalog::Catalog;
use bastide_plan::{Step, classify::Classification};
use tokio_postgres::Transaction;

use crate::SurveyError;

/// Inserts the row inside a savepoint that is rolled back. `Some`: why it cannot be, as the server said it.
pub(crate) async fn refused(
    transaction: &mut Transaction<'_>,
    catalog: &Catalog,
    classes: &Classification,
) -> Result<Option<String>, SurveyError> {
    let step = match bastide_plan::quarantine(catalog, &classes.root, |table| classes.class(table)) {
        Ok(step) => step,
        Err(reason) => return Ok(Some(reason)),
    };
    let script = Step::AddTenant(step).forward();
    let attempt = transaction
        .savepoint("bastide_quarantine")
        .await
        .map_err(SurveyError::during("try the quarantine tenant"))?;
    let mut refusal = None;
    for statement in script.prelude.iter().chain(&script.statements) {
        if let Err(error) = attempt.batch_execute(statement.as_str()).await {
            let Some(said) = error.as_db_error() else {
                return Err(SurveyError::during("try the quarantine tenant")(error));
            };
            refusal = Some(said.message().to_owned());
            break;
        }
    }
    attempt.rollback().await.map_err(SurveyError::during("try the quarantine tenant"))?;
    Ok(refusal)
}
