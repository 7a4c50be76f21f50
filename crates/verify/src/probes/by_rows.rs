//! Verbs that are aimed at rows: reading, copying out, and writing what is there. Aimed at one's own they must succeed;
//! everywhere else they must touch nothing.

use bastide_catalog::View;
use bastide_record::{Context, Outcome, Path, Verb};
use bastide_sql::{Ident, QualifiedName, Sql, sql};

use super::{
    Case, Ground,
    attempt::{Act, Reply, Trial},
    subject::Subject,
};
use crate::{Probe, VerifyError};

/// Enough to prove a breach; counting a whole table would only take longer.
const LIMIT: u32 = 1000;

/// A table or a view with a tenant column, as the verbs need it.
pub(super) struct Target<'a> {
    pub(super) subject: &'a Subject<'a>,
    pub(super) object: &'a str,
    pub(super) path: Path,
    pub(super) name: &'a QualifiedName,
    /// The tenant column.
    pub(super) column: &'a Ident,
    /// A column that may be set to itself.
    pub(super) harmless: &'a Ident,
    /// A view has no `ctid`, so there one row cannot be told from the others.
    pub(super) view: Option<&'a View>,
    pub(super) returning_by_delete: bool,
    /// What its zero-row probe said: where that held, no row seen without a context needs no other control.
    pub(super) filtered: bool,
}

/// Which rows a statement is aimed at.
#[derive(Clone, Copy)]
enum Aim {
    OneOwn,
    AllOwn,
    Theirs,
    All,
}

/// Probes one verb in every context. `control`: what is known already of one's own rows, when the verb is not tried there.
pub(super) async fn probe(
    ground: &Ground<'_>,
    target: &Target<'_>,
    verb: Verb,
    allowed: bool,
    probes: &mut Vec<Probe>,
) -> Result<(), VerifyError> {
    let subject = target.subject;
    let (Some(own), other) = (&subject.own, &subject.other) else { return Ok(()) };
    let contexts = contexts_of(verb).filter(|context| match context {
        // Without the privilege there is nothing to succeed.
        Context::Own => allowed,
        Context::Other => other.is_some(),
        Context::AfterDiscard => ground.app.may_discard(),
        _ => true,
    });
    let trials: Vec<Trial> = contexts
        .map(|context| {
            let statement = statement(ground, target, verb, aim(verb, context));
            let mut trial = subject.trial(target.cell(verb, context), vec![statement.clone()]);
            if verb == Verb::CopyOut {
                trial.act = Act::CopyOut(statement);
            }
            trial
        })
        .collect();
    // What takes too long once would each time, and whoever shares the server would notice.
    let (first, rest) = trials.split_at(trials.len().min(1));
    let mut replies = ground.app.all(first).await?;
    let gave_up = replies.iter().any(|reply| matches!(reply, Err(refusal) if refusal.passing()));
    let (rest, left): (Vec<_>, Vec<_>) =
        rest.iter().cloned().partition(|trial| !gave_up || trial.cell.never_untested());
    replies.extend(ground.app.all(&rest).await?);
    let left =
        left.into_iter().map(|trial| Case(trial.cell).untested("not tried: the first attempt gave up"));
    probes.extend(left);
    let trials: Vec<Trial> = first.iter().cloned().chain(rest).collect();
    if let Some(refused) = super::unknown_to_it(ground, &trials, &replies) {
        probes.extend(refused);
        return Ok(());
    }
    let mut judged = trials.iter().zip(&replies).peekable();
    let control = if allowed {
        let Some((trial, reply)) = judged.next_if(|(trial, _)| trial.cell.context == Context::Own) else {
            return Ok(());
        };
        let case = Case(trial.cell.clone());
        let probe = if verb == Verb::Select {
            own_rows(ground, target, &case, trial, reply).await?
        } else {
            own_act(&case, verb, reply, own.seen() > 0)
        };
        let control = match &probe.outcome {
            Outcome::Held => Ok(probe.control.clone()),
            Outcome::Untested { why } => Err(why.clone()),
            Outcome::Breached { how } => Err(how.clone()),
        };
        probes.push(probe);
        control
    } else {
        Ok("none possible: the application has no such privilege".to_owned())
    };
    for (trial, reply) in judged {
        let control = match (trial.cell.context, other) {
            (Context::Other, Some(side)) if allowed && side.seen() == 0 => {
                control.clone().map(|control| format!("{control}; the other tenant has no row here"))
            }
            _ => control.clone(),
        };
        probes.push(judge(ground, target, trial, reply, &control));
    }
    Ok(())
}

/// A read is tried in all there are.
fn contexts_of(verb: Verb) -> impl Iterator<Item = Context> {
    let tried = if verb == Verb::Select { Context::ALL.len() } else { Context::OF_EVERY_VERB };
    Context::ALL.into_iter().take(tried)
}

