//! Writing: in the order in which somebody reviews it.

use std::fmt::{Display, Write};

use crate::{
    ColumnOrigin, Declarations, LinkSurvey, Plan, PlannedStep, Question, RootChoice, TableDecision,
    TableSurvey,
};

/// A file without it was cut short.
pub(super) const END: &str = "[end]";

/// The whole file.
#[must_use]
pub fn write_plan(plan: &Plan) -> String {
    let mut out = Toml::default();
    header(&mut out, plan);
    for question in &plan.questions {
        write_question(&mut out, question);
    }
    write_decisions(&mut out, plan);
    for (name, decision) in &plan.tables {
        out.section("[[table]]");
        out.text("name", name);
        write_table(&mut out, decision);
    }
    for link in &plan.links {
        write_link(&mut out, link);
    }
    for step in &plan.steps {
        write_step(&mut out, step);
    }
    write_fingerprint(&mut out, plan);
    out.section(END);
    out.number("tables", plan.tables.len());
    out.number("steps", plan.steps.len());
    out.text
}

fn header(out: &mut Toml, plan: &Plan) {
    let open = plan.open().count();
    out.comment(&format!(
        "Bastide's plan for the database {}. Nothing has been changed yet.",
        plan.database.name
    ));
    out.comment("");
    out.comment("What to do next:");
    if open > 0 {
        let questions = if open == 1 { "1 question is".to_owned() } else { format!("{open} questions are") };
        out.comment(&format!(
            "  1. {questions} open: write one of its `choices` into each `answer = \"\"` below."
        ));
        out.comment("  2. Run `bastide rls plan -o FILE` again: it keeps the answers, and the steps follow from them.");
        out.comment("  3. Read the tables and the steps, then run `bastide rls migrate --plan FILE`.");
    } else {
        out.comment("  1. Read the tables and the steps. Nothing is open.");
        out.comment("  2. To see the SQL, run `bastide rls migrate --plan FILE --dry-run`.");
        out.comment("  3. Run `bastide rls migrate --plan FILE`.");
    }
    out.comment("");
    let sql = if plan.config.declared.rules.iter().any(|rule| rule.tenant.is_some() || rule.when.is_some()) {
        "The only SQL in the file are the expressions of your own rules"
    } else {
        "The file holds no SQL"
    };
    out.comment(&format!(
        "Only answers are meant to be edited. {sql}: the plan is derived again before it runs, and must"
    ));
    out.comment("be the one that stands here, for the schema it was made for.");
    for note in &plan.notes {
        out.comment("");
        out.comment(&format!("Note: {note}."));
    }
    out.blank();
    out.number("format", plan.format);
    out.text("bastide", &plan.bastide);
}

fn write_question(out: &mut Toml, question: &Question) {
    out.section("[[question]]");
    out.text("id", &question.id);
    out.text("text", &question.text);
    out.list("choices", &question.choices);
    if let Some(default) = &question.default {
        out.text("default", default);
    }
    out.text("answer", question.answer.as_deref().unwrap_or_default());
}

fn write_decisions(out: &mut Toml, plan: &Plan) {
    out.section("[database]");
    out.text("name", plan.database.name.as_str());
    if let Some(system) = &plan.database.system_identifier {
        out.text("system_identifier", system);
    }
    out.number("oid", plan.database.oid);
    out.number("server_version", plan.database.server_version);

    out.section("[config]");
    match &plan.config.root {
        RootChoice::Existing(table) => out.text("tenant_root", table),
        RootChoice::New(table) => out.text("new_tenant_root", table),
    }
    out.text("app_role", plan.config.app_role.as_str());
    out.boolean("accept_defaults", plan.config.accept_defaults);
    let schemas: Vec<&str> = plan.config.exclude_schemas.iter().map(bastide_sql::Ident::as_str).collect();
    out.list("exclude_schemas", &schemas);
    out.list(
        "exclude_tables",
        &plan.config.exclude_tables.iter().map(ToString::to_string).collect::<Vec<_>>(),
    );

    write_declarations(out, &plan.config.declared);

    out.section("[root]");
    out.text("table", &plan.root.table);
    out.text("key", plan.root.key.as_str());
    out.text("key_type", plan.root.key_type.as_str());
    out.boolean("new", plan.root.new);
    if let Some(tenant) = &plan.root.first_tenant {
        out.text("first_tenant", &tenant.id);
    }
    if let Some(tenant) = &plan.quarantine {
        out.section("[quarantine]");
        out.text("id", &tenant.id);
        out.text("name", &tenant.name);
    }
}

