//! A run's events as bars on a terminal; where stderr is no terminal, only what must be known. And each step's line in the log.

use std::{io::IsTerminal, sync::Mutex, time::Duration};

use bastide_engine::Event;
use bastide_plan::Phase;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::{printer::Printer, step_log};

pub(crate) struct Progress {
    printer: Printer,
    bars: MultiProgress,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    phase: Option<ProgressBar>,
    step: Option<ProgressBar>,
}

impl Progress {
    pub(crate) fn new(printer: &Printer) -> Self {
        let shown = std::io::stderr().is_terminal() && !printer.quiet() && !printer.logs_json();
        let target = if shown { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        Self {
            printer: printer.clone(),
            bars: MultiProgress::with_draw_target(target),
            state: Mutex::default(),
        }
    }

    /// Takes every event of a run; quick, because the engine waits for it.
    pub(crate) fn event(&self, event: &Event) {
        // A poisoned lock means a panic elsewhere; progress is not worth a second one.
        let Ok(mut state) = self.state.lock() else { return };
        match event {
            Event::PhaseStarted { phase, steps } => state.phase = Some(self.phase_bar(*phase, *steps as u64)),
            Event::Activity { phase, text } => {
                // Planning comes before any phase.
                state.phase.get_or_insert_with(|| self.phase_bar(*phase, 0));
                state.say(text);
            }
            Event::StepStarted { text, .. } => {
                state.end_step();
                state.say(text);
            }
            Event::Progress { done, total, .. } => {
                let bar = state.step.get_or_insert_with(|| {
                    let bar = self.bars.add(ProgressBar::new(total.unwrap_or(0)));
                    bar.set_style(style(
                        "             {bar:28.cyan/dim} {human_pos}/{human_len} rows, {eta} left",
                    ));
                    bar
                });
                if let Some(total) = total {
                    bar.set_length(*total);
                }
                bar.set_position(*done);
            }
            Event::Waiting { attempt, blocked_by, .. } => {
                let blockers =
                    if blocked_by.is_empty() { "a lock".to_owned() } else { blocked_by.join("; ") };
                state.say(&format!("stepped back from {blockers} (try {attempt})"));
            }
            Event::GaveWay { to, times, .. } => {
                state.say(&format!("gave way to {to}, who waited for us (time {times})"));
            }
            Event::Paused { pause, why, .. } => {
                state.say(&format!("paused for {} s: {}", pause.as_secs(), why.join("; ")));
            }
            Event::StepDone { .. } | Event::StepUndone { .. } => {
                state.end_step();
                if let Some(bar) = &state.phase {
                    bar.inc(1);
                }
            }
            Event::PhaseDone { took, .. } => {
                state.end_step();
                if let Some(bar) = state.phase.take() {
                    bar.set_style(style("{prefix:>12} {msg}"));
                    bar.finish_with_message(format!("done in {:.1} s", took.as_secs_f64()));
                }
            }
            Event::StepEnded(end) => self.bars.suspend(|| step_log::ended(end)),
            Event::Notice { text } => self.bars.suspend(|| self.printer.note(text)),
            Event::RunStarted { .. } => {}
        }
    }

    fn phase_bar(&self, phase: Phase, steps: u64) -> ProgressBar {
        let bar = self.bars.add(ProgressBar::new(steps));
        bar.set_style(style(if steps > 0 {
            "{prefix:>12} {bar:28.green/dim} {pos:>3}/{len:<3} {elapsed:>4}, {eta:>4} left  {wide_msg}"
        } else {
            "{prefix:>12} {spinner} {elapsed:>4}  {wide_msg}"
        }));
        bar.set_prefix(phase.to_string());
        bar.enable_steady_tick(Duration::from_millis(120));
        bar
    }

    /// Leaves the terminal clean, whatever happened.
    pub(crate) fn end(&self) {
        if let Ok(mut state) = self.state.lock() {
            state.end_step();
            if let Some(bar) = state.phase.take() {
                bar.finish_and_clear();
            }
        }
    }
}

impl State {
    fn say(&self, text: &str) {
        if let Some(bar) = &self.phase {
            bar.set_message(text.to_owned());
        }
    }

    fn end_step(&mut self) {
        if let Some(bar) = self.step.take() {
            bar.finish_and_clear();
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .map(|s| s.progress_chars("━━─"))
        .unwrap_or_else(|_| ProgressStyle::default_bar())
}
