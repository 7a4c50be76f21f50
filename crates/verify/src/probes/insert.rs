//! Writing a row that is, or meets, another tenant's: INSERT, INSERT … ON CONFLICT, the INSERT of MERGE, and moving a row of
//! one's own over; into a table, or through a view of it.
//!
//! PostgreSQL checks the policy before constraints and indexes: 42501 is the policy's no, and a constraint's error means
//! that it said yes.

use bastide_record::{Context, Outcome, Verb};
use bastide_sql::{Ident, Sql, join, sql};

use super::{
    Case, Ground,
    attempt::{Answer, Given, Reply, Trial, set_tenant},
    by_rows::Target,
    rows::{ATTEMPT, Row, Rows},
    subject::{Side, Subject},
};
use crate::{Probe, VerifyError};

/// Every verb that writes a new row. Through a view only those that are granted there.
pub(super) async fn all(
    ground: &Ground<'_>,
    target: &Target<'_>,
    probes: &mut Vec<Probe>,
) -> Result<(), VerifyError> {
    for verb in [Verb::Insert, Verb::OnConflict, Verb::MergeInsert] {
        let has_key = || target.conflict_key().is_some();
        if (target.view.is_none() || may(ground, target, verb)) && (verb != Verb::OnConflict || has_key()) {
            probe(ground, target, verb, probes).await?;
        }
    }
    if target.view.is_none() || may(ground, target, Verb::Move) {
        probes.extend(moved(ground, target).await?);
    }
    Ok(())
}

fn may(ground: &Ground<'_>, target: &Target<'_>, verb: Verb) -> bool {
    let may = |privilege| ground.posture.reaches(target.name, privilege);
    match verb {
        Verb::Move => may("UPDATE") && (target.view.is_none() || may("SELECT")),
        Verb::OnConflict => may("INSERT") && may("UPDATE") && (target.view.is_none() || may("SELECT")),
        _ => may("INSERT"),
    }
}

/// One verb that writes a new row, in every context.
async fn probe(
    ground: &Ground<'_>,
    target: &Target<'_>,
    verb: Verb,
    probes: &mut Vec<Probe>,
) -> Result<(), VerifyError> {
    let subject = target.subject;
    let contexts = || Context::ALL.into_iter().take(Context::OF_EVERY_VERB);
    let not_own = || contexts().filter(|context| *context != Context::Own);
    if !may(ground, target, verb) {
        let refused = match verb {
            Verb::MergeInsert => sql!(
                "MERGE INTO {} AS target USING (VALUES (1)) AS given (bastide_probe) ON false
                 WHEN NOT MATCHED THEN INSERT DEFAULT VALUES",
                target.name
            ),
            _ => sql!("INSERT INTO {} DEFAULT VALUES{}", target.name, conflict(target, verb)),
        };
        let trials: Vec<_> = not_own()
            .map(|context| subject.trial(target.cell(verb, context), vec![refused.clone()]))
            .collect();
        for (trial, reply) in trials.iter().zip(ground.app.all(&trials).await?) {
            probes.push(super::none_possible(ground, trial, &reply));
        }
        return Ok(());
    }
    let (Some(own), Some(rows)) = (&subject.own, &subject.rows) else {
        let why = "the table is empty, and no row for it could be made up";
        probes.extend(not_own().map(|context| Case(target.cell(verb, context)).untested(why)));
        return Ok(());
    };
    let mut trials = Vec::new();
    for context in contexts() {
        let cell = target.cell(verb, context);
        let Some((statements, given)) = acts(ground, target, verb, context, own, rows).await? else {
            if context != Context::Other || subject.other.is_some() {
                probes.push(Case(cell).untested("the other tenant has no row here, and none could be made"));
            }
            continue;
        };
        let mut trial = subject.trial(cell, statements);
        trial.given.extend(given);
        trials.push(trial);
    }
    let replies = ground.app.all(&trials).await?;
    if let Some(refused) = super::unknown_to_it(ground, &trials, &replies) {
        probes.extend(refused);
        return Ok(());
    }
    let mut judged = trials.iter().zip(&replies);
    let Some((trial, reply)) = judged.next() else { return Ok(()) };
    let first = own_act(target, trial, reply, rows);
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
            Ok(control) => match judge(ground, target, trial, reply, control) {
                Some(probe) => probe,
                // A trigger refused the mixed row before the policy was asked. A row that is wholly the other's gives it
                // no reason to, so ask with that one.
                None if other => whole_row(ground, target, trial, control).await?,
                None => Case(trial.cell.clone()).untested(TRIGGER),
            },
        };
        probes.push(probe);
    }
    Ok(())
}