/// As they stand in `bastide.toml`, under `[config.declared]`.
fn write_declarations(out: &mut Toml, declared: &Declarations) {
    #[derive(serde::Serialize)]
    struct File<'a> {
        config: Section<'a>,
    }
    #[derive(serde::Serialize)]
    struct Section<'a> {
        declared: &'a Declarations,
    }
    if *declared == Declarations::default() {
        return;
    }
    // Tables of strings and lists always are values of TOML.
    let Ok(text) = toml::to_string(&File { config: Section { declared } }) else { return };
    out.blank();
    out.text.push_str(&text);
}

fn write_table(out: &mut Toml, decision: &TableDecision) {
    out.text("class", decision.class);
    out.text("because", &decision.because);
    if let Some(column) = &decision.tenant_column {
        out.text("tenant_column", column.name.as_str());
        out.text("column_origin", origin(column.origin));
    }
    let Some(TableSurvey { rows, had_tenant, inferred, conflicting, unreachable }) = &decision.survey else {
        return;
    };
    out.number("rows", rows);
    out.number("had_tenant", had_tenant);
    if !inferred.is_empty() {
        let evidence: Vec<String> =
            inferred.iter().map(|e| format!("{} rows by {}", e.rows, e.path)).collect();
        out.list("inferred", &evidence);
    }
    out.number("conflicting", conflicting);
    out.number("unreachable", unreachable);
}

pub(super) fn origin(origin: ColumnOrigin) -> &'static str {
    match origin {
        ColumnOrigin::RootKey => "root_key",
        ColumnOrigin::Reused => "reused",
        ColumnOrigin::Added => "added",
    }
}

fn write_link(out: &mut Toml, link: &LinkSurvey) {
    out.section("[[link]]");
    out.text("table", &link.table);
    out.text("foreign_key", link.foreign_key.as_str());
    out.text("references", &link.references);
    out.number("rows", link.rows);
    out.number("crossing", link.crossing);
    if !link.samples.is_empty() {
        out.list("samples", &link.samples);
    }
}

fn write_step(out: &mut Toml, step: &PlannedStep) {
    out.section("[[step]]");
    out.text("id", &step.id);
    out.text("phase", step.phase);
    out.text("text", step.step.describe());
}

fn write_fingerprint(out: &mut Toml, plan: &Plan) {
    // A map of maps of strings always is a value of JSON, and of TOML.
    let Ok(serde_json::Value::Object(objects)) = serde_json::to_value(&plan.fingerprint) else { return };
    out.section("[fingerprint]");
    for (object, aspects) in objects {
        let aspects: Vec<String> = aspects
            .as_object()
            .into_iter()
            .flatten()
            .map(|(aspect, hash)| {
                format!("{} = {}", quoted(aspect), quoted(hash.as_str().unwrap_or_default()))
            })
            .collect();
        out.line(&format!("{} = {{ {} }}", quoted(&object), aspects.join(", ")));
    }
}

/// Lines of TOML, in the order in which they are written.
#[derive(Default)]
struct Toml {
    text: String,
}

impl Toml {
    fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    fn blank(&mut self) {
        self.text.push('\n');
    }

    /// Names may hold line breaks, which would end the comment.
    fn comment(&mut self, text: &str) {
        let text = text.replace(char::is_control, " ");
        self.line(format!("# {text}").trim_end());
    }

    fn section(&mut self, header: &str) {
        self.blank();
        self.line(header);
    }

    fn text(&mut self, key: &str, value: impl Display) {
        self.line(&format!("{key} = {}", quoted(&value.to_string())));
    }

    fn number(&mut self, key: &str, value: impl Display) {
        self.line(&format!("{key} = {value}"));
    }

    fn boolean(&mut self, key: &str, value: bool) {
        self.line(&format!("{key} = {value}"));
    }

    fn list(&mut self, key: &str, values: &[impl AsRef<str>]) {
        let values: Vec<String> = values.iter().map(|value| quoted(value.as_ref())).collect();
        self.line(&format!("{key} = [{}]", values.join(", ")));
    }
}

/// A basic string of TOML, on one line.
pub(crate) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c if c.is_control() => {
                // Writing to a String cannot fail.
                if write!(out, "\\u{:04X}", u32::from(c)).is_err() {
                    return out;
                }
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
