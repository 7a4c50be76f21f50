//! What verification says.

use serde::{Deserialize, Serialize};

use crate::{Outcome, Probe};

/// Posture and probes of one database, as one application login.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Verdict {
    pub app_role: String,
    /// Probed through a connection of the login's own; by SET ROLE from the owner's is weaker, and the report says so.
    pub own_login: bool,
    pub scoped_tables: usize,
    /// The database's own, to tell it from another.
    #[serde(default)]
    pub database: DatabaseId,
    /// Only what is safe on a busy production database was selected; what was not selected is not called untested.
    #[serde(default)]
    pub production: bool,
    /// The application's login came through a pooler.
    #[serde(default)]
    pub pooler: bool,
    pub findings: Vec<Finding>,
    pub probes: Vec<Probe>,
}

/// Which database: names are used again, identifiers are not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatabaseId {
    pub name: String,
    /// `pg_control_system().system_identifier`, where it may be read.
    pub system_identifier: Option<String>,
    pub oid: u32,
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

impl Verdict {
    /// Findings that count: neither informational nor settled by cutover.
    pub fn open_findings(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|finding| finding.severity > Severity::Info && !finding.pending_cutover)
    }

    pub fn breaches(&self) -> impl Iterator<Item = &Probe> {
        self.probes.iter().filter(|probe| probe.breached())
    }

    pub fn untested(&self) -> impl Iterator<Item = &Probe> {
        self.probes.iter().filter(|probe| probe.untested())
    }

    /// Probes without an answer that must have one.
    pub fn unanswered(&self) -> impl Iterator<Item = &Probe> {
        self.untested().filter(|probe| probe.cell.never_untested())
    }

    /// Whether enough was looked at to say anything.
    #[must_use]
    pub fn looked(&self) -> bool {
        self.scoped_tables > 0
            && self.probes.iter().any(|probe| probe.outcome == Outcome::Held)
            && self.unanswered().next().is_none()
    }

    /// Isolated: nothing found, nothing breached, and something was really looked at.
    #[must_use]
    pub fn isolated(&self) -> bool {
        self.looked() && self.open_findings().next().is_none() && self.breaches().next().is_none()
    }
}
