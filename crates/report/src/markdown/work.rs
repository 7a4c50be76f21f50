//! What was done: phases, the longest locks, every step, the backup.

use bastide_plan::Phase;

use super::{
    Page,
    escape::{code, text},
};
use crate::{
    Report, Summary, numbers,
    timeline::{begun, clock},
};

const SHOWN_LOCKS: usize = 10;

pub(super) fn work(page: &mut Page, report: &Report<'_>) {
    let summary = Summary::of(report);
    let phases = || Phase::SEVEN.into_iter().chain([Phase::Cutover]);
    page.heading(2, "The phases");
    page.table(
        &["Phase", "Took:"],
        phases().filter_map(|phase| {
            let seconds = summary.seconds.get(phase.name())?;
            Some(vec![phase.to_string(), text(&numbers::seconds(*seconds))])
        }),
    );
    locks(page, report);
    page.heading(2, "The steps");
    page.paragraph("Each change, in order: when it began, counted from the run, the lock it took, how long it held it, how long it waited for it, and in how many tries.");
    let begun = begun(report);
    for phase in phases() {
        let steps: Vec<_> = report.steps.iter().filter(|step| step.phase == phase).collect();
        if steps.is_empty() {
            continue;
        }
        page.heading(3, phase.name());
        page.table(
            &["Step", "State", "Began:", "Lock", "Held:", "Waited:", "Tries:", "Rows:"],
            steps.into_iter().map(|step| {
                let mut what = text(&step.text);
                if let Some(error) = &step.error {
                    what.push_str(&format!("<br>{}", text(error)));
                }
                let began = step.started_at.map(|at| clock((at - begun).as_seconds_f64(), 0.1));
                vec![
                    what,
                    format!("{:?}", step.state).to_lowercase(),
                    began.unwrap_or_default(),
                    step.forward.lock.map(|lock| lock.to_string()).unwrap_or_default(),
                    text(&numbers::milliseconds(step.held_ms)),
                    text(&numbers::milliseconds(step.waited_ms)),
                    step.attempts.to_string(),
                    step.rows.map(|rows| numbers::count(rows.unsigned_abs())).unwrap_or_default(),
                ]
            }),
        );
    }
    page.heading(2, "Backup");
    page.paragraph(&report.run.backup.as_ref().map_or_else(
        || {
            report
                .acknowledgement()
                .map_or_else(|| "None was taken.".to_owned(), |said| text(&format!("{said}.")))
        },
        |backup| {
            let rows = backup.rows.map(|rows| format!(", {}", numbers::counted(rows, "row", "rows")));
            let how = if backup.verified == "restore" {
                "restoring it and comparing every row"
            } else {
                "listing its contents"
            };
            format!(
                "{}, {}, {}{}; verified by {how}.",
                code(&backup.path),
                numbers::bytes(backup.bytes),
                numbers::counted(backup.tables, "table", "tables"),
                rows.unwrap_or_default(),
            )
        },
    ));
}

fn locks(page: &mut Page, report: &Report<'_>) {
    let mut steps: Vec<_> = report
        .steps
        .iter()
        .filter(|step| step.forward.lock.is_some_and(bastide_sql::LockMode::blocks_writers))
        .collect();
    if steps.is_empty() {
        return;
    }
    steps.sort_by(|a, b| b.held_ms.total_cmp(&a.held_ms));
    page.heading(3, "The longest locks that made writers wait");
    page.table(
        &["Step", "Lock", "Held:"],
        steps.into_iter().take(SHOWN_LOCKS).map(|step| {
            let lock = step.forward.lock.map(|lock| lock.to_string()).unwrap_or_default();
            vec![text(&step.text), lock, text(&numbers::milliseconds(step.held_ms))]
        }),
    );
}
