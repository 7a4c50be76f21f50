//! The plan as a file that a person reviews and answers.

use crate::Plan;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    #[error("line {line}: {message}")]
    Malformed { line: usize, message: String },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanFile {}

#[must_use]
pub fn write_plan(_plan: &Plan) -> String {
    String::new()
}

/// # Errors
/// When the text is no plan.
pub fn read_plan(_text: &str) -> Result<PlanFile, FileError> {
    Ok(PlanFile {})
}
