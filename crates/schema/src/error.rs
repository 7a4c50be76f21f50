//! Everything that can stop a migration of the platform's schema, with its exit code.

use bastide_engine::{EngineError, ServerSaid};
use bastide_plan::isolate::CannotIsolate;
use bastide_sql::{Ident, QualifiedName};
use uuid::Uuid;

#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error(transparent)]
    Connect(#[from] bastide_connect::ConnectError),
    #[error(transparent)]
    Catalog(#[from] bastide_catalog::ReadError),
    #[error("migrations/{folder}: {why}")]
    Files { folder: String, why: String },
    #[error(
        "there are tables in {database} that Bastide did not make, first: {first}. Name an empty database, or migrate this one as a legacy database: `bastide rls plan`"
    )]
    Foreign { database: String, first: String },
    #[error("run {run} is {state}, and the platform's schema goes on from one that is cut over: {next}")]
    NotCutOver { run: Uuid, state: &'static str, next: &'static str },
    #[error(
        "what run {run} left is not version 1 of the platform's schema, and nothing was changed; it differs in {} place(s){}", .differences.len(), first(.differences)
    )]
    NotTheShop { run: Uuid, differences: Vec<String> },
    #[error("there is no version {asked}; this Bastide has versions up to {newest}")]
    NoVersion { asked: i32, newest: i32 },
    #[error("there is no version {asked} to go back to; this database is at version {newest}")]
    NotThere { asked: i32, newest: i32 },
    #[error(
        "this database is at version {there}, and this Bastide knows versions up to {newest}. Nothing was changed; install the Bastide that applied it, or undo it: `bastide schema down --to {newest}`"
    )]
    Newer { there: i32, newest: i32 },
    #[error(
        "the files of {label} are not those that were applied. Nothing was changed; put them back, and write what is to change as a new migration"
    )]
    Changed { label: String },
    #[error("{label} is half undone; `bastide schema down --to {}` goes on", .version - 1)]
    HalfUndone { label: String, version: i32 },
    #[error("{label} failed: {said}. Nothing of it is left; the versions before it are applied")]
    Failed { label: String, said: ServerSaid },
    #[error("undoing {label} failed: {said}. It is applied as before")]
    UndoFailed { label: String, said: ServerSaid },
    #[error(
        "{label} runs outside of a transaction and stopped half-way: {said}. `bastide schema up` goes on once that is mended, `bastide schema down --to {}` undoes it", .version - 1
    )]
    Half { label: String, version: i32, said: ServerSaid },
    #[error(
        "the connection was lost in {label}: {said}. `bastide schema status` says whether it was applied"
    )]
    Lost { label: String, said: ServerSaid },
    #[error("{label}: {why}. Nothing of it is left")]
    Isolate { label: String, why: Box<CannotIsolate> },
    #[error(
        "{label} did not get its locks in {tries} tries: {said}. Nothing of it is left; type the command again when nobody is in the way"
    )]
    Blocked { label: String, tries: u32, said: ServerSaid },
    #[error(
        "version 1 is what run {run} left, and was not made by a migration: `bastide rls rollback` takes the run back, as long as it is not finished"
    )]
    Adopted { run: Uuid },
    #[error(
        "this login may not read the record of the schema: let it, with GRANT USAGE ON SCHEMA bastide and GRANT SELECT ON bastide.schema_version, bastide.schema_history, or name the owner's with --database-url"
    )]
    MayNotRead,
    #[error("there is no merchant {slug:?}; `bastide tenant list` names them")]
    NoTenant { slug: String },
    #[error("the slug {slug:?} is another merchant's, or was; choose another")]
    SlugTaken { slug: String },
    #[error(
        "{slug:?} cannot be a slug: a-z, 0-9 and single hyphens, 3 to 63 characters, and none of the platform's own words"
    )]
    NoSlug { slug: String },
    #[error(
        "{table} has {counted} row(s) of this merchant, and {read} could be read in its context; `bastide rls validate` says why"
    )]
    NotAllExported { table: QualifiedName, counted: i64, read: usize },
    #[error("the export cannot be written: {why}")]
    NotWritten { why: String },
    #[error("rows of other merchants refer to rows of {slug:?} in {}; nothing was deleted. `bastide rls validate` names the keys", names(.tables))]
    StillReferred { slug: String, tables: Vec<QualifiedName> },
    #[error(
        "{table}.{column} still names {slug:?}, so nothing was deleted; end the run that keeps it (`bastide rls finish`), or empty it first"
    )]
    SomethingLeft { slug: String, table: QualifiedName, column: Ident },
    #[error("{doing} failed: {said}")]
    Server { doing: &'static str, said: ServerSaid },
}

impl SchemaError {
    /// 1 failed, and nothing of it is left, or it disagrees; 2 unusable; 3 cannot reach or may not; 4 half-way; 5 somebody else has the lock.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Engine(error) => error.exit_code(),
            Self::Connect(_) | Self::Catalog(_) | Self::MayNotRead | Self::Server { .. } => 3,
            Self::Files { .. }
            | Self::Foreign { .. }
            | Self::NotCutOver { .. }
            | Self::NoVersion { .. }
            | Self::NotThere { .. }
            | Self::Newer { .. }
            | Self::Adopted { .. }
            | Self::NoTenant { .. }
            | Self::SlugTaken { .. }
            | Self::NoSlug { .. }
            | Self::NotWritten { .. } => 2,
            Self::NotTheShop { .. }
            | Self::Changed { .. }
            | Self::Failed { .. }
            | Self::UndoFailed { .. }
            | Self::Isolate { .. }
            | Self::NotAllExported { .. }
            | Self::StillReferred { .. }
            | Self::SomethingLeft { .. } => 1,
            Self::HalfUndone { .. } | Self::Lost { .. } | Self::Half { .. } | Self::Blocked { .. } => 4,
        }
    }

    pub(crate) fn server(doing: &'static str) -> impl Fn(tokio_postgres::Error) -> Self {
        move |error| Self::Server { doing, said: ServerSaid::from(error) }
    }
}

fn names(tables: &[QualifiedName]) -> String {
    tables.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// A line for each of the first few.
fn first(differences: &[String]) -> String {
    differences.iter().take(5).fold(String::new(), |text, difference| format!("{text}\n  {difference}"))
}
