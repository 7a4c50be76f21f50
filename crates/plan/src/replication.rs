//! Logical replication: subscribers that a new column would stop, tables that may not be updated, rows that come from elsewhere.

use bastide_catalog::{Catalog, Publication};
use bastide_sql::{Ident, QualifiedName};

use crate::{
    ColumnOrigin, Config, Question, Refusal, Survey,
    classify::{Classification, answer},
};

/// The subscribers have what will be sent, or may stop.
const READY: &str = "ready";
/// Columns that a question names before it counts.
const NAMED: usize = 8;

#[derive(Default)]
pub(crate) struct Replicated {
    pub(crate) questions: Vec<Question>,
    pub(crate) notes: Vec<String>,
}

/// # Errors
/// Where the run could not write, or where others would write past it.
pub(crate) fn of(
    catalog: &Catalog,
    survey: &Survey,
    config: &Config,
    classification: &Classification,
) -> Result<Replicated, Refusal> {
    if let Some((table, said)) = survey.unchangeable.first() {
        let sent = |publication: &&Publication| publication.all_tables || publication.tables.contains(table);
        let publications = catalog.publications.iter().filter(sent).map(|p| p.name.clone()).collect();
        return Err(Refusal::PublishedWithoutIdentity {
            table: table.clone(),
            said: said.clone(),
            publications,
        });
    }
    let mut found = Replicated::default();
    for publication in &catalog.publications {
        published(publication, survey, config, classification, &mut found)?;
    }
    subscribed(catalog, classification, &mut found)?;
    Ok(found)
}

fn published(
    publication: &Publication,
    survey: &Survey,
    config: &Config,
    classification: &Classification,
    found: &mut Replicated,
) -> Result<(), Refusal> {
    let sent = |name: &&QualifiedName| publication.all_tables || publication.tables.contains(*name);
    let scoped: Vec<&QualifiedName> =
        classification.tables.keys().filter(|name| classification.is_scoped(name)).filter(sent).collect();
    if scoped.is_empty() && !publication.all_tables {
        return Ok(());
    }
    let name = &publication.name;
    let grows = |name: &&QualifiedName| {
        let column = classification.tenant_column(name);
        column.is_some_and(|column| column.origin == ColumnOrigin::Added)
            && !publication.listed.contains(*name)
    };
    let growing: Vec<QualifiedName> = scoped.into_iter().filter(|name| grows(name)).cloned().collect();
    if growing.is_empty() && !publication.all_tables {
        found.notes.push(format!("the publication {name} sends rows of every tenant"));
        return Ok(());
    }
    if survey.slots.is_empty() {
        found.notes.push(format!(
            "the publication {name} sends rows of every tenant, and nobody subscribes now; who does later needs {}",
            needed(publication, &growing, classification)
        ));
        return Ok(());
    }
    let mut question = Question {
        id: format!("publication:{name}"),
        text: format!(
            "The publication {name} may be read by {}, and a subscriber stops at the first row of which it lacks a column or \
             the table. It needs {}. `{READY}`: it has that, or reads another publication. Otherwise see to it first, or have the \
             publication name its tables and their columns.",
            survey.slots.join(", "),
            needed(publication, &growing, classification)
        ),
        choices: vec![READY.to_owned()],
        default: None,
        answer: None,
    };
    question.answer = answer(config, &question)?;
    found.questions.push(question);
    Ok(())
}

/// What a subscriber has to have before the run begins.
fn needed(publication: &Publication, growing: &[QualifiedName], classification: &Classification) -> String {
    let columns = growing.iter().filter_map(|name| {
        let column = classification.tenant_column(name)?;
        Some(format!("the column {} ({}) of {name}", column.name, column.type_name))
    });
    let mut needed: Vec<String> = columns.take(NAMED).collect();
    if growing.len() > NAMED {
        needed.push(format!("those of {} more tables, as the plan names them", growing.len() - NAMED));
    }
    if publication.all_tables {
        needed.push("schema bastide with its tables, since it is FOR ALL TABLES".to_owned());
    }
    needed.join(", ")
}

fn subscribed(
    catalog: &Catalog,
    classification: &Classification,
    found: &mut Replicated,
) -> Result<(), Refusal> {
    for subscription in &catalog.subscriptions {
        let filled = |name: &&QualifiedName| {
            let tenant = classification.tenant_column(name);
            let column = tenant.and_then(|tenant| catalog.table(name)?.column(&tenant.name));
            // The publisher sends a tenant where the table has always asked for one.
            tenant.is_some() && !column.is_some_and(|column| column.not_null)
        };
        let name: &Ident = &subscription.name;
        match subscription.tables.iter().find(filled) {
            Some(table) if subscription.enabled => {
                return Err(Refusal::FilledBySubscription { table: table.clone(), subscription: name.clone() });
            }
            Some(table) => found.notes.push(format!(
                "the subscription {name} is disabled; once it runs again, its rows come to {table} without a tenant, and stop it"
            )),
            None if subscription.tables.is_empty() => found.notes.push(format!(
                "the subscription {name} has no table yet; rows that one brings to a scoped table come without a tenant, and stop it"
            )),
            None => {}
        }
    }
    Ok(())
}