const TRIGGER: &str = "a trigger refuses such a row before the policy is asked";

type Acting = (Vec<Sql>, Option<Given>);

async fn acts(
    ground: &Ground<'_>,
    target: &Target<'_>,
    verb: Verb,
    context: Context,
    own: &Side,
    rows: &Rows<'_>,
) -> Result<Option<Acting>, VerifyError> {
    let subject = target.subject;
    Ok(match (verb, context) {
        (Verb::OnConflict, Context::Other) => meeting(ground, target, own, rows).await?,
        (Verb::OnConflict, _) => Some((both(target, rows.same_row(subject, &own.key, &[])), None)),
        (_, Context::Other) => subject
            .other
            .as_ref()
            .map(|other| (writes(target, verb, rows.row(subject, &other.key, ATTEMPT, &[]), other), None)),
        _ => Some((writes(target, verb, rows.row(subject, &own.key, ATTEMPT, &[]), own), None)),
    })
}

/// Writes the row, and looks what came of it where it would be: what a trigger or a rule of a view says it wrote is
/// no proof.
fn writes(target: &Target<'_>, verb: Verb, row: Row<'_>, whose: &Side) -> Vec<Sql> {
    let row = row.only(|column| target.shows(column));
    let write = if verb == Verb::MergeInsert { row.merge(target.name) } else { row.insert(target.name) };
    target.looked_at(write, whose)
}

/// A row of one's own that bears the key of a row of the other tenant.
async fn meeting(
    ground: &Ground<'_>,
    target: &Target<'_>,
    own: &Side,
    rows: &Rows<'_>,
) -> Result<Option<Acting>, VerifyError> {
    let subject = target.subject;
    let (Some(key), Some(other)) = (target.conflict_key(), &subject.other) else { return Ok(None) };
    let named = key.iter().filter(|column| *column != subject.column);
    if other.made {
        let over = rows.made_key(subject, named);
        return Ok(Some((both(target, rows.same_row(subject, &own.key, &over)), None)));
    }
    let Some(given) = subject.whole(ground.owner, other, "bastide_theirs").await? else { return Ok(None) };
    let over: Vec<(Ident, Sql)> = named
        .map(|column| (column.clone(), sql!("({}::{}).{}", given.literal, subject.table.name, column)))
        .collect();
    Ok(Some((both(target, rows.same_row(subject, &own.key, &over)), Some(given))))
}

/// DO NOTHING, then DO UPDATE, which says whose row it changed.
fn both(target: &Target<'_>, row: Row<'_>) -> Vec<Sql> {
    let insert = row.only(|column| target.shows(column)).insert(target.name);
    let update = conflict(target, Verb::OnConflict);
    vec![
        sql!("{} ON CONFLICT DO NOTHING", insert),
        sql!("{}{} RETURNING {}::text", insert, update, target.column),
    ]
}

fn conflict(target: &Target<'_>, verb: Verb) -> Sql {
    match target.conflict_key() {
        Some(key) if verb == Verb::OnConflict => {
            let column = target.harmless;
            sql!(
                " ON CONFLICT ({}) DO UPDATE SET {} = {}.{}",
                join(key.iter(), ", "),
                column,
                target.name.name,
                column
            )
        }
        _ => sql!(""),
    }
}

