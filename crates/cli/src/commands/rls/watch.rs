//! `bastide rls status --watch`: a run that somebody else's terminal drives, until it ends. Takes no lock and outlives a lost
//! connection.

use std::{
    io::IsTerminal,
    time::{Duration, Instant},
};

use bastide_connect::Target;
use bastide_engine::{EngineError, Watch};
use bastide_record::Sighting;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;
use uuid::Uuid;

use super::status::{self, Status};
use crate::{args::RunId, context::Context, exit::Exit, printer::Printer};

/// A run whose connection broke takes its lock again within this; one that was killed does not.
const DIED: Duration = Duration::from_secs(5);

/// A server that is restarted is back by then, or the run has given up, too.
const AWAY: Duration = Duration::from_secs(120);

pub(crate) async fn run(context: &Context, run: &RunId, interval: Duration) -> anyhow::Result<Exit> {
    let id = context.run_id(run.run.as_deref())?;
    let target = context.target()?;
    let mut screen = Screen::new(&context.printer);
    let ended = follow(&target, id, interval, &mut screen).await;
    screen.clear();
    let (run, died) = ended?;
    let (record, steps) = bastide_engine::status(&target, run).await?;
    let (exit, status) = status::of(&record, &steps);
    let how = if died { Ended::Died { status } } else { Ended::Ended { status } };
    context.printer.line(&how, || match &how {
        Ended::Died { status } => format!(
            "the run died: nobody holds the lock of database {} any more\n{}",
            target.database(),
            status::text(status)
        ),
        Ended::Ended { status } => status::text(status),
    })?;
    Ok(exit)
}

/// Each is one line of JSON.
#[derive(Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
enum Looked<'a> {
    Seen {
        #[serde(flatten)]
        seen: &'a Sighting,
        /// Of the step under way, by how fast its rows went so far; null where they do not tell.
        seconds_left: Option<f64>,
    },
    Lost {
        error: String,
    },
}

#[derive(Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
enum Ended {
    Ended {
        #[serde(flatten)]
        status: Status,
    },
    /// It is not over, and nobody is at work on it.
    Died {
        #[serde(flatten)]
        status: Status,
    },
}

/// Looks until there is nothing more to see: which run it was, and whether it died.
async fn follow(
    target: &Target,
    id: Option<Uuid>,
    interval: Duration,
    screen: &mut Screen<'_>,
) -> anyhow::Result<(Option<Uuid>, bool)> {
    let mut watch = Some(Watch::open(target, id).await?);
    let (mut run, mut followed) = (id, false);
    let mut pace = Pace::default();
    let (mut last_answer, mut last_holder) = (Instant::now(), Instant::now());
    loop {
        match looked(&mut watch, target, run).await {
            Ok(seen) => {
                // While nobody answered, nobody could be seen to hold the lock either.
                if last_answer.elapsed() > interval + DIED {
                    last_holder = Instant::now();
                }
                last_answer = Instant::now();
                if seen.holder.is_some() {
                    last_holder = Instant::now();
                }
                match &seen.run {
                    Some(seen) if seen.state.live() => (run, followed) = (Some(seen.id), true),
                    // Over; or a command has begun whose run is not written down yet.
                    _ if followed || seen.holder.is_none() || id.is_some() => return Ok((run, false)),
                    _ => {}
                }
                screen.show(&seen, pace.left(&seen))?;
                if followed && last_holder.elapsed() >= DIED {
                    return Ok((run, true));
                }
            }
            Err(error) => {
                watch = None;
                if last_answer.elapsed() >= AWAY {
                    return Err(error.into());
                }
                screen.lost(&error)?;
            }
        }
        tokio::time::sleep(interval).await;
    }
}

/// Through the connection there is, or a new one.
async fn looked(
    watch: &mut Option<Watch>,
    target: &Target,
    run: Option<Uuid>,
) -> Result<Sighting, EngineError> {
    let open = match watch.take() {
        Some(open) => open,
        None => Watch::open(target, run).await?,
    };
    watch.insert(open).look().await
}

/// How fast the rows of a step went while we looked.
#[derive(Default)]
struct Pace {
    first: Option<(String, Instant, i64)>,
}

impl Pace {
    fn left(&mut self, seen: &Sighting) -> Option<Duration> {
        let step = seen.run.as_ref()?.step.as_ref()?;
        let (rows, expected) = (step.rows?, step.rows_expected?);
        match &self.first {
            Some((id, since, first)) if id == step.id.as_str() && *first <= rows => {
                remaining(rows - first, since.elapsed(), expected - rows)
            }
            _ => {
                self.first = Some((step.id.to_string(), Instant::now(), rows));
                None
            }
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "an estimate")]
fn remaining(went: i64, within: Duration, left: i64) -> Option<Duration> {
    if went <= 0 {
        return None;
    }
    Duration::try_from_secs_f64(left.max(0) as f64 * within.as_secs_f64() / went as f64).ok()
}

/// Drawn over itself on a terminal; elsewhere a line for each change.
struct Screen<'a> {
    printer: &'a Printer,
    drawn: Option<ProgressBar>,
    last: Option<Sighting>,
    lost: bool,
}

impl<'a> Screen<'a> {
    fn new(printer: &'a Printer) -> Self {
        let drawn = (std::io::stdout().is_terminal() && !printer.json_wanted()).then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stdout());
            bar.set_style(
                ProgressStyle::with_template("{msg}").unwrap_or_else(|_| ProgressStyle::default_bar()),
            );
            bar
        });
        Self { printer, drawn, last: None, lost: false }
    }

    fn show(&mut self, seen: &Sighting, left: Option<Duration>) -> anyhow::Result<()> {
        if let Some(bar) = &self.drawn {
            bar.set_message(bastide_report::sighting(seen, left).trim_end().to_owned());
            return Ok(());
        }
        if self.lost || self.last.as_ref().is_none_or(|last| seen.tells_more(last)) {
            let line = Looked::Seen { seen, seconds_left: left.map(|left| left.as_secs_f64()) };
            self.printer.line(&line, || bastide_report::sighting_line(seen, left))?;
        }
        self.lost = false;
        self.last = Some(seen.clone());
        Ok(())
    }

    fn lost(&mut self, error: &EngineError) -> anyhow::Result<()> {
        let text = format!("lost sight of the run, looking again: {error}");
        if let Some(bar) = &self.drawn {
            bar.set_message(text);
        } else if !self.lost {
            self.printer.line(&Looked::Lost { error: error.to_string() }, || text)?;
        }
        self.lost = true;
        Ok(())
    }

    fn clear(&self) {
        if let Some(bar) = &self.drawn {
            bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_follows_from_how_fast_it_went() {
        let ten = Duration::from_secs(10);
        assert_eq!(remaining(1_000, ten, 3_000), Some(Duration::from_secs(30)));
        assert_eq!(remaining(0, ten, 3_000), None, "nothing moved, so nothing is known");
        assert_eq!(remaining(1_000, ten, -5), Some(Duration::ZERO), "rows were written meanwhile");
    }
}
