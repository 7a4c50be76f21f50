//! The report in GitHub-flavoured Markdown: for a pull request, a ticket, a wiki. It tells what the page tells; the chart
//! becomes a table of when each step began.

mod escape;
mod work;

use bastide_record::{Context, Finding, Outcome, Probe, Severity, Verdict};

use crate::{
    Report, Summary,
    matrix::{Column, Matrix, heading},
    numbers,
    standing::{Line, Part, left_to_do, standing},
};
use escape::{code, text};

/// A whole document.
#[must_use]
pub fn markdown(report: &Report<'_>) -> String {
    let summary = Summary::of(report);
    let run = report.run;
    let mut page = Page::default();
    let words = standing(report);
    page.heading(1, &format!("Isolation report: {}", text(run.plan.database.name.as_str())));
    page.paragraph(&format!("**{}** {}", words.word, line(&words.sentence)));
    if let Some(error) = &run.error {
        page.paragraph(&format!("> {}", text(error)));
    }
    figures(&mut page, &summary);
    page.heading(2, "What is left to do");
    let left = left_to_do(report, &summary);
    if left.is_empty() {
        page.paragraph("Nothing.");
    }
    page.list(left.iter().map(line));
    found(&mut page, report);
    links(&mut page, report);
    if let Some(verdict) = report.verdict {
        posture(&mut page, verdict);
        probes(&mut page, verdict);
    }
    work::work(&mut page, report);
    page.paragraph(&format!(
        "Run {}, begun {} by bastide {} on PostgreSQL {}.",
        code(&run.id.to_string()),
        run.started_at.date(),
        text(&run.bastide),
        run.plan.database.server_version / 10_000
    ));
    page.0
}

#[derive(Default)]
struct Page(String);

impl Page {
    fn heading(&mut self, level: usize, heading: &str) {
        if !self.0.is_empty() {
            self.0.push('\n');
        }
        self.0.push_str(&format!("{} {heading}\n\n", "#".repeat(level)));
    }

    fn paragraph(&mut self, paragraph: &str) {
        self.0.push_str(&format!("{paragraph}\n\n"));
    }

    fn list(&mut self, items: impl Iterator<Item = String>) {
        for item in items {
            self.0.push_str(&format!("- {item}\n"));
        }
    }

    /// A heading that ends in `:` aligns its column to the right. Cells are markup already.
    fn table(&mut self, headings: &[&str], rows: impl Iterator<Item = Vec<String>>) {
        let names: Vec<&str> = headings.iter().map(|heading| heading.trim_end_matches(':')).collect();
        let rules: Vec<&str> =
            headings.iter().map(|heading| if heading.ends_with(':') { "--:" } else { "---" }).collect();
        self.0.push_str(&format!("| {} |\n| {} |\n", names.join(" | "), rules.join(" | ")));
        for row in rows {
            self.0.push_str(&format!("| {} |\n", row.join(" | ")));
        }
        self.0.push('\n');
    }
}

fn line(line: &Line<'_>) -> String {
    line.0
        .iter()
        .map(|part| match part {
            Part::Text(plain) => text(plain),
            Part::Code(name) => code(name),
        })
        .collect()
}

fn figures(page: &mut Page, summary: &Summary) {
    let held = summary.probes - summary.probes_failed - summary.probes_untested;
    let seconds: f64 = summary.seconds.values().sum();
    let rows = [
        ("scoped tables", numbers::count(summary.tables_scoped as u64)),
        ("rows assigned", numbers::count(summary.rows_assigned)),
        ("in quarantine", numbers::count(summary.rows_quarantined)),
        ("held aside", numbers::count(summary.rows_held)),
        ("probes held", format!("{held} / {}", summary.probes)),
        ("open findings", numbers::count(summary.findings as u64)),
        ("longest blocking lock", text(&numbers::milliseconds(summary.longest_lock_ms))),
        ("in all", text(&numbers::seconds(seconds))),
    ];
    page.table(&["What", "How many:"], rows.into_iter().map(|(what, n)| vec![what.to_owned(), n]));
}

