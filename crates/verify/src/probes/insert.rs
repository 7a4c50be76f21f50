//! Writing a row that is, or meets, another tenant's: INSERT, INSERT … ON CONFLICT, and moving a row of one's own over.
//!
//! PostgreSQL checks the policy before constraints and indexes: 42501 is the policy's no, and a constraint's error means
//! that it said yes.

use bastide_record::{Context, Outcome, Verb};
use bastide_sql::{Ident, Literal, Sql, join, sql};

use super::{
    Case, Ground,
    attempt::{Given, Reply, Trial},
    rows::{ATTEMPT, Rows},
    subject::{Side, Subject, ask},
};
use crate::{Probe, VerifyError};

/// One verb that writes a new row, in every context.
pub(super) async fn probe(
    ground: &Ground<'_>,
    subject: &Subject<'_>,
    verb: Verb,
    probes: &mut Vec<Probe>,
) -> Result<(), VerifyError> {
    let cell = |context| ground.cell(subject, verb, context);
    let may = subject.reach.may("INSERT") && (verb == Verb::Insert || subject.reach.may("UPDATE"));
    if !may {
        let refused = sql!("INSERT INTO {} DEFAULT VALUES{}", subject.table.name, conflict(subject, verb));
        let contexts = Context::ALL.into_iter().filter(|context| *context != Context::Own);
        let trials: Vec<_> =
            contexts.map(|context| subject.trial(cell(context), vec![refused.clone()])).collect();
        for (trial, reply) in trials.iter().zip(ground.app.all(&trials).await?) {
            probes.push(super::none_possible(ground, trial, &reply));
        }
        return Ok(());
    }
    let (Some(own), Some(rows)) = (&subject.own, &subject.rows) else {
        let why = "the table is empty, and no row for it could be made up";
        let contexts = Context::ALL.into_iter().filter(|context| *context != Context::Own);
        probes.extend(contexts.map(|context| Case(cell(context)).untested(why)));
        return Ok(());
    };
    let mut trials = Vec::new();
    for context in Context::ALL {
        let Some(acting) = acts(ground, subject, verb, context, own, rows).await? else {
            if context != Context::Other || subject.other.is_some() {
                probes.push(
                    Case(cell(context)).untested("the other tenant has no row here, and none could be made"),
                );
            }
            continue;
        };
        let mut trial = subject.trial(cell(context), acting.statements);
        trial.given.extend(acting.given);
        trials.push(trial);
    }
    let replies = ground.app.all(&trials).await?;
    let mut judged = trials.iter().zip(&replies);
    let Some((trial, reply)) = judged.next() else { return Ok(()) };
    let first = own_act(trial, reply, rows);
    let control = match &first.outcome {
        Outcome::Held => Ok(first.control.clone()),
        Outcome::Untested { why } => Err(why.clone()),
        Outcome::Breached { how } => Err(how.clone()),
    };
    probes.push(first);
    for (trial, reply) in judged {
        let other = trial.cell.context == Context::Other;
        let probe = match &control {
            Err(why) => Case(trial.cell.clone()).untested(why.as_str()),
            Ok(control) if verb == Verb::OnConflict && other => met(ground, subject, trial, reply, control),
            Ok(control) => match judge(ground, trial, reply, control) {
                Some(probe) => probe,
                // A trigger refused the mixed row before the policy was asked. A row that is wholly the other's gives it
                // no reason to, so ask with that one.
                None if other => whole_row(ground, subject, trial, control).await?,
                None => Case(trial.cell.clone()).untested(TRIGGER),
            },
        };
        probes.push(probe);
    }
    Ok(())
}

const TRIGGER: &str = "a trigger refuses such a row before the policy is asked";

struct Acting {
    statements: Vec<Sql>,
    given: Vec<Given>,
}

async fn acts(
    ground: &Ground<'_>,
    subject: &Subject<'_>,
    verb: Verb,
    context: Context,
    own: &Side,
    rows: &Rows<'_>,
) -> Result<Option<Acting>, VerifyError> {
    let plain = |insert: Sql| Acting { statements: vec![insert], given: Vec::new() };
    Ok(match (verb, context) {
        (Verb::OnConflict, Context::Other) => meeting(ground, subject, own, rows).await?,
        (Verb::OnConflict, _) => {
            let insert = rows.insert_again(subject, &own.key, &[]);
            Some(Acting { statements: both(subject, &insert), given: Vec::new() })
        }
        (_, Context::Other) => {
            let Some(other) = &subject.other else { return Ok(None) };
            Some(plain(rows.insert(subject, &other.key, ATTEMPT, &[])))
        }
        _ => Some(plain(rows.insert(subject, &own.key, ATTEMPT, &[]))),
    })
}

