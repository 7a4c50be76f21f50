//! Probes: one file per family. Each attempt stands beside the same act where it must succeed, because a login that can
//! do nothing at all would hold against everything.
//!
//! The rule of every family: *held* needs its positive control, *breached* carries a script, and whatever kept us from
//! asking is *untested* with the reason.

mod attempt;
mod by_rows;
mod carried;
mod closed;
mod copy_in;
mod cursor;
mod forged;
mod function;
mod insert;
mod link;
mod refusal;
mod rows;
mod seals;
mod session;
mod subject;
mod truncate;
mod unscoped;
mod view;
mod zero_row;

use std::collections::{BTreeMap, BTreeSet};

use bastide_catalog::{Table, TableKind};
use bastide_connect::Target as Login;
use bastide_record::{Cell, Context, Path, Verb};
use bastide_sql::sql;
use tokio_postgres::Client;

use self::{
    attempt::{Actor, Reply, Trial},
    by_rows::Target,
    refusal::Refusal,
    seals::Seals,
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
struct Case(Cell);

impl Case {
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
        Probe { cell: self.0.clone(), outcome, control, reproduce }
    }
}

impl Ground<'_> {
    fn cell_of(&self, table: &Table, verb: Verb, context: Context) -> Cell {
        let path = if table.parents.is_empty() { Path::Table } else { Path::Partition };
        Cell { object: table.name.to_string(), path, verb, context }
    }

    fn major(&self) -> u32 {
        self.posture.catalog.server.version / 10_000
    }

    fn cell(&self, subject: &Subject<'_>, verb: Verb, context: Context) -> Cell {
        self.cell_of(subject.table, verb, context)
    }
}

/// Without the privilege there is no control, but the refusal itself can be seen.
fn none_possible(ground: &Ground<'_>, trial: &Trial, reply: &Reply) -> Probe {
    let case = Case(trial.cell.clone());
    match reply {
        Err(refusal) if refusal.not_permitted() => {
            case.held("none possible: the application has no such privilege")
        }
        Err(refusal) => case.refused(refusal),
        Ok(_) => {
            let how = "it worked although the application has no such privilege (rolled back)";
            case.breached(how, "", ground.app.script(trial))
        }
    }
}

/// Where PostgreSQL has no such statement for the object at all, each context's refusal can be seen.
fn unknown_to_it(ground: &Ground<'_>, trials: &[Trial], replies: &[Reply]) -> Option<Vec<Probe>> {
    let unknown = |trial: &Trial, reply: &Reply| match reply {
        Err(refusal) if refusal.unknown_to_it(trial.cell.verb) => Some(refusal.code.clone()),
        _ => None,
    };
    let mut both = trials.iter().zip(replies);
    let own = both.clone().find(|(trial, _)| trial.cell.context == Context::Own);
    let code = own.and_then(|(trial, reply)| unknown(trial, reply))?;
    let verb = trials.first()?.cell.verb.as_str().replace('_', " ");
    both.all(|(trial, reply)| unknown(trial, reply).as_ref() == Some(&code)).then(|| {
        let none =
            format!("none possible: PostgreSQL {} has no {verb} for it ({})", ground.major(), code.code());
        trials.iter().map(|trial| Case(trial.cell.clone()).held(none.as_str())).collect()
    })
}