fn found(page: &mut Page, report: &Report<'_>) {
    let plan = &report.run.plan;
    page.heading(2, "What was found");
    page.paragraph(&format!(
        "The tenants are the rows of {}, known by {} ({}).",
        code(&plan.root.table.to_string()),
        code(&plan.root.key.to_string()),
        code(&plan.root.key_type.to_string())
    ));
    page.table(
        &[
            "Table",
            "Class",
            "Tenant column",
            "Rows:",
            "Had a tenant:",
            "Inferred:",
            "Conflicting:",
            "Unreachable:",
            "Because",
        ],
        plan.tables.iter().map(|(name, decision)| {
            let column = decision.tenant_column.as_ref().map(|column| code(&column.name.to_string()));
            let mut row =
                vec![code(&name.to_string()), decision.class.to_string(), column.unwrap_or_default()];
            row.extend(decision.survey.as_ref().map_or_else(
                || vec![String::new(); 5],
                |survey| {
                    let inferred = survey.inferred.iter().map(|evidence| evidence.rows).sum();
                    [survey.rows, survey.had_tenant, inferred, survey.conflicting, survey.unreachable]
                        .map(numbers::count)
                        .to_vec()
                },
            ));
            row.push(text(&decision.because));
            row
        }),
    );
    let mut evidence = plan
        .tables
        .iter()
        .filter_map(|(name, decision)| Some((name, decision.survey.as_ref()?)))
        .flat_map(|(name, survey)| survey.inferred.iter().map(move |evidence| (name, evidence)))
        .peekable();
    if plan.root.new {
        page.heading(2, "On what evidence");
        page.paragraph(
            "The operator declared with `--new-tenant-root` that the whole database belongs to one tenant.",
        );
    } else if evidence.peek().is_some() {
        page.heading(2, "On what evidence");
        page.paragraph("Each row without a tenant got one only where everything that bears on it agrees. Every row's evidence is in `bastide.assignment`.");
        page.table(
            &["Table", "Learnt through", "Rows:"],
            evidence.map(|(name, evidence)| {
                vec![code(&name.to_string()), code(&evidence.path), numbers::count(evidence.rows)]
            }),
        );
    }
}

fn links(page: &mut Page, report: &Report<'_>) {
    let plan = &report.run.plan;
    let crossing: Vec<_> = plan.links.iter().filter(|link| link.crossing > 0).collect();
    page.heading(2, "Links between tenants");
    if crossing.is_empty() {
        let checked = plan.links.iter().map(|link| link.rows).sum();
        page.paragraph(&format!(
            "None: {} looked at, over {}.",
            numbers::counted(checked, "reference", "references"),
            numbers::counted(plan.links.len() as u64, "key", "keys")
        ));
    } else {
        page.paragraph("References that would join two tenants, and what the plan makes of their rows at cutover. What still crosses then is held aside, with what depends on it.");
        page.table(
            &["Key", "From", "To", "References:", "Crossing:", "Settled by", "For example"],
            crossing.into_iter().map(|link| {
                let settled = plan.settlement(link).map(|settlement| settlement.to_string());
                vec![
                    code(&link.foreign_key.to_string()),
                    code(&link.table.to_string()),
                    code(&link.references.to_string()),
                    numbers::count(link.rows),
                    numbers::count(link.crossing),
                    text(settled.as_deref().unwrap_or("open")),
                    code(&link.samples.join("; ")),
                ]
            }),
        );
    }
    if !report.settled.is_empty() {
        page.paragraph(
            "What was done. The values from before are in `bastide.changed`; rollback puts them back.",
        );
        page.table(
            &["Link", "Rows", "How many:"],
            report
                .settled
                .iter()
                .map(|(link, what, rows)| vec![code(link), text(what), numbers::count(*rows)]),
        );
    }
}

