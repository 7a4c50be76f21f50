//! What was proved: findings, and every probe with its answer.

use std::collections::{BTreeMap, BTreeSet};

use bastide_record::{Finding, Outcome, Probe, Severity};
use maud::{Markup, html};

use crate::{Report, numbers};

pub(super) fn findings(report: &Report<'_>) -> Markup {
    let Some(verdict) = report.verdict else { return html! {} };
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
    let Some(verdict) = report.verdict else { return html! {} };
    let columns: BTreeSet<(&str, &str)> =
        verdict.probes.iter().map(|p| (p.verb.as_str(), p.context.as_str())).collect();
    let mut rows: BTreeMap<&str, BTreeMap<(&str, &str), &Probe>> = BTreeMap::new();
    for probe in &verdict.probes {
        rows.entry(&probe.object).or_default().insert((&probe.verb, &probe.context), probe);
    }
    let how = if verdict.own_login {
        "through a connection of its own"
    } else {
        "by SET ROLE from the owner's connection, which is weaker"
    };
    html! {
        h2 { "Probes" }
        p.lead { "Attempts, as " code { (verdict.app_role) } " " (how) ", to do what isolation forbids. "
            span.dot.held { "●" } " held  " span.dot.breached { "▲" } " breached  " span.dot.untested { "○" } " untested" }
        div.scroll { table.matrix {
            thead { tr { th { "Object" } @for (verb, context) in &columns { th { (verb.replace('_', " ")) br; span.soft { (context) } } } } }
            tbody { @for (object, cells) in &rows { tr {
                td { code { (object) } }
                @for column in &columns { td { @if let Some(probe) = cells.get(column) { (cell(probe)) } } }
            } } }
        } }
        (untested(&verdict.probes))
    }
}

fn cell(probe: &Probe) -> Markup {
    let (class, sign, title) = match &probe.outcome {
        Outcome::Held => ("held", "●", format!("held; control: {}", probe.control)),
        Outcome::Breached { how } => ("breached", "▲", how.clone()),
        Outcome::Untested { why } => ("untested", "○", why.clone()),
    };
    html! { span.{ "dot " (class) } title=(title) role="img" aria-label=(title) { (sign) } }
}

/// Breaches in full, and why each untested probe was; grouped, because one reason often holds for many.
fn untested(probes: &[Probe]) -> Markup {
    let mut reasons: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for probe in probes {
        if let Outcome::Untested { why } = &probe.outcome {
            reasons.entry(why).or_default().push(format!("{} {}", probe.verb, probe.object));
        }
    }
    let breaches: Vec<_> =
        probes.iter().filter(|probe| matches!(probe.outcome, Outcome::Breached { .. })).collect();
    html! {
        @for probe in breaches {
            h3 { "Breached: " (probe.verb) " " code { (probe.object) } ", context: " (probe.context) }
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
