//! Foreign keys as a way to another tenant: a row of one's own that refers to a row of somebody else's. PostgreSQL's own
//! check ignores row security, so only a key that includes the tenant refuses it.

use std::collections::BTreeMap;

use bastide_catalog::ForeignKey;
use bastide_record::{Cell, Context, Path, Verb};
use bastide_sql::{Ident, Literal, Sql, join, sql};

use super::{
    Case, Ground,
    attempt::Trial,
    rows::ATTEMPT,
    subject::{Side, Subject},
};
use crate::{Probe, VerifyError};

pub(super) async fn probe(
    ground: &Ground<'_>,
    subject: &Subject<'_>,
    probes: &mut Vec<Probe>,
) -> Result<(), VerifyError> {
    for link in &subject.table.foreign_keys {
        let Some(parent) = ground.posture.scoped.get(&link.references) else { continue };
        let free: Vec<&Ident> = link.columns.iter().filter(|column| *column != subject.column).collect();
        // The tenant's own key is the tenant column's business, and that is probed by itself.
        if free.is_empty() || link.inherited {
            continue;
        }
        let cell = |verb, context| Cell {
            object: format!("{}:{}", subject.object, link.name),
            path: Path::ForeignKey,
            verb,
            context,
        };
        let verb = match (subject.reach.may("INSERT"), subject.reach.may("UPDATE")) {
            (true, _) => Verb::Insert,
            (false, true) => Verb::Update,
            (false, false) => continue,
        };
        let other_case = Case(cell(verb, Context::Other));
        if let Some(accepted) = ground.posture.acceptance(&subject.table.name, &link.name) {
            probes
                .push(other_case.untested(format!("the foreign key does not include the tenant{accepted}")));
            continue;
        }
        let (Some(own), Some(other)) = (&subject.own, &subject.other) else {
            probes.push(other_case.untested("there are not two tenants to refer to"));
            continue;
        };
        let parents = async |side: &Side| {
            let whose = sql!("{} = {}", parent.tenant_column, subject.value(&side.key));
            Subject::one_row(ground.owner, &link.references, &link.referenced_columns, &whose).await
        };
        let (Some(mine), Some(theirs)) = (parents(own).await?, parents(other).await?) else {
            probes.push(
                other_case.untested(format!("two tenants do not both have rows in {}", link.references)),
            );
            continue;
        };
        let trials = [(Context::Own, &mine), (Context::Other, &theirs)].map(|(context, row)| {
            subject.trial(cell(verb, context), statements(subject, verb, own, &values(subject, link, row)))
        });
        let replies = ground.app.all(&trials).await?;
        let [own_trial, other_trial] = &trials;
        let [own_reply, other_reply] = replies.as_slice() else { continue };
        let case = Case(own_trial.cell.clone());
        let control = match own_reply {
            Ok(answer) if answer.affected_by(0) > 0 => {
                Ok("the same reference to a row of the tenant's own works".to_owned())
            }
            Ok(_) => Err("the same reference to a row of the tenant's own wrote nothing".to_owned()),
            Err(refusal)
                if refusal.constraint() && refusal.constraint.as_deref() != Some(link.name.as_str()) =>
            {
                Err(format!(
                    "the same reference to a row of the tenant's own meets another key ({})",
                    refusal.code.code()
                ))
            }
            Err(refusal) => {
                Err(format!("the same reference to a row of the tenant's own was {}", refusal.words()))
            }
        };
        match &control {
            Ok(control) => probes.push(case.held(control.as_str())),
            Err(why) => probes.push(case.untested(why.as_str())),
        }
        probes.push(judge(ground, link, other_trial, other_reply, control));
    }
    Ok(())
}

fn judge(
    ground: &Ground<'_>,
    link: &ForeignKey,
    trial: &Trial,
    reply: &super::attempt::Reply,
    control: Result<String, String>,
) -> Probe {
    let case = Case(trial.cell.clone());
    let pending = ground.posture.pending_cutover;
    match (reply, control) {
        // The keys that include the tenant come with cutover; until then posture calls this a state, too.
        (Ok(answer), _) if answer.affected_by(0) > 0 && pending => {
            case.untested("pending cutover, which brings the foreign key that includes the tenant")
        }
        (Ok(answer), control) if answer.affected_by(0) > 0 => {
            let how = format!(
                "a row of one's own refers to a row of another tenant's in {} (rolled back)",
                link.references
            );
            case.breached(how, control.unwrap_or_default(), ground.app.script(trial))
        }
        (_, Err(why)) => case.untested(why),
        (Ok(_), Ok(_)) => case.untested("nothing was written, and nothing was refused"),
        // The foreign key itself, or a sibling of it that includes the tenant, or a trigger in their place.
        (Err(refusal), Ok(control)) if !refusal.early && refusal.code.code() == "23503" => case.held(control),
        (Err(refusal), Ok(control)) if refusal.not_permitted() => case.held(control),
        (Err(refusal), _) => case.refused(refusal),
    }
}

fn values(
    subject: &Subject<'_>,
    link: &ForeignKey,
    row: &BTreeMap<Ident, Option<String>>,
) -> Vec<(Ident, Sql)> {
    let pairs = link.columns.iter().zip(&link.referenced_columns);
    pairs
        .filter(|(from, _)| *from != subject.column)
        .filter_map(|(from, to)| {
            let value = row.get(to)?.as_deref()?;
            let kind = &subject.table.column(from)?.type_name;
            Some((from.clone(), sql!("{}::{}", Literal::text(value), kind)))
        })
        .collect()
}

/// The write, then whatever it put off.
fn statements(subject: &Subject<'_>, verb: Verb, own: &Side, values: &[(Ident, Sql)]) -> Vec<Sql> {
    let write = match &subject.rows {
        Some(rows) if verb == Verb::Insert => {
            rows.row(subject, &own.key, ATTEMPT, values).insert(&subject.table.name)
        }
        _ => {
            let set = values.iter().map(|(column, value)| sql!("{} = {}", column, value));
            sql!(
                "UPDATE {} SET {} WHERE {} = {} AND ctid = (SELECT ctid FROM {} WHERE {} = {} LIMIT 1)",
                subject.table.name,
                join(set, ", "),
                subject.column,
                subject.value(&own.key),
                subject.table.name,
                subject.column,
                subject.value(&own.key)
            )
        }
    };
    vec![write, sql!("SET CONSTRAINTS ALL IMMEDIATE")]
}
