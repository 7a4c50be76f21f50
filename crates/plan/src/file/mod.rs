//! The plan as a file that a person reviews and answers.
//!
//! The file carries decisions, the fingerprint of the schema they were made for, and the ids of the steps that follow from
//! them; no SQL but the expressions of the operator's own rules. Before a run the plan is derived again, and [`PlanFile::check`] makes sure that it is the plan that was
//! reviewed: nobody can smuggle a statement into a run by way of the file.

mod read;
#[cfg(test)]
mod tests;
mod write;

use std::fmt;

use bastide_catalog::Fingerprint;
use bastide_sql::{Ident, QualifiedName};

pub(crate) use self::write::quoted;
pub use self::{read::read_plan, write::write_plan};
use crate::{Config, Database, Plan, StepId, refusal::one_of};

/// What a plan file decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanFile {
    /// Version of the binary that wrote it.
    pub bastide: String,
    pub database: Database,
    pub fingerprint: Fingerprint,
    /// The answers in the file included: planning with this gives the plan again.
    pub config: Config,
    pub answers: Vec<Answer>,
    pub tables: Vec<DecidedTable>,
    pub steps: Vec<StepId>,
}

/// An answer that is not empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Where it stands in the file, from 1.
    pub line: usize,
    pub question: String,
    pub answer: String,
}

/// As the file says it; the plan derived again must say the same, or somebody took the file for the place to decide.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecidedTable {
    /// Where it stands in the file, from 1.
    pub line: usize,
    pub name: QualifiedName,
    pub class: String,
    pub tenant_column: Option<Ident>,
    pub column_origin: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    #[error("line {line}: {message}")]
    Malformed { line: usize, message: String },

    #[error(
        "the plan ends in line {line}, before its [end]: it was cut short; write it again with `bastide rls plan -o FILE`"
    )]
    CutShort { line: usize },

    #[error("line {line}: there is no table {table} in this database; run `bastide rls plan -o FILE` again")]
    UnknownTable { line: usize, table: QualifiedName },

    #[error(
        "line {line}: {table} is {written} in the file, and {derived} by its answers and [config]: a table is decided by the \
         answer to its question, or by --exclude-table, not here; put the line back, and plan again"
    )]
    Table { line: usize, table: QualifiedName, written: String, derived: String },

    #[error(
        "the plan has format {found}, this Bastide reads up to {}; use the version that wrote it, or plan again with \
         `bastide rls plan -o FILE`",
        crate::PLAN_FORMAT
    )]
    Format { found: u32 },

    #[error("line {line}: answer of {question}: `{answer}` is none of its choices; write {}", one_of(.choices))]
    Answer { line: usize, question: String, answer: String, choices: Vec<String> },

    #[error(
        "line {line}: {question} is answered, but it is no question of this plan (any more); remove it, or run \
         `bastide rls plan -o FILE` again"
    )]
    UnknownQuestion { line: usize, question: String },

    #[error(
        "the plan was made for the database {planned}, this is {found}; plan for this one with `bastide rls plan -o FILE`"
    )]
    OtherDatabase { planned: String, found: String },

    #[error(
        "the plan is stale, the schema has changed since: {}; review it again with `bastide rls plan -o FILE`",
        .changes.join("; ")
    )]
    Stale { changes: Vec<String> },

    #[error("the steps in the file are not those its answers lead to{}; run `bastide rls plan -o FILE` again and review it", difference(.missing, .extra))]
    StepsDiffer { missing: Vec<StepId>, extra: Vec<StepId> },
}

impl PlanFile {
    /// Tables that `plan`, made again, decides otherwise than this file, which somebody may have edited: in words.
    #[must_use]
    pub fn tables_decided_otherwise(&self, plan: &Plan) -> Vec<String> {
        let changed = self.tables.iter().filter_map(|written| {
            let now = written.in_plan(plan)?;
            (now != *written).then(|| format!("{} was {written} in the file, and is {now} now", written.name))
        });
        changed.collect()
    }

    /// Whether `plan`, derived again with [`Self::config`], is the plan that was reviewed.
    ///
    /// # Errors
    /// When it is not; each says what differs and what to type.
    pub fn check(&self, plan: &Plan) -> Result<(), FileError> {
        let (planned, found) = (&self.database, &plan.database);
        if (&planned.system_identifier, planned.oid, &planned.name)
            != (&found.system_identifier, found.oid, &found.name)
        {
            return Err(FileError::OtherDatabase { planned: describe(planned), found: describe(found) });
        }
        let changes: Vec<String> =
            self.fingerprint.changes(&plan.fingerprint).iter().map(ToString::to_string).collect();
        if !changes.is_empty() {
            return Err(FileError::Stale { changes });
        }
        for Answer { line, question, answer } in &self.answers {
            let Some(asked) = plan.questions.iter().find(|asked| asked.id == *question) else {
                return Err(FileError::UnknownQuestion { line: *line, question: question.clone() });
            };
            if !asked.choices.contains(answer) {
                return Err(FileError::Answer {
                    line: *line,
                    question: question.clone(),
                    answer: answer.clone(),
                    choices: asked.choices.clone(),
                });
            }
        }
        let derived: Vec<&StepId> = plan.steps.iter().map(|step| &step.id).collect();
        if self.steps.iter().ne(derived.iter().copied()) {
            let missing =
                derived.iter().filter(|id| !self.steps.contains(id)).map(|id| (*id).clone()).collect();
            let extra = self.steps.iter().filter(|id| !derived.contains(id)).cloned().collect();
            return Err(FileError::StepsDiffer { missing, extra });
        }
        // Steps first: who has answered and not planned again is told that, and not of each table it changes.
        for written in &self.tables {
            let (line, table) = (written.line, written.name.clone());
            let derived =
                written.in_plan(plan).ok_or(FileError::UnknownTable { line, table: table.clone() })?;
            if derived != *written {
                let (written, derived) = (written.to_string(), derived.to_string());
                return Err(FileError::Table { line, table, written, derived });
            }
        }
        Ok(())
    }
}

impl DecidedTable {
    /// What the plan decides of the same table.
    fn in_plan(&self, plan: &Plan) -> Option<Self> {
        let decision = plan.tables.get(&self.name)?;
        let column = decision.tenant_column.as_ref();
        Some(Self {
            line: self.line,
            name: self.name.clone(),
            class: decision.class.to_string(),
            tenant_column: column.map(|column| column.name.clone()),
            column_origin: column.map(|column| write::origin(column.origin).to_owned()),
        })
    }
}

impl fmt::Display for DecidedTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.class)?;
        match (&self.tenant_column, &self.column_origin) {
            (Some(column), Some(origin)) => write!(f, " by {column} ({origin})"),
            (Some(column), None) => write!(f, " by {column}"),
            (None, _) => Ok(()),
        }
    }
}

fn describe(database: &Database) -> String {
    match &database.system_identifier {
        Some(system) => format!("{} (of the server {system}, with the OID {})", database.name, database.oid),
        None => format!("{} (with the OID {})", database.name, database.oid),
    }
}

fn difference(missing: &[StepId], extra: &[StepId]) -> String {
    let first =
        |what, ids: &[StepId]| ids.first().map(|id| format!("{} {what}, for example {id}", ids.len()));
    let parts: Vec<String> =
        [first("are not in it", missing), first("would not run", extra)].into_iter().flatten().collect();
    if parts.is_empty() {
        ", or stand in another order".to_owned()
    } else {
        format!(" ({})", parts.join("; "))
    }
}
