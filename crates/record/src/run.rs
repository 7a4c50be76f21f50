//! What the journal says, as values: for `rls status`, for rollback, and for the report.

use bastide_plan::{Phase, Plan, Script, StepId};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RunRecord {
    pub id: uuid::Uuid,
    pub state: RunState,
    /// The phase it is in, or stopped in.
    pub phase: Phase,
    pub plan: Plan,
    pub bastide: String,
    #[serde(with = "time::serde::rfc3339")]
    pub started_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339::option")]
    pub ended_at: Option<OffsetDateTime>,
    /// One sentence: why it stopped, when it did.
    pub error: Option<String>,
    pub phases: Vec<PhaseRecord>,
    pub backup: Option<BackupRecord>,
    /// What was asked for; runs of older versions do not say.
    #[serde(default)]
    pub backup_choice: Option<BackupChoice>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    Running,
    /// Half-way: `resume` and `rollback` both work.
    Stopped,
    /// Every row that evidence settles has its tenant, and nothing after that has begun. Whoever reads the journal finds
    /// this out from the steps: it is stored as `stopped`, which older binaries know.
    Upgraded,
    /// The seven phases are done; the legacy login still works.
    PendingCutover,
    CutOver,
    RollingBack,
    RolledBack,
    Finished,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PhaseRecord {
    pub phase: Phase,
    pub seconds: f64,
    /// By the server's clock, as the steps; older journals do not say.
    #[serde(default, with = "time::serde::rfc3339::option")]
    pub ended_at: Option<OffsetDateTime>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BackupChoice {
    /// Dumped, and its list of contents compared with the catalog.
    #[default]
    List,
    /// Dumped, restored into a scratch database, and its rows compared.
    Restore,
    /// None, on somebody's word that there is another.
    None(Acknowledgement),
}

/// Who said that there is another backup, so that none had to be taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acknowledgement {
    /// The user of the machine that Bastide ran on.
    pub by: String,
    /// The option or the answer by which they said so.
    pub how: String,
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BackupRecord {
    /// A folder with `dump/` (what `pg_restore` reads) and `manifest.json`; of older versions a file.
    pub path: String,
    pub bytes: u64,
    /// `list` or `restore`.
    pub verified: String,
    pub tables: u64,
    pub rows: Option<u64>,
    /// How long the snapshot was held, during which vacuum removed no row that died.
    #[serde(default)]
    pub snapshot_seconds: Option<f64>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StepRecord {
    pub id: StepId,
    pub ordinal: i32,
    pub phase: Phase,
    pub state: StepState,
    pub text: String,
    pub forward: Script,
    pub inverse: Script,
    pub cursor: Option<String>,
    pub rows: Option<i64>,
    pub attempts: i32,
    /// Time spent waiting for locks, over all attempts.
    pub waited_ms: f64,
    /// How long the lock of `forward` was held: of the last attempt, or of the longest batch.
    pub held_ms: f64,
    #[serde(with = "time::serde::rfc3339::option")]
    pub started_at: Option<OffsetDateTime>,
    #[serde(with = "time::serde::rfc3339::option")]
    pub done_at: Option<OffsetDateTime>,
    #[serde(with = "time::serde::rfc3339::option")]
    pub undone_at: Option<OffsetDateTime>,
    pub error: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepState {
    Planned,
    Started,
    Done,
    Undoing,
    Undone,
    Failed,
}
