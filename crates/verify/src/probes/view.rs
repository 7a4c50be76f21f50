//! Views and materialised views in reach. The zero-row probe decides: through `security_invoker` it is refused like the
//! tables beneath. Where the view shows a tenant column, it is read and, where that is granted, written in every context as a
//! table is.

use std::collections::BTreeMap;

use bastide_catalog::View;
use bastide_record::{Cell, Context, Path, Verb};
use bastide_sql::{Ident, QualifiedName, sql};

use super::{
    Case, Ground,
    attempt::Trial,
    by_rows::{self, Target},
    insert,
    subject::Subject,
    zero_row,
};
use crate::{Outcome, Probe, VerifyError};

pub(super) async fn probe(
    ground: &Ground<'_>,
    view: &View,
    subjects: &BTreeMap<&QualifiedName, Subject<'_>>,
    probes: &mut Vec<Probe>,
) -> Result<(), VerifyError> {
    let object = view.name.to_string();
    let reads = ground.posture.scoped_reads(&view.name);
    let cell = |verb, context| Cell { object: object.clone(), path: Path::View, verb, context };
    let case = Case(cell(Verb::Select, Context::Unset));
    if reads.is_empty() {
        let trial = Trial::new(case.0.clone(), "", vec![sql!("SELECT FROM {} LIMIT 0", view.name)]);
        probes.push(match ground.app.one(&trial).await? {
            Err(refusal) if !refusal.not_permitted() => case.refused(&refusal),
            _ => case.held("it reads no scoped table: every tenant sees the same rows"),
        });
        return Ok(());
    }
    let may = |privilege| ground.posture.reaches(&view.name, privilege);
    let zero =
        zero_row::probe(ground, cell(Verb::ZeroRow, Context::Unset), &view.name, may("SELECT")).await?;
    let filtered = zero.outcome == Outcome::Held;
    probes.push(zero);
    let shown = |column: &Ident| view.columns.iter().any(|shown| shown.name == *column);
    let tenant: Option<&Ident> = reads
        .iter()
        .filter_map(|name| ground.posture.scoped.get(*name))
        .map(|scoped| &scoped.tenant_column)
        .find(|column| shown(column));
    let beneath = reads
        .iter()
        .filter_map(|name| subjects.get(name))
        .find(|subject| shown(subject.column) && subject.own.is_some());
    let target = beneath.map(|subject| Target {
        subject,
        object: &object,
        path: Path::View,
        name: &view.name,
        column: subject.column,
        harmless: subject.column,
        view: Some(view),
        returning_by_delete: !may("UPDATE"),
        filtered,
    });
    if !ground.production {
        writes(ground, view, target.as_ref(), probes).await?;
    }
    if !may("SELECT") {
        return Ok(());
    }
    if let (Some(target), true) = (&target, filtered) {
        by_rows::probe(ground, target, Verb::Select, true, probes).await?;
        return by_rows::probe(ground, target, Verb::CopyOut, true, probes).await;
    }
    let statement = match tenant {
        Some(column) => {
            sql!(
                "SELECT count(*) FROM (SELECT FROM {} WHERE {} IS NOT NULL LIMIT 1000) AS seen",
                view.name,
                column
            )
        }
        None => sql!("SELECT count(*) FROM (SELECT FROM {} LIMIT 1000) AS seen", view.name),
    };
    let trial = Trial::new(case.0.clone(), "", vec![statement]);
    probes.push(match ground.app.one(&trial).await? {
        Err(refusal) if refusal.not_permitted() && filtered => case.held("it may not be read through"),
        Err(refusal) => case.refused(&refusal),
        Ok(answer) if answer.number(0) == 0 && filtered => {
            case.held("the zero-row probe shows that it is filtered")
        }
        Ok(answer) if filtered && tenant.is_none() => case.held(format!(
            "the zero-row probe shows that it is filtered; the {} rows it gives are aggregates or of shared tables",
            answer.number(0)
        )),
        Ok(answer) if answer.number(0) == 0 => {
            case.untested("no row seen, but nothing filters the view either")
        }
        Ok(answer) => {
            let how = format!("{} rows seen", answer.number(0));
            case.breached(how, "", ground.app.script(&trial))
        }
    });
    Ok(())
}

/// What is granted, whoever it is that writes in the end: the caller, a trigger, or a rule.
async fn writes(
    ground: &Ground<'_>,
    view: &View,
    target: Option<&Target<'_>>,
    probes: &mut Vec<Probe>,
) -> Result<(), VerifyError> {
    let may = |privilege| ground.posture.reaches(&view.name, privilege);
    let Some(target) = target else {
        let granted = [(Verb::Insert, "INSERT"), (Verb::Update, "UPDATE"), (Verb::Delete, "DELETE")];
        let granted = granted.into_iter().filter(|(_, privilege)| may(privilege));
        let why = "it shows the tenant of no table that the application reaches, so whose a row would be is not known";
        probes.extend(granted.map(|(verb, _)| {
            let object = view.name.to_string();
            Case(Cell { object, path: Path::View, verb, context: Context::Other }).untested(why)
        }));
        return Ok(());
    };
    let verbs = [
        (Verb::Update, may("UPDATE") && may("SELECT")),
        (Verb::Returning, (may("UPDATE") || may("DELETE")) && may("SELECT")),
        (Verb::Merge, may("UPDATE") && may("SELECT")),
        (Verb::Delete, may("DELETE") && may("SELECT")),
    ];
    for (verb, _) in verbs.into_iter().filter(|(_, granted)| *granted) {
        by_rows::probe(ground, target, verb, true, probes).await?;
    }
    insert::all(ground, target, probes).await
}
