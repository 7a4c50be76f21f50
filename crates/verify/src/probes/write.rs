//! Writing what is another tenant's: UPDATE and DELETE of its rows, and moving a row of one's own over to it.

use bastide_sql::{Sql, sql};

use super::{
    Case, Context, Ground,
    attempt::Reply,
    subject::{Side, Subject},
};
use crate::{Probe, VerifyError};

pub(super) async fn probe(
    ground: &Ground<'_>,
    subject: &Subject<'_>,
    probes: &mut Vec<Probe>,
) -> Result<(), VerifyError> {
    let sides = subject.own.as_ref().zip(subject.other.as_ref());
    for (verb, privilege) in [("update", "UPDATE"), ("delete", "DELETE")] {
        let none = Case { object: &subject.object, verb, context: "none" };
        let other = Case { object: &subject.object, verb, context: "other tenant" };
        let Some((own, foreign)) = sides else {
            probes.push(other.untested("the table is empty"));
            continue;
        };
        if !subject.reach.may(privilege) {
            probes.push(refused_outright(ground, subject, &other, verb).await?);
            continue;
        }
        let control = match control(ground, subject, verb, own).await? {
            Ok(control) => control,
            Err(why) => {
                probes.extend([none.untested(why.as_str()), other.untested(why)]);
                continue;
            }
        };
        let all = [act(subject, verb, &sql!("true"))];
        let reply = ground.attempt(&subject.object, &Context::None, &all).await?;
        probes.push(judge(ground, &none, reply, &control, &Context::None, &all));
        let theirs = [act(subject, verb, &sql!("{} = {}", subject.column, subject.value(&foreign.key)))];
        let context = Context::Tenant(own.key.clone());
        let reply = ground.attempt(&subject.object, &context, &theirs).await?;
        probes.push(judge(ground, &other, reply, &control, &context, &theirs));
    }
    probes.push(moved(ground, subject, sides).await?);
    Ok(())
}

fn act(subject: &Subject<'_>, verb: &str, condition: &Sql) -> Sql {
    if verb == "delete" {
        return sql!("DELETE FROM {} WHERE {}", subject.table.name, condition);
    }
    let column = subject.harmless_column().unwrap_or(subject.column);
    sql!("UPDATE {} SET {} = {} WHERE {}", subject.table.name, column, column, condition)
}

/// One row of one's own can be written: it is changed, or only a constraint of the server's stands in the way.
async fn control(
    ground: &Ground<'_>,
    subject: &Subject<'_>,
    verb: &str,
    own: &Side,
) -> Result<Result<String, String>, VerifyError> {
    let one = sql!(
        "ctid = (SELECT ctid FROM {} WHERE {} = {} LIMIT 1) AND {} = {}",
        subject.table.name,
        subject.column,
        subject.value(&own.key),
        subject.column,
        subject.value(&own.key)
    );
    let reply = ground
        .attempt(&subject.object, &Context::Tenant(own.key.clone()), &[act(subject, verb, &one)])
        .await?;
    Ok(match reply {
        Ok(answer) if answer.affected() > 0 => Ok(format!("{verb} of a row of its own works")),
        Ok(_) => {
            Err(format!("{verb} of a row of its own changed nothing, so refusing the other's proves nothing"))
        }
        Err(refusal) if refusal.constraint() => Ok(format!(
            "{verb} of a row of its own reaches it, and stops at a constraint ({})",
            refusal.code.code()
        )),
        Err(refusal) => Err(format!("{verb} of a row of its own was {}", refusal.words())),
    })
}

fn judge(
    ground: &Ground<'_>,
    case: &Case<'_>,
    reply: Reply,
    control: &str,
    context: &Context,
    script: &[Sql],
) -> Probe {
    match reply {
        Ok(answer) if answer.affected() == 0 => case.held(control),
        Ok(answer) => {
            let how = format!("{} rows of others could be changed (rolled back)", answer.affected());
            case.breached(how, control, ground.app.script(context, script))
        }
        Err(refusal) if refusal.constraint() => {
            let how = format!(
                "rows of others were reached; only a constraint ({}) stopped it",
                refusal.code.code()
            );
            case.breached(how, control, ground.app.script(context, script))
        }
        Err(refusal) if refusal.not_permitted() => case.held(control),
        Err(refusal) => case.refused(&refusal),
    }
}

/// Without the privilege there is no control, but the refusal itself can be seen.
async fn refused_outright(
    ground: &Ground<'_>,
    subject: &Subject<'_>,
    case: &Case<'_>,
    verb: &str,
) -> Result<Probe, VerifyError> {
    let script = [act(subject, verb, &sql!("false"))];
    Ok(match ground.attempt(&subject.object, &Context::None, &script).await? {
        Err(refusal) if refusal.not_permitted() => {
            case.held("none possible: the application has no such privilege")
        }
        Err(refusal) => case.refused(&refusal),
        Ok(_) => {
            let how = "it worked although the application has no such privilege";
            case.breached(how, "", ground.app.script(&Context::None, &script))
        }
    })
}

async fn moved(
    ground: &Ground<'_>,
    subject: &Subject<'_>,
    sides: Option<(&Side, &Side)>,
) -> Result<Probe, VerifyError> {
    let case = Case { object: &subject.object, verb: "move", context: "other tenant" };
    let Some((own, other)) = sides else { return Ok(case.untested("the table is empty")) };
    if !subject.reach.may("UPDATE") {
        return refused_outright(ground, subject, &case, "update").await;
    }
    let context = Context::Tenant(own.key.clone());
    let script = [sql!(
        "UPDATE {} SET {} = {} WHERE {} = {} AND ctid = (SELECT ctid FROM {} WHERE {} = {} LIMIT 1)",
        subject.table.name,
        subject.column,
        subject.value(&other.key),
        subject.column,
        subject.value(&own.key),
        subject.table.name,
        subject.column,
        subject.value(&own.key)
    )];
    let control = "the row is the tenant's own, and the UPDATE reaches it";
    Ok(match ground.attempt(&subject.object, &context, &script).await? {
        Ok(answer) if answer.affected() == 0 => case.untested("no row of its own was reached"),
        Ok(_) => {
            let how = "a row was moved to another tenant (rolled back)";
            case.breached(how, control, ground.app.script(&context, &script))
        }
        Err(refusal) if refusal.constraint() => {
            let how =
                format!("the policy let a row move; only a constraint ({}) stopped it", refusal.code.code());
            case.breached(how, control, ground.app.script(&context, &script))
        }
        Err(refusal) if refusal.not_permitted() => case.held(control),
        // A trigger's own exception: refused before the policy was asked.
        Err(refusal) if refusal.code.code().starts_with("23") => {
            case.held(format!("{control}; a trigger refuses it ({})", refusal.code.code()))
        }
        Err(refusal) => case.refused(&refusal),
    })
}
