//! The one-screen summary that ends a run.

use std::fmt::Write;

use bastide_plan::Phase;
use bastide_record::RunState;

use crate::{Report, Summary, numbers};

/// About twenty lines for a terminal.
#[must_use]
pub fn text(report: &Report<'_>) -> String {
    let summary = Summary::of(report);
    let plan = &report.run.plan;
    let mut lines: Vec<(String, String)> = Vec::new();
    let mut line = |label: &str, value: String| lines.push((label.to_owned(), value));

    line("database", plan.database.name.to_string());
    line("run", format!("{}  {}", summary.run, state_words(report.run.state)));
    line(
        "tables",
        format!(
            "{} scoped, {} shared, {} closed",
            summary.tables_scoped, summary.tables_shared, summary.tables_closed
        ),
    );
    line(
        "rows",
        format!(
            "{} assigned on evidence, {} in quarantine, {} held aside",
            numbers::count(summary.rows_assigned),
            numbers::count(summary.rows_quarantined),
            numbers::count(summary.rows_held),
        ),
    );
    for (link, what, rows) in report.settled {
        line("link", format!("{link}: {} {what}", numbers::count(*rows)));
    }
    line(
        "steps",
        format!(
            "{}, longest lock that made writers wait {}",
            summary.steps,
            numbers::milliseconds(summary.longest_lock_ms)
        ),
    );
    if let Some(verdict) = report.verdict {
        let held = summary.probes - summary.probes_failed - summary.probes_untested;
        line(
            "probes",
            format!(
                "{held} held, {} breached, {} untested, as {}",
                summary.probes_failed, summary.probes_untested, verdict.app_role
            ),
        );
        line(
            "findings",
            match (summary.findings, verdict.findings.iter().filter(|f| f.pending_cutover).count()) {
                (0, 0) => "none".to_owned(),
                (open, 0) => open.to_string(),
                (open, pending) => format!("{open} open, {pending} pending cutover"),
            },
        );
    }
    if let Some(backup) = &report.run.backup {
        line(
            "backup",
            format!("{} ({}, verified: {})", backup.path, numbers::bytes(backup.bytes), backup.verified),
        );
    } else if let Some(said) = report.acknowledgement() {
        line("backup", said);
    }
    let seconds: Vec<String> = Phase::SEVEN
        .into_iter()
        .chain([Phase::Cutover])
        .filter_map(|phase| {
            summary.seconds.get(phase.name()).map(|s| format!("{phase} {}", numbers::seconds(*s)))
        })
        .collect();
    line("time", seconds.join(", "));
    if let Some(error) = &report.run.error {
        line("stopped by", error.clone());
    }
    aligned(&lines)
}

pub(crate) fn state_words(state: RunState) -> &'static str {
    match state {
        RunState::Running => "running",
        RunState::Stopped => "stopped half-way",
        RunState::Upgraded => "upgraded",
        RunState::PendingCutover => "pending cutover",
        RunState::CutOver => "cut over",
        RunState::RollingBack => "rolling back",
        RunState::RolledBack => "rolled back",
        RunState::Finished => "finished",
    }
}

/// Names and values come from the database; what moves the cursor or recolours a terminal does not belong in them.
pub(crate) fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// Labels in one column, values in the next.
pub(crate) fn aligned(lines: &[(String, String)]) -> String {
    let width = lines.iter().map(|(label, _)| label.chars().count()).max().unwrap_or(0);
    let mut out = String::new();
    for (label, value) in lines {
        writeln!(out, "{label:>width$}  {value}")
            .unwrap_or_else(|_| unreachable!("a String takes everything"));
    }
    out
}

#[cfg(test)]
mod tests {
    use bastide_record::{Outcome, RunState};

    use crate::{Report, sample};

    #[test]
    fn a_run_on_one_screen() {
        let (run, steps) = (sample::run(RunState::PendingCutover), sample::steps());
        let verdict = sample::verdict(Outcome::Held);
        let held = [("public.orders".to_owned(), 3)];
        let report = Report { run: &run, steps: &steps, verdict: Some(&verdict), held: &held, settled: &[] };
        insta::assert_snapshot!(super::text(&report), @r"
        database  shop
             run  00000000-0000-0000-0000-000000000000  pending cutover
          tables  2 scoped, 0 shared, 1 closed
            rows  1,200 assigned on evidence, 10 in quarantine, 3 held aside
           steps  1, longest lock that made writers wait 4 ms
          probes  2 held, 0 breached, 0 untested, as bastide_app
        findings  none
            time  assignment 12.3 s, policies 200 ms
        ");
    }
}
