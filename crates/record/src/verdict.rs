//! What verification says.

use serde::{Deserialize, Serialize};

/// Posture and probes of one database, as one application login.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Verdict {
    pub app_role: String,
    /// Probed through a connection of the login's own; by SET ROLE from the owner's is weaker, and the report says so.
    pub own_login: bool,
    pub scoped_tables: usize,
    pub findings: Vec<Finding>,
    pub probes: Vec<Probe>,
}

/// One weakness of isolation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Stable, for example `BST-001`.
    pub id: String,
    pub severity: Severity,
    /// The object's name as the catalog has it.
    pub object: String,
    pub message: String,
    /// SQL that mends it, or what to decide.
    pub mend: String,
    /// What cutover will settle by itself is a state, not a finding.
    pub pending_cutover: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    Info,
    Warning,
    Critical,
}

/// An attempt, as the application's login, to do what isolation forbids.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    pub object: String,
    /// `select`, `insert`, `update`, `delete`, `zero_row`, …
    pub verb: String,
    /// `none`, `empty`, `other tenant`, `malformed`, …
    pub context: String,
    #[serde(flatten)]
    pub outcome: Outcome,
    /// The same act where it must succeed, and what came of it.
    pub control: String,
    /// A psql script that shows a breach again.
    pub reproduce: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    Held,
    Breached { how: String },
    Untested { why: String },
}

impl Verdict {
    /// Findings that count: neither informational nor settled by cutover.
    pub fn open_findings(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|finding| finding.severity > Severity::Info && !finding.pending_cutover)
    }

    pub fn breaches(&self) -> impl Iterator<Item = &Probe> {
        self.probes.iter().filter(|probe| matches!(probe.outcome, Outcome::Breached { .. }))
    }

    /// Isolated: nothing found, nothing breached, and something was really looked at.
    #[must_use]
    pub fn isolated(&self) -> bool {
        self.scoped_tables > 0
            && self.open_findings().next().is_none()
            && self.breaches().next().is_none()
            && self.probes.iter().any(|probe| probe.outcome == Outcome::Held)
    }
}
