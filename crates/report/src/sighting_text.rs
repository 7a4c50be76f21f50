//! What a watcher of a run is shown: some lines on a terminal, one where each change is a line.

use std::time::Duration;

use bastide_plan::Phase;
use bastide_record::{RunSeen, RunState, Sighting, StepSeen, StepState};

use crate::{
    numbers,
    text::{aligned, plain, state_words},
};

/// For a terminal, to be drawn over the last. `left`: how long the step under way will take, where its rows tell.
#[must_use]
pub fn sighting(seen: &Sighting, left: Option<Duration>) -> String {
    let Some(run) = &seen.run else {
        return aligned(&[("run".to_owned(), nobody_yet(seen))]);
    };
    let mut lines = vec![
        ("run".to_owned(), format!("{}  {}", run.id, state_words(run.state))),
        ("phase".to_owned(), phase(run)),
        ("steps".to_owned(), all_steps(run)),
    ];
    if let Some(step) = &run.step {
        let since = step.started_at.map(|started| (seen.seen_at - started).as_seconds_f64().max(0.0));
        let since = since.map(|s| format!(", for {}", numbers::seconds(s))).unwrap_or_default();
        lines.push(("at".to_owned(), format!("{}{}{since}", doing(step), plain(&step.text))));
        if let Some(rows) = rows(step, left) {
            lines.push(("rows".to_owned(), rows));
        }
    }
    for blocker in &seen.blocked_by {
        lines.push(("in its way".to_owned(), plain(&blocker.who)));
    }
    if run.state.live() && seen.holder.is_none() {
        lines.push(("alive".to_owned(), "nobody holds the lock; looking again".to_owned()));
    }
    aligned(&lines)
}

/// The same as one line.
#[must_use]
pub fn sighting_line(seen: &Sighting, left: Option<Duration>) -> String {
    let Some(run) = &seen.run else { return nobody_yet(seen) };
    let mut parts = vec![format!("{}, {}", phase(run), all_steps(run))];
    if let Some(step) = &run.step {
        parts.push(format!("{}{}", doing(step), plain(&step.text)));
        parts.extend(rows(step, left));
    }
    let blockers: Vec<String> = seen.blocked_by.iter().map(|blocker| plain(&blocker.who)).collect();
    if !blockers.is_empty() {
        parts.push(format!("in its way: {}", blockers.join(", ")));
    }
    if run.state.live() && seen.holder.is_none() {
        parts.push("nobody holds the lock".to_owned());
    }
    parts.join("; ")
}

fn nobody_yet(seen: &Sighting) -> String {
    seen.holder.as_ref().map_or_else(
        || "none yet".to_owned(),
        |holder| format!("none yet; the lock is held by {}", plain(holder)),
    )
}

fn phase(run: &RunSeen) -> String {
    match (run.state, run.phase, run.phase_steps) {
        // Its phase is the one that it goes back to.
        (RunState::RollingBack, Phase::Preflight, _) => "rolling back to before the run".to_owned(),
        (RunState::RollingBack, phase, _) => format!("rolling back to the end of {phase}"),
        (_, phase, 0) => phase.to_string(),
        (_, phase, steps) => format!("{phase}, {} of its {steps} steps done", run.phase_done),
    }
}

fn all_steps(run: &RunSeen) -> String {
    if run.state == RunState::RollingBack {
        return format!("{} of {} undone, {} still done", run.steps_undone, run.steps, run.steps_done);
    }
    format!("{} of {} done in all", run.steps_done, run.steps)
}

fn doing(step: &StepSeen) -> &'static str {
    match step.state {
        StepState::Undoing => "undoing: ",
        StepState::Failed => "failed: ",
        _ => "",
    }
}

fn rows(step: &StepSeen, left: Option<Duration>) -> Option<String> {
    let done = step.rows?.unsigned_abs();
    let mut text = match step.rows_expected {
        Some(all) => format!("{} of about {} rows", numbers::count(done), numbers::count(all.unsigned_abs())),
        None => format!("{} rows, of how many is not known", numbers::count(done)),
    };
    if let Some(left) = left {
        text.push_str(&format!(", about {} left at this pace", numbers::seconds(left.as_secs_f64())));
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use bastide_record::Blocker;
    use time::OffsetDateTime;

    use super::*;

    fn seen(state: RunState, rows: Option<i64>, expected: Option<i64>) -> Sighting {
        let step = StepSeen {
            id: serde_json::from_str("\"backfill:public.orders\"").unwrap(),
            state: if state == RunState::RollingBack { StepState::Undoing } else { StepState::Started },
            text: "fill public.\u{1b}[31morders".to_owned(),
            rows,
            rows_expected: expected,
            started_at: Some(OffsetDateTime::UNIX_EPOCH),
        };
        Sighting {
            seen_at: OffsetDateTime::UNIX_EPOCH + Duration::from_secs(12),
            run: Some(RunSeen {
                id: uuid::Uuid::nil(),
                state,
                phase: Phase::Assignment,
                steps: 305,
                steps_done: 20,
                steps_undone: 7,
                phase_steps: 120,
                phase_done: 4,
                step: Some(step),
            }),
            holder: Some("pid 7, bastide".to_owned()),
            blocked_by: Vec::new(),
        }
    }

    #[test]
    fn a_step_under_way_with_its_rows_and_who_is_in_its_way() {
        let mut seen = seen(RunState::Running, Some(12_000), Some(40_000));
        seen.blocked_by = vec![Blocker { pid: 9, who: "pid 9 (shop, in a transaction for 31 s)".to_owned() }];
        let left = Some(Duration::from_secs(28));
        insta::assert_snapshot!(super::sighting(&seen, left), @r"
               run  00000000-0000-0000-0000-000000000000  running
             phase  assignment, 4 of its 120 steps done
             steps  20 of 305 done in all
                at  fill public.�[31morders, for 12.0 s
              rows  12,000 of about 40,000 rows, about 28.0 s left at this pace
        in its way  pid 9 (shop, in a transaction for 31 s)
        ");
        insta::assert_snapshot!(super::sighting_line(&seen, left), @"assignment, 4 of its 120 steps done, 20 of 305 done in all; fill public.�[31morders; 12,000 of about 40,000 rows, about 28.0 s left at this pace; in its way: pid 9 (shop, in a transaction for 31 s)");
    }

    #[test]
    fn nothing_is_estimated_that_is_not_known() {
        let text = super::sighting(&seen(RunState::Running, Some(12_000), None), None);
        assert!(text.contains("of how many is not known") && !text.contains("left"), "{text}");
        let text = super::sighting(&seen(RunState::Running, None, None), None);
        assert!(!text.contains("rows"), "{text}");
    }

    #[test]
    fn a_run_that_goes_back_and_one_that_nobody_is_at_work_on() {
        let mut seen = seen(RunState::RollingBack, None, None);
        seen.holder = None;
        insta::assert_snapshot!(super::sighting_line(&seen, None), @"rolling back to the end of assignment, 7 of 305 undone, 20 still done; undoing: fill public.�[31morders; nobody holds the lock");
    }
}