/// A row of one's own that bears the key of a row of the other tenant.
async fn meeting(
    ground: &Ground<'_>,
    subject: &Subject<'_>,
    own: &Side,
    rows: &Rows<'_>,
) -> Result<Option<Acting>, VerifyError> {
    let (Some(key), Some(other)) = (subject.conflict_key(), &subject.other) else { return Ok(None) };
    let named = key.iter().filter(|column| *column != subject.column);
    if other.made {
        let over = rows.made_key(subject, named);
        return Ok(Some(Acting {
            statements: both(subject, &rows.insert_again(subject, &own.key, &over)),
            given: Vec::new(),
        }));
    }
    let text = sql!(
        "SELECT r::text FROM {} AS r WHERE {} = {} LIMIT 1",
        subject.table.name,
        subject.column,
        subject.value(&other.key)
    );
    let Some(row) = ask(ground.owner, &text).await? else { return Ok(None) };
    let literal = sql!("{}", Literal::text(row));
    let over: Vec<(Ident, Sql)> = named
        .map(|column| (column.clone(), sql!("({}::{}).{}", literal, subject.table.name, column)))
        .collect();
    let given = Given {
        variable: "bastide_theirs",
        tenant: other.key.clone(),
        query: sql!(
            "SELECT r::text AS bastide_theirs FROM {} AS r WHERE {} = {} LIMIT 1",
            subject.table.name,
            subject.column,
            subject.value(&other.key)
        ),
        literal,
    };
    let insert = rows.insert_again(subject, &own.key, &over);
    Ok(Some(Acting { statements: both(subject, &insert), given: vec![given] }))
}

/// DO NOTHING, then DO UPDATE, which says whose row it changed.
fn both(subject: &Subject<'_>, insert: &Sql) -> Vec<Sql> {
    let nothing = sql!("{} ON CONFLICT DO NOTHING", insert);
    vec![
        nothing,
        sql!("{}{} RETURNING {}::text", insert, conflict(subject, Verb::OnConflict), subject.column),
    ]
}

fn conflict(subject: &Subject<'_>, verb: Verb) -> Sql {
    match subject.conflict_key() {
        Some(key) if verb == Verb::OnConflict => {
            let column = subject.harmless_column();
            sql!(
                " ON CONFLICT ({}) DO UPDATE SET {} = {}.{}",
                join(key.iter(), ", "),
                column,
                subject.table.name.name,
                column
            )
        }
        _ => sql!(""),
    }
}

fn own_act(trial: &Trial, reply: &Reply, rows: &Rows<'_>) -> Probe {
    let case = Case(trial.cell.clone());
    let verb = trial.cell.verb.as_str().replace('_', " ");
    let made = if rows.is_made_up() { " (a row made up)" } else { "" };
    match reply {
        Ok(answer) if answer.affected() > 0 => {
            case.held(format!("the same {verb} for the tenant itself works{made}"))
        }
        Ok(_) => case.untested(format!("the same {verb} for the tenant itself wrote nothing")),
        Err(refusal) if refusal.constraint() => case.held(format!(
            "the same {verb} for the tenant itself passes the policy and meets {}{made}",
            refusal.code.code()
        )),
        Err(refusal) => {
            case.untested(format!("the same {verb} for the tenant itself was {}{made}", refusal.words()))
        }
    }
}

/// `None`: a trigger answered in the policy's place.
fn judge(ground: &Ground<'_>, trial: &Trial, reply: &Reply, control: &str) -> Option<Probe> {
    let case = Case(trial.cell.clone());
    let whose = if trial.cell.context == Context::Other {
        "for another tenant"
    } else {
        "without a tenant's context"
    };
    Some(match reply {
        Ok(answer) if answer.affected() == 0 => {
            case.untested("nothing was inserted, and nothing was refused")
        }
        Ok(_) => {
            let how = format!("a row was written {whose} (rolled back)");
            case.breached(how, control, ground.app.script(trial))
        }
        Err(refusal) if refusal.not_permitted() => case.held(control),
        Err(refusal) if refusal.constraint() => {
            let how =
                format!("the policy let the row in; only a constraint ({}) stopped it", refusal.code.code());
            case.breached(how, control, ground.app.script(trial))
        }
        Err(refusal) if trial.cell.context == Context::Malformed && !refusal.early && refusal.no_key() => {
            case.held(control)
        }
        Err(refusal) if refusal.passing() || refusal.early => case.refused(refusal),
        Err(_) => return None,
    })
}