/// Probes every object the application can reach, and every one it must not.
pub(crate) async fn run(
    owner: &Client,
    session: &AppSession,
    login: Option<&Login>,
    posture: &Posture,
    pooler: bool,
    options: Options<'_>,
) -> Result<Vec<Probe>, VerifyError> {
    let production = options.production;
    // The owner's session holds what others count on, and a pooler's is anybody's.
    let alone = session.own_login() && !pooler && !production;
    let seals = match posture.catalog.server.sealed_context {
        true => Some(Seals::of(session.login(owner).await?)),
        false => None,
    };
    let ground = Ground {
        owner,
        app: Actor::new(session, owner, production, alone, login, seals),
        posture,
        production,
    };
    let total = posture.catalog.tables.len() + posture.catalog.views.len();
    let tenants = tenants(owner, posture).await?;
    let mut probes = Vec::new();
    let mut closed = Vec::new();
    let mut subjects = BTreeMap::new();
    for (done, table) in posture.catalog.tables.values().enumerate() {
        let object = table.name.to_string();
        options.report(Progress::Probing { object: &object, done, total });
        let scoped = posture.scoped.get(&table.name);
        if !posture.reach.contains_key(&table.name) {
            closed.push((table.name.clone(), ground.cell_of(table, Verb::Closed, Context::Unset).path));
        } else if table.kind == TableKind::Foreign {
            let case = Case(ground.cell_of(table, Verb::ZeroRow, Context::Unset));
            probes.push(case.untested("row security does not reach the foreign server its rows are on"));
        } else if let Some(scoped) = scoped {
            let Some(filtered) = zero_row(&ground, table, &mut probes).await? else { continue };
            let chosen = Subject::choose(owner, posture, table, scoped, &tenants, production).await?;
            let Some(mut subject) = chosen else { continue };
            ground.app.seal(owner, &subject).await?;
            table_probes(&ground, &mut subject, filtered, &mut probes).await?;
            subjects.insert(&table.name, subject);
        } else {
            probes.extend(unscoped::probe(&ground, table).await?);
        }
    }
    for (at, view) in posture.catalog.views.values().enumerate() {
        let object = view.name.to_string();
        options.report(Progress::Probing { object: &object, done: posture.catalog.tables.len() + at, total });
        if posture.reach.contains_key(&view.name) {
            view::probe(&ground, view, &subjects, &mut probes).await?;
        } else {
            closed.push((view.name.clone(), Path::View));
        }
    }
    closed.extend(posture.kept_tables.iter().map(|name| (name.clone(), Path::Table)));
    probes.extend(closed::probe(&ground, &closed).await?);
    let best = subjects.values().find(|subject| subject.own.is_some() && subject.other.is_some());
    function::probe(&ground, best, &mut probes).await?;
    forged::probe(&ground, best, &mut probes).await?;
    probes.push(session::probe(&ground).await?);
    Ok(probes)
}

/// Two of the tenants there are, from their root: for tables that have rows of fewer.
async fn tenants(owner: &Client, posture: &Posture) -> Result<Vec<String>, VerifyError> {
    let root = posture.scoped_tables().find(|(table, _)| posture.is_root(table));
    let Some((root, scoped)) = root else { return Ok(Vec::new()) };
    let query = sql!(
        "SELECT min(key), max(key) FROM (SELECT {}::text AS key FROM {} LIMIT 2) AS keys",
        scoped.tenant_column,
        root.name
    );
    let keys = subject::ask_row(owner, &query).await?.unwrap_or_default();
    let mut keys: Vec<String> = keys.into_iter().flatten().collect();
    keys.dedup();
    Ok(keys)
}

/// Whether the zero-row probe held; `None` when somebody holds the table. Whoever does so once would at every attempt, and
/// each would hold up everybody behind it.
async fn zero_row(
    ground: &Ground<'_>,
    table: &Table,
    probes: &mut Vec<Probe>,
) -> Result<Option<bool>, VerifyError> {
    let cell = ground.cell_of(table, Verb::ZeroRow, Context::Unset);
    let may_select = ground.posture.reaches(&table.name, "SELECT");
    let probe = zero_row::probe(ground, cell, &table.name, may_select).await?;
    let filtered = probe.outcome == Outcome::Held;
    let gave_up = matches!(&probe.outcome, Outcome::Untested { why } if why.starts_with("gave up"));
    probes.push(probe);
    if gave_up {
        let case = Case(ground.cell_of(table, Verb::Select, Context::Unset));
        probes.push(case.untested("not tried, nor any other probe of it: the zero-row probe gave up"));
        return Ok(None);
    }
    Ok(Some(filtered))
}

