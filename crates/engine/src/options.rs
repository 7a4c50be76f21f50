//! What whoever starts a run decides.

use std::path::PathBuf;

use bastide_connect::Target;
use bastide_plan::{Phase, Plan};

use crate::{Acknowledgement, BackupChoice, Patience};

/// Where a run happens.
#[derive(Clone, Debug)]
pub struct Place {
    /// The migrating login's way in; direct, never through a pooler (session locks).
    pub target: Target,
    /// The application's way in. Without it the run probes as a login it made itself, or, weaker, by SET ROLE.
    pub app: Option<Target>,
    /// Backups and generated passwords go here (0700, files 0600).
    pub state_dir: PathBuf,
    pub patience: Patience,
}

#[derive(Clone, Debug)]
pub struct MigrateOptions {
    pub place: Place,
    pub plan: Plan,
    /// Stop after this phase, as `stopped`.
    pub until: Option<Phase>,
    pub on_failure: OnFailure,
    pub backup: BackupChoice,
    /// For a login that the run makes; without it one is generated into a file.
    pub app_password: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum OnFailure {
    #[default]
    Rollback,
    Stop,
}

/// No backup, since `by` has said, in the way of `how`, that there is another.
#[must_use]
pub fn without_backup(by: &str, how: &str) -> BackupChoice {
    BackupChoice::None(Acknowledgement {
        by: by.to_owned(),
        how: how.to_owned(),
        at: time::OffsetDateTime::now_utc(),
    })
}
