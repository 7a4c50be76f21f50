//! The report as JSON: the same facts as the page, in a form that outlives it. `docs/report.schema.json` describes every
//! field, and a test holds the two together. No SQL of the plan and no cursor (which quotes rows) is in it.

use bastide_plan::{Class, Evidence, Mode, Phase, Question};
use bastide_record::{
    Acknowledgement, BackupRecord, Cell, Finding, Outcome, PhaseRecord, RunState, StepState,
};
use bastide_sql::LockMode;
use serde::Serialize;
use time::OffsetDateTime;

use crate::{
    Report, Summary,
    standing::{left_to_do, standing},
};

/// Raised when a reader of the last one could misread; a new field alone does not raise it.
pub const REPORT_FORMAT: u32 = 1;

#[derive(Serialize)]
pub struct Document<'a> {
    format: u32,
    run: Run<'a>,
    summary: Summary,
    /// In words, as the other forms have it.
    standing: Standing,
    left_to_do: Vec<String>,
    tenants: Tenants<'a>,
    tables: Vec<Table<'a>>,
    links: Vec<Link<'a>>,
    settled: Vec<Settled<'a>>,
    held: Vec<Held<'a>>,
    questions: &'a [Question],
    verification: Option<Verification<'a>>,
    backup: Option<&'a BackupRecord>,
    /// On whose word the run went without one.
    without_backup: Option<&'a Acknowledgement>,
    phases: &'a [PhaseRecord],
    steps: Vec<Step<'a>>,
}

#[derive(Serialize)]
struct Run<'a> {
    id: String,
    state: RunState,
    phase: Phase,
    database: String,
    server_version: u32,
    /// Version of the binary that began it.
    bastide: &'a str,
    #[serde(with = "time::serde::rfc3339")]
    started_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339::option")]
    ended_at: Option<OffsetDateTime>,
    error: Option<&'a str>,
}

#[derive(Serialize)]
struct Standing {
    word: &'static str,
    sentence: String,
}

#[derive(Serialize)]
struct Tenants<'a> {
    root: String,
    key: String,
    key_type: String,
    new_root: bool,
    quarantine: Option<&'a str>,
    app_role: String,
}

#[derive(Serialize)]
struct Table<'a> {
    table: String,
    class: Class,
    because: &'a str,
    tenant_column: Option<String>,
    rows: Option<u64>,
    had_tenant: Option<u64>,
    inferred: Option<u64>,
    conflicting: Option<u64>,
    unreachable: Option<u64>,
    evidence: &'a [Evidence],
}

#[derive(Serialize)]
struct Link<'a> {
    foreign_key: String,
    table: String,
    references: String,
    rows: u64,
    crossing: u64,
    settled_by: Option<String>,
    samples: &'a [String],
}

#[derive(Serialize)]
struct Settled<'a> {
    link: &'a str,
    what: &'a str,
    rows: u64,
}

#[derive(Serialize)]
struct Held<'a> {
    table: &'a str,
    rows: u64,
}

#[derive(Serialize)]
struct Verification<'a> {
    isolated: bool,
    app_role: &'a str,
    own_login: bool,
    scoped_tables: usize,
    findings: &'a [Finding],
    probes: Vec<Probe<'a>>,
}

#[derive(Serialize)]
pub(crate) struct Probe<'a> {
    object: &'a str,
    path: &'static str,
    verb: &'static str,
    context: &'static str,
    outcome: &'static str,
    /// How it was breached, or why it was not tested.
    detail: Option<&'a str>,
    control: &'a str,
    reproduce: Option<&'a str>,
}

#[derive(Serialize)]
struct Step<'a> {
    id: &'a str,
    ordinal: i32,
    phase: Phase,
    state: StepState,
    text: &'a str,
    mode: Mode,
    lock: Option<LockMode>,
    locked: Vec<String>,
    rows: Option<i64>,
    attempts: i32,
    waited_ms: f64,
    held_ms: f64,
    #[serde(with = "time::serde::rfc3339::option")]
    started_at: Option<OffsetDateTime>,
    #[serde(with = "time::serde::rfc3339::option")]
    done_at: Option<OffsetDateTime>,
    #[serde(with = "time::serde::rfc3339::option")]
    undone_at: Option<OffsetDateTime>,
    error: Option<&'a str>,
}

