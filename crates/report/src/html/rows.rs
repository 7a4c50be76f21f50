//! What `legacy validate` found as one page, in the look of the report: what failed first, then what cutover settles, then all.

use bastide_record::{CheckState, Looked, LookedState, RowsCheck, RowsVerdict};
use maud::{Markup, html};

use super::Page;
use crate::numbers;

/// A whole HTML document.
#[must_use]
pub fn rows_html(verdict: &RowsVerdict) -> String {
    let database = &verdict.database;
    Page {
        version: &verdict.bastide,
        title: format!("Rows and tenants: {database}"),
        heading: html! { "Does every row of " (database) " have its tenant?" },
        style: include_str!("rows.css"),
        lead: html! {
            (state(verdict))
            (checks(verdict))
        },
        main: html! {
            (open(verdict, LookedState::Failed))
            (open(verdict, LookedState::PendingCutover))
            (open(verdict, LookedState::Changed))
            (everything(verdict))
            footer { (footer(verdict)) }
        },
    }
    .document()
}

fn state(verdict: &RowsVerdict) -> Markup {
    let failures = verdict.failures().count() as u64;
    let (class, word) = pill(verdict.state());
    html! { p.lead { span.{ "pill " (class) } { (word) } " "
        @match verdict.state() {
            CheckState::Passed => { "The rows are as they should be." },
            CheckState::PendingCutover => { "The rows are as they should be; what is left, " code { "bastide rls cutover" } " settles as the plan says." },
            CheckState::Failed => { (numbers::counted(failures, "object is not as it", "objects are not as they")) " should be. " code { "bastide legacy rollback" } " undoes the upgrade." },
            CheckState::NothingToCheck => { "There was no row to look at, which proves nothing." },
        }
    } }
}

/// Class in the style sheet, and what it is called.
fn pill(state: CheckState) -> (&'static str, &'static str) {
    match state {
        CheckState::Passed => ("held", "Holds"),
        CheckState::PendingCutover => ("pending", "Pending cutover"),
        CheckState::Failed => ("failed", "Fails"),
        CheckState::NothingToCheck => ("untested", "Nothing to check"),
    }
}

/// The checks at a glance, each leading to what it looked at.
fn checks(verdict: &RowsVerdict) -> Markup {
    html! {
        ul.checks { @for check in &verdict.checks {
            @let (class, word) = pill(check.state());
            li.{ "check is-" (class) } { a href={ "#" (check.id) } {
                span.top { b { (check.id) } span.{ "pill " (class) } { (word) } }
                span.claim { (check.claim) }
                span.seen { (seen(check)) }
            } }
        } }
    }
}

fn seen(check: &RowsCheck) -> String {
    let rows = check.looked.iter().map(|looked| looked.rows).sum();
    format!(
        "{}, {}",
        numbers::counted(rows, "row", "rows"),
        numbers::counted(check.looked.len() as u64, "object", "objects")
    )
}

/// The objects that are in `state`, of all checks.
fn open(verdict: &RowsVerdict, state: LookedState) -> Markup {
    let (class, title, lead) = match state {
        LookedState::Failed => ("failed", "What fails", "Look at these rows before anything else is done."),
        LookedState::PendingCutover => (
            "pending",
            "What cutover settles",
            "A state, no failure: the plan says what becomes of these rows.",
        ),
        LookedState::Changed => (
            "shared",
            "What changed since the run began",
            "It holds for the rows there are. When nobody wrote, ask again with --exact: a difference is then a failure.",
        ),
        LookedState::Held => return html! {},
    };
    let found: Vec<(&RowsCheck, &Looked)> = verdict
        .checks
        .iter()
        .flat_map(|check| check.looked.iter().map(move |looked| (check, looked)))
        .filter(|(_, looked)| looked.state == state)
        .collect();
    html! {
        @if !found.is_empty() {
            h2 { (title) }
            p.lead { (lead) }
            div.found { @for (check, looked) in found {
                div.{ "calm is-" (class) } {
                    p.what { span.{ "pill " (class) } { (check.id) } " " code { (looked.object) } span.seen { (numbers::counted(looked.rows, "row", "rows")) " looked at" } }
                    p { (commands(&looked.message)) }
                    @if !looked.samples.is_empty() { (samples(looked)) }
                }
            } }
        }
    }
}

/// What stands between backquotes is to be typed.
fn commands(message: &str) -> Markup {
    html! { @for (at, part) in message.split('`').enumerate() { @if at % 2 == 1 { code { (part) } } @else { (part) } } }
}

