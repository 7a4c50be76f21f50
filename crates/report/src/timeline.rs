//! When each step waited, held its lock and was done: the values behind the chart, in seconds since the run began.

mod scale;

use bastide_plan::{Mode, Phase};
use bastide_record::{StepRecord, StepState};
use bastide_sql::LockMode;
use time::OffsetDateTime;

use crate::Report;

pub(crate) use scale::{Scale, clock};

pub(crate) struct Timeline<'a> {
    pub(crate) lanes: Vec<Lane<'a>>,
}

/// A phase, or what undid it all.
pub(crate) struct Lane<'a> {
    pub(crate) name: &'static str,
    /// When the phase was worked on; several times where it was resumed. Older journals do not say.
    pub(crate) spans: Vec<Span>,
    /// In the order in which they began.
    pub(crate) bars: Vec<Bar<'a>>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Span {
    pub(crate) from: f64,
    pub(crate) to: f64,
}

impl Span {
    pub(crate) fn seconds(self) -> f64 {
        self.to - self.from
    }
}

pub(crate) struct Bar<'a> {
    pub(crate) step: &'a StepRecord,
    pub(crate) span: Span,
    /// Waiting for its lock, at the beginning of `span`: tries and the pauses between them.
    pub(crate) waited: Option<Span>,
    /// While its lock was held, or while it worked in batches.
    pub(crate) held: Option<Span>,
    pub(crate) strength: Strength,
    /// It began and had not ended.
    pub(crate) open: bool,
}

/// Whom a step's lock keeps waiting; by strength.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Strength {
    Nobody,
    Schema,
    Writers,
    Everybody,
}

impl Strength {
    pub(crate) const ALL: [Self; 4] = [Self::Nobody, Self::Schema, Self::Writers, Self::Everybody];

    fn of(lock: Option<LockMode>) -> Self {
        match lock {
            None => Self::Nobody,
            Some(LockMode::AccessExclusive) => Self::Everybody,
            Some(lock) if lock.blocks_writers() => Self::Writers,
            Some(_) => Self::Schema,
        }
    }

    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Nobody => "no table lock",
            Self::Schema => "others read and write (up to SHARE UPDATE EXCLUSIVE)",
            Self::Writers => "writers wait (SHARE to EXCLUSIVE)",
            Self::Everybody => "everybody waits (ACCESS EXCLUSIVE)",
        }
    }
}

/// The lane of what was undone.
pub(crate) const UNDONE: &str = "undone";

impl<'a> Timeline<'a> {
    /// None when nothing has a time: a run without steps, or one whose journal was discarded.
    pub(crate) fn of(report: &Report<'a>) -> Option<Self> {
        let begun = begun(report);
        let latest = latest(report)?;
        let since = |at: OffsetDateTime| (at - begun).as_seconds_f64();
        let mut lanes = Vec::new();
        for phase in Phase::SEVEN.into_iter().chain([Phase::Cutover]) {
            let records = report.run.phases.iter().filter(|record| record.phase == phase);
            let spans: Vec<Span> = records
                .filter_map(|record| {
                    let to = since(record.ended_at?);
                    Some(Span { from: (to - record.seconds).max(0.0), to })
                })
                .collect();
            let steps = report.steps.iter().filter(|step| step.phase == phase);
            let mut bars: Vec<Bar<'a>> =
                steps.filter_map(|step| forward(step, since, since(latest))).collect();
            bars.sort_by(|a, b| a.span.from.total_cmp(&b.span.from));
            if !(spans.is_empty() && bars.is_empty()) {
                lanes.push(Lane { name: phase.name(), spans, bars });
            }
        }
        let mut undone: Vec<Bar<'a>> = report.steps.iter().filter_map(|step| undo(step, since)).collect();
        undone.sort_by(|a, b| a.span.from.total_cmp(&b.span.from));
        if !undone.is_empty() {
            lanes.push(Lane { name: UNDONE, spans: Vec::new(), bars: undone });
        }
        (!lanes.is_empty()).then_some(Self { lanes })
    }
}

/// The first moment that anything is known of; preflight comes before the run has its first row.
pub(crate) fn begun(report: &Report<'_>) -> OffsetDateTime {
    let phases = report.run.phases.iter().filter_map(|record| {
        record.ended_at.map(|ended| ended - time::Duration::seconds_f64(record.seconds))
    });
    let steps = report.steps.iter().filter_map(|step| step.started_at);
    phases.chain(steps).fold(report.run.started_at, OffsetDateTime::min)
}

fn latest(report: &Report<'_>) -> Option<OffsetDateTime> {
    let steps = report.steps.iter().flat_map(|step| [step.started_at, step.done_at, step.undone_at]);
    steps.chain(report.run.phases.iter().map(|record| record.ended_at)).flatten().max()
}

fn forward<'a>(step: &'a StepRecord, since: impl Fn(OffsetDateTime) -> f64, latest: f64) -> Option<Bar<'a>> {
    let from = since(step.started_at?);
    let open = step.done_at.is_none() && matches!(step.state, StepState::Started);
    let end = step.done_at.map(&since);
    let to = end.unwrap_or(if open { latest } else { from }).max(from);
    let span = Span { from, to };
    // Undoing wrote over what the journal knew of this lock, and added its own waits.
    let known = step.undone_at.is_none() && step.state != StepState::Undoing;
    let waited = (step.waited_ms / 1000.0).min(span.seconds());
    let waited = (known && waited > 0.0).then_some(Span { from, to: from + waited });
    let worked_from = waited.map_or(from, |waited| waited.to);
    let held = match step.forward.mode {
        Mode::Nothing => None,
        _ if !known || open => Some(Span { from: worked_from, to }),
        Mode::Batches | Mode::Autocommit => Some(Span { from: worked_from, to }),
        Mode::Transaction | Mode::LongTransaction => {
            let held = (step.held_ms / 1000.0).min(span.seconds());
            end.map(|end| Span { from: (end - held).max(worked_from), to: end })
        }
    };
    Some(Bar { step, span, waited, held, strength: Strength::of(step.forward.lock), open })
}

fn undo<'a>(step: &'a StepRecord, since: impl Fn(OffsetDateTime) -> f64) -> Option<Bar<'a>> {
    let to = since(step.undone_at?);
    let span = Span { from: (to - step.held_ms / 1000.0).max(0.0), to };
    // A step that was interrupted before its COMMIT is called undone and changed nothing.
    let nothing = step.inverse.mode == Mode::Nothing;
    let strength = if nothing { Strength::Nobody } else { Strength::of(step.inverse.lock) };
    Some(Bar { step, span, waited: None, held: Some(span), strength, open: false })
}
