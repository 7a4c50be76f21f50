//! Where a run stands and what is left to do, in words: the same in every form of the report.

use std::borrow::Cow;

use bastide_record::{RunState, Verdict};

use crate::{Report, Summary, numbers};

/// A sentence with names and commands in it, which each form marks in its own way.
pub(crate) struct Line<'a>(pub(crate) Vec<Part<'a>>);

pub(crate) enum Part<'a> {
    Text(Cow<'a, str>),
    /// A name as the catalog has it, a command, SQL.
    Code(Cow<'a, str>),
}

pub(crate) fn text<'a>(text: impl Into<Cow<'a, str>>) -> Part<'a> {
    Part::Text(text.into())
}

pub(crate) fn code<'a>(code: impl Into<Cow<'a, str>>) -> Part<'a> {
    Part::Code(code.into())
}

/// In places that know no markup: commands and names in backticks.
impl std::fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|part| match part {
            Part::Text(text) => f.write_str(text),
            Part::Code(code) => write!(f, "`{code}`"),
        })
    }
}

pub(crate) struct Standing {
    /// In the style sheet.
    pub(crate) class: &'static str,
    pub(crate) word: &'static str,
    pub(crate) sentence: Line<'static>,
}

/// Isolated only where that was proved.
pub(crate) fn standing(report: &Report<'_>) -> Standing {
    let isolated = report.verdict.is_some_and(Verdict::isolated);
    let (class, word, sentence) = match report.run.state {
        RunState::CutOver | RunState::Finished if isolated => (
            "held",
            "Isolated",
            vec![text("PostgreSQL keeps the tenants apart, for every login that row security can bind.")],
        ),
        RunState::PendingCutover if isolated => (
            "pending",
            "Pending cutover",
            vec![
                text("The application's login is isolated. The legacy login still reads everything until "),
                code("bastide rls cutover"),
                text("."),
            ],
        ),
        RunState::RolledBack => {
            ("closed", "Rolled back", vec![text("The database is as it was before the run.")])
        }
        RunState::Running | RunState::RollingBack => (
            "started",
            "Under way",
            vec![
                text("The run had not ended when this was written; "),
                code("bastide rls status"),
                text(" says where it is."),
            ],
        ),
        RunState::Upgraded => (
            "pending",
            "Upgraded",
            vec![
                text("Every row that evidence settles has its tenant; nothing keeps the tenants apart yet. "),
                code("bastide rls resume"),
                text(" goes on."),
            ],
        ),
        RunState::Stopped => (
            "failed",
            "Stopped",
            vec![
                text("The run stopped half-way; "),
                code("bastide rls resume"),
                text(" and "),
                code("bastide rls rollback"),
                text(" both work."),
            ],
        ),
        RunState::PendingCutover | RunState::CutOver | RunState::Finished if report.verdict.is_none() => (
            "pending",
            "Not verified",
            vec![
                text("This report has no verification at hand; "),
                code("bastide rls validate"),
                text(" makes one."),
            ],
        ),
        _ => ("failed", "Not isolated", vec![text("Something below is open: see what is left to do.")]),
    };
    Standing { class, word, sentence: Line(sentence) }
}

/// What a person still has to do: it is why a report is opened.
pub(crate) fn left_to_do<'a>(report: &'a Report<'_>, summary: &Summary) -> Vec<Line<'a>> {
    let plan = &report.run.plan;
    let mut lines: Vec<Vec<Part<'a>>> = Vec::new();
    if report.run.state == RunState::PendingCutover {
        lines.push(vec![
            text("Point the application at the login "),
            code(plan.config.app_role.to_string()),
            text(", then run "),
            code("bastide rls cutover"),
            text("."),
        ]);
    }
    if report.run.state == RunState::CutOver {
        lines.push(vec![
            text("When you will not want to go back, run "),
            code("bastide rls finish"),
            text("; until then "),
            code("bastide rls rollback"),
            text(" undoes everything."),
        ]);
    }
    if let (Some(tenant), true) = (&plan.quarantine, summary.rows_quarantined > 0) {
        lines.push(vec![
            text(format!(
                "{} in the quarantine tenant ",
                numbers::counted(summary.rows_quarantined, "row is", "rows are")
            )),
            code(&tenant.id),
            text(": decide whose they are and move them, or leave them there."),
        ]);
    }
    for (table, rows) in report.held {
        lines.push(vec![
            text(numbers::counted(*rows, "row of ", "rows of ")),
            code(table),
            text(" held aside: no tenant could keep them without a link to another. They are whole in "),
            code("bastide.held"),
            text("."),
        ]);
    }
    for finding in report.verdict.into_iter().flat_map(Verdict::open_findings) {
        lines.push(vec![
            code(&finding.id),
            text(" "),
            code(&finding.object),
            text(": "),
            text(&finding.mend),
        ]);
    }
    lines.extend(plan.notes.iter().map(|note| vec![text(note)]));
    lines.into_iter().map(Line).collect()
}