fn aim(verb: Verb, context: Context) -> Aim {
    match (context, verb) {
        (Context::Own, Verb::Select | Verb::CopyOut) => Aim::AllOwn,
        (Context::Own, _) => Aim::OneOwn,
        (Context::Other, _) => Aim::Theirs,
        _ => Aim::All,
    }
}

fn statement(ground: &Ground<'_>, target: &Target<'_>, verb: Verb, aim: Aim) -> Sql {
    let (name, column, harmless) = (target.name, target.column, target.harmless);
    let condition = target.condition(aim);
    match verb {
        Verb::Select if matches!(aim, Aim::AllOwn) => own_count(ground, target),
        Verb::CopyOut => match aim {
            Aim::Theirs => sql!("COPY (SELECT * FROM {} WHERE {}) TO STDOUT", name, condition),
            // In production it would stream a whole tenant; there, and without a context, a few rows prove as much.
            _ if target.is_whole_table() && !ground.production => sql!("COPY {} TO STDOUT", name),
            _ => sql!("COPY (SELECT * FROM {} LIMIT {}) TO STDOUT", name, LIMIT),
        },
        Verb::Update => sql!("UPDATE {} SET {} = {} WHERE {}", name, harmless, harmless, condition),
        Verb::Delete => sql!("DELETE FROM {} WHERE {}", name, condition),
        Verb::Returning if target.returning_by_delete => {
            sql!("DELETE FROM {} WHERE {} RETURNING {}", name, condition, column)
        }
        Verb::Returning => {
            sql!("UPDATE {} SET {} = {} WHERE {} RETURNING {}", name, harmless, harmless, condition, column)
        }
        Verb::Merge => sql!(
            "MERGE INTO {} AS target USING (VALUES (1)) AS given (bastide_probe) ON {} WHEN MATCHED THEN UPDATE SET {} = target.{}",
            name,
            target.merge_condition(aim),
            harmless,
            harmless
        ),
        _ => sql!("SELECT count(*) FROM (SELECT FROM {} WHERE {} LIMIT {}) AS seen", name, condition, LIMIT),
    }
}

/// As a tenant: no row of anybody else, and as many as the owner counts.
fn own_count(ground: &Ground<'_>, target: &Target<'_>) -> Sql {
    let own = target.own();
    let rows = if ground.production || !target.is_table() {
        sql!("(SELECT {} FROM {} LIMIT {})", target.column, target.name, LIMIT)
    } else {
        sql!("{}", target.name)
    };
    sql!(
        "SELECT count(*), count(*) FILTER (WHERE {} IS DISTINCT FROM {}) FROM {} AS seen",
        target.column,
        own,
        rows
    )
}

async fn own_rows(
    ground: &Ground<'_>,
    target: &Target<'_>,
    case: &Case,
    trial: &Trial,
    reply: &Reply,
) -> Result<Probe, VerifyError> {
    let Some(own) = &target.subject.own else { return Ok(case.untested("the table is empty")) };
    let answer = match reply {
        Ok(answer) => answer,
        Err(refusal) => return Ok(case.refused(refusal)),
    };
    let (seen, foreign) = (answer.number(0), answer.number(1));
    if foreign > 0 {
        let how = format!("{foreign} of the {seen} rows seen belong to other tenants");
        return Ok(case.breached(how, "", ground.app.script(trial)));
    }
    if own.seen() == 0 {
        return Ok(case.held("the table is empty, so only the zero-row probe proves that it is filtered"));
    }
    if ground.production || !target.is_table() {
        return Ok(if seen > 0 {
            case.held(format!("as a tenant it sees rows ({seen} looked at), all of that tenant"))
        } else if target.is_table() {
            case.untested("the tenant has rows, but the application sees none of them")
        } else {
            case.held(
                "the view shows this tenant no row, so only the zero-row probe proves that it is filtered",
            )
        });
    }
    let made = u64::from(own.made);
    // The shop goes on selling between two counts: one that differs is taken again.
    let counted =
        if seen == own.seen() { seen } else { target.subject.count(ground.owner, &own.key).await? + made };
    let remark = if own.made { ", one of them made for the attempt" } else { "" };
    Ok(if seen == 0 {
        case.untested(format!("the owner counts {counted} rows of the tenant, the application sees none"))
    } else if seen == counted || seen == own.seen() {
        case.held(format!("as that tenant it sees {seen} rows, as many as the owner counts{remark}"))
    } else {
        case.untested(format!("the owner counts {counted} rows of the tenant, the application sees {seen}"))
    })
}

