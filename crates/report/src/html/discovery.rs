//! A discovery as one page, in the look of the report.

use bastide_plan::Question;
use bastide_record::{CategoryFound, CategoryOfTable, Count, Discovery, FoundClass, TableFound, Tenants};
use maud::{Markup, html};

use super::{Page, integrity};
use crate::{
    discovery_text::{sums, tenants},
    numbers,
};

/// A whole HTML document.
#[must_use]
pub fn discovery_html(found: &Discovery) -> String {
    let database = &found.database.name;
    Page {
        version: &found.bastide,
        title: format!("Discovery: {database}"),
        heading: html! { "Whose are the rows of " (database) "?" },
        style: include_str!("discovery.css"),
        lead: html! {
            p.lead { "Tenants: " (tenants(found)) ". Nothing was changed." }
            (cards(found))
        },
        main: html! {
            (in_the_way(found))
            (other_roots(found))
            (whose(found))
            (tables(found))
            (evidence(found))
            (links(found))
            (categories(found))
            (integrity::integrity(&found.integrity))
            (questions(&found.questions))
            footer { (footer(found)) }
        },
    }
    .document()
}

fn cards(found: &Discovery) -> Markup {
    let card = |number: String, label: &str| html! { li { b { (number) } span { (label) } } };
    let of = |class| numbers::count(found.tables.iter().filter(|table| table.class == class).count() as u64);
    let crossing: u64 = found.links.iter().map(|link| link.crossing).sum();
    let sum = sums(found);
    html! {
        ul.cards {
            (card(of(FoundClass::Scoped), "scoped tables"))
            (card(of(FoundClass::Shared), "shared tables"))
            (card(of(FoundClass::Unclear), "unclear tables"))
            @if found.tenants_not_counted.is_none() && found.root.as_ref().is_some_and(|root| !root.new) {
                (card(numbers::count(sum.had), "rows have a tenant"))
                (card(numbers::count(sum.could_have), "rows could have one"))
                (card(numbers::count(sum.conflicting), "rows conflict"))
                (card(numbers::count(sum.unreachable), "rows nothing reaches"))
                (card(numbers::count(crossing), "links join two tenants"))
            }
        }
    }
}

/// What stops a plan, and what was not looked at, first.
fn in_the_way(found: &Discovery) -> Markup {
    let lines = |text: &str| -> Markup {
        html! { @for (at, line) in text.lines().enumerate() { @if at > 0 { br; } (line) } }
    };
    html! {
        @if !found.obstacles.is_empty() {
            h2 { "In the way of a plan" }
            ul.todo { @for obstacle in &found.obstacles { li { (lines(obstacle)) } } }
        }
        @if let Some(why) = &found.tenants_not_counted {
            h2 { "Tenants were not counted" }
            p.calm { (why) "." }
        }
        @if !found.links_not_counted.is_empty() {
            h2 { "Links that were not followed" }
            ul.todo { @for missed in &found.links_not_counted { li { code { (missed.object) } ": not counted (" (missed.why) ")" } } }
        }
        @if !found.notes.is_empty() {
            h2 { "To know" }
            ul.todo { @for note in &found.notes { li { (note) } } }
        }
    }
}

/// Tables that could be the root; those that are boundaries come first.
fn other_roots(found: &Discovery) -> Markup {
    let Some(roots) = &found.other_roots else { return html! {} };
    html! {
        h2 { "Tables that could be the tenant root" }
        @if roots.measured.is_empty() && roots.unmeasured.is_empty() {
            p.calm { "None: no table with a key has others below it. " code { "--new-tenant-root NAME" } " makes one." }
        } @else {
            p.lead { "Each measured by itself, as if it had been named with " code { "--tenant-root" } ". A boundary is one by which at most 1 % of any table's rows cross." }
            div.scroll { table {
                thead { tr { th { "Table" } th { "Boundary" } th.n { "Tenants" } th.n { "With rows" } th.n { "Largest" } th.n { "Tables" } th.n { "Rows" } th.n { "No tenant" } th { "Because" } } }
                tbody {
                    @for root in &roots.measured { tr {
                        td { code { (root.root) } }
                        td { @if root.boundary { span.pill.held { "yes" } } @else { span.pill.breached { "no" } } }
                        td.n { (numbers::count(root.tenants)) } td.n { (numbers::count(root.tenants_with_rows)) }
                        td.n { (numbers::percent(root.largest_percent)) } td.n { (numbers::count(root.tables_scoped)) }
                        td.n { (numbers::count(root.rows_scoped)) } td.n { (numbers::count(root.conflicting + root.unreachable)) }
                        td.because { (root.because) }
                    } }
                    @for root in &roots.unmeasured { tr {
                        td { code { (root.root) } } td { span.pill.closed { "unknown" } }
                        td.because colspan="7" { span.missed { "not measured (" (root.why) ")" } }
                    } }
                }
            } }
        }
    }
}

