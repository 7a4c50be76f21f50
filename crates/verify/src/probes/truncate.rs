//! TRUNCATE, which no policy binds: only its privilege does.

use bastide_record::{Context, Verb};
use bastide_sql::{Literal, sql};

use super::{Case, Ground, attempt::Trial, none_possible, subject::Subject};
use crate::{Probe, VerifyError};

pub(super) async fn probe(ground: &Ground<'_>, subject: &Subject<'_>) -> Result<Probe, VerifyError> {
    let case = Case(ground.cell(subject, Verb::Truncate, Context::Unset));
    let name = sql!("{}", subject.table.name);
    let ask = sql!("SELECT has_table_privilege({}::regclass, 'TRUNCATE')::int", Literal::text(name.as_str()));
    let truncate = Trial::new(case.0.clone(), "", vec![sql!("TRUNCATE {}", subject.table.name)]);
    match ground.app.one(&Trial::new(case.0.clone(), "", vec![ask])).await? {
        // Asked only: doing it would lock the table against everybody, were it for a moment.
        Ok(answer) if answer.number(0) == 1 => {
            let how = "the application has the privilege; it empties the table for every tenant (not tried)";
            return Ok(case.breached(how, "", ground.app.script(&truncate)));
        }
        Ok(_) if ground.production => {
            return Ok(case.held("asked only: the application has no such privilege"));
        }
        Ok(_) => {}
        Err(refusal) => return Ok(case.refused(&refusal)),
    }
    let reply = ground.app.one(&truncate).await?;
    Ok(none_possible(ground, &truncate, &reply))
}