fn samples(looked: &Looked) -> Markup {
    html! { p.rows { span.soft { "Rows, for example: " } @for sample in &looked.samples { code { (sample) } " " } } }
}

fn everything(verdict: &RowsVerdict) -> Markup {
    html! {
        h2 { "All that was looked at" }
        @for check in &verdict.checks {
            @let (class, word) = pill(check.state());
            details id=(check.id) open[check.state() == CheckState::Failed] {
                summary { span.{ "pill " (class) } { (word) } " " (check.id) " " span.soft { (check.claim) "; " (seen(check)) } }
                @if check.looked.is_empty() {
                    p.none { "No object: the run left nothing for this check to look at." }
                } @else {
                    div.scroll { table {
                        thead { tr { th { "Object" } th { "State" } th.n { "Rows" } th { "What it saw" } } }
                        tbody { @for looked in &check.looked { (row(looked)) } }
                    } }
                }
            }
        }
    }
}

fn row(looked: &Looked) -> Markup {
    // A check that saw no row of it cannot vouch for it.
    let (class, word) = match looked.state {
        LookedState::Failed => ("failed", "fails"),
        LookedState::Held | LookedState::Changed | LookedState::PendingCutover if looked.rows == 0 => {
            ("untested", "no row")
        }
        LookedState::Held => ("held", "holds"),
        LookedState::Changed => ("shared", "changed since"),
        LookedState::PendingCutover => ("pending", "pending cutover"),
    };
    html! { tr {
        td { code { (looked.object) } }
        td { span.{ "pill " (class) } { (word) } }
        td.n { (numbers::count(looked.rows)) }
        td.because { (commands(&looked.message)) }
    } }
}

fn footer(verdict: &RowsVerdict) -> Markup {
    html! {
        "The rows of run " code { (verdict.run) } ", in one snapshot of " (verdict.taken_at.date()) ", by bastide " (verdict.bastide)
        " on PostgreSQL " (verdict.server_version / 10_000) ". "
        @if verdict.exact { "Totals had to be those of before the run. " }
        "Nothing was changed."
    }
}

#[cfg(test)]
mod tests {
    use bastide_record::{Looked, LookedState};

    use crate::sample::{HOSTILE, check, looked, rows};

    fn page(found: Vec<Looked>) -> String {
        super::rows_html(&rows(vec![check("tenants", found), check("keys", Vec::new())]))
    }

    #[test]
    fn a_name_from_the_database_cannot_become_markup() {
        let mut hostile = looked(LookedState::Failed, 3, HOSTILE);
        hostile.object = HOSTILE.to_owned();
        hostile.samples = vec![HOSTILE.to_owned()];
        let mut verdict = rows(vec![check("links", vec![hostile])]);
        verdict.database = bastide_sql::Ident::new(HOSTILE).unwrap();
        let page = super::rows_html(&verdict);
        assert!(!page.contains("<script"), "names, messages and keys are escaped");
        // Title, headline, and the object with its message and its row above and below.
        assert_eq!(page.matches("&lt;script&gt;alert(1)&lt;/script&gt;").count(), 7);
        assert!(!page.contains("http"), "nothing is fetched");
    }

    #[test]
    fn a_failure_is_the_first_thing_it_says() {
        let page = page(vec![
            looked(LookedState::Held, 7, ""),
            looked(LookedState::PendingCutover, 3, "2 cross"),
            looked(LookedState::Failed, 1200, "1 rows have no tenant"),
        ]);
        let at = |text: &str| page.find(text).unwrap_or_else(|| panic!("{text} in {page}"));
        assert!(at("1 object is not as it should be") < at("What fails"));
        assert!(at("What fails") < at("1 rows have no tenant"));
        assert!(at("1 rows have no tenant") < at("What cutover settles"));
        assert!(!page.contains("The rows are as they should be"), "no word of comfort");
    }

    #[test]
    fn nothing_to_check_is_no_pass() {
        let page = page(vec![looked(LookedState::Held, 0, "")]);
        assert!(page.contains("no row to look at, which proves nothing"));
        assert!(!page.contains("class=\"pill held\""), "neither a check nor an object passes");
        assert!(super::rows_html(&rows(Vec::new())).contains("proves nothing"), "nor without any check");
    }

    #[test]
    fn what_cutover_settles_is_no_failure() {
        let page = page(vec![looked(LookedState::PendingCutover, 3, "2 cross")]);
        assert!(page.contains("What cutover settles") && !page.contains("What fails"));
        assert!(!page.contains("class=\"pill failed\""));
    }
}
