//! Plans, runs, verdicts and discoveries as something to read: terminal text, Markdown, a self-contained HTML page, JSON. Pure:
//! values in, strings out.

mod discovery_text;
mod document;
mod html;
mod markdown;
mod matrix;
mod numbers;
mod plan_text;
mod rows_text;
#[cfg(test)]
mod sample;
mod sighting_text;
mod standing;
mod summary;
mod terminal;
mod text;
mod timeline;
mod validation;

use bastide_record::{Acknowledgement, BackupChoice, RunRecord, StepRecord, Verdict};

pub use discovery_text::discovery;
pub use document::{Document, REPORT_FORMAT, document};
pub use html::{discovery_html, html, rows_html};
pub use markdown::markdown;
pub use plan_text::{open_questions, plan};
pub use rows_text::rows;
pub use sighting_text::{sighting, sighting_line};
pub use summary::Summary;
pub use terminal::terminal;
pub use text::text;
pub use validation::{
    VALIDATION_FORMAT, Validation, ValidationDocument, junit, sarif, validation_document, validation_html,
    validation_text, verdict,
};

/// Everything a report tells of one run.
#[derive(Clone, Copy)]
pub struct Report<'a> {
    pub run: &'a RunRecord,
    pub steps: &'a [StepRecord],
    /// The last verification, when there was one.
    pub verdict: Option<&'a Verdict>,
    /// Rows held aside now, by table.
    pub held: &'a [(String, u64)],
    /// What settling crossing links changed and has not taken back: link, what was done, rows.
    pub settled: &'a [(String, String, u64)],
}

impl<'a> Report<'a> {
    /// On whose word the run went without a backup, when it did.
    fn without_backup(&self) -> Option<&'a Acknowledgement> {
        match &self.run.backup_choice {
            Some(BackupChoice::None(said)) => Some(said),
            _ => None,
        }
    }

    /// The same in words.
    fn acknowledgement(&self) -> Option<String> {
        let said = self.without_backup()?;
        let (by, how, day, time) = (&said.by, &said.how, said.at.date(), said.at.time());
        let (hour, minute) = (time.hour(), time.minute());
        Some(format!("none: {by} said on {day} at {hour:02}:{minute:02} UTC that there is another ({how})"))
    }
}
