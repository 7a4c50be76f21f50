//! Views and materialised views in reach. The zero-row probe decides: through `security_invoker` it is refused like the
//! tables beneath. Where the view shows a tenant column, it is read and written in every context as a table is.

use std::collections::BTreeMap;

use bastide_catalog::View;
use bastide_record::{Cell, Context, Path, Verb};
use bastide_sql::{Ident, QualifiedName, sql};

use super::{
    Case, Ground,
    attempt::Trial,
    by_rows::{self, Target},
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
    if let (Some(subject), true) = (beneath, filtered) {
        let target = Target {
            subject,
            object: &object,
            path: Path::View,
            name: &view.name,
            column: subject.column,
            harmless: subject.column,
            is_table: false,
            returning_by_delete: false,
            filtered,
        };
        if may("SELECT") {
            by_rows::probe(ground, &target, Verb::Select, true, probes).await?;
            by_rows::probe(ground, &target, Verb::CopyOut, true, probes).await?;
        }
        for (verb, privilege) in [(Verb::Update, "UPDATE"), (Verb::Delete, "DELETE")] {
            if may(privilege) && !ground.production {
                by_rows::probe(ground, &target, verb, true, probes).await?;
            }
        }
        return Ok(());
    }
    if !may("SELECT") {
        return Ok(());
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
