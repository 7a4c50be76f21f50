//! Reading: decisions come back, descriptions are passed over, and whatever is wrong is named by its line.

use std::collections::{BTreeMap, BTreeSet};

use bastide_catalog::Fingerprint;
use bastide_sql::{Ident, QualifiedName};
use serde::{Deserialize, de::IgnoredAny};
use toml::Spanned;

use super::{Answer, DecidedTable, FileError, PlanFile, write::END};
use crate::{Config, Database, Declarations, PLAN_FORMAT, RootChoice, StepId};

/// # Errors
/// When the text is no plan, or an answer is none of its question's choices; each names the line.
pub fn read_plan(text: &str) -> Result<PlanFile, FileError> {
    let at = |offset| line_of(text, offset);
    let malformed = |error: &toml::de::Error| {
        // A file that was cut short is wrong where it ends, or in nothing but what it lacks.
        if text.lines().any(|line| line.starts_with("bastide = ")) && !text.lines().any(|line| line == END) {
            return FileError::CutShort { line: text.lines().count() };
        }
        FileError::Malformed {
            line: error.span().map_or(1, |span| at(span.start)),
            message: error.message().to_owned(),
        }
    };
    // The format first: a newer one may hold what we would call malformed.
    let Header { format } = toml::from_str(text).map_err(|error| malformed(&error))?;
    if format > PLAN_FORMAT {
        return Err(FileError::Format { found: format });
    }
    let file: File = toml::from_str(text).map_err(|error| malformed(&error))?;
    if (file.end.tables, file.end.steps) != (file.table.len(), file.step.len()) {
        let line = text.lines().position(|line| line == END).map_or(1, |at| at + 1);
        let message = format!(
            "the file was written with {} tables and {} steps, and has {} and {}; write it again with `bastide rls plan -o FILE`",
            file.end.tables,
            file.end.steps,
            file.table.len(),
            file.step.len()
        );
        return Err(FileError::Malformed { line, message });
    }
    let tables = tables(file.table, at)?;
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
        tables,
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

fn tables(tables: Vec<Table>, at: impl Fn(usize) -> usize) -> Result<Vec<DecidedTable>, FileError> {
    let mut seen: BTreeMap<QualifiedName, usize> = BTreeMap::new();
    let mut decided = Vec::new();
    for table in tables {
        let (line, name) = (at(table.name.span().start), table.name.into_inner());
        if let Some(first) = seen.insert(name.clone(), line) {
            let message =
                format!("the table {name} is decided twice, in line {first} and here; leave one of them");
            return Err(FileError::Malformed { line, message });
        }
        let Table { class, tenant_column, column_origin, .. } = table;
        decided.push(DecidedTable { line, name, class, tenant_column, column_origin });
    }
    Ok(decided)
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
    #[serde(default)]
    table: Vec<Table>,
    #[serde(rename = "link", default)]
    _link: Option<IgnoredAny>,
    #[serde(default)]
    step: Vec<Step>,
    fingerprint: Fingerprint,
    end: End,
}

/// The last of the file: whoever reads this knows that nothing is cut off.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct End {
    tables: usize,
    steps: usize,
}

/// What it says of rows may be out of date, and is passed over.
#[derive(Deserialize)]
struct Table {
    name: Spanned<QualifiedName>,
    class: String,
    tenant_column: Option<Ident>,
    column_origin: Option<String>,
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
