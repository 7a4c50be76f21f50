//! Counts that become a line of the table of precision and coverage.

use std::io::Write;

/// What one measurement counted; add several up with [`Tally::add`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Databases looked at.
    pub cases: u64,
    pub open: u64,
    pub decidable: u64,
    pub assigned: u64,
    /// Decidable rows that were assigned.
    pub covered: u64,
    pub right: u64,
    /// Wrong, and a crossing link says so.
    pub told: u64,
    /// Wrong, and nothing in the database says so.
    pub misled: u64,
    pub conflicts: u64,
    pub unreachable: u64,
}

impl Tally {
    pub fn add(&mut self, other: &Self) {
        self.cases += other.cases;
        self.open += other.open;
        self.decidable += other.decidable;
        self.assigned += other.assigned;
        self.covered += other.covered;
        self.right += other.right;
        self.told += other.told;
        self.misled += other.misled;
        self.conflicts += other.conflicts;
        self.unreachable += other.unreachable;
    }

    fn line(&self, name: &str) -> String {
        format!(
            "| {name} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} |\n",
            self.cases,
            self.open,
            self.decidable,
            self.assigned,
            self.right,
            ratio(self.right, self.assigned),
            ratio(self.covered, self.decidable),
            self.conflicts,
            self.unreachable,
            self.told,
            self.misled
        )
    }
}

/// A Markdown table on stdout, for whoever runs the test with `--no-capture`.
///
/// # Panics
/// When stdout is closed.
pub fn print(lines: &[(&str, &Tally)]) {
    let mut table = "\n| what | databases | open rows | decidable | assigned | right | precision | coverage | conflicts | \
                     unreachable | wrong, told | wrong, misled |\n|---|---|---|---|---|---|---|---|---|---|---|---|\n"
        .to_owned();
    table.extend(lines.iter().map(|(name, tally)| tally.line(name)));
    let told = std::io::stdout().write_all(table.as_bytes());
    assert!(told.is_ok(), "stdout is closed");
}

/// Exactly 1 only when nothing is missing: 0.99999 does not read as 1.
fn ratio(part: u64, whole: u64) -> String {
    if part == whole {
        return "1".to_owned();
    }
    #[expect(clippy::cast_precision_loss, reason = "six digits are shown")]
    let ratio = (part as f64 / whole as f64).min(0.999_999);
    format!("{ratio:.6}")
}
