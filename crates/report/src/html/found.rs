//! What was found: each table's class, the evidence its rows were assigned on, and links between tenants.

use maud::{Markup, html};

use crate::{Report, numbers};

pub(super) fn tables(report: &Report<'_>) -> Markup {
    let plan = &report.run.plan;
    html! {
        h2 { "What was found" }
        p.lead { "The tenants are the rows of " code { (plan.root.table) } ", known by " code { (plan.root.key) } " (" (plan.root.key_type) ")." }
        div.scroll { table {
            thead { tr { th { "Table" } th { "Class" } th { "Tenant column" } th.n { "Rows" } th.n { "Had a tenant" } th.n { "Inferred" } th.n { "Conflicting" } th.n { "Unreachable" } th { "Because" } } }
            tbody { @for (name, decision) in &plan.tables { tr {
                td { code { (name) } }
                td { span.{ "pill " (decision.class) } { (decision.class) } }
                td { @if let Some(column) = &decision.tenant_column { code { (column.name) } } }
                @if let Some(survey) = &decision.survey {
                    td.n { (numbers::count(survey.rows)) }
                    td.n { (numbers::count(survey.had_tenant)) }
                    td.n { (numbers::count(survey.inferred.iter().map(|e| e.rows).sum())) }
                    td.n { (numbers::count(survey.conflicting)) }
                    td.n { (numbers::count(survey.unreachable)) }
                } @else { td {} td {} td {} td {} td {} }
                td.because { (decision.because) }
            } } }
        } }
    }
}

pub(super) fn evidence(report: &Report<'_>) -> Markup {
    let lines: Vec<_> = report
        .run
        .plan
        .tables
        .iter()
        .filter_map(|(name, decision)| Some((name, decision.survey.as_ref()?)))
        .flat_map(|(name, survey)| survey.inferred.iter().map(move |evidence| (name, survey.rows, evidence)))
        .collect();
    html! {
        @if report.run.plan.root.new {
            h2 { "On what evidence" }
            p { "The operator declared with " code { "--new-tenant-root" } " that the whole database belongs to one tenant." }
        } @else if !lines.is_empty() {
            h2 { "On what evidence" }
            p.lead { "Each row without a tenant got one only where everything that bears on it agrees. Every row's evidence is in " code { "bastide.assignment" } "." }
            div.scroll { table {
                thead { tr { th { "Table" } th { "Learnt through" } th.n { "Rows" } } }
                tbody { @for (name, _, evidence) in &lines { tr {
                    td { code { (name) } } td.wide { code { (evidence.path) } } td.n { (numbers::count(evidence.rows)) }
                } } }
            } }
        }
    }
}

pub(super) fn links(report: &Report<'_>) -> Markup {
    let plan = &report.run.plan;
    let crossing: Vec<_> = plan.links.iter().filter(|link| link.crossing > 0).collect();
    let checked: u64 = report.run.plan.links.iter().map(|link| link.rows).sum();
    html! {
        h2 { "Links between tenants" }
        @if crossing.is_empty() {
            p.calm { "None: " (numbers::counted(checked, "reference", "references")) " looked at, over " (numbers::counted(report.run.plan.links.len() as u64, "key", "keys")) "." }
        } @else {
            p.lead { "References that would join two tenants, and what the plan makes of their rows at cutover. What still crosses then is held aside, with what depends on it." }
            div.scroll { table {
                thead { tr { th { "Key" } th { "From" } th { "To" } th.n { "References" } th.n { "Crossing" } th { "Settled by" } th { "For example" } } }
                tbody { @for link in crossing { tr {
                    td { code { (link.foreign_key) } } td { code { (link.table) } } td { code { (link.references) } }
                    td.n { (numbers::count(link.rows)) } td.n { (numbers::count(link.crossing)) } td { (plan.settlement(link).map_or_else(|| "open".to_owned(), |settlement| settlement.to_string())) } td.wide { code { (link.samples.join("; ")) } }
                } } }
            } }
        }
        @if !report.settled.is_empty() {
            p.lead { "What was done. The values from before are in " code { "bastide.changed" } "; rollback puts them back." }
            div.scroll { table {
                thead { tr { th { "Link" } th { "Rows" } th.n { "How many" } } }
                tbody { @for (link, what, rows) in report.settled { tr {
                    td { code { (link) } } td { (what) } td.n { (numbers::count(*rows)) }
                } } }
            } }
        }
    }
}
