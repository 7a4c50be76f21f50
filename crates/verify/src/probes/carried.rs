//! Statements prepared as one tenant and executed as another. All of it inside one transaction, so that it goes through a
//! pooler.

use bastide_record::{Context, Path, Verb};
use bastide_sql::{Sql, sql};

use super::{
    Case, Ground,
    attempt::{Trial, set_tenant},
    by_rows::Target,
    rows::ATTEMPT,
};
use crate::{Probe, VerifyError};

/// Six executions make the server consider a generic plan; it must ask for the tenant again each time.
const EXECUTIONS: usize = 6;

pub(super) async fn probe(
    ground: &Ground<'_>,
    target: &Target<'_>,
    probes: &mut Vec<Probe>,
) -> Result<(), VerifyError> {
    let subject = target.subject;
    let (Some(own), Some(other)) = (&subject.own, &subject.other) else { return Ok(()) };
    let mut trials = Vec::new();
    let mut inserts = Vec::new();
    let read = sql!(
        "SELECT count(*) FROM (SELECT FROM {} WHERE {} = {} LIMIT 1000) AS seen",
        target.name,
        target.column,
        subject.value(&own.key)
    );
    let switched = |context| match context {
        Context::Other => set_tenant(&other.key),
        _ => sql!("SET LOCAL bastide.tenant = ''"),
    };
    for context in [Context::Other, Context::Empty] {
        let trial = |verb, statements: Vec<Sql>| {
            let mut trial = begun_as_own(target, (Path::Prepared, verb, context), statements);
            trial.after = Some(sql!("DEALLOCATE bastide_probe"));
            trial
        };
        if subject.reach.may("SELECT") {
            let mut statements = vec![sql!("PREPARE bastide_probe AS {}", read)];
            statements.extend(std::iter::repeat_n(sql!("EXECUTE bastide_probe"), EXECUTIONS));
            statements.extend([switched(context), sql!("EXECUTE bastide_probe")]);
            trials.push(trial(Verb::Select, statements));
        }
        if ground.production {
            continue;
        }
        let write = |statement: &Sql| {
            vec![
                sql!("PREPARE bastide_probe AS {}", statement),
                sql!("SAVEPOINT bastide_probe"),
                sql!("EXECUTE bastide_probe"),
                sql!("ROLLBACK TO bastide_probe"),
                switched(context),
                sql!("EXECUTE bastide_probe"),
            ]
        };
        if subject.reach.may("UPDATE") {
            let update = sql!(
                "UPDATE {} SET {} = {} WHERE {} = {} AND ctid = (SELECT ctid FROM {} WHERE {} = {} LIMIT 1)",
                target.name,
                target.harmless,
                target.harmless,
                target.column,
                subject.value(&own.key),
                target.name,
                target.column,
                subject.value(&own.key)
            );
            trials.push(trial(Verb::Update, write(&update)));
        }
        if let (true, Some(rows)) = (subject.reach.may("INSERT"), &subject.rows) {
            let insert = write(&rows.row(subject, &own.key, ATTEMPT, &[]).insert(target.name));
            let [prepare, _, execute, ..] = insert.as_slice() else { continue };
            let control = trial(Verb::Insert, vec![prepare.clone(), execute.clone()]);
            let after = vec![prepare.clone(), switched(context), execute.clone()];
            inserts.push([control, trial(Verb::Insert, after)]);
        }
    }
    for (trial, reply) in trials.iter().zip(ground.app.all(&trials).await?) {
        probes.push(judge(ground, target, trial, &reply));
    }
    for pair in &inserts {
        probes.push(insert(ground, pair).await?);
    }
    Ok(())
}

/// An attempt that begins as a tenant, whatever its cell says it goes on as.
pub(super) fn begun_as_own(
    target: &Target<'_>,
    (path, verb, context): (Path, Verb, Context),
    statements: Vec<Sql>,
) -> Trial {
    let mut trial = target.subject.trial(target.cell(verb, Context::Own), statements);
    (trial.cell.path, trial.cell.context) = (path, context);
    trial
}

/// A refusal ends the transaction, so the control has one of its own.
async fn insert(ground: &Ground<'_>, trials: &[Trial; 2]) -> Result<Probe, VerifyError> {
    let [control, after] = trials;
    let case = Case(after.cell.clone());
    let control = match ground.app.one(control).await? {
        Ok(answer) if answer.affected() > 0 => "executed before the switch it works".to_owned(),
        Err(refusal) if refusal.constraint() => {
            format!("executed before the switch it passes the policy and meets {}", refusal.code.code())
        }
        Ok(_) => return Ok(case.untested("executed before the switch it writes nothing")),
        Err(refusal) => {
            return Ok(case.untested(format!("executed before the switch it was {}", refusal.words())));
        }
    };
    let breached = |how: &str| case.breached(how, control.as_str(), ground.app.script(after));
    Ok(match ground.app.one(after).await? {
        Err(refusal) if refusal.not_permitted() => case.held(control),
        Ok(answer) if answer.affected() == 0 => {
            case.untested("nothing was inserted, and nothing was refused")
        }
        Ok(_) => breached("after the switch it still writes a row of the first tenant"),
        Err(refusal) if refusal.constraint() => {
            breached("after the switch the policy still lets the row in; only a constraint stopped it")
        }
        Err(refusal) => case.refused(&refusal),
    })
}

fn judge(ground: &Ground<'_>, target: &Target<'_>, trial: &Trial, reply: &super::attempt::Reply) -> Probe {
    let case = Case(trial.cell.clone());
    let has_rows = target.subject.own.as_ref().is_some_and(|side| side.seen() > 0);
    let breached = |how: String, control: &str| case.breached(how, control, ground.app.script(trial));
    let none = |why: &str| {
        case.untested(if has_rows { why } else { "the table is empty, and no row could be made in it" })
    };
    match (reply, trial.cell.verb) {
        (Ok(answer), Verb::Select) => {
            let (before, after) = (answer.number_of(1, 0), answer.number_of(EXECUTIONS + 2, 0));
            let control = format!("prepared and executed as the one tenant it counts {before} rows");
            match (before, after) {
                (0, _) => none("the statement counts no row for the tenant it was prepared as"),
                (_, 0) => case.held(control),
                (_, rows) => breached(
                    format!("after the switch it still counts {rows} rows of the first tenant"),
                    &control,
                ),
            }
        }
        (Ok(answer), _) => {
            let (before, after) = (answer.affected_by(2), answer.affected());
            let control = format!("prepared and executed as the one tenant it writes {before} rows");
            match (before, after) {
                (0, _) => none("the statement writes no row for the tenant it was prepared as"),
                (_, 0) => case.held(control),
                (_, rows) => breached(
                    format!("after the switch it still writes {rows} rows of the first tenant"),
                    &control,
                ),
            }
        }
        (Err(refusal), ..) => case.refused(refusal),
    }
}
