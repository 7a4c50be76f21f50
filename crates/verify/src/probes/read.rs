//! Reading: without a context, with an empty or malformed one, as one tenant, and for another tenant's key outright.

use bastide_sql::{Sql, sql};

use super::{
    Case, Context, Ground,
    attempt::Reply,
    subject::{Side, Subject},
};
use crate::{Outcome, Probe, VerifyError};

/// Enough to prove a breach; counting a whole table would only take longer.
const LIMIT: u32 = 1000;

pub(super) async fn probe(
    ground: &Ground<'_>,
    subject: &Subject<'_>,
    probes: &mut Vec<Probe>,
) -> Result<(), VerifyError> {
    let own = own_rows(ground, subject).await?;
    // The control of every other read: as a tenant that has rows, the login does see them.
    let control = match (&own.outcome, &subject.own) {
        (_, None) => {
            Ok("the table is empty, so only the zero-row probe proves that it is filtered".to_owned())
        }
        (Outcome::Untested { why }, _) => Err(why.clone()),
        _ => Ok(own.control.clone()),
    };
    for (context, name) in
        [(Context::None, "none"), (Context::Empty, "empty"), (Context::Malformed, "malformed")]
    {
        let case = Case { object: &subject.object, verb: "select", context: name };
        let script =
            [sql!("SELECT count(*) FROM (SELECT FROM {} LIMIT {}) AS seen", subject.table.name, LIMIT)];
        let reply = ground.attempt(&subject.object, &context, &script).await?;
        let malformed = matches!(context, Context::Malformed);
        probes.push(judge(ground, &case, reply, malformed, &control, &context, &script));
    }
    if let (Some(mine), Some(theirs)) = (&subject.own, &subject.other) {
        probes.push(explicit(ground, subject, mine, theirs, &control).await?);
    }
    probes.push(own);
    Ok(())
}

fn judge(
    ground: &Ground<'_>,
    case: &Case<'_>,
    reply: Reply,
    malformed: bool,
    control: &Result<String, String>,
    context: &Context,
    script: &[Sql],
) -> Probe {
    match (reply, control) {
        (Ok(answer), control) if answer.number(0) > 0 => {
            let how = format!("{} rows seen{}", answer.number(0), at_least(answer.number(0)));
            case.breached(how, control.clone().unwrap_or_default(), ground.app.script(context, script))
        }
        (Ok(_), Ok(control)) => case.held(control.as_str()),
        (Ok(_), Err(why)) => case.untested(format!("no row seen, but the control failed: {why}")),
        // A malformed context fails in the cast, before any row is looked at.
        (Err(refusal), Ok(control)) if malformed && refusal.code.code().starts_with("22") => {
            case.held(control.as_str())
        }
        (Err(refusal), _) => case.refused(&refusal),
    }
}

fn at_least(rows: u64) -> &'static str {
    if rows >= u64::from(LIMIT) { " or more" } else { "" }
}

/// As a tenant: no row of anybody else, and as many as the owner counts.
async fn own_rows(ground: &Ground<'_>, subject: &Subject<'_>) -> Result<Probe, VerifyError> {
    let case = Case { object: &subject.object, verb: "select", context: "own tenant" };
    let Some(own) = &subject.own else { return Ok(case.untested("the table is empty")) };
    let context = Context::Tenant(own.key.clone());
    let rows = if ground.production {
        sql!("(SELECT {} FROM {} LIMIT {})", subject.column, subject.table.name, LIMIT)
    } else {
        sql!("{}", subject.table.name)
    };
    let script = [sql!(
        "SELECT count(*), count(*) FILTER (WHERE {} IS DISTINCT FROM {}) FROM {} AS seen",
        subject.column,
        subject.value(&own.key),
        rows
    )];
    let answer = match ground.attempt(&subject.object, &context, &script).await? {
        Ok(answer) => answer,
        Err(refusal) => return Ok(case.refused(&refusal)),
    };
    let (seen, foreign) = (answer.number(0), answer.number(1));
    if foreign > 0 {
        let how = format!("{foreign} of the {seen} rows seen belong to other tenants");
        return Ok(case.breached(how, "", ground.app.script(&context, &script)));
    }
    if ground.production {
        return Ok(if seen > 0 {
            case.held(format!("as a tenant it sees rows ({seen} looked at), all of that tenant"))
        } else {
            case.untested("the tenant has rows, but the application sees none of them")
        });
    }
    // The shop goes on selling between two counts: one that differs is taken again.
    let counted = if seen == own.rows { seen } else { subject.count(ground.owner, &own.key).await? };
    Ok(if seen == 0 {
        case.untested(format!("the owner counts {counted} rows of the tenant, the application sees none"))
    } else if seen == counted || seen == own.rows {
        case.held(format!("as that tenant it sees {seen} rows, as many as the owner counts"))
    } else {
        case.untested(format!("the owner counts {counted} rows of the tenant, the application sees {seen}"))
    })
}

/// Asking for the other tenant's key by name must not help.
async fn explicit(
    ground: &Ground<'_>,
    subject: &Subject<'_>,
    mine: &Side,
    theirs: &Side,
    control: &Result<String, String>,
) -> Result<Probe, VerifyError> {
    let case = Case { object: &subject.object, verb: "select", context: "other tenant" };
    let context = Context::Tenant(mine.key.clone());
    let script = [sql!(
        "SELECT count(*) FROM (SELECT FROM {} WHERE {} = {} LIMIT {}) AS seen",
        subject.table.name,
        subject.column,
        subject.value(&theirs.key),
        LIMIT
    )];
    let reply = ground.attempt(&subject.object, &context, &script).await?;
    let control = control.clone().map(|control| match theirs.rows {
        0 => format!("{control}; the other tenant is made up, for there is only one here"),
        _ => format!("{control}; the other tenant has rows, too"),
    });
    Ok(judge(ground, &case, reply, false, &control, &context, &script))
}