fn posture(page: &mut Page, verdict: &Verdict) {
    let (info, weak): (Vec<&Finding>, Vec<&Finding>) =
        verdict.findings.iter().partition(|finding| finding.severity == Severity::Info);
    page.heading(2, "Posture");
    if weak.is_empty() {
        page.paragraph("No finding: row security, policies, grants, views, functions, keys and roles are as isolation needs them.");
    } else {
        findings(page, &weak);
    }
    if !info.is_empty() {
        page.heading(3, "To know; isolation does not depend on it");
        findings(page, &info);
    }
}

fn findings(page: &mut Page, findings: &[&Finding]) {
    page.table(
        &["Finding", "Severity", "Object", "What", "Mend"],
        findings.iter().map(|finding| {
            let severity = match (finding.pending_cutover, finding.severity) {
                (true, _) => "pending cutover",
                (false, Severity::Info) => "info",
                (false, Severity::Warning) => "warning",
                (false, Severity::Critical) => "critical",
            };
            vec![
                code(&finding.id),
                severity.to_owned(),
                code(&finding.object),
                text(&finding.message),
                code(&finding.mend),
            ]
        }),
    );
}

fn probes(page: &mut Page, verdict: &Verdict) {
    let matrix = Matrix::of(verdict);
    let how = if verdict.own_login {
        "through a connection of its own"
    } else {
        "by SET ROLE from the owner's connection, which is weaker"
    };
    page.heading(2, "Probes");
    page.paragraph(&format!(
        "Attempts, as {} {how}, to do what isolation forbids. ● held, ▲ breached, ○ untested.",
        code(&verdict.app_role)
    ));
    let contexts: Vec<String> =
        Context::ALL.iter().map(|context| context.as_str().replace('_', " ")).collect();
    page.paragraph(&format!(
        "In each square, from the left: {}; · where there is no such cell.",
        contexts.join(", ")
    ));
    let headings: Vec<&str> =
        std::iter::once("Object").chain(matrix.columns.iter().map(|column| heading(column.verb))).collect();
    page.table(
        &headings,
        matrix.rows.iter().map(|row| {
            let signs = |column: &Column| {
                let signs = column.places().iter().map(|context| {
                    match row.cell(column.verb, *context).map(|probe| &probe.outcome) {
                        None => '·',
                        Some(Outcome::Held) => '●',
                        Some(Outcome::Breached { .. }) => '▲',
                        Some(Outcome::Untested { .. }) => '○',
                    }
                });
                let signs: String = signs.collect();
                if signs.chars().all(|sign| sign == '·') { String::new() } else { signs }
            };
            let way = row.way().map_or_else(String::new, |way| format!(", {way}"));
            std::iter::once(code(row.object) + &way).chain(matrix.columns.iter().map(signs)).collect()
        }),
    );
    if matrix.out_of_reach > 0 {
        page.paragraph(&format!("Out of reach, each refused when read: {}.", matrix.out_of_reach));
    }
    for probe in verdict.breaches() {
        page.heading(
            3,
            &format!(
                "Breached: {} {}, context: {}, by: {}",
                text(probe.cell.verb.as_str()),
                code(&probe.cell.object),
                text(probe.cell.context.as_str()),
                text(probe.cell.path.as_str())
            ),
        );
        if let Outcome::Breached { how } = &probe.outcome {
            page.paragraph(&text(how));
        }
        if let Some(script) = &probe.reproduce {
            page.paragraph(&escape::block(script));
        }
    }
    let untested: Vec<(&Probe, &str)> = verdict
        .probes
        .iter()
        .filter_map(|probe| match &probe.outcome {
            Outcome::Untested { why } => Some((probe, why.as_str())),
            _ => None,
        })
        .collect();
    if !untested.is_empty() {
        page.heading(3, "Untested, and why");
        page.table(
            &["Probe", "Object", "Why"],
            untested.into_iter().map(|(probe, why)| {
                let cell = &probe.cell;
                let what = format!("{} {} {}", cell.verb, cell.context, cell.path);
                vec![text(&what), code(&cell.object), text(why)]
            }),
        );
    }
}

#[cfg(test)]
mod tests;
