//! The few numbers a run comes down to.

use std::collections::BTreeMap;

use bastide_plan::Class;
use bastide_record::RunState;
use serde::Serialize;

use crate::Report;

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    pub run: String,
    pub state: RunState,
    pub tables_scoped: usize,
    pub tables_shared: usize,
    pub tables_closed: usize,
    /// Rows that evidence, or the operator's word, gave a tenant.
    pub rows_assigned: u64,
    /// Rows in the quarantine tenant.
    pub rows_quarantined: u64,
    /// Rows that left the live tables for `bastide.held`.
    pub rows_held: u64,
    pub steps: usize,
    /// The longest lock that made writers wait, in milliseconds.
    pub longest_lock_ms: f64,
    pub probes: usize,
    pub probes_failed: usize,
    pub probes_untested: usize,
    pub findings: usize,
    /// Seconds per phase.
    pub seconds: BTreeMap<&'static str, f64>,
}

impl Summary {
    #[must_use]
    pub fn of(report: &Report<'_>) -> Self {
        let plan = &report.run.plan;
        let classes = |class| plan.tables_of(class).count();
        let surveys = || plan.tables.values().filter_map(|decision| decision.survey.as_ref());
        let inferred: u64 = surveys().flat_map(|survey| &survey.inferred).map(|evidence| evidence.rows).sum();
        // With a new root the operator's word covers every row there is.
        let declared: u64 = if plan.root.new { surveys().map(|survey| survey.rows).sum() } else { 0 };
        let unsettled: u64 = surveys().map(|survey| survey.conflicting + survey.unreachable).sum();
        let held: u64 = report.held.iter().map(|(_, rows)| rows).sum();
        let probes = report.verdict.map_or(&[][..], |verdict| &verdict.probes);
        let untested =
            probes.iter().filter(|p| matches!(p.outcome, bastide_record::Outcome::Untested { .. })).count();
        let mut seconds: BTreeMap<&'static str, f64> = BTreeMap::new();
        for phase in &report.run.phases {
            *seconds.entry(phase.phase.name()).or_default() += phase.seconds;
        }
        Self {
            run: report.run.id.to_string(),
            state: report.run.state,
            tables_scoped: classes(Class::Scoped),
            tables_shared: classes(Class::Shared),
            tables_closed: classes(Class::Closed),
            rows_assigned: inferred + declared,
            rows_quarantined: if plan.quarantine.is_some() { unsettled } else { 0 },
            rows_held: held,
            steps: report.steps.len(),
            longest_lock_ms: report
                .steps
                .iter()
                .filter(|step| step.forward.lock.is_some_and(bastide_sql::LockMode::blocks_writers))
                .map(|step| step.held_ms)
                .fold(0.0, f64::max),
            probes: probes.len(),
            probes_failed: report.verdict.map_or(0, |verdict| verdict.breaches().count()),
            probes_untested: untested,
            findings: report.verdict.map_or(0, |verdict| verdict.open_findings().count()),
            seconds,
        }
    }
}