/// Class in the style sheet, what it is called, and how many of its rows a table has.
type Part = (&'static str, &'static str, fn(&Tenants) -> u64);

const PARTS: [Part; 4] = [
    ("had", "have a tenant", |tenants| tenants.had),
    ("could", "could have one", |tenants| tenants.could_have),
    ("conflict", "conflict", |tenants| tenants.conflicting),
    ("unreached", "nothing reaches", |tenants| tenants.unreachable),
];

/// One bar per table whose rows do not all have a tenant; the picture of the work ahead.
fn whose(found: &Discovery) -> Markup {
    let mut open: Vec<(&TableFound, &Tenants)> = found
        .tables
        .iter()
        .filter_map(|table| Some((table, table.tenants.as_ref()?)))
        .filter(|(_, tenants)| tenants.could_have + tenants.conflicting + tenants.unreachable > 0)
        .collect();
    open.sort_by_key(|(_, tenants)| {
        std::cmp::Reverse((tenants.conflicting + tenants.unreachable, tenants.could_have))
    });
    html! {
        @if !open.is_empty() {
            h2 { "Rows without a tenant" }
            p.lead.legend { @for (class, label, _) in PARTS { span { i.{ "part " (class) } {} (label) } } }
            div.bars.shares { @for (table, tenants) in open {
                span { code { (table.table) } }
                span.share role="img" aria-label=(said(tenants)) title=(said(tenants)) {
                    @for (class, _, part) in PARTS { @if part(tenants) > 0 {
                        i.{ "part " (class) } style={ "flex-grow:" (part(tenants)) } {}
                    } }
                }
                span.n { (numbers::count(tenants.could_have + tenants.conflicting + tenants.unreachable)) " open" }
            } }
        }
    }
}

fn said(tenants: &Tenants) -> String {
    let parts = PARTS.map(|(_, label, part)| format!("{} {label}", numbers::count(part(tenants))));
    parts.join(", ")
}

fn tables(found: &Discovery) -> Markup {
    let classes = [
        (FoundClass::Scoped, "Every row belongs to one tenant."),
        (FoundClass::Shared, "Reference data, the same for all."),
        (FoundClass::Unclear, "Nothing settles it; a plan asks, and keeps them out of reach until then."),
        (FoundClass::Excluded, "Left out by the operator."),
    ];
    html! {
        h2 { "Tables" }
        @if found.tables.is_empty() { p.calm { "There is none: the database is empty." } }
        @for (class, what) in classes {
            @let tables: Vec<_> = found.tables.iter().filter(|table| table.class == class).collect();
            @if !tables.is_empty() {
                h3 { span.{ "pill " (class.name()) } { (class.name()) } " " span.soft { (what) } }
                div.scroll { table {
                    thead { tr { th { "Table" } th.n { "Rows" }
                        @if class == FoundClass::Scoped { th { "Tenant column" } th.n { "Have" } th.n { "Could have" } th.n { "Conflict" } th.n { "Unreached" } }
                        th { "Because" } } }
                    tbody { @for table in tables { (row(table, class)) } }
                } }
            }
        }
    }
}

fn row(table: &TableFound, class: FoundClass) -> Markup {
    html! { tr {
        td { code { (table.table) } @if table.partitions > 0 { br; span.soft { (numbers::counted(table.partitions, "partition", "partitions")) } } }
        td.n { (count(&table.rows)) @if let (Count::NotCounted { .. }, Some(rows)) = (&table.rows, table.estimated_rows) { br; span.soft { "the server says ≈ " (numbers::count(rows)) } } }
        @if class == FoundClass::Scoped {
            td { @if let Some(column) = &table.tenant_column { code { (column.name) } } }
            @match &table.tenants {
                Some(tenants) => { @for (_, _, part) in PARTS { td.n { (numbers::count(part(tenants))) } } }
                None => { @for _ in PARTS { td.n { span.soft { "·" } } } }
            }
        }
        td.because { (table.because) }
    } }
}

/// The number, and how it is known when it is not exact.
fn count(count: &Count) -> Markup {
    match count {
        Count::Exact { rows } => html! { (numbers::count(*rows)) },
        Count::Sampled { rows, percent } => html! {
            "≈ " (numbers::count(*rows)) br; span.soft { "sampled " (numbers::percent(*percent)) ", scaled" }
        },
        Count::NotCounted { why } => html! { span.missed { "not counted (" (why) ")" } },
    }
}

