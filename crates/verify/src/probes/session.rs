//! The connection itself: whether it has a tenant before anybody has set one.

use bastide_record::{Cell, Context, Path, Verb};
use bastide_sql::sql;

use super::{Case, Ground, attempt::Trial};
use crate::{Probe, VerifyError};

pub(super) async fn probe(ground: &Ground<'_>) -> Result<Probe, VerifyError> {
    let cell = Cell {
        object: ground.posture.app.to_string(),
        path: Path::Session,
        verb: Verb::Preset,
        context: Context::Unset,
    };
    let case = Case(cell.clone());
    let trial = Trial::new(cell, "", vec![sql!("SELECT (bastide.current_tenant() IS NOT NULL)::int")]);
    Ok(match ground.app.one(&trial).await? {
        Ok(answer) if answer.number(0) == 0 => case.held("bastide.current_tenant() answers NULL"),
        Ok(_) => {
            let how = "a connection has a tenant before anybody has set one";
            case.breached(how, "", ground.app.script(&trial))
        }
        Err(refusal) => case.refused(&refusal),
    })
}
