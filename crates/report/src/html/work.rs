//! What was done: seconds per phase, the longest locks, every step, the backup.

use bastide_plan::Phase;
use maud::{Markup, html};

use super::timeline::strip;
use crate::{
    Report, Summary, numbers,
    timeline::{begun, clock},
};

const SHOWN_LOCKS: usize = 10;

pub(super) fn phases(report: &Report<'_>) -> Markup {
    let summary = Summary::of(report);
    let longest = summary.seconds.values().copied().fold(f64::EPSILON, f64::max);
    html! {
        h2 { "The phases" }
        div.bars { @for phase in Phase::SEVEN.into_iter().chain([Phase::Cutover]) {
            @if let Some(seconds) = summary.seconds.get(phase.name()) {
                span { (phase) } span.track { (bar(seconds / longest)) } span.n { (numbers::seconds(*seconds)) }
            }
        } }
    }
}

pub(super) fn locks(report: &Report<'_>) -> Markup {
    let mut steps: Vec<_> = report
        .steps
        .iter()
        .filter(|step| step.forward.lock.is_some_and(bastide_sql::LockMode::blocks_writers))
        .collect();
    steps.sort_by(|a, b| b.held_ms.total_cmp(&a.held_ms));
    let longest = steps.first().map_or(1.0, |step| step.held_ms.max(f64::EPSILON));
    html! {
        @if !steps.is_empty() {
            h3 { "The longest locks that made writers wait" }
            div.bars { @for step in steps.iter().take(SHOWN_LOCKS) {
                span { (step.text) } span.track { (bar(step.held_ms / longest)) } span.n { (numbers::milliseconds(step.held_ms)) }
            } }
        }
    }
}

fn bar(share: f64) -> Markup {
    html! { i style={ "width:" (format!("{:.1}", share * 100.0)) "%" } {} }
}

pub(super) fn steps(report: &Report<'_>) -> Markup {
    let begun = begun(report);
    html! {
        h2 { "The steps" }
        p.lead { "Each change, in order: when it began, counted from the run, the lock it took, how long it held it, how long it waited for it, and in how many tries." }
        @for phase in Phase::SEVEN.into_iter().chain([Phase::Cutover]) {
            @let steps: Vec<_> = report.steps.iter().filter(|step| step.phase == phase).collect();
            @if !steps.is_empty() {
                details {
                    summary { (phase) " " span.soft { (numbers::counted(steps.len() as u64, "step", "steps")) } }
                    (strip(report, phase))
                    div.scroll { table {
                        thead { tr { th { "Step" } th { "State" } th.n { "Began" } th { "Lock" } th.n { "Held" } th.n { "Waited" } th.n { "Tries" } th.n { "Rows" } } }
                        tbody { @for step in &steps {
                            @let state = format!("{:?}", step.state).to_lowercase();
                            tr {
                                td { (step.text) @if let Some(error) = &step.error { br; span.soft { (error) } } }
                                td { span.{ "pill " (state) } { (state) } }
                                td.n { @if let Some(at) = step.started_at { (clock((at - begun).as_seconds_f64(), 0.1)) } }
                                td { @if let Some(lock) = step.forward.lock { (lock) } }
                                td.n { (numbers::milliseconds(step.held_ms)) }
                                td.n { (numbers::milliseconds(step.waited_ms)) }
                                td.n { (step.attempts) }
                                td.n { @if let Some(rows) = step.rows { (numbers::count(rows.unsigned_abs())) } }
                            }
                        } }
                    } }
                }
            }
        }
    }
}

pub(super) fn backup(report: &Report<'_>) -> Markup {
    html! {
        h2 { "Backup" }
        @if let Some(backup) = &report.run.backup {
            p.calm { code { (backup.path) } ", " (numbers::bytes(backup.bytes)) ", " (numbers::counted(backup.tables, "table", "tables"))
                @if let Some(rows) = backup.rows { ", " (numbers::counted(rows, "row", "rows")) }
                "; verified by " (if backup.verified == "restore" { "restoring it and comparing every row" } else { "listing its contents" }) "." }
            @if let Some(seconds) = backup.snapshot_seconds { p.calm { "Its snapshot was held for " (numbers::seconds(seconds)) "." } }
        } @else if let Some(said) = report.acknowledgement() { p.calm { (said) "." }
        } @else { p.calm { "None was taken." } }
    }
}
