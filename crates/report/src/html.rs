//! The report as one page: no script, no font, nothing fetched; light, dark, and on paper.

mod discovery;
mod found;
mod integrity;
mod proof;
mod rows;
mod work;

pub use discovery::discovery_html;
pub use rows::rows_html;

use bastide_record::RunState;
use maud::{DOCTYPE, Markup, PreEscaped, html as markup};

use crate::{Report, Summary, numbers};

/// A whole HTML document.
#[must_use]
pub fn html(report: &Report<'_>) -> String {
    let summary = Summary::of(report);
    let database = &report.run.plan.database.name;
    markup! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="generator" content={ "bastide " (report.run.bastide) };
                title { "Isolation report: " (database) }
                style { (PreEscaped(include_str!("style.css"))) }
            }
            body {
                header { div {
                    div.brand { (PreEscaped(WALL)) "Bastide" }
                    h1 { "Isolation report: " (database) }
                    (state(report, &summary))
                    (cards(&summary))
                } }
                main {
                    (left_to_do(report, &summary))
                    (found::tables(report))
                    (found::evidence(report))
                    (found::links(report))
                    (proof::findings(report))
                    (proof::probes(report))
                    (work::phases(report))
                    (work::locks(report))
                    (work::steps(report))
                    (work::backup(report))
                    footer {
                        "Run " code { (report.run.id) } ", begun " (report.run.started_at.date()) " by bastide " (report.run.bastide)
                        " on PostgreSQL " (report.run.plan.database.server_version / 10_000) "."
                    }
                }
            }
        }
    }
    .into_string()
}

/// A gate in a wall.
const WALL: &str = r#"<svg viewBox="0 0 24 24" fill="currentColor" aria-hidden="true"><path d="M2 5h3v2h3V5h3v2h2V5h3v2h3V5h3v15h-7v-4a3 3 0 0 0-6 0v4H2z"/></svg>"#;

fn state(report: &Report<'_>, summary: &Summary) -> Markup {
    let isolated = report.verdict.is_some_and(bastide_record::Verdict::isolated);
    let (class, word, sentence) = match report.run.state {
        RunState::CutOver | RunState::Finished if isolated => (
            "held",
            "Isolated",
            "PostgreSQL keeps the tenants apart, for every login that row security can bind.",
        ),
        RunState::PendingCutover if isolated => (
            "pending",
            "Pending cutover",
            "The application's login is isolated. The legacy login still reads everything until `bastide rls cutover`.",
        ),
        RunState::RolledBack => ("closed", "Rolled back", "The database is as it was before the run."),
        RunState::Running | RunState::RollingBack => ("started", "Under way", "The run has not ended yet."),
        RunState::Upgraded => (
            "pending",
            "Upgraded",
            "Every row that evidence settles has its tenant; nothing keeps the tenants apart yet. `bastide rls resume` goes on.",
        ),
        RunState::Stopped => (
            "failed",
            "Stopped",
            "The run stopped half-way; `bastide rls resume` and `bastide rls rollback` both work.",
        ),
        RunState::PendingCutover | RunState::CutOver | RunState::Finished if report.verdict.is_none() => (
            "pending",
            "Not verified",
            "This report has no verification at hand; `bastide rls validate` makes one.",
        ),
        _ => ("failed", "Not isolated", "Something below is open: see what is left to do."),
    };
    markup! {
        p.lead { span.{ "pill " (class) } { (word) } " " (sentence) }
        @if let Some(error) = &report.run.error { p.calm { (error) } }
        @if summary.steps == 0 { p.soft { "The run took no steps." } }
    }
}

fn cards(summary: &Summary) -> Markup {
    let seconds: f64 = summary.seconds.values().sum();
    let card = |number: String, label: &str| markup! { li { b { (number) } span { (label) } } };
    markup! {
        ul.cards {
            (card(numbers::count(summary.tables_scoped as u64), "scoped tables"))
            (card(numbers::count(summary.rows_assigned), "rows assigned"))
            (card(numbers::count(summary.rows_quarantined), "in quarantine"))
            (card(numbers::count(summary.rows_held), "held aside"))
            (card(format!("{} / {}", summary.probes - summary.probes_failed - summary.probes_untested, summary.probes), "probes held"))
            (card(numbers::count(summary.findings as u64), "open findings"))
            (card(numbers::milliseconds(summary.longest_lock_ms), "longest blocking lock"))
            (card(numbers::seconds(seconds), "in all"))
        }
    }
}

/// What a person still has to do, first: it is why the page is opened.
fn left_to_do(report: &Report<'_>, summary: &Summary) -> Markup {
    let plan = &report.run.plan;
    let mut items: Vec<Markup> = Vec::new();
    if report.run.state == RunState::PendingCutover {
        items.push(markup! { "Point the application at the login " code { (plan.config.app_role) } ", then run " code { "bastide rls cutover" } "." });
    }
    if report.run.state == RunState::CutOver {
        items.push(markup! { "When you will not want to go back, run " code { "bastide rls finish" } "; until then " code { "bastide rls rollback" } " undoes everything." });
    }
    if let (Some(tenant), true) = (&plan.quarantine, summary.rows_quarantined > 0) {
        items.push(markup! { (numbers::counted(summary.rows_quarantined, "row is", "rows are")) " in the quarantine tenant " code { (tenant.id) } ": decide whose they are and move them, or leave them there." });
    }
    for (table, rows) in report.held {
        items.push(markup! { (numbers::counted(*rows, "row of ", "rows of ")) code { (table) } " held aside: no tenant could keep them without a link to another. They are whole in " code { "bastide.held" } "." });
    }
    for finding in report.verdict.into_iter().flat_map(bastide_record::Verdict::open_findings) {
        items.push(markup! { code { (finding.id) } " " code { (finding.object) } ": " (finding.mend) });
    }
    items.extend(plan.notes.iter().map(|note| markup! { (note) }));
    markup! {
        h2 { "What is left to do" }
        @if items.is_empty() { p.calm { "Nothing." } } @else { ul.todo { @for item in &items { li { (item) } } } }
    }
}

#[cfg(test)]
mod tests {
    use bastide_record::{Outcome, RunState, Verdict};

    use crate::{Report, sample};

    fn page(state: RunState, verdict: Option<&Verdict>) -> String {
        let (run, steps) = (sample::run(state), sample::steps());
        super::html(&Report {
            run: &run,
            steps: &steps,
            verdict,
            held: &[("public.orders".to_owned(), 3)],
            settled: &[("public.orders:orders_branch_id_fkey".to_owned(), "cut".to_owned(), 7)],
        })
    }

    #[test]
    fn a_name_from_the_database_cannot_become_markup() {
        let page = page(RunState::CutOver, None);
        assert!(!page.contains(sample::HOSTILE), "the table's name is escaped");
        assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;"), "and still shown");
        assert!(!page.contains("<script") && !page.contains("http"), "no script, nothing fetched");
    }

    #[test]
    fn it_says_isolated_only_when_it_was_proved() {
        let held = sample::verdict(Outcome::Held);
        let breached = sample::verdict(Outcome::Breached { how: "saw 12 rows".to_owned() });
        assert!(page(RunState::CutOver, Some(&held)).contains(">Isolated<"));
        assert!(page(RunState::PendingCutover, Some(&held)).contains(">Pending cutover<"));
        assert!(page(RunState::CutOver, None).contains(">Not verified<"));
        let bad = page(RunState::CutOver, Some(&breached));
        assert!(
            bad.contains(">Not isolated<")
                && bad.contains("saw 12 rows")
                && bad.contains("SELECT count(*) FROM orders;")
        );
    }
}