fn evidence(found: &Discovery) -> Markup {
    let tables = found.tables.iter().filter_map(|table| Some((table, table.tenants.as_ref()?)));
    let lines: Vec<_> = tables
        .flat_map(|(table, tenants)| tenants.evidence.iter().map(move |evidence| (table, evidence)))
        .filter(|(_, evidence)| evidence.rows > 0)
        .collect();
    html! {
        @if !lines.is_empty() {
            h2 { "On what evidence" }
            p.lead { "A row could have a tenant only where everything that bears on it agrees." }
            div.scroll { table {
                thead { tr { th { "Table" } th { "Learnt through" } th.n { "Rows" } } }
                tbody { @for (table, evidence) in lines { tr {
                    td { code { (table.table) } } td.wide { code { (evidence.path) } } td.n { (numbers::count(evidence.rows)) }
                } } }
            } }
        }
    }
}

fn links(found: &Discovery) -> Markup {
    let crossing: Vec<_> = found.links.iter().filter(|link| link.crossing > 0).collect();
    let followed: u64 = found.links.iter().map(|link| link.rows).sum();
    html! {
        @if !crossing.is_empty() {
            h2 { "Links that join two tenants" }
            p.lead { "None may be left when tenants are kept apart. Where they are more than 1 % of a table's rows, the root is no boundary." }
            div.scroll { table {
                thead { tr { th { "Key" } th { "From" } th { "To" } th.n { "References" } th.n { "Crossing" } th { "For example" } } }
                tbody { @for link in crossing { tr {
                    td { code { (link.foreign_key) } } td { code { (link.table) } } td { code { (link.references) } }
                    td.n { (numbers::count(link.rows)) } td.n { (numbers::count(link.crossing)) } td.wide { code { (link.samples.join("; ")) } }
                } } }
            } }
        } @else if !found.links.is_empty() {
            h2 { "Links that join two tenants" }
            p.calm { "None: " (numbers::counted(followed, "reference", "references")) " looked at, over " (numbers::counted(found.links.len() as u64, "key", "keys")) "." }
        }
    }
}

fn categories(found: &Discovery) -> Markup {
    // Not finding any is an answer, too, to who asked.
    let told =
        |category: &CategoryFound, table: &CategoryOfTable| category.declared || table.rows.may_be_some();
    let lines: Vec<(&CategoryFound, &CategoryOfTable)> = found
        .categories
        .iter()
        .flat_map(|category| category.tables.iter().map(move |table| (category, table)))
        .filter(|(category, table)| told(category, table))
        .collect();
    let places: usize = found.categories.iter().map(|category| category.tables.len()).sum();
    html! {
        @if places > 0 {
            h2 { "Categories" }
            p.lead { "What an operator may want to treat by itself. Defaults are hints from types and names; " code { "[[category]]" } " in bastide.toml says it better. "
                (numbers::counted(places as u64, "place", "places")) " looked at" @if lines.is_empty() { ": none found" } "." }
        }
        @if !lines.is_empty() {
            div.scroll { table {
                thead { tr { th { "Category" } th { "Table" } th.n { "Rows" } th.n { "No tenant" } th { "Because" } th { "For example" } } }
                tbody { @for (category, table) in &lines { tr {
                    td { span.pill.shared { (category.name) } @if category.declared { " " span.soft { "declared" } } }
                    td { code { (table.table) } } td.n { (count(&table.rows)) }
                    td.n { @if let Some(without) = &table.without_tenant { (count(without)) } @else { span.soft { "·" } } }
                    td.because { (table.why) } td.wide { code { (table.samples.join("; ")) } }
                } } }
            } }
        }
    }
}

fn questions(questions: &[Question]) -> Markup {
    html! {
        @if !questions.is_empty() {
            h2 { "What a plan would ask" }
            @for question in questions {
                div.calm.question {
                    code { (question.id) } p { (question.text) }
                    span.soft { (question.choices.join(", ")) @if let Some(default) = &question.default { " (default: " (default) ")" } }
                }
            }
        }
    }
}

fn footer(found: &Discovery) -> Markup {
    html! {
        "Looked at on " (found.taken_at.date()) " as " code { (found.database.login) } " by bastide " (found.bastide)
        " on PostgreSQL " (found.database.server_version / 10_000) ", in " (numbers::seconds(found.seconds))
        " of at most " (numbers::seconds(f64::from(found.limits.time_limit_seconds))) "; tables above "
        (numbers::counted(found.limits.sample_above, "row", "rows")) " were sampled, but for the tenants of rows, which are exact or absent."
    }
}

#[cfg(test)]
mod tests {
    use crate::sample;

    #[test]
    fn a_name_from_the_database_cannot_become_markup() {
        let page = super::discovery_html(&sample::discovery());
        assert!(!page.contains("<script"), "names and keys are escaped");
        assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;"), "and still shown");
        assert!(!page.contains("http"), "nothing is fetched");
    }

    #[test]
    fn what_was_not_counted_is_no_zero() {
        let page = super::discovery_html(&sample::discovery());
        for said in [
            "not counted (stopped after 300 s)",
            "sampled 2.4 %, scaled",
            "≈ 8,400,000",
            "not measured (no time was left)",
        ] {
            assert!(page.contains(said), "{said}");
        }
    }
}
