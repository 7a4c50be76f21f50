//! The plan as a file that a person reviews and answers.
//!
//! The file carries decisions, the fingerprint of the schema they were made for, and the ids of the steps that follow from
//! them; no SQL but the expressions of the operator's own rules. Before a run the plan is derived again, and [`PlanFile::check`] makes sure that it is the plan that was
//! reviewed: nobody can smuggle a statement into a run by way of the file.

mod read;
#[cfg(test)]
mod tests;
mod write;

use bastide_catalog::Fingerprint;

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

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    #[error("line {line}: {message}")]
    Malformed { line: usize, message: String },

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
        Ok(())
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
