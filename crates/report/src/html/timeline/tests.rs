//! What the chart must show, over runs of every shape.

use bastide_plan::Mode;
use bastide_record::{RunState, StepRecord, StepState};
use bastide_sql::LockMode;
use time::{Duration, OffsetDateTime};

use crate::{Report, sample};

/// Begun so many milliseconds into the run, done so many later.
fn step(n: usize, from: i64, took: i64, lock: LockMode) -> StepRecord {
    let mut step = sample::steps().remove(0);
    let at = |ms| Some(OffsetDateTime::UNIX_EPOCH + Duration::milliseconds(ms));
    step.text = format!("step {n} on public.orders");
    step.forward.lock = Some(lock);
    step.started_at = at(from);
    step.done_at = at(from + took);
    (step.waited_ms, step.held_ms) = (0.0, 4.0);
    step
}

fn chart(steps: &[StepRecord]) -> String {
    let run = sample::run(RunState::CutOver);
    super::timeline(&Report { run: &run, steps, verdict: None, held: &[], settled: &[] }).into_string()
}

#[test]
fn waiting_is_drawn_apart_from_holding() {
    let mut waited = step(1, 0, 1_000, LockMode::AccessExclusive);
    waited.waited_ms = 700.0;
    let calm = step(2, 1_000, 1_000, LockMode::AccessExclusive);
    let page = chart(&[waited, calm]);
    assert_eq!(page.matches("class=\"waited\"").count(), 2, "one bar, and the legend: {page}");
    assert!(page.contains("waited 700 ms for it"));
    assert_eq!(page.matches("class=\"everybody\"").count(), 3);
}

#[test]
fn each_strength_has_its_own_height_and_pattern() {
    let steps = [LockMode::ShareUpdateExclusive, LockMode::Share, LockMode::AccessExclusive];
    let steps: Vec<_> = (0_i64..).zip(steps).map(|(n, lock)| step(0, n * 1_000, 1_000, lock)).collect();
    let page = chart(&steps);
    let heights: Vec<&str> = ["schema", "writers", "everybody"]
        .map(|class| {
            let bar = page.rsplit_once(&format!("<rect class=\"{class}\"")).unwrap().1;
            bar.split_once("height=\"").unwrap().1.split_once('"').unwrap().0
        })
        .to_vec();
    assert_eq!(heights, ["13", "19", "26"]);
    assert!(page.contains("<pattern id=\"t-dots\"") && page.contains("<pattern id=\"t-stripes\""));
}

#[test]
fn two_thousand_steps_are_drawn_as_some_hundreds() {
    let steps: Vec<_> =
        (0..2_000).map(|n| step(n, i64::try_from(n).unwrap() * 50, 45, LockMode::Share)).collect();
    let page = chart(&steps);
    let bars = page.matches("class=\"writers\"").count();
    assert!((100..700).contains(&bars), "{bars}");
    assert!(page.contains(" steps from "), "a bar of several says so");
    assert!(page.len() < 300_000, "{}", page.len());
}

#[test]
fn the_wait_before_cutover_is_marked_and_not_to_scale() {
    let page = chart(&[
        step(1, 0, 2_000, LockMode::Share),
        step(2, 3 * 86_400_000, 2_000, LockMode::AccessExclusive),
    ]);
    assert!(page.contains("3 days idle"), "{page}");
    assert!(page.contains("1 idle stretch is shown shortened"));
}

#[test]
fn what_failed_and_what_is_under_way_can_be_seen() {
    let mut failed = step(1, 0, 1_000, LockMode::Share);
    (failed.state, failed.done_at, failed.error) =
        (StepState::Failed, None, Some("deadlock <detected>".to_owned()));
    let mut open = step(2, 1_000, 1_000, LockMode::RowExclusive);
    (open.state, open.done_at, open.forward.mode) = (StepState::Started, None, Mode::Batches);
    let page = chart(&[failed, open, step(3, 4_000, 10, LockMode::Share)]);
    assert!(page.contains("✕") && page.contains("deadlock &lt;detected&gt;"));
    assert!(page.contains("class=\"schema open\"") && page.contains("under way"));
}

#[test]
fn undoing_has_a_lane_of_its_own() {
    let mut undone = step(1, 0, 1_000, LockMode::AccessExclusive);
    undone.state = StepState::Undone;
    undone.undone_at = Some(OffsetDateTime::UNIX_EPOCH + Duration::seconds(9));
    let page = chart(&[undone]);
    assert!(page.contains(">undone</text>") && page.contains(">policies</text>"));
}

#[test]
fn nothing_is_drawn_of_a_run_whose_journal_is_gone() {
    assert_eq!(chart(&[]), "");
}
