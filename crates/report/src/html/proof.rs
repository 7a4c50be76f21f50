//! What was proved: findings, and every probe with its answer.

use std::collections::BTreeMap;

use bastide_record::{Context, Finding, Outcome, Probe, Severity, Verdict};
use maud::{Markup, html};

use crate::{
    Report,
    matrix::{Matrix, Row, meaning},
    numbers,
};

pub(super) fn findings(report: &Report<'_>) -> Markup {
    report.verdict.map_or_else(|| html! {}, findings_of)
}

pub(crate) fn findings_of(verdict: &Verdict) -> Markup {
    let (info, weak): (Vec<&Finding>, Vec<&Finding>) =
        verdict.findings.iter().partition(|finding| finding.severity == Severity::Info);
    html! {
        h2 { "Posture" }
        @if weak.is_empty() {
            p.calm { "No finding: row security, policies, grants, views, functions, keys and roles are as isolation needs them." }
        } @else { (rows(&weak)) }
        @if !info.is_empty() {
            details {
                summary { (numbers::counted(info.len() as u64, "thing", "things")) " to know, which isolation does not depend on" }
                (rows(&info))
            }
        }
    }
}

fn rows(findings: &[&Finding]) -> Markup {
    html! {
        div.scroll { table {
            thead { tr { th { "Finding" } th { "Severity" } th { "Object" } th { "What" } th { "Mend" } } }
            tbody { @for finding in findings { tr {
                td { code { (finding.id) } }
                td {
                    @if finding.pending_cutover { span.pill.pending { "pending cutover" } }
                    @else { span.{ "pill " (severity(finding.severity)) } { (severity(finding.severity)) } }
                }
                td { code { (finding.object) } } td { (finding.message) } td.wide { code { (finding.mend) } }
            } } }
        } }
    }
}

fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "info",
        Severity::Warning => "warning",
        Severity::Critical => "critical",
    }
}

pub(super) fn probes(report: &Report<'_>) -> Markup {
    report.verdict.map_or_else(|| html! {}, probes_of)
}

pub(crate) fn probes_of(verdict: &Verdict) -> Markup {
    let matrix = Matrix::of(verdict);
    let how = if verdict.own_login {
        "through a connection of its own"
    } else {
        "by SET ROLE from the owner's connection, which is weaker"
    };
    html! {
        h2 { "Probes" }
        p.lead { "Attempts, as " code { (verdict.app_role) } " " (how) ", to do what isolation forbids. "
            span.dot.held { "●" } " held  " span.dot.breached { "▲" } " breached  " span.dot.untested { "○" } " untested. "
            "In each square, from the left, the contexts of its column." }
        @for columns in matrix.blocks(SIGNS) {
            div.scroll { table.matrix {
                thead { tr { th { "Object" } @for column in columns { th title=(meaning(column.verb)) {
                    (column.verb.as_str().replace('_', " ")) br;
                    span.soft { (column.contexts.iter().map(|context| short(*context)).collect::<Vec<_>>().join(" ")) }
                } } } }
                tbody { @for row in matrix.rows.iter().filter(|row| row.has_any(columns)) { tr {
                    td { (object(row)) }
                    @for column in columns { td.signs { @for context in &column.contexts {
                        @match row.cell(column.verb, *context) { Some(probe) => (cell(probe)), None => span.dot { "\u{2003}" } }
                    } } }
                } } }
            } }
            br;
        }
        p.soft { "Contexts: " (Context::ALL.iter().map(|context| format!("{} {}", short(*context), context.as_str().replace('_', " "))).collect::<Vec<_>>().join(", ")) "." }
        @if matrix.out_of_reach > 0 {
            p.soft { (numbers::counted(matrix.out_of_reach as u64, "object", "objects")) " out of reach, each refused when read." }
        }
        (untested(&verdict.probes))
    }
}

/// As many as a page has room for.
const SIGNS: usize = 30;

/// A way to a table stands under it.
fn object(row: &Row<'_>) -> Markup {
    html! {
        @match (row.way(), row.part) {
            (Some(_), Some(part)) => { span.soft { "\u{2003}key " } code { (part) } },
            (Some(way), None) => span.soft { "\u{2003}" (way) },
            (None, _) => code { (row.object) },
        }
    }
}

/// A letter or two, for a narrow column.
fn short(context: Context) -> &'static str {
    match context {
        Context::Own => "ow",
        Context::Other => "ot",
        Context::Unset => "un",
        Context::Empty => "em",
        Context::Malformed => "ma",
        Context::AfterReset => "rs",
        Context::AfterReturn => "rt",
        Context::AfterDiscard => "di",
        Context::AfterResetAll => "ra",
        Context::AfterRollbackTo => "rb",
        Context::AfterFailure => "fa",
        Context::AfterChain => "ch",
    }
}

fn cell(probe: &Probe) -> Markup {
    let context = probe.cell.context.as_str().replace('_', " ");
    let (class, sign, title) = match &probe.outcome {
        Outcome::Held => ("held", "●", format!("{context}: held; control: {}", probe.control)),
        Outcome::Breached { how } => ("breached", "▲", format!("{context}: {how}")),
        Outcome::Untested { why } => ("untested", "○", format!("{context}: {why}")),
    };
    html! { span.{ "dot " (class) } title=(title) role="img" aria-label=(title) { (sign) } }
}

/// Breaches in full, and why each untested probe was; grouped, because one reason often holds for many.
fn untested(probes: &[Probe]) -> Markup {
    let mut reasons: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for probe in probes {
        if let Outcome::Untested { why } = &probe.outcome {
            reasons.entry(why).or_default().push(probe.cell.to_string());
        }
    }
    let breaches: Vec<_> =
        probes.iter().filter(|probe| matches!(probe.outcome, Outcome::Breached { .. })).collect();
    html! {
        @for probe in breaches {
            h3 { "Breached: " (probe.cell.verb) " " code { (probe.cell.object) } ", context: " (probe.cell.context) ", by: " (probe.cell.path) }
            @if let Outcome::Breached { how } = &probe.outcome { p { (how) } }
            @if let Some(script) = &probe.reproduce { pre.calm { code { (script) } } }
        }
        @if !reasons.is_empty() {
            details {
                summary { (numbers::counted(reasons.values().map(|v| v.len() as u64).sum(), "probe", "probes")) " untested, and why" }
                div.scroll { table { tbody { @for (why, what) in &reasons { tr { td { (why) } td.wide { code { (what.join(", ")) } } } } } } }
            }
        }
    }
}
