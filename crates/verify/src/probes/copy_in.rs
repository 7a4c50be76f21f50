//! COPY into a table. Under row security PostgreSQL refuses it always (0A000), so that there is no positive control.

use bastide_record::{Context, Verb};
use bastide_sql::sql;
use tokio_postgres::error::SqlState;

use super::{Case, Ground, attempt::Trial, subject::Subject};
use crate::{Probe, VerifyError};

/// Row security is asked about before the options are read, so an option that does not exist tells the two apart (0A000
/// or 42601) and the server never waits for rows.
pub(super) async fn probe(ground: &Ground<'_>, subject: &Subject<'_>) -> Result<Probe, VerifyError> {
    let case = Case(ground.cell(subject, Verb::CopyIn, Context::Unset));
    let statement = sql!("COPY {} FROM STDIN WITH (bastide_probe)", subject.table.name);
    let trial = Trial::new(case.0.clone(), "", vec![statement]);
    Ok(match ground.app.one(&trial).await? {
        Err(refusal) if refusal.code == SqlState::FEATURE_NOT_SUPPORTED || refusal.not_permitted() => {
            case.held("none possible: under row security PostgreSQL refuses COPY FROM always")
        }
        Err(refusal) if refusal.code == SqlState::SYNTAX_ERROR => {
            let how = "COPY FROM is not refused: it would write rows that no policy checks (none were sent)";
            case.breached(how, "", ground.app.script(&trial))
        }
        Err(refusal) => case.refused(&refusal),
        Ok(_) => case.untested("the server took an option that does not exist"),
    })
}
