//! The verdict as one page: no script, nothing fetched; light, dark, and on paper.

use bastide_record::Outcome;
use maud::{Markup, html};

use super::Validation;
use crate::{
    html::{self as page, Page},
    numbers,
};

#[must_use]
pub fn validation_html(validation: &Validation<'_>) -> String {
    let verdict = validation.verdict;
    let name = &verdict.database.name;
    Page {
        version: validation.version,
        title: format!("Validation: {name}"),
        heading: html! { "Validation: " (name) },
        style: "",
        lead: html! {
            (standing(validation))
            (cards(validation))
        },
        main: html! {
            @if !validation.judgement.passes() {
                h2 { "Why it does not pass" }
                ul.todo { @for reason in validation.against() { li { (reason) } } }
            }
            (baseline(validation))
            (page::findings_of(verdict))
            (page::probes_of(verdict))
            footer {
                "By bastide " (validation.version) ", as " code { (verdict.app_role) }
                @if verdict.pooler { ", through a pooler or a proxy" }
                @if verdict.production { "; in production: the zero-row probe and the cells that only read" }
                "."
            }
        },
    }
    .document()
}

fn standing(validation: &Validation<'_>) -> Markup {
    let (class, word) = match (validation.judgement.passes(), validation.verdict.isolated()) {
        (true, true) => ("held", "Isolated"),
        (true, false) => ("pending", "Passes, with what is accepted"),
        (false, _) => ("breached", "Not isolated"),
    };
    html! {
        p.lead { span.{ "pill " (class) } { (word) } " "
            @if !validation.verdict.own_login { "Probed by SET ROLE, not through the application's own login, which is weaker." }
        }
    }
}

fn cards(validation: &Validation<'_>) -> Markup {
    let verdict = validation.verdict;
    let held = verdict.probes.iter().filter(|probe| probe.outcome == Outcome::Held).count();
    let card = |number: String, label: &str| html! { li { b { (number) } span { (label) } } };
    html! {
        ul.cards {
            (card(numbers::count(verdict.scoped_tables as u64), "scoped tables"))
            (card(format!("{held} / {}", verdict.probes.len()), "probes held"))
            (card(numbers::count(verdict.breaches().count() as u64), "breached"))
            (card(numbers::count(verdict.untested().count() as u64), "untested"))
            (card(numbers::count(verdict.open_findings().count() as u64), "open findings"))
            (card(numbers::count(validation.judgement.accepted.len() as u64), "accepted"))
        }
    }
}

fn baseline(validation: &Validation<'_>) -> Markup {
    let accepted = &validation.judgement.accepted;
    html! {
        @if !accepted.is_empty() {
            h2 { "Accepted" }
            div.scroll { table {
                thead { tr { th { "What" } th { "Object" } th { "Until" } th { "Why" } } }
                tbody { @for entry in accepted { tr {
                    td { code { (entry.id) } } td { code { (entry.object) } } td { (entry.expires) } td { (entry.reason) }
                } } }
            } }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bastide_record::Outcome;

    use super::super::tests::judged;
    use crate::{Validation, sample};

    #[test]
    fn a_name_from_the_database_cannot_become_markup_and_nothing_is_fetched() {
        let mut verdict = sample::verdict(Outcome::Breached { how: sample::HOSTILE.to_owned() });
        verdict.probes[0].cell.object = sample::HOSTILE.to_owned();
        verdict.database.name = sample::HOSTILE.to_owned();
        let judgement = judged(&verdict);
        let page = super::validation_html(&Validation {
            verdict: &verdict,
            judgement: &judgement,
            took: Duration::ZERO,
            version: "0",
        });
        assert!(!page.contains(sample::HOSTILE) && !page.contains("<script") && !page.contains("http"));
        assert!(page.contains(">Not isolated<") && page.contains("SELECT count(*) FROM orders;"));
    }
}
