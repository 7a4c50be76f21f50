//! Seconds to pixels. Time in which nothing happened (the wait before cutover, the night before a resume) takes a fixed,
//! marked width; everything else is to scale.

use super::{Span, Timeline};

pub(crate) struct Scale {
    left: f64,
    pieces: Vec<Piece>,
    per_second: f64,
}

struct Piece {
    span: Span,
    /// From the left edge of the chart.
    x: f64,
    width: f64,
    idle: bool,
}

pub(crate) struct Tick {
    pub(crate) x: f64,
    pub(crate) label: String,
}

/// What is idle for longer than this share of the busy time is compressed.
const SHARE: f64 = 0.06;
/// And never less than this: seconds.
const SHORTEST: f64 = 0.5;
const IDLE_WIDTH: f64 = 40.0;
const BETWEEN_TICKS: f64 = 76.0;

impl Scale {
    /// Over `width` pixels that begin at `left`.
    pub(crate) fn new(timeline: &Timeline<'_>, left: f64, width: f64) -> Self {
        let busy = busy(timeline);
        let total: f64 = busy.iter().map(|span| span.seconds()).sum();
        let idle = (total * SHARE).max(SHORTEST);
        let mut spans: Vec<(Span, bool)> = Vec::new();
        for next in busy {
            match spans.last_mut() {
                Some((last, _)) if next.from - last.to <= idle => last.to = next.to,
                Some((last, _)) => {
                    let between = Span { from: last.to, to: next.from };
                    spans.extend([(between, true), (next, false)]);
                }
                None => spans.push((next, false)),
            }
        }
        let gaps = spans.iter().filter(|(_, idle)| *idle).count();
        #[expect(clippy::cast_precision_loss, reason = "a handful")]
        let each = IDLE_WIDTH.min(width * 0.3 / gaps.max(1) as f64);
        #[expect(clippy::cast_precision_loss, reason = "a handful")]
        let drawn = width - each * gaps as f64;
        let to_scale: f64 = spans.iter().filter(|(_, idle)| !idle).map(|(span, _)| span.seconds()).sum();
        // A single moment still has a place.
        let per_second = drawn / to_scale.max(0.001);
        let mut x = left;
        let pieces = spans
            .into_iter()
            .map(|(span, idle)| {
                let width = if idle { each } else { span.seconds() * per_second };
                let piece = Piece { span, x, width, idle };
                x += width;
                piece
            })
            .collect();
        Self { left, pieces, per_second }
    }

    pub(crate) fn x(&self, seconds: f64) -> f64 {
        let Some(piece) = self.pieces.iter().find(|piece| seconds <= piece.span.to).or(self.pieces.last())
        else {
            return self.left;
        };
        let share = if piece.span.seconds() > 0.0 {
            ((seconds - piece.span.from) / piece.span.seconds()).clamp(0.0, 1.0)
        } else {
            0.0
        };
        piece.x + share * piece.width
    }

    /// Where nothing happened: left and right edge, and for how many seconds.
    pub(crate) fn idle(&self) -> impl Iterator<Item = (f64, f64, f64)> {
        self.pieces
            .iter()
            .filter(|piece| piece.idle)
            .map(|piece| (piece.x, piece.x + piece.width, piece.span.seconds()))
    }

    /// Round numbers, far enough from each other to be read.
    pub(crate) fn ticks(&self) -> Vec<Tick> {
        let step = round_step(BETWEEN_TICKS / self.per_second);
        let mut ticks: Vec<Tick> = Vec::new();
        for piece in self.pieces.iter().filter(|piece| !piece.idle) {
            let mut at = (piece.span.from / step).ceil() * step;
            // After a gap, where one is again is worth more than a round number.
            if !ticks.is_empty() && (self.x(at) - piece.x > BETWEEN_TICKS / 2.0 || at > piece.span.to) {
                push(&mut ticks, piece.x, clock(piece.span.from, step.min(1.0)));
            }
            while at <= piece.span.to + step * 1e-6 {
                push(&mut ticks, self.x(at), clock(at, step));
                at += step;
            }
        }
        ticks
    }
}

fn push(ticks: &mut Vec<Tick>, x: f64, label: String) {
    if ticks.last().is_none_or(|last| x - last.x >= BETWEEN_TICKS * 0.6) {
        ticks.push(Tick { x, label });
    }
}