async fn table_probes(
    ground: &Ground<'_>,
    subject: &mut Subject<'_>,
    filtered: bool,
    probes: &mut Vec<Probe>,
) -> Result<(), VerifyError> {
    if !ground.production {
        subject.make_rows(ground.owner, &ground.app, ground.posture).await?;
    }
    let subject = &*subject;
    let may = |privilege| subject.reach.may(privilege);
    let target = Target {
        subject,
        object: &subject.object,
        path: ground.cell(subject, Verb::Select, Context::Unset).path,
        name: &subject.table.name,
        column: subject.column,
        harmless: subject.harmless_column(),
        view: None,
        returning_by_delete: !may("UPDATE"),
        filtered,
    };
    if subject.own.is_none() {
        let why = "there is no tenant yet, so only the zero-row probe proves that it is filtered";
        let case = Case(target.cell(Verb::Select, Context::Unset));
        probes.push(if filtered { case.held(why) } else { case.untested(why) });
    }
    if may("SELECT") {
        by_rows::probe(ground, &target, Verb::Select, true, probes).await?;
        by_rows::probe(ground, &target, Verb::CopyOut, true, probes).await?;
    }
    probes.push(truncate::probe(ground, subject).await?);
    if !ground.production {
        let writes = [
            (Verb::Update, may("UPDATE")),
            (Verb::Returning, (may("UPDATE") || may("DELETE")) && may("SELECT")),
            (Verb::Merge, may("UPDATE") && may("SELECT")),
            (Verb::Delete, may("DELETE")),
        ];
        for (verb, allowed) in writes {
            by_rows::probe(ground, &target, verb, allowed, probes).await?;
        }
        insert::all(ground, &target, probes).await?;
        probes.push(copy_in::probe(ground, subject).await?);
        link::probe(ground, subject, probes).await?;
    }
    carried::probe(ground, &target, probes).await?;
    cursor::probe(ground, &target, probes).await
}

/// A breach of what posture found nothing wrong with is a gap in posture, and says so.
pub(crate) fn compare(probes: &mut [Probe], findings: &[Finding], posture: &Posture) {
    let views = posture.catalog.views.keys();
    let beneath: BTreeMap<String, BTreeSet<String>> = views
        .map(|view| (view.to_string(), posture.reads(view).into_iter().map(ToString::to_string).collect()))
        .collect();
    for probe in probes {
        let Outcome::Breached { how } = &mut probe.outcome else { continue };
        let reads = beneath.get(&probe.cell.object).filter(|_| probe.cell.path == Path::View);
        let explained = findings.iter().any(|finding| {
            finding.severity > Severity::Info
                && (names(&finding.object, &probe.cell)
                    || finding.object == posture.app.to_string()
                    || reads.is_some_and(|reads| reads.contains(&finding.object)))
        });
        if !explained {
            how.push_str("; posture found nothing wrong with it, so a check is missing: please report this");
        }
    }
}

/// What is wrong with the context is behind whatever is breached; a foreign key's cell names its table first.
fn names(finding: &str, cell: &Cell) -> bool {
    let of_table = || cell.object.strip_prefix(finding).is_some_and(|rest| rest.starts_with(':'));
    finding == cell.object || finding.starts_with("bastide.") || cell.path == Path::ForeignKey && of_table()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::posture::fixture;

    fn breach(object: &str, path: Path) -> Probe {
        let cell = Cell { object: object.to_owned(), path, verb: Verb::Select, context: Context::Unset };
        Case(cell).breached("5 rows seen", "", String::new())
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
        let mut posture = fixture::sound();
        for (name, reads) in [("over_orders", "orders"), ("over_lines", "lines")] {
            let view = fixture::view(name, &[reads]);
            posture.catalog.views.insert(view.name.clone(), view);
        }
        let mut probes = vec![
            breach("public.orders", Path::Table),
            breach("public.lines", Path::Table),
            breach("public.over_orders", Path::View),
            breach("public.over_lines", Path::View),
        ];
        compare(&mut probes, &[finding], &posture);
        let said =
            |probe: &Probe| matches!(&probe.outcome, Outcome::Breached { how } if how.contains("posture"));
        assert_eq!(probes.iter().map(said).collect::<Vec<_>>(), [false, true, false, true]);
    }
}
