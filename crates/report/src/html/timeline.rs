//! The run drawn as a chart: a lane per phase, a bar per step, who had to wait for its lock, and how long it waited itself.
//! Strength of a lock is told by height, colour and pattern, so that it can be read in grey and on paper.

use bastide_plan::Phase;
use maud::{Markup, PreEscaped, html};

use crate::{
    Report, numbers,
    timeline::{Bar, Lane, Scale, Strength, Timeline, UNDONE, clock},
};

const WIDTH: f64 = 1160.0;
const LEFT: f64 = 104.0;
const RIGHT: f64 = 20.0;
const TOP: f64 = 26.0;
const LANE: f64 = 46.0;
/// From a lane's top to the line its bars stand on; waits hang below it.
const BASE: f64 = 34.0;
const WAIT: f64 = 6.0;
/// Bars narrower than this are drawn as one with their neighbours.
const NARROW: f64 = 3.0;
const THINNEST: f64 = 1.6;
/// Bars that carry a number, explained under the chart.
const NUMBERED: usize = 8;
const BETWEEN_NUMBERS: f64 = 15.0;

/// Fewer steps than this can be told apart in the chart of the whole run.
const WORTH_A_STRIP: usize = 12;

pub(super) fn timeline(report: &Report<'_>) -> Markup {
    let Some(timeline) = Timeline::of(report) else { return html! {} };
    let scale = Scale::new(&timeline, LEFT, WIDTH - LEFT - RIGHT);
    let lanes = lanes(&timeline, &scale);
    let marks = marks(&lanes);
    let (width, height) = (WIDTH, bottom(&lanes) + 8.0);
    html! {
        h2 { "The timeline" }
        p.lead { "Time since the run began, one lane per phase. The higher a bar, the more others its lock keeps waiting; what hangs below the line is the step waiting for its lock." }
        (legend(&timeline))
        div.scroll.chart {
            svg.timeline viewBox={ "0 0 " (width) " " (height) } role="img" aria-labelledby="timeline-title timeline-desc" {
                title id="timeline-title" { "Timeline of steps and locks" }
                desc id="timeline-desc" { (description(report, &timeline, &scale)) }
                (PreEscaped(PATTERNS))
                (drawn(&lanes, &scale))
                @for (number, mark) in (1..).zip(&marks) {
                    g.mark {
                        circle cx=(px(mark.x)) cy=(px(mark.y)) r="6.5" {}
                        text x=(px(mark.x)) y=(px(mark.y + 3.2)) { (number) }
                    }
                }
            }
        }
        @if !marks.is_empty() {
            ol.marks { @for mark in &marks { li { (told(mark.bar)) } } }
        }
    }
}

/// One phase by itself, as wide as the whole: where the steps of a short phase can be told apart.
pub(super) fn strip(report: &Report<'_>, phase: Phase) -> Markup {
    let lane = Timeline::of(report)
        .and_then(|timeline| timeline.lanes.into_iter().find(|lane| lane.name == phase.name()))
        .filter(|lane| lane.bars.len() >= WORTH_A_STRIP);
    let Some(lane) = lane else { return html! {} };
    let alone = Timeline { lanes: vec![Lane { spans: Vec::new(), ..lane }] };
    let scale = Scale::new(&alone, LEFT, WIDTH - LEFT - RIGHT);
    let lanes = lanes(&alone, &scale);
    html! {
        div.scroll {
            svg.timeline.strip viewBox={ "0 0 " (WIDTH) " " (bottom(&lanes) + 4.0) } role="img" aria-label={ "Timeline of " (phase.name()) " by itself; the table below has the same figures" } {
                (drawn(&lanes, &scale))
            }
        }
    }
}

struct DrawnLane<'a> {
    top: f64,
    lane: &'a Lane<'a>,
    groups: Vec<Group<'a>>,
}

fn lanes<'a>(timeline: &'a Timeline<'a>, scale: &Scale) -> Vec<DrawnLane<'a>> {
    (0_u32..)
        .zip(&timeline.lanes)
        .map(|(index, lane)| DrawnLane {
            top: TOP + f64::from(index) * LANE,
            lane,
            groups: groups(lane, scale),
        })
        .collect()
}

fn bottom(lanes: &[DrawnLane<'_>]) -> f64 {
    lanes.last().map_or(TOP, |last| last.top + LANE)
}

fn drawn(lanes: &[DrawnLane<'_>], scale: &Scale) -> Markup {
    html! {
        (axis(scale, bottom(lanes)))
        @for DrawnLane { top, lane, groups } in lanes {
            g {
                line.rule x1=(LEFT) x2=(WIDTH - RIGHT) y1=(px(top + BASE)) y2=(px(top + BASE)) {}
                text.lane x="2" y=(px(top + BASE - 3.0)) { (lane.name) }
                @for span in &lane.spans {
                    @let (from, to) = (scale.x(span.from), scale.x(span.to));
                    rect.phase x=(px(from)) y=(px(top + 5.0)) width=(px((to - from).max(THINNEST))) height=(px(BASE - 5.0)) {
                        title { (lane.name) ": " (numbers::seconds(span.seconds())) }
                    }
                    @if lane.bars.is_empty() && to - from > 44.0 {
                        text.took x=(px(f64::midpoint(from, to))) y=(px(top + BASE - 11.0)) { (numbers::seconds(span.seconds())) }
                    }
                }
                @for group in groups { (bar(group, top + BASE)) }
            }
        }
    }
}

/// Bars that stand so close that only one can be seen.
struct Group<'a> {
    from: f64,
    to: f64,
    bars: Vec<Drawn<'a>>,
}

struct Drawn<'a> {
    bar: &'a Bar<'a>,
    held: Option<(f64, f64)>,
    waited: Option<(f64, f64)>,
}

