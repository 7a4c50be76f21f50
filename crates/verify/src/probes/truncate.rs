//! TRUNCATE, which no policy binds: only its privilege does.

use bastide_sql::{Literal, Sql, sql};

use super::{Case, Context, Ground, subject::Subject};
use crate::{Probe, VerifyError};

pub(super) async fn probe(ground: &Ground<'_>, subject: &Subject<'_>) -> Result<Probe, VerifyError> {
    let case = Case { object: &subject.object, verb: "truncate", context: "none" };
    let name = sql!("{}", subject.table.name);
    let ask =
        [sql!("SELECT has_table_privilege({}::regclass, 'TRUNCATE')::int", Literal::text(name.as_str()))];
    let truncate = [sql!("TRUNCATE {}", subject.table.name)];
    match ground.attempt(&subject.object, &Context::None, &ask).await? {
        // Asked only: doing it would lock the table against everybody, were it for a moment.
        Ok(answer) if answer.number(0) == 1 => {
            let how = "the application has the privilege; it empties the table for every tenant (not tried)";
            return Ok(case.breached(how, "", ground.app.script(&Context::None, &truncate)));
        }
        Ok(_) if ground.production => {
            return Ok(case.held("asked only: the application has no such privilege"));
        }
        Ok(_) => {}
        Err(refusal) => return Ok(case.refused(&refusal)),
    }
    Ok(judge(&case, ground, &truncate, ground.attempt(&subject.object, &Context::None, &truncate).await?))
}

fn judge(case: &Case<'_>, ground: &Ground<'_>, script: &[Sql], reply: super::attempt::Reply) -> Probe {
    match reply {
        Err(refusal) if refusal.not_permitted() => {
            case.held("none possible: the application has no such privilege")
        }
        Err(refusal) => case.refused(&refusal),
        Ok(_) => {
            let how = "it worked without the privilege (rolled back)";
            case.breached(how, "", ground.app.script(&Context::None, script))
        }
    }
}