/// Everything a report tells, to be serialised.
#[must_use]
pub fn document<'a>(report: &Report<'a>) -> Document<'a> {
    let (run, plan) = (report.run, &report.run.plan);
    let summary = Summary::of(report);
    let words = standing(report);
    Document {
        format: REPORT_FORMAT,
        run: Run {
            id: run.id.to_string(),
            state: run.state,
            phase: run.phase,
            database: plan.database.name.to_string(),
            server_version: plan.database.server_version,
            bastide: &run.bastide,
            started_at: run.started_at,
            ended_at: run.ended_at,
            error: run.error.as_deref(),
        },
        standing: Standing { word: words.word, sentence: words.sentence.to_string() },
        left_to_do: left_to_do(report, &summary).iter().map(ToString::to_string).collect(),
        summary,
        tenants: Tenants {
            root: plan.root.table.to_string(),
            key: plan.root.key.to_string(),
            key_type: plan.root.key_type.to_string(),
            new_root: plan.root.new,
            quarantine: plan.quarantine.as_ref().map(|tenant| tenant.id.as_str()),
            app_role: plan.config.app_role.to_string(),
        },
        tables: tables(report),
        links: links(report),
        settled: report
            .settled
            .iter()
            .map(|(link, what, rows)| Settled { link, what, rows: *rows })
            .collect(),
        held: report.held.iter().map(|(table, rows)| Held { table, rows: *rows }).collect(),
        questions: &plan.questions,
        verification: verification(report),
        backup: run.backup.as_ref(),
        without_backup: report.without_backup(),
        phases: &run.phases,
        steps: steps(report),
    }
}

fn tables<'a>(report: &Report<'a>) -> Vec<Table<'a>> {
    let plan = &report.run.plan;
    plan.tables
        .iter()
        .map(|(name, decision)| {
            let survey = decision.survey.as_ref();
            Table {
                table: name.to_string(),
                class: decision.class,
                because: &decision.because,
                tenant_column: decision.tenant_column.as_ref().map(|column| column.name.to_string()),
                rows: survey.map(|survey| survey.rows),
                had_tenant: survey.map(|survey| survey.had_tenant),
                inferred: survey.map(|survey| survey.inferred.iter().map(|evidence| evidence.rows).sum()),
                conflicting: survey.map(|survey| survey.conflicting),
                unreachable: survey.map(|survey| survey.unreachable),
                evidence: survey.map_or(&[], |survey| &survey.inferred),
            }
        })
        .collect()
}

fn links<'a>(report: &Report<'a>) -> Vec<Link<'a>> {
    let plan = &report.run.plan;
    plan.links
        .iter()
        .map(|link| Link {
            foreign_key: link.foreign_key.to_string(),
            table: link.table.to_string(),
            references: link.references.to_string(),
            rows: link.rows,
            crossing: link.crossing,
            settled_by: plan.settlement(link).map(|settlement| settlement.to_string()),
            samples: &link.samples,
        })
        .collect()
}

fn verification<'a>(report: &Report<'a>) -> Option<Verification<'a>> {
    let verdict = report.verdict?;
    Some(Verification {
        isolated: verdict.isolated(),
        app_role: &verdict.app_role,
        own_login: verdict.own_login,
        scoped_tables: verdict.scoped_tables,
        findings: &verdict.findings,
        probes: verdict.probes.iter().map(Probe::of).collect(),
    })
}