fn groups<'a>(lane: &'a Lane<'a>, scale: &Scale) -> Vec<Group<'a>> {
    let mut groups: Vec<Group<'a>> = Vec::new();
    for bar in &lane.bars {
        let (from, to) = (scale.x(bar.span.from), scale.x(bar.span.to));
        let on = |span: crate::timeline::Span| (scale.x(span.from), scale.x(span.to));
        let drawn = Drawn { bar, held: bar.held.map(on), waited: bar.waited.map(on) };
        match groups.last_mut() {
            Some(last) if last.narrow() && to - last.from <= NARROW => {
                last.to = last.to.max(to);
                last.bars.push(drawn);
            }
            _ => groups.push(Group { from, to, bars: vec![drawn] }),
        }
    }
    groups
}

impl Group<'_> {
    fn narrow(&self) -> bool {
        self.to - self.from < NARROW
    }

    fn failed(&self) -> bool {
        self.bars.iter().any(|drawn| drawn.bar.step.error.is_some())
    }

    /// Of the strongest lock in it.
    fn strength(&self) -> Strength {
        self.bars.iter().map(|drawn| drawn.bar.strength).max().unwrap_or(Strength::Nobody)
    }

    /// What the pointer is told; a screen reader has the tables below.
    fn title(&self) -> String {
        if let [only] = self.bars.as_slice() {
            return told(only.bar);
        }
        let held = self.bars.iter().map(|drawn| drawn.bar.step.held_ms).fold(0.0, f64::max);
        let (first, last) = (&self.bars[0].bar, &self.bars[self.bars.len() - 1].bar);
        format!(
            "{} steps from {} to {}; strongest lock: {}; longest held {}; first: {}",
            self.bars.len(),
            clock(first.span.from, 0.1),
            clock(last.span.to, 0.1),
            self.strength().words(),
            numbers::milliseconds(held),
            first.step.text,
        )
    }
}

/// One step in one line.
fn told(bar: &Bar<'_>) -> String {
    let step = bar.step;
    let lock = step.forward.lock.map_or_else(|| "no table lock".to_owned(), |lock| lock.to_string());
    let mut text = format!("{}: {}, {lock}", step.text, numbers::seconds(bar.span.seconds()));
    if let Some(waited) = bar.waited {
        text.push_str(&format!(", waited {} for it", numbers::seconds(waited.seconds())));
    }
    if bar.open {
        text.push_str(", under way");
    }
    if let Some(error) = &step.error {
        text.push_str(&format!("; {error}"));
    }
    text
}

fn bar(group: &Group<'_>, base: f64) -> Markup {
    let single = group.bars.len() == 1;
    let held = |drawn: &Drawn<'_>| {
        let (from, to) = if single { drawn.held? } else { (group.from, group.to) };
        Some((from.min(to - THINNEST).max(LEFT), to))
    };
    let strength = group.strength();
    let (class, height) = look(strength);
    let waits = group.bars.iter().filter_map(|drawn| drawn.waited);
    let waited = waits.reduce(|all, (from, to)| (all.0.min(from), all.1.max(to)));
    html! {
        g {
            title { (group.title()) }
            @if single {
                rect.span x=(px(group.from)) y=(px(base - 3.0)) width=(px((group.to - group.from).max(THINNEST))) height="3" {}
            }
            @if let Some((from, to)) = group.bars.first().and_then(held) {
                rect.{ (class) @if group.bars.iter().any(|drawn| drawn.bar.open) { " open" } }
                    x=(px(from)) y=(px(base - height)) width=(px((to - from).max(THINNEST))) height=(px(height)) {}
            }
            @if let Some((from, to)) = waited {
                rect.waited x=(px(from)) y=(px(base + 1.5)) width=(px((to - from).max(THINNEST))) height=(px(WAIT)) {}
            }
            @if group.failed() {
                text.cross x=(px(f64::midpoint(group.from, group.to))) y=(px(base - height - 2.0)) { "✕" }
            }
        }
    }
}

fn look(strength: Strength) -> (&'static str, f64) {
    match strength {
        Strength::Nobody => ("nobody", 7.0),
        Strength::Schema => ("schema", 13.0),
        Strength::Writers => ("writers", 19.0),
        Strength::Everybody => ("everybody", 26.0),
    }
}

struct Mark<'a> {
    x: f64,
    y: f64,
    bar: &'a Bar<'a>,
}

