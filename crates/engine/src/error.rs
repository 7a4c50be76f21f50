//! Everything that can stop the engine, with the exit code of DESIGN.md §5 that belongs to it.

use std::path::PathBuf;

use bastide_plan::{Phase, StepId};

use crate::ServerSaid;

#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    #[error(
        "the tenant contexts of this database are plain; to seal them, plan with `sealed_context = true` in bastide.toml"
    )]
    NotSealed,

    #[error("key {id} {}; there are {}", if *.known { "is the newest, and contexts are sealed with it: `bastide context rotate` first" } else { "is not there" }, .keys.join(", "))]
    SealKey { id: i32, known: bool, keys: Vec<String> },

    #[error(transparent)]
    Connect(#[from] bastide_connect::ConnectError),
    #[error(
        "another Bastide run holds the lock of database {database}: {holder}. Wait for it, or look at it with `bastide rls status`"
    )]
    Busy { database: String, holder: String },
    #[error("{login} may not migrate database {database}: {missing}. {help}")]
    MayNot { login: String, database: String, missing: String, help: String },
    #[error(
        "{host} is a pooler, through which neither locks nor settings of a session hold; connect to the server itself: name its own host and port with --database-url"
    )]
    Pooled { host: String },
    #[error("{0}")]
    Preflight(String),
    #[error(
        "there is a schema bastide that Bastide did not make; it keeps its journal in a schema of that name: run \
         ALTER SCHEMA bastide RENAME TO another name first"
    )]
    SchemaTaken,
    #[error(
        "the plan is stale: {changes}. Make it again with `bastide rls plan`; the answers you gave are kept"
    )]
    Stale { changes: String },
    #[error(
        "the schema is not what run {run} left: {changes}. `bastide legacy rollback` undoes the upgrade; a new `bastide legacy plan` then sees what changed"
    )]
    ChangedSince { run: uuid::Uuid, changes: String },
    #[error("the plan belongs to database {planned}, and this is {found}")]
    OtherDatabase { planned: String, found: String },
    #[error(
        "{count} open question(s), first: {first}. Answer them in the plan file, or take the safe answers with `--accept-defaults`"
    )]
    OpenQuestions { count: usize, first: String },
    #[error(transparent)]
    Refused(#[from] bastide_plan::Refusal),
    #[error(transparent)]
    Catalog(#[from] bastide_catalog::ReadError),
    #[error(transparent)]
    Survey(#[from] bastide_legacy::SurveyError),
    #[error(transparent)]
    Verify(#[from] bastide_verify::VerifyError),
    #[error("there is no run in this database; begin one with `bastide rls migrate`")]
    NoRun,
    #[error("there is no run {0} in this database; `bastide rls status` shows the newest")]
    NoSuchRun(uuid::Uuid),
    #[error("run {run} is {state}, so no row has a tenant by it; `bastide legacy upgrade` begins another")]
    NothingAssigned { run: uuid::Uuid, state: &'static str },
    #[error("run {run} is {state} (phase {phase}): {next}")]
    WrongState { run: uuid::Uuid, state: &'static str, phase: Phase, next: &'static str },
    #[error(
        "this database is migrated already (run {run}, {state}); `bastide rls rollback` undoes it, `bastide rls cutover` and `bastide rls finish` end it"
    )]
    Migrated { run: uuid::Uuid, state: &'static str },
    #[error(
        "the platform's schema stands on what this run left, at version {newest}: type `bastide schema down --to 1` first, which says what is lost"
    )]
    SchemaOnTop { newest: i32 },
    #[error("`{step}` did not get its lock in {tries} tries ({seconds} s). In its way: {blockers}")]
    Blocked { step: StepId, tries: u32, seconds: u64, blockers: String },
    #[error(
        "`{step}` gave way {times} times to others who waited for it, last to {to}; it needs a time at which nobody does"
    )]
    GaveWay { step: StepId, times: u32, to: String },
    #[error("`{step}` failed: {said}")]
    Step { step: StepId, said: ServerSaid },
    #[error(
        "the connection was lost in `{step}` and did not come back: {cause}. `bastide rls status` says where the run stands"
    )]
    Lost { step: StepId, cause: String },
    #[error(
        "the connection was lost in phase {phase} and could not be kept: {cause}. `bastide rls status` says where the run stands"
    )]
    CutOff { phase: Phase, cause: String },
    #[error("the server has not answered for {seconds} s")]
    NoAnswer { seconds: u64 },
    #[error("{doing} failed: {said}")]
    Server { doing: &'static str, said: ServerSaid },
    #[error("the journal of run {run} cannot be read: {what}")]
    Journal { run: uuid::Uuid, what: String },
    #[error(
        "run {run} was begun by Bastide {bastide}, whose journal has format {format}; this one, {}, reads formats up to {}. Nothing was changed; install Bastide {bastide} or a newer one, then type the command again",
        env!("CARGO_PKG_VERSION"),
        crate::journal::JOURNAL_FORMAT
    )]
    NewerJournal { run: uuid::Uuid, bastide: String, format: i32 },
    #[error(
        "this Bastide cannot read the plan of run {run}, which Bastide {bastide} began ({what}). `bastide rls rollback` undoes it all the same; to go on with it, use Bastide {bastide}"
    )]
    OtherPlan { run: uuid::Uuid, bastide: String, what: String },
    #[error(transparent)]
    NoTool(#[from] bastide_postgres::PostgresError),
    #[error("{program} failed: {said}")]
    Tool { program: &'static str, said: String },
    #[error("the backup {path} is not whole: {what}")]
    BadBackup { path: PathBuf, what: String },
    #[error("{path}: {source}")]
    File { path: PathBuf, source: std::io::Error },
    #[error("not isolated: {findings} finding(s), {breaches} breach(es); first: {first}")]
    NotIsolated { findings: usize, breaches: usize, first: String, verdict: Box<bastide_verify::Verdict> },
    #[error("the root is no tenant boundary any more: {0}. Nothing was changed")]
    Crossing(String),
    #[error(
        "rollback would lose rows the old schema cannot hold: {0}. Nothing was changed; mend these rows, then type `bastide rls rollback` again"
    )]
    NotRestorable(String),
    #[error("rolled back, but the schema is not what it was; first difference: {0}")]
    NotAsBefore(String),
    #[error("the run failed and was rolled back: {0}")]
    RolledBack(#[source] Box<EngineError>),
    #[error("the run stopped: {cause}. `bastide rls resume` goes on, `bastide rls rollback` undoes it")]
    Stopped {
        #[source]
        cause: Box<EngineError>,
    },
    #[error("the rollback stopped: {cause}. `bastide rls rollback` goes on")]
    RollbackStopped {
        #[source]
        cause: Box<EngineError>,
    },
    #[error(
        "the run failed ({cause}), and rolling it back failed, too: {rollback}. `bastide rls rollback` tries again"
    )]
    RollbackFailed {
        cause: Box<EngineError>,
        #[source]
        rollback: Box<EngineError>,
    },
}

