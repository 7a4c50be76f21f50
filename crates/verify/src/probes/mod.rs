//! Probes: one file per family. Each attempt stands beside the same act where it must succeed, because a login that can
//! do nothing at all would hold against everything.
//!
//! The rule of every family: *held* needs its positive control, *breached* carries a script, and whatever kept us from
//! asking is *untested* with the reason.

mod attempt;
mod closed;
mod copy;
mod insert;
mod read;
mod session;
mod subject;
mod truncate;
mod unscoped;
mod view;
mod write;
mod zero_row;

use bastide_catalog::TableKind;
use bastide_sql::{Ident, Sql};
use tokio_postgres::Client;

use self::{
    attempt::{Actor, Context, Refusal},
    subject::Subject,
};
use crate::{Finding, Options, Outcome, Posture, Probe, Progress, Severity, VerifyError, app::AppSession};

/// What every family is given.
struct Ground<'a> {
    owner: &'a Client,
    app: Actor<'a>,
    posture: &'a Posture,
    production: bool,
}

/// Which attempt a probe is about.
struct Case<'a> {
    object: &'a str,
    verb: &'static str,
    context: &'static str,
}

impl Case<'_> {
    fn held(&self, control: impl Into<String>) -> Probe {
        self.probe(Outcome::Held, control.into(), None)
    }

    fn breached(&self, how: impl Into<String>, control: impl Into<String>, script: String) -> Probe {
        self.probe(Outcome::Breached { how: how.into() }, control.into(), Some(script))
    }

    fn untested(&self, why: impl Into<String>) -> Probe {
        self.probe(Outcome::Untested { why: why.into() }, String::new(), None)
    }

    fn refused(&self, refusal: &Refusal) -> Probe {
        self.untested(refusal.words())
    }

    fn probe(&self, outcome: Outcome, control: String, reproduce: Option<String>) -> Probe {
        Probe {
            object: self.object.to_owned(),
            verb: self.verb.to_owned(),
            context: self.context.to_owned(),
            outcome,
            control,
            reproduce,
        }
    }
}

impl Ground<'_> {
    async fn attempt(
        &self,
        object: &str,
        context: &Context,
        statements: &[Sql],
    ) -> Result<attempt::Reply, VerifyError> {
        self.app.attempt(object, context, statements).await
    }
}

/// Probes every object the application can reach, and every table it must not.
pub(crate) async fn run(
    owner: &Client,
    session: &AppSession,
    posture: &Posture,
    options: Options<'_>,
) -> Result<Vec<Probe>, VerifyError> {
    let production = options.production;
    let ground = Ground { owner, app: Actor::new(session, owner, production), posture, production };
    let total = posture.catalog.tables.len() + posture.catalog.views.len();
    let mut probes = Vec::new();
    let mut best: Option<Subject<'_>> = None;
    for (done, table) in posture.catalog.tables.values().enumerate() {
        let object = table.name.to_string();
        options.report(Progress::Probing { object: &object, done, total });
        let scoped = posture.scoped.get(&table.name);
        if !posture.reach.contains_key(&table.name) {
            probes.push(closed::probe(&ground, &table.name).await?);
        } else if table.kind == TableKind::Foreign {
            let case = Case { object: &object, verb: "zero_row", context: "none" };
            probes.push(case.untested("row security does not reach the foreign server its rows are on"));
        } else if let Some(scoped) = scoped {
            let chosen = Subject::choose(owner, posture, table, scoped, production).await?;
            let Some(subject) = chosen else { continue };
            table_probes(&ground, &subject, &mut probes).await?;
            if serves_better(&subject, best.as_ref()) {
                best = Some(subject);
            }
        } else {
            probes.extend(unscoped::probe(&ground, table).await?);
        }
    }
    for (at, view) in posture.catalog.views.values().enumerate() {
        let object = view.name.to_string();
        options.report(Progress::Probing { object: &object, done: posture.catalog.tables.len() + at, total });
        if posture.reach.contains_key(&view.name) {
            view::probe(&ground, view, &mut probes).await?;
        } else {
            probes.push(closed::probe(&ground, &view.name).await?);
        }
    }
    closed::kept(&ground, &mut probes).await?;
    session::probe(&ground, best.as_ref(), &mut probes).await?;
    Ok(probes)
}

/// The session families need one table with rows of two tenants, the fewer the better.
fn serves_better(subject: &Subject<'_>, best: Option<&Subject<'_>>) -> bool {
    let rows = |subject: &Subject<'_>| match (&subject.own, &subject.other) {
        (Some(own), Some(other)) if subject.reach.may("SELECT") => Some((other.rows == 0, own.rows)),
        _ => None,
    };
    match (rows(subject), best.and_then(rows)) {
        (Some(new), Some(old)) => new < old,
        (new, None) => new.is_some(),
        (None, Some(_)) => false,
    }
}

async fn table_probes(
    ground: &Ground<'_>,
    subject: &Subject<'_>,
    probes: &mut Vec<Probe>,
) -> Result<(), VerifyError> {
    probes.push(
        zero_row::probe(ground, &subject.object, &subject.table.name, subject.reach.may("SELECT")).await?,
    );
    if subject.reach.may("SELECT") {
        read::probe(ground, subject, probes).await?;
        copy::out(ground, subject, probes).await?;
    }
    probes.push(truncate::probe(ground, subject).await?);
    if ground.production {
        return Ok(());
    }
    write::probe(ground, subject, probes).await?;
    insert::probe(ground, subject, probes).await?;
    copy::into(ground, subject, probes).await
}

/// A breach of what posture found nothing wrong with is a gap in posture, and says so.
pub(crate) fn compare(probes: &mut [Probe], findings: &[Finding], app: &Ident) {
    for probe in probes {
        let Outcome::Breached { how } = &mut probe.outcome else { continue };
        let explained = findings.iter().any(|finding| {
            finding.severity > Severity::Info
                && (finding.object == probe.object || finding.object == app.to_string())
        });
        if !explained {
            how.push_str("; posture found nothing wrong with it, so a check is missing: please report this");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn breach(object: &str) -> Probe {
        Case { object, verb: "select", context: "none" }.breached("5 rows seen", "", String::new())
    }

    #[test]
    fn a_breach_without_a_finding_says_that_posture_missed_it() {
        let finding = Finding {
            id: "BST-001".to_owned(),
            severity: Severity::Critical,
            object: "public.orders".to_owned(),
            message: String::new(),
            mend: String::new(),
            pending_cutover: false,
        };
        let mut probes = vec![breach("public.orders"), breach("public.lines")];
        compare(&mut probes, &[finding], &Ident::constant("bastide_app"));
        let said =
            |probe: &Probe| matches!(&probe.outcome, Outcome::Breached { how } if how.contains("posture"));
        assert_eq!(probes.iter().map(said).collect::<Vec<_>>(), [false, true]);
    }
}