/// The longest steps, each with room for its number; by time.
fn marks<'a>(lanes: &'a [DrawnLane<'a>]) -> Vec<Mark<'a>> {
    let mut candidates: Vec<Mark<'a>> = Vec::new();
    for DrawnLane { top, groups, .. } in lanes.iter().filter(|drawn| drawn.lane.name != UNDONE) {
        for group in groups {
            let [only] = group.bars.as_slice() else { continue };
            let y = top + BASE - look(group.strength()).1 - 9.0;
            candidates.push(Mark { x: f64::midpoint(group.from, group.to), y, bar: only.bar });
        }
    }
    candidates.sort_by(|a, b| b.bar.span.seconds().total_cmp(&a.bar.span.seconds()));
    let mut marks: Vec<Mark<'a>> = Vec::new();
    for mark in candidates {
        let free = marks
            .iter()
            .all(|other| (other.x - mark.x).abs() > BETWEEN_NUMBERS || (other.y - mark.y).abs() > LANE / 2.0);
        if free && marks.len() < NUMBERED {
            marks.push(mark);
        }
    }
    marks.sort_by(|a, b| a.bar.span.from.total_cmp(&b.bar.span.from));
    marks
}

fn axis(scale: &Scale, bottom: f64) -> Markup {
    html! {
        g.axis {
            @for tick in scale.ticks() {
                line.tick x1=(px(tick.x)) x2=(px(tick.x)) y1=(TOP - 4.0) y2=(bottom) {}
                text x=(px(tick.x)) y=(TOP - 10.0) { (tick.label) }
            }
            @for (from, to, seconds) in scale.idle() {
                rect.idle x=(px(from)) y=(TOP - 4.0) width=(px(to - from)) height=(px(bottom - TOP + 4.0)) {
                    title { "nothing happened for " (numbers::seconds(seconds)) }
                }
                @let middle = f64::midpoint(from, to);
                text.idle transform={ "translate(" (px(middle + 3.5)) " " (px(f64::midpoint(TOP, bottom))) ") rotate(-90)" } { (clock_words(seconds)) " idle" }
            }
        }
    }
}

/// Short enough to stand upright in a gap.
fn clock_words(seconds: f64) -> String {
    match seconds {
        s if s < 120.0 => numbers::seconds(s),
        s if s < 7200.0 => format!("{:.0} min", s / 60.0),
        s if s < 172_800.0 => format!("{:.0} h", s / 3600.0),
        s => format!("{:.0} days", s / 86_400.0),
    }
}

fn legend(timeline: &Timeline<'_>) -> Markup {
    let bars = || timeline.lanes.iter().flat_map(|lane| &lane.bars);
    let there = |strength| bars().any(|bar| bar.strength == strength);
    html! {
        p.legend.locks {
            @for strength in Strength::ALL.into_iter().filter(|strength| there(*strength)) {
                @let (class, height) = look(strength);
                span {
                    svg viewBox="0 0 22 26" width="22" height="26" aria-hidden="true" { rect.{ (class) } x="1" y=(px(26.0 - height)) width="20" height=(px(height)) {} }
                    (strength.words())
                }
            }
            @if bars().any(|bar| bar.waited.is_some()) {
                span { svg viewBox="0 0 22 26" width="22" height="26" aria-hidden="true" { rect.waited x="1" y="18" width="20" height=(WAIT) {} } "the step waits for its lock" }
            }
            @if bars().any(|bar| bar.step.error.is_some()) { span { b.cross { "✕" } " failed" } }
        }
    }
}

fn description(report: &Report<'_>, timeline: &Timeline<'_>, scale: &Scale) -> String {
    let steps: usize = timeline.lanes.iter().map(|lane| lane.bars.len()).sum();
    let lanes: Vec<&str> = timeline.lanes.iter().map(|lane| lane.name).collect();
    let idle = scale.idle().count() as u64;
    let longest = crate::Summary::of(report).longest_lock_ms;
    format!(
        "{} in lanes for {}. The longest lock that made writers wait was held for {}. {} shown shortened. The tables under “The steps” hold the same figures.",
        numbers::counted(steps as u64, "bar", "bars"),
        lanes.join(", "),
        numbers::milliseconds(longest),
        numbers::counted(idle, "idle stretch is", "idle stretches are"),
    )
}

/// Pixels, to a tenth.
fn px(x: f64) -> String {
    let text = format!("{x:.1}");
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
}

/// Where colours are gone the patterns still tell the classes apart.
const PATTERNS: &str = r#"<defs><pattern id="t-dots" width="5" height="5" patternUnits="userSpaceOnUse"><rect width="5" height="5" class="ground schema-ground"/><circle cx="2.5" cy="2.5" r="1" class="grain schema-grain"/></pattern><pattern id="t-stripes" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><rect width="6" height="6" class="ground writers-ground"/><rect width="2.4" height="6" class="grain writers-grain"/></pattern><pattern id="t-hatch" width="4" height="4" patternUnits="userSpaceOnUse" patternTransform="rotate(-45)"><rect width="1.4" height="4" class="grain waited-grain"/></pattern></defs>"#;

#[cfg(test)]
mod tests;
