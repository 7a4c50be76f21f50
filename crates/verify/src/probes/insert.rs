//! Writing a row for another tenant.
//!
//! PostgreSQL checks the policy before constraints and indexes, so a copy of a row that is there meets its unique key
//! only after it has passed the policy: 42501 is the policy's no, and a constraint's error means that it said yes.

use bastide_sql::{Ident, Sql, join, sql};

use super::{
    Case, Context, Ground,
    attempt::{Answer, Reply},
    subject::{Side, Subject},
};
use crate::{Probe, VerifyError};

pub(super) async fn probe(
    ground: &Ground<'_>,
    subject: &Subject<'_>,
    probes: &mut Vec<Probe>,
) -> Result<(), VerifyError> {
    let other = Case { object: &subject.object, verb: "insert", context: "other tenant" };
    let none = Case { object: &subject.object, verb: "insert", context: "none" };
    if !subject.reach.may("INSERT") {
        let script = [sql!("INSERT INTO {} DEFAULT VALUES", subject.table.name)];
        let reply = ground.attempt(&subject.object, &Context::None, &script).await?;
        probes.push(match reply {
            Err(refusal) if refusal.not_permitted() => {
                other.held("none possible: the application may not insert")
            }
            Err(refusal) => other.refused(&refusal),
            Ok(_) => other.breached(
                "it worked without the privilege",
                "",
                ground.app.script(&Context::None, &script),
            ),
        });
        return Ok(());
    }
    let Some((own, foreign)) = subject.own.as_ref().zip(subject.other.as_ref()) else {
        probes.push(other.untested("the table is empty, so there is no row to copy"));
        return Ok(());
    };
    let control = match control(ground, subject, own).await? {
        Ok(control) => control,
        Err(why) => {
            probes.push(other.untested(why));
            return Ok(());
        }
    };
    let context = Context::Tenant(own.key.clone());
    let script = [copy(subject, own, foreign)];
    let reply = ground.attempt(&subject.object, &context, &script).await?;
    probes.push(match judge(ground, &other, &reply, &control, &context, &script) {
        Some(probe) => probe,
        // A trigger refused the mixed row before the policy was asked. A row that is wholly the other's gives it no
        // reason to, so ask with that one; its values travel as a parameter and are in no report.
        None => {
            let whole = whole_row(ground, subject, foreign, &context).await?;
            whole
                .and_then(|reply| judge(ground, &other, &reply, &control, &context, &script))
                .unwrap_or_else(|| other.untested("a trigger refuses such a row before the policy is asked"))
        }
    });
    // Without a context nothing can be read, hence nothing copied: the row comes as a parameter here, too.
    if let Some(reply) = whole_row(ground, subject, own, &Context::None).await? {
        let script = [sql!("INSERT INTO {} SELECT * FROM a row of any tenant", subject.table.name)];
        let judged = judge(ground, &none, &reply, &control, &Context::None, &script);
        probes.push(
            judged
                .unwrap_or_else(|| none.untested("a trigger refuses such a row before the policy is asked")),
        );
    }
    Ok(())
}

/// `INSERT … SELECT` of one of the tenant's own rows, with `to` as its tenant.
fn copy(subject: &Subject<'_>, own: &Side, to: &Side) -> Sql {
    let columns = subject.copied_columns();
    let values = columns
        .iter()
        .map(|&column| if column == subject.column { subject.value(&to.key) } else { sql!("{}", column) });
    sql!(
        "INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE SELECT {} FROM {} WHERE {} = {} LIMIT 1",
        subject.table.name,
        join(columns.iter().copied(), ", "),
        join(values, ", "),
        subject.table.name,
        subject.column,
        subject.value(&own.key)
    )
}

async fn control(
    ground: &Ground<'_>,
    subject: &Subject<'_>,
    own: &Side,
) -> Result<Result<String, String>, VerifyError> {
    let reply = ground
        .attempt(&subject.object, &Context::Tenant(own.key.clone()), &[copy(subject, own, own)])
        .await?;
    Ok(match reply {
        Ok(answer) if answer.affected() > 0 => Ok("the same insert for the tenant itself works".to_owned()),
        Ok(_) => Err("the same insert for the tenant itself wrote nothing".to_owned()),
        Err(refusal) if refusal.constraint() => Ok(format!(
            "the same insert for the tenant itself passes the policy and meets {}",
            refusal.code.code()
        )),
        Err(refusal) => Err(format!("the same insert for the tenant itself was {}", refusal.words())),
    })
}

/// `None`: a trigger answered in the policy's place.
fn judge(
    ground: &Ground<'_>,
    case: &Case<'_>,
    reply: &Reply,
    control: &str,
    context: &Context,
    script: &[Sql],
) -> Option<Probe> {
    Some(match reply {
        Ok(answer) if answer.affected() == 0 => {
            case.untested("nothing was inserted, and nothing was refused")
        }
        Ok(_) => {
            let how = "a row for another tenant was written (rolled back)";
            case.breached(how, control, ground.app.script(context, script))
        }
        Err(refusal) if refusal.not_permitted() => case.held(control),
        Err(refusal) if refusal.constraint() => {
            let how =
                format!("the policy let the row in; only a constraint ({}) stopped it", refusal.code.code());
            case.breached(how, control, ground.app.script(context, script))
        }
        Err(refusal) if refusal.passing() || refusal.early => case.refused(refusal),
        Err(_) => return None,
    })
}

/// Inserts an existing row of `side` as it is, read by the owner; `None` when there is none.
async fn whole_row(
    ground: &Ground<'_>,
    subject: &Subject<'_>,
    side: &Side,
    context: &Context,
) -> Result<Option<Reply>, VerifyError> {
    let row = sql!(
        "SELECT r::text FROM {} AS r WHERE {} = {} LIMIT 1",
        subject.table.name,
        subject.column,
        subject.value(&side.key)
    );
    let Some(row) = super::subject::ask(ground.owner, &row).await? else { return Ok(None) };
    let columns = subject.copied_columns();
    let insert = sql!(
        "INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE SELECT {} FROM (SELECT $1::text::{} AS r) AS given",
        subject.table.name,
        join(columns.iter().copied(), ", "),
        join(columns.iter().copied().map(field), ", "),
        subject.table.name
    );
    let reply = ground
        .app
        .within(&subject.object, context, "ROLLBACK", async |client| {
            let affected = client.execute(insert.as_str(), &[&row]).await?;
            Ok(Answer::of(affected))
        })
        .await?;
    Ok(Some(reply))
}

fn field(column: &Ident) -> Sql {
    sql!("(r).{}", column)
}
