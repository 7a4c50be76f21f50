//! What is wrong, or easily goes wrong, with the rows before anything moves.

use bastide_record::{Integrity, Strength};
use maud::{Markup, html};

use crate::{
    discovery_text::{names, reference, strength, trust},
    numbers,
};

pub(super) fn integrity(found: &Integrity) -> Markup {
    html! {
        (dangling(found))
        (suggested(found))
        (duplicates(found))
        (unmeasured(found))
    }
}

fn dangling(found: &Integrity) -> Markup {
    html! {
        @if !found.dangling.is_empty() {
            h2 { "References that are not kept" }
            p.lead { "Foreign keys that the server does not vouch for, and those with values that have no parent all the same." }
            div.scroll { table {
                thead { tr { th { "Table" } th { "Key" } th { "To" } th { "The server" } th.n { "References" } th.n { "Without a parent" } th { "For example" } } }
                tbody { @for key in &found.dangling { tr {
                    td { code { (key.table) } } td { code { (key.foreign_key) } } td { code { (key.references) } }
                    td { (trust(key.trust)) } td.n { (numbers::count(key.rows)) (key.extent.in_words()) }
                    td.n { (numbers::count(key.dangling)) } td.wide { code { (key.samples.join("; ")) } }
                } } }
            } }
        }
    }
}

fn suggested(found: &Integrity) -> Markup {
    html! {
        @if !found.suggested.is_empty() {
            h2 { "References that nobody declared" }
            p.lead { "As the values suggest them. One that is meant carries evidence of tenants once it stands in bastide.toml." }
            div.scroll { table {
                thead { tr { th { "Reference" } th { "Likely" } th.n { "Values there" } th { "Because" } th { "For bastide.toml" } } }
                tbody { @for found in &found.suggested { tr {
                    td.wide { code { (reference(&found.reference)) } @if found.tenant_code { br; span.soft { "a tenant code" } } }
                    td { span.{ "pill " (pill(found.strength)) } { (strength(found.strength)) } }
                    td.n { (numbers::count(found.contained)) " of " (numbers::count(found.distinct)) }
                    td.because { (found.because) }
                    td.wide { details { summary { "[[reference]]" } pre { code { (found.toml) } } } }
                } } }
            } }
        }
    }
}

fn pill(strength: Strength) -> &'static str {
    match strength {
        Strength::Strong => "held",
        Strength::Likely => "shared",
        Strength::Weak => "closed",
    }
}

fn duplicates(found: &Integrity) -> Markup {
    html! {
        @if !found.duplicates.is_empty() {
            h2 { "Values that look like keys and occur more than once" }
            div.scroll { table {
                thead { tr { th { "Table" } th { "Columns" } th.n { "Rows" } th.n { "Twice in one tenant" } th.n { "In several" } th.n { "Undecided" } th { "For example" } } }
                tbody { @for key in &found.duplicates { tr {
                    td { code { (key.table) } } td { code { (names(&key.columns)) } }
                    td.n { (numbers::count(key.rows)) (key.extent.in_words()) } td.n { (numbers::count(key.within_tenant)) }
                    td.n { (numbers::count(key.across_tenants)) } td.n { (numbers::count(key.undecided)) }
                    td.wide { code { (key.samples.join("; ")) } }
                } } }
            } }
        }
        @if !found.duplicate_slugs.is_empty() {
            h2 { "Tenants that cannot be told apart" }
            div.scroll { table {
                thead { tr { th { "Table" } th { "Column" } th.n { "Tenants" } th.n { "Values they share" } th { "For example" } } }
                tbody { @for slug in &found.duplicate_slugs { tr {
                    td { code { (slug.table) } } td { code { (slug.column) } } td.n { (numbers::count(slug.rows)) } td.n { (numbers::count(slug.groups)) }
                    td.wide { @for sample in &slug.samples { code { (sample.value) } span.soft { " (" (sample.keys.join(", ")) ") " } } }
                } } }
            } }
        }
    }
}

fn unmeasured(found: &Integrity) -> Markup {
    html! {
        @if !found.unmeasured.is_empty() {
            h2 { "Not measured" }
            ul.todo { @for question in &found.unmeasured { li { "Could not " (question.what) ": " (question.why) "." } } }
        }
    }
}