/// When anything happened, in order and without overlaps.
fn busy(timeline: &Timeline<'_>) -> Vec<Span> {
    let mut spans: Vec<Span> = timeline
        .lanes
        .iter()
        .flat_map(|lane| lane.spans.iter().copied().chain(lane.bars.iter().map(|bar| bar.span)))
        .collect();
    spans.sort_by(|a, b| a.from.total_cmp(&b.from));
    let mut merged: Vec<Span> = Vec::new();
    for span in spans {
        match merged.last_mut() {
            Some(last) if span.from <= last.to => last.to = last.to.max(span.to),
            _ => merged.push(span),
        }
    }
    merged
}

/// The next of 1, 2, 5, … ms, s; then of clock time.
fn round_step(least: f64) -> f64 {
    const CLOCK: [f64; 13] =
        [10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1800.0, 3600.0, 7200.0, 21_600.0, 86_400.0];
    let mut decade = 0.001;
    while decade < 10.0 {
        for factor in [1.0, 2.0, 5.0] {
            if decade * factor >= least {
                return decade * factor;
            }
        }
        decade *= 10.0;
    }
    CLOCK.into_iter().find(|step| *step >= least).unwrap_or_else(|| (least / 86_400.0).ceil() * 86_400.0)
}

/// `1.5 s`, `2:05`, `3:07:00`: as precise as the step between two of them.
pub(crate) fn clock(seconds: f64, step: f64) -> String {
    if seconds < 60.0 {
        let decimals = if step >= 1.0 {
            0
        } else if step >= 0.1 {
            1
        } else if step >= 0.01 {
            2
        } else {
            3
        };
        return format!("{seconds:.decimals$} s");
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "seconds of a run")]
    let whole = seconds.round() as u64;
    let (hours, minutes, rest) = (whole / 3600, whole / 60 % 60, whole % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{rest:02}") } else { format!("{minutes}:{rest:02}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timeline::Lane;

    fn timeline(spans: &[(f64, f64)]) -> Timeline<'static> {
        let spans = spans.iter().map(|(from, to)| Span { from: *from, to: *to }).collect();
        Timeline { lanes: vec![Lane { name: "policies", spans, bars: Vec::new() }] }
    }

    #[test]
    fn a_night_takes_no_more_room_than_its_mark() {
        // Ten seconds, a night, five seconds; a breath of a tenth of a second is no gap.
        let scale = Scale::new(&timeline(&[(0.0, 4.0), (4.1, 10.0), (30_000.0, 30_005.0)]), 100.0, 1000.0);
        let idle: Vec<_> = scale.idle().collect();
        assert_eq!(idle.len(), 1);
        let (from, to, seconds) = idle[0];
        assert!((to - from - IDLE_WIDTH).abs() < 1e-9 && (seconds - 29_990.0).abs() < 1e-9);
        assert!((scale.x(0.0) - 100.0).abs() < 1e-9 && (scale.x(30_005.0) - 1100.0).abs() < 1e-9);
        // The rest is to scale: ten seconds are twice as wide as five.
        let (ten, five) = (scale.x(10.0) - scale.x(0.0), scale.x(30_005.0) - scale.x(30_000.0));
        assert!((ten - 2.0 * five).abs() < 1e-6, "{ten} {five}");
        assert!(scale.ticks().windows(2).all(|pair| pair[1].x - pair[0].x >= 40.0));
    }

    #[test]
    fn a_single_moment_has_a_place() {
        let scale = Scale::new(&timeline(&[(0.0, 0.0)]), 0.0, 1000.0);
        assert!(scale.x(0.0).is_finite() && scale.ticks().len() == 1);
    }

    #[test]
    fn steps_between_ticks_are_round() {
        assert_eq!(
            [0.0004, 0.0015, 0.3, 3.0, 7.0, 11.0, 100.0, 4000.0].map(round_step),
            [0.001, 0.002, 0.5, 5.0, 10.0, 15.0, 120.0, 7200.0]
        );
        assert_eq!(
            [clock(1.5, 0.5), clock(125.0, 15.0), clock(11_220.0, 60.0), clock(0.0, 5.0)],
            ["1.5 s", "2:05", "3:07:00", "0 s"]
        );
    }
}