fn own_act(target: &Target<'_>, trial: &Trial, reply: &Reply, rows: &Rows<'_>) -> Probe {
    let case = Case(trial.cell.clone());
    let verb = trial.cell.verb.as_str().replace('_', " ");
    let made = if rows.is_made_up() { " (a row made up)" } else { "" };
    match reply {
        Ok(answer) if written(target, trial, answer) > 0 => {
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

/// Rows of the tenant whose the new one would be.
fn written(target: &Target<'_>, trial: &Trial, answer: &Answer) -> u64 {
    if trial.cell.verb == Verb::OnConflict || !target.looks() {
        return answer.affected();
    }
    let subject = target.subject;
    let whose = if trial.cell.context == Context::Other { &subject.other } else { &subject.own };
    let made = whose.as_ref().map_or(0, |side| u64::from(side.made));
    answer.number(0).saturating_sub(made)
}

/// `None`: a trigger answered in the policy's place.
fn judge(
    ground: &Ground<'_>,
    target: &Target<'_>,
    trial: &Trial,
    reply: &Reply,
    control: &str,
) -> Option<Probe> {
    let case = Case(trial.cell.clone());
    let whose = if trial.cell.context == Context::Other {
        "for another tenant"
    } else {
        "without a tenant's context"
    };
    Some(match reply {
        Ok(answer) if written(target, trial, answer) == 0 && target.looks() => {
            case.held(format!("{control}; this one came to nothing"))
        }
        Ok(answer) if written(target, trial, answer) == 0 => {
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
    target: &Target<'_>,
    refused: &Trial,
    control: &str,
) -> Result<Probe, VerifyError> {
    let (case, subject) = (Case(refused.cell.clone()), target.subject);
    let Some(other) = &subject.other else { return Ok(case.untested(TRIGGER)) };
    let Some(given) = subject.whole(ground.owner, other, "bastide_theirs").await? else {
        return Ok(case.untested(TRIGGER));
    };
    let statements = writes(target, refused.cell.verb, Row::whole(subject, &given), other);
    let mut trial = subject.trial(refused.cell.clone(), statements);
    trial.given.push(given);
    let reply = ground.app.one(&trial).await?;
    Ok(judge(ground, target, &trial, &reply, control).unwrap_or_else(|| case.untested(TRIGGER)))
}

/// A row of one's own, given to the other tenant.
async fn moved(ground: &Ground<'_>, target: &Target<'_>) -> Result<Option<Probe>, VerifyError> {
    let subject = target.subject;
    let case = Case(target.cell(Verb::Move, Context::Other));
    let (Some(_), Some(other)) = (&subject.own, &subject.other) else { return Ok(None) };
    let update = sql!(
        "UPDATE {} SET {} = {} WHERE {}",
        target.name,
        target.column,
        subject.value(&other.key),
        target.one_of_its_own()
    );
    let trial = subject.trial(case.0.clone(), target.looked_at(update, other));
    let reply = ground.app.one(&trial).await?;
    if !may(ground, target, Verb::Move) {
        return Ok(Some(super::none_possible(ground, &trial, &reply)));
    }
    let control = "the row is the tenant's own, and the UPDATE reaches it";
    Ok(Some(match &reply {
        Ok(answer) if answer.affected_by(0) == 0 => case.untested("no row of its own was reached"),
        Ok(answer) if written(target, &trial, answer) == 0 => {
            case.held(format!("{control}; it is nobody else's for it"))
        }
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

impl<'a> Target<'a> {
    /// The columns of a key that ON CONFLICT can name here.
    fn conflict_key(&self) -> Option<&'a [Ident]> {
        self.subject.conflict_key().filter(|key| key.iter().all(|column| self.shows(column)))
    }

    /// Whether what a statement says it wrote is looked at again: through a view it may be a trigger that says so.
    fn looks(&self) -> bool {
        self.view.is_some() && self.subject.reach.may("SELECT")
    }

    /// A statement, and then, as the tenant whose they would be, the rows this transaction wrote.
    fn looked_at(&self, statement: Sql, whose: &Side) -> Vec<Sql> {
        if !self.looks() {
            return vec![statement];
        }
        let subject = self.subject;
        let count = sql!(
            "SELECT count(*) FROM {} WHERE {} = {} AND xmin = pg_catalog.pg_current_xact_id()::xid",
            subject.table.name,
            subject.column,
            subject.value(&whose.key)
        );
        vec![statement, set_tenant(&whose.key), count]
    }
}
