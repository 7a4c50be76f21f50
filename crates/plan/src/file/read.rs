//! Reading: decisions come back, descriptions are passed over, and whatever is wrong is named by its line.

use std::collections::{BTreeMap, BTreeSet};

use bastide_catalog::Fingerprint;
use bastide_sql::{Ident, QualifiedName};
use serde::{Deserialize, de::IgnoredAny};
use toml::Spanned;

use super::{Answer, FileError, PlanFile};
use crate::{Config, Database, Declarations, PLAN_FORMAT, RootChoice, StepId};

/// # Errors
/// When the text is no plan, or an answer is none of its question's choices; each names the line.
pub fn read_plan(text: &str) -> Result<PlanFile, FileError> {
    let at = |offset| line_of(text, offset);
    let malformed = |error: &toml::de::Error| FileError::Malformed {
        line: error.span().map_or(1, |span| at(span.start)),
        message: error.message().to_owned(),
    };
    // The format first: a newer one may hold what we would call malformed.
    let Header { format } = toml::from_str(text).map_err(|error| malformed(&error))?;
    if format > PLAN_FORMAT {
        return Err(FileError::Format { found: format });
    }
    let file: File = toml::from_str(text).map_err(|error| malformed(&error))?;
    let answers = answers(&file.question, at)?;
    let root = match (file.config.tenant_root, file.config.new_tenant_root) {
        (Some(table), None) => RootChoice::Existing(table),
        (None, Some(table)) => RootChoice::New(table),
        _ => {
            let line = text.lines().position(|line| line.trim() == "[config]").map_or(1, |at| at + 1);
            let message = "[config] takes exactly one of tenant_root and new_tenant_root".to_owned();
            return Err(FileError::Malformed { line, message });
        }
    };
    Ok(PlanFile {
        bastide: file.bastide,
        database: file.database,
        fingerprint: file.fingerprint,
        config: Config {
            root,
            app_role: file.config.app_role,
            exclude_schemas: file.config.exclude_schemas,
            exclude_tables: file.config.exclude_tables,
            accept_defaults: file.config.accept_defaults,
            declared: file.config.declared,
            answers: answers.iter().map(|given| (given.question.clone(), given.answer.clone())).collect(),
        },
        answers,
        steps: file.step.into_iter().map(|step| step.id).collect(),
    })
}

fn answers(questions: &[Question], at: impl Fn(usize) -> usize) -> Result<Vec<Answer>, FileError> {
    let mut seen: BTreeMap<&str, ()> = BTreeMap::new();
    let mut answers = Vec::new();
    for question in questions {
        let line = at(question.answer.span().start);
        if seen.insert(question.id.as_str(), ()).is_some() {
            let message = format!("the question {} stands here twice", question.id);
            return Err(FileError::Malformed { line, message });
        }
        let answer = question.answer.get_ref();
        if answer.is_empty() {
            continue;
        }
        if !question.choices.contains(answer) {
            return Err(FileError::Answer {
                line,
                question: question.id.clone(),
                answer: answer.clone(),
                choices: question.choices.clone(),
            });
        }
        answers.push(Answer { line, question: question.id.clone(), answer: answer.clone() });
    }
    Ok(answers)
}

fn line_of(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
}

#[derive(Deserialize)]
struct Header {
    format: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(rename = "format")]
    _format: u32,
    bastide: String,
    #[serde(default)]
    question: Vec<Question>,
    database: Database,
    config: Decisions,
    #[serde(rename = "root")]
    _root: IgnoredAny,
    #[serde(rename = "quarantine", default)]
    _quarantine: Option<IgnoredAny>,
    #[serde(rename = "table", default)]
    _table: Option<IgnoredAny>,
    #[serde(rename = "link", default)]
    _link: Option<IgnoredAny>,
    #[serde(default)]
    step: Vec<Step>,
    fingerprint: Fingerprint,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Question {
    id: String,
    #[serde(rename = "text", default)]
    _text: Option<IgnoredAny>,
    choices: Vec<String>,
    #[serde(rename = "default", default)]
    _default: Option<IgnoredAny>,
    answer: Spanned<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Decisions {
    tenant_root: Option<QualifiedName>,
    new_tenant_root: Option<QualifiedName>,
    app_role: Ident,
    #[serde(default)]
    accept_defaults: bool,
    #[serde(default)]
    declared: Declarations,
    #[serde(default)]
    exclude_schemas: BTreeSet<Ident>,
    #[serde(default)]
    exclude_tables: BTreeSet<QualifiedName>,
}

#[derive(Deserialize)]
struct Step {
    id: StepId,
}