/// A key of the other tenant's was met: its row must not have been changed. That the key is taken can be told, which is
/// what posture says of keys that span tenants.
fn met(ground: &Ground<'_>, subject: &Subject<'_>, trial: &Trial, reply: &Reply, control: &str) -> Probe {
    let case = Case(trial.cell.clone());
    let own = subject.own.as_ref().map(|side| side.key.as_str());
    match reply {
        Ok(answer) => {
            let changed = answer.results.last().map(|last| last.rows.as_slice()).unwrap_or_default();
            let theirs = |row: &Vec<Option<String>>| row.first().and_then(Option::as_deref) != own;
            if changed.iter().any(theirs) {
                let how = "a row of another tenant was changed through its key (rolled back)";
                return case.breached(how, control, ground.app.script(trial));
            }
            case.held(control)
        }
        Err(refusal) if refusal.not_permitted() || refusal.constraint() => case.held(control),
        Err(refusal) if refusal.code.code().starts_with("23") => {
            case.held(format!("{control}; a trigger refuses it ({})", refusal.code.code()))
        }
        Err(refusal) => case.refused(refusal),
    }
}

/// A row of the other tenant as it is, written once more.
async fn whole_row(
    ground: &Ground<'_>,
    subject: &Subject<'_>,
    refused: &Trial,
    control: &str,
) -> Result<Probe, VerifyError> {
    let case = Case(refused.cell.clone());
    let Some(other) = &subject.other else { return Ok(case.untested(TRIGGER)) };
    let text = sql!(
        "SELECT r::text FROM {} AS r WHERE {} = {} LIMIT 1",
        subject.table.name,
        subject.column,
        subject.value(&other.key)
    );
    let Some(row) = ask(ground.owner, &text).await? else { return Ok(case.untested(TRIGGER)) };
    let literal = sql!("{}", Literal::text(row));
    let columns = subject.copied_columns();
    let insert = sql!(
        "INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE SELECT {} FROM (SELECT {}::{} AS r) AS given",
        subject.table.name,
        join(columns.iter().copied(), ", "),
        join(columns.iter().copied().map(|column| sql!("(r).{}", column)), ", "),
        literal,
        subject.table.name
    );
    let mut trial = subject.trial(refused.cell.clone(), vec![insert]);
    trial.given.push(Given {
        variable: "bastide_theirs",
        tenant: other.key.clone(),
        query: sql!(
            "SELECT r::text AS bastide_theirs FROM {} AS r WHERE {} = {} LIMIT 1",
            subject.table.name,
            subject.column,
            subject.value(&other.key)
        ),
        literal,
    });
    let reply = ground.app.one(&trial).await?;
    Ok(judge(ground, &trial, &reply, control).unwrap_or_else(|| case.untested(TRIGGER)))
}

/// A row of one's own, given to the other tenant.
pub(super) async fn moved(ground: &Ground<'_>, subject: &Subject<'_>) -> Result<Option<Probe>, VerifyError> {
    let case = Case(ground.cell(subject, Verb::Move, Context::Other));
    let (Some(own), Some(other)) = (&subject.own, &subject.other) else { return Ok(None) };
    let statement = sql!(
        "UPDATE {} SET {} = {} WHERE {} = {} AND ctid = (SELECT ctid FROM {} WHERE {} = {} LIMIT 1)",
        subject.table.name,
        subject.column,
        subject.value(&other.key),
        subject.column,
        subject.value(&own.key),
        subject.table.name,
        subject.column,
        subject.value(&own.key)
    );
    let trial = subject.trial(case.0.clone(), vec![statement]);
    let reply = ground.app.one(&trial).await?;
    if !subject.reach.may("UPDATE") {
        return Ok(Some(super::none_possible(ground, &trial, &reply)));
    }
    let control = "the row is the tenant's own, and the UPDATE reaches it";
    Ok(Some(match &reply {
        Ok(answer) if answer.affected() == 0 => case.untested("no row of its own was reached"),
        Ok(_) => {
            let how = "a row was moved to another tenant (rolled back)";
            case.breached(how, control, ground.app.script(&trial))
        }
        Err(refusal) if refusal.constraint() => {
            let how =
                format!("the policy let a row move; only a constraint ({}) stopped it", refusal.code.code());
            case.breached(how, control, ground.app.script(&trial))
        }
        Err(refusal) if refusal.not_permitted() => case.held(control),
        // A trigger's own exception: refused before the policy was asked.
        Err(refusal) if refusal.code.code().starts_with("23") => {
            case.held(format!("{control}; a trigger refuses it ({})", refusal.code.code()))
        }
        Err(refusal) => case.refused(refusal),
    }))
}