/// A row of one's own can be had: it is changed, or only a constraint of the server's stands in the way.
fn own_act(case: &Case, verb: Verb, reply: &Reply, has_rows: bool) -> Probe {
    match reply {
        Ok(answer) if answer.affected() > 0 => match verb {
            Verb::CopyOut => case.held(format!("as a tenant it copies {} rows", answer.affected())),
            _ => case.held(format!("{verb} of a row of its own works")),
        },
        Ok(_) if !has_rows => case.untested("the table is empty, and no row could be made in it"),
        Ok(_) => case.untested(format!(
            "{verb} of a row of its own touched nothing, so refusing the other's proves nothing"
        )),
        Err(refusal) if refusal.constraint() => case.held(format!(
            "{verb} of a row of its own reaches it, and stops at a constraint ({})",
            refusal.code.code()
        )),
        Err(refusal) => case.untested(format!("{verb} of a row of its own was {}", refusal.words())),
    }
}

fn judge(
    ground: &Ground<'_>,
    target: &Target<'_>,
    trial: &Trial,
    reply: &Reply,
    control: &Result<String, String>,
) -> Probe {
    let case = Case(trial.cell.clone());
    let verb = trial.cell.verb;
    let said = || control.clone().unwrap_or_default();
    let breached = |how: String| case.breached(how, said(), ground.app.script(trial));
    let held = || match control {
        Ok(control) => case.held(control.as_str()),
        Err(why) if target.filtered && trial.cell.never_untested() => {
            case.held(format!("the zero-row probe shows that it is filtered; as a tenant: {why}"))
        }
        Err(why) => case.untested(format!("nothing was touched, but the control failed: {why}")),
    };
    match reply {
        Ok(answer) => {
            let rows = if verb == Verb::Select { answer.number(0) } else { answer.affected() };
            let more = if rows == u64::from(LIMIT) { " or more" } else { "" };
            match (rows, verb) {
                (0, _) => held(),
                (_, Verb::Select) => breached(format!("{rows} rows seen{more}")),
                (_, Verb::CopyOut) => breached(format!("{rows} rows copied out{more}")),
                _ => breached(format!("{rows} rows of others could be changed (rolled back)")),
            }
        }
        Err(refusal) if refusal.constraint() => breached(format!(
            "rows of others were reached; only a constraint ({}) stopped it",
            refusal.code.code()
        )),
        Err(refusal) if refusal.not_permitted() => held(),
        // A malformed context fails in the cast, before any row is looked at.
        Err(refusal) if trial.cell.context == Context::Malformed && !refusal.early && refusal.no_key() => {
            held()
        }
        Err(refusal) => case.refused(refusal),
    }
}

impl Target<'_> {
    pub(super) fn cell(&self, verb: Verb, context: Context) -> bastide_record::Cell {
        bastide_record::Cell { object: self.object.to_owned(), path: self.path, verb, context }
    }

    fn own(&self) -> Sql {
        self.subject.own.as_ref().map_or_else(|| sql!("NULL"), |side| self.subject.value(&side.key))
    }

    fn theirs(&self) -> Sql {
        self.subject.other.as_ref().map_or_else(|| sql!("NULL"), |side| self.subject.value(&side.key))
    }

    fn is_table(&self) -> bool {
        self.view.is_none()
    }

    pub(super) fn shows(&self, column: &Ident) -> bool {
        self.view.is_none_or(|view| view.columns.iter().any(|shown| shown.name == *column))
    }

    /// `COPY t TO` is for plain tables alone.
    fn is_whole_table(&self) -> bool {
        self.is_table() && self.subject.table.kind != bastide_catalog::TableKind::Partitioned
    }

    pub(super) fn one_of_its_own(&self) -> Sql {
        self.condition(Aim::OneOwn)
    }

    fn one_own(&self) -> Sql {
        sql!("(SELECT ctid FROM {} WHERE {} = {} LIMIT 1)", self.name, self.column, self.own())
    }

    fn condition(&self, aim: Aim) -> Sql {
        match aim {
            Aim::OneOwn if self.is_table() => {
                sql!("ctid = {} AND {} = {}", self.one_own(), self.column, self.own())
            }
            Aim::OneOwn | Aim::AllOwn => sql!("{} = {}", self.column, self.own()),
            Aim::Theirs => sql!("{} = {}", self.column, self.theirs()),
            Aim::All => sql!("true"),
        }
    }

    fn merge_condition(&self, aim: Aim) -> Sql {
        match aim {
            Aim::OneOwn if self.is_table() => {
                sql!("target.ctid = {} AND target.{} = {}", self.one_own(), self.column, self.own())
            }
            Aim::OneOwn | Aim::AllOwn => sql!("target.{} = {}", self.column, self.own()),
            Aim::Theirs => sql!("target.{} = {}", self.column, self.theirs()),
            Aim::All => sql!("true"),
        }
    }
}