impl<'a> Probe<'a> {
    pub(crate) fn of(probe: &'a bastide_record::Probe) -> Self {
        let (outcome, detail) = match &probe.outcome {
            Outcome::Held => ("held", None),
            Outcome::Breached { how } => ("breached", Some(how.as_str())),
            Outcome::Untested { why } => ("untested", Some(why.as_str())),
        };
        let Cell { object, path, verb, context } = &probe.cell;
        let (path, verb, context) = (path.as_str(), verb.as_str(), context.as_str());
        let (control, reproduce) = (probe.control.as_str(), probe.reproduce.as_deref());
        Self { object, path, verb, context, outcome, detail, control, reproduce }
    }
}

fn steps<'a>(report: &Report<'a>) -> Vec<Step<'a>> {
    report
        .steps
        .iter()
        .map(|step| Step {
            id: step.id.as_str(),
            ordinal: step.ordinal,
            phase: step.phase,
            state: step.state,
            text: &step.text,
            mode: step.forward.mode,
            lock: step.forward.lock,
            locked: step.forward.locked.iter().map(ToString::to_string).collect(),
            rows: step.rows,
            attempts: step.attempts,
            waited_ms: step.waited_ms,
            held_ms: step.held_ms,
            started_at: step.started_at,
            done_at: step.done_at,
            undone_at: step.undone_at,
            error: step.error.as_deref(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use bastide_record::{Acknowledgement, BackupChoice, BackupRecord, Outcome, RunState};
    use bastide_testkit::Schema;

    use crate::{Report, sample};

    const SCHEMA: &str = include_str!("../../../docs/report.schema.json");

    #[test]
    fn every_state_of_a_run_is_as_the_schema_says() {
        let schema = Schema::parse(SCHEMA);
        let outcomes = [
            None,
            Some(Outcome::Held),
            Some(Outcome::Breached { how: "saw 12 rows".to_owned() }),
            Some(Outcome::Untested { why: "it is empty".to_owned() }),
        ];
        let mut bare = sample::run(RunState::Running);
        (bare.plan.quarantine, bare.phases) = (None, Vec::new());
        let mut full = sample::run(RunState::Stopped);
        full.error = Some("the server said no".to_owned());
        (full.ended_at, full.phases[0].ended_at) = (Some(full.started_at), Some(full.started_at));
        let rows = [Some(12), None];
        full.backup = Some(BackupRecord {
            path: "/b".to_owned(),
            bytes: 1,
            verified: "list".to_owned(),
            tables: 2,
            rows: rows[0],
            snapshot_seconds: Some(1.5),
        });
        bare.backup_choice = Some(BackupChoice::None(Acknowledgement {
            by: "somebody".to_owned(),
            how: "--i-have-a-backup".to_owned(),
            at: bare.started_at,
        }));
        let states = [
            RunState::Upgraded,
            RunState::PendingCutover,
            RunState::CutOver,
            RunState::RollingBack,
            RunState::RolledBack,
            RunState::Finished,
        ];
        let runs = states.map(sample::run).into_iter().chain([bare, full]);
        for run in runs {
            for outcome in outcomes.clone() {
                let verdict = outcome.map(sample::verdict);
                let report = Report {
                    run: &run,
                    steps: &sample::steps(),
                    verdict: verdict.as_ref(),
                    held: &[("public.orders".to_owned(), 3)],
                    settled: &[("public.orders:orders_fkey".to_owned(), "cut".to_owned(), 7)],
                };
                let value = serde_json::to_value(super::document(&report)).unwrap();
                assert_eq!(schema.complaints(&value), Vec::<String>::new(), "{:?}", run.state);
            }
        }
    }

    #[test]
    fn a_field_that_the_schema_does_not_know_is_noticed() {
        let schema = Schema::parse(SCHEMA);
        let (run, steps) = (sample::run(RunState::CutOver), sample::steps());
        let report = Report { run: &run, steps: &steps, verdict: None, held: &[], settled: &[] };
        let mut value = serde_json::to_value(super::document(&report)).unwrap();
        value["steps"][0]["colour"] = "red".into();
        value["run"].as_object_mut().unwrap().remove("error");
        assert_eq!(
            schema.complaints(&value),
            ["/run: `error` is missing", "/steps/0: `colour` is not in the schema"]
        );
    }
}