impl EngineError {
    /// 1 failed and undone, or findings; 2 unusable input; 3 cannot reach or may not; 4 half-way; 5 another run has the lock.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Stale { .. }
            | Self::ChangedSince { .. }
            | Self::OtherDatabase { .. }
            | Self::OpenQuestions { .. }
            | Self::Refused(_)
            | Self::Survey(
                bastide_legacy::SurveyError::Refused(_) | bastide_legacy::SurveyError::Rule { .. },
            )
            | Self::NoRun
            | Self::NoSuchRun(_)
            | Self::NothingAssigned { .. }
            | Self::SchemaTaken
            | Self::NotSealed
            | Self::SealKey { .. }
            | Self::Migrated { .. }
            | Self::SchemaOnTop { .. }
            | Self::Crossing(_) => 2,
            Self::Connect(_)
            | Self::MayNot { .. }
            | Self::Pooled { .. }
            | Self::Preflight(_)
            | Self::NoAnswer { .. }
            | Self::NewerJournal { .. }
            | Self::NoTool(_)
            | Self::Catalog(_)
            | Self::Survey(_)
            | Self::File { .. } => 3,
            Self::Blocked { .. }
            | Self::GaveWay { .. }
            | Self::Step { .. }
            | Self::Lost { .. }
            | Self::CutOff { .. }
            | Self::RollbackStopped { .. }
            | Self::OtherPlan { .. }
            | Self::Journal { .. }
            | Self::WrongState { .. }
            | Self::NotRestorable(_)
            | Self::Stopped { .. }
            | Self::RollbackFailed { .. } => 4,
            Self::Busy { .. } => 5,
            Self::Verify(_)
            | Self::Server { .. }
            | Self::Tool { .. }
            | Self::BadBackup { .. }
            | Self::NotIsolated { .. }
            | Self::NotAsBefore(_)
            | Self::RolledBack(_) => 1,
        }
    }

    /// The run stays where it is: the way is only blocked, or the server is gone or has no room, for going back either.
    pub(crate) fn stops(&self) -> bool {
        match self {
            Self::Blocked { .. } | Self::GaveWay { .. } | Self::Lost { .. } | Self::CutOff { .. } => true,
            Self::Step { said, .. } | Self::Server { said, .. } => said.out_of_room(),
            _ => false,
        }
    }

    /// What planning refuses, when it is that.
    #[must_use]
    pub fn refusal(&self) -> Option<&bastide_plan::Refusal> {
        match self {
            Self::Refused(refusal) | Self::Survey(bastide_legacy::SurveyError::Refused(refusal)) => {
                Some(refusal)
            }
            _ => None,
        }
    }

    pub(crate) fn server(doing: &'static str) -> impl FnOnce(tokio_postgres::Error) -> Self {
        move |error| Self::Server { doing, said: error.into() }
    }

    pub(crate) fn file(path: &std::path::Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { path, source }
    }
}
