//! The report as one page.

mod discovery;
mod found;
mod integrity;
mod page;
mod proof;
mod rows;
mod timeline;
mod work;

pub use discovery::discovery_html;
pub use rows::rows_html;

pub(crate) use page::Page;
pub(crate) use proof::{findings_of, probes_of};

use maud::{Markup, html as markup};

use crate::{
    Report, Summary, numbers,
    standing::{self, Line, Part, Standing},
};

/// A whole HTML document.
#[must_use]
pub fn html(report: &Report<'_>) -> String {
    let summary = Summary::of(report);
    let database = &report.run.plan.database.name;
    Page {
        version: &report.run.bastide,
        title: format!("Isolation report: {database}"),
        heading: markup! { "Isolation report: " (database) },
        style: include_str!("html/timeline.css"),
        lead: markup! { (state(report, &summary)) (cards(&summary)) },
        main: markup! {
            (left_to_do(report, &summary))
            (found::tables(report))
            (found::evidence(report))
            (found::links(report))
            (proof::findings(report))
            (proof::probes(report))
            (timeline::timeline(report))
            (work::phases(report))
            (work::locks(report))
            (work::steps(report))
            (work::backup(report))
            footer {
                "Run " code { (report.run.id) } ", begun " (report.run.started_at.date()) " by bastide " (report.run.bastide)
                " on PostgreSQL " (report.run.plan.database.server_version / 10_000) "."
            }
        },
    }
    .document()
}

fn state(report: &Report<'_>, summary: &Summary) -> Markup {
    let Standing { class, word, sentence } = standing::standing(report);
    markup! {
        p.lead { span.{ "pill " (class) } { (word) } " " (line(&sentence)) }
        @if let Some(error) = &report.run.error { p.calm { (error) } }
        @if summary.steps == 0 { p.soft { "The run took no steps." } }
    }
}

fn line(line: &Line<'_>) -> Markup {
    markup! { @for part in &line.0 { @match part {
        Part::Text(text) => (text),
        Part::Code(name) => code { (name) },
    } } }
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

/// First: it is why the page is opened.
fn left_to_do(report: &Report<'_>, summary: &Summary) -> Markup {
    let lines = standing::left_to_do(report, summary);
    markup! {
        h2 { "What is left to do" }
        @if lines.is_empty() { p.calm { "Nothing." } } @else { ul.todo { @for item in &lines { li { (line(item)) } } } }
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
