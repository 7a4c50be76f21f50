//! Whether the tenant root takes the rows that a plan adds to it: only the server can say, so it is asked.

use bastide_catalog::Catalog;
use bastide_plan::{KindTenant, Refusal, Step, classify::Classification, steps::AddTenant};
use tokio_postgres::Transaction;

use crate::SurveyError;

/// `Some`: why there can be no quarantine tenant.
pub(crate) async fn refused(
    transaction: &mut Transaction<'_>,
    catalog: &Catalog,
    classes: &Classification,
) -> Result<Option<String>, SurveyError> {
    match bastide_plan::quarantine(catalog, &classes.root, |table| classes.class(table)) {
        Ok(step) => not_taken(transaction, step).await,
        Err(reason) => Ok(Some(reason)),
    }
}

/// The tenant of a category is wanted by name, so it is no plan without it.
pub(crate) async fn must_take(
    transaction: &mut Transaction<'_>,
    kind: &KindTenant,
) -> Result<(), SurveyError> {
    match not_taken(transaction, kind.step.clone()).await? {
        None => Ok(()),
        Some(reason) => Err(SurveyError::Refused(Refusal::Declaration {
            of: "[new_tenants] of_categories".to_owned(),
            why: format!("the root {} cannot take a tenant {}: {reason}", kind.step.root, kind.category),
        })),
    }
}

/// Inserts the row inside a savepoint that is rolled back. `Some`: why it cannot be, as the server said it.
pub(crate) async fn not_taken(
    transaction: &mut Transaction<'_>,
    step: AddTenant,
) -> Result<Option<String>, SurveyError> {
    let what = "try a row of the tenant root";
    let script = Step::AddTenant(step).forward();
    let attempt = transaction.savepoint("bastide_tenant").await.map_err(SurveyError::during(what))?;
    let mut refusal = None;
    for statement in script.prelude.iter().chain(&script.statements) {
        if let Err(error) = attempt.batch_execute(statement.as_str()).await {
            let Some(said) = error.as_db_error() else {
                return Err(SurveyError::during(what)(error));
            };
            refusal = Some(said.message().to_owned());
            break;
        }
    }
    attempt.rollback().await.map_err(SurveyError::during(what))?;
    Ok(refusal)
}
