//! One question for each link that crosses tenants, and what its answer leads to.

use bastide_catalog::{Catalog, ForeignKey, Table};
use bastide_sql::QualifiedName;

use crate::{
    Config, LinkSurvey, Question, Refusal, Settlement, Survey,
    classify::{COPY, Classification, answer},
    inference::{How, SettledLink},
    refusal::thousands,
    settlement,
};

/// What is asked about crossing links, and what follows from the answers given.
#[derive(Default)]
pub(crate) struct Links {
    pub(crate) questions: Vec<Question>,
    /// Those that are not held aside.
    pub(crate) settled: Vec<SettledLink>,
    pub(crate) notes: Vec<String>,
}

/// The id of a link's question.
pub(crate) fn id(link: &LinkSurvey) -> String {
    format!("link:{}:{}", link.table, link.foreign_key)
}

/// # Errors
/// When an answer is none of its question's choices.
pub(crate) fn links(
    catalog: &Catalog,
    survey: &Survey,
    config: &Config,
    classification: &Classification,
) -> Result<Links, Refusal> {
    let mut links = Links::default();
    let catalog = config.declared.as_foreign_keys(catalog);
    for link in survey.links.iter().filter(|link| link.crossing > 0) {
        let offers = offers(&catalog, classification, link);
        let mut question = ask(link, &offers);
        let copied = copied(classification, &link.references) && question.choices.iter().any(|c| c == COPY);
        if copied {
            question.default = Some(COPY.to_owned());
        }
        question.answer = answer(config, &question)?.or_else(|| copied.then(|| COPY.to_owned()));
        let settlement = question.answer.as_deref().and_then(Settlement::of);
        if let Some(settlement) = settlement {
            links.notes.push(format!("{}: {}", id(link), consequence(link, settlement, &offers)));
        }
        let how = offers.into_iter().find(|offer| Some(offer.settlement) == settlement);
        if let Some(how) = how.and_then(|offer| offer.how.ok()) {
            let (table, foreign_key) = (link.table.clone(), link.foreign_key.clone());
            links.settled.push(SettledLink { table, foreign_key, how });
        }
        links.questions.push(question);
    }
    Ok(links)
}

/// The operator said of the table's rows that each tenant gets its own.
fn copied(classification: &Classification, table: &QualifiedName) -> bool {
    let id = crate::classify::question(table);
    let asked = classification.questions.iter().find(|question| question.id == id);
    asked.is_some_and(|question| question.answer.as_deref() == Some(COPY))
}

/// A settlement besides holding aside, with how it is done, or why it cannot be.
struct Offer {
    settlement: Settlement,
    how: Result<How, String>,
}

fn offers(catalog: &Catalog, classification: &Classification, link: &LinkSurvey) -> Vec<Offer> {
    let Some((table, key)) = foreign_key(catalog, link) else { return Vec::new() };
    let cut = settlement::cut(catalog, classification, table, key).map(How::Cut);
    let copy = settlement::copy(catalog, classification, table, key).map(How::Copy);
    let hand_over = settlement::hand_over(catalog, classification, table).map(|()| How::Move);
    vec![
        Offer { settlement: Settlement::Cut, how: cut },
        Offer { settlement: Settlement::Copy, how: copy },
        Offer { settlement: Settlement::Move, how: hand_over },
    ]
}

fn foreign_key<'a>(catalog: &'a Catalog, link: &LinkSurvey) -> Option<(&'a Table, &'a ForeignKey)> {
    let table = catalog.table(&link.table)?;
    Some((table, table.foreign_keys.iter().find(|key| key.name == link.foreign_key)?))
}

fn ask(link: &LinkSurvey, offers: &[Offer]) -> Question {
    let mut text = format!(
        "{} of {} references of {} to {} ({}) join two tenants{}.",
        thousands(link.crossing),
        thousands(link.rows),
        link.table,
        link.references,
        link.foreign_key,
        examples(&link.samples)
    );
    let mut choices = vec![Settlement::HoldAside];
    choices.extend(offers.iter().filter(|offer| offer.how.is_ok()).map(|offer| offer.settlement));
    for &choice in &choices {
        text.push_str(&format!(" `{choice}`: {}.", consequence(link, choice, offers)));
    }
    for offer in offers {
        if let Err(why) = &offer.how {
            text.push_str(&format!(" Not `{}`: {why}.", offer.settlement));
        }
    }
    text.push_str(" Rollback takes each of them back. Otherwise choose another tenant root.");
    Question {
        id: id(link),
        text,
        choices: choices.iter().map(ToString::to_string).collect(),
        default: Some(Settlement::HoldAside.to_string()),
        answer: None,
    }
}

fn examples(samples: &[String]) -> String {
    if samples.is_empty() { String::new() } else { format!(", for example {}", samples.join("; ")) }
}

/// What the answer does at cutover.
fn consequence(link: &LinkSurvey, settlement: Settlement, offers: &[Offer]) -> String {
    let (rows, table, parent) = (thousands(link.crossing), &link.table, &link.references);
    match settlement {
        Settlement::HoldAside => {
            format!("at cutover {rows} row(s) of {table} move to bastide.held, with what references them")
        }
        Settlement::Cut => {
            let columns = offers.iter().find_map(|offer| match &offer.how {
                Ok(How::Cut(columns)) => {
                    Some(columns.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))
                }
                _ => None,
            });
            format!(
                "at cutover {} becomes NULL in {rows} row(s) of {table}; the old value is kept in bastide.changed",
                columns.unwrap_or_default()
            )
        }
        Settlement::Copy => format!(
            "at cutover the tenants of {rows} row(s) of {table} get a copy each of what those reference in {parent}, and \
             their rows reference the copy"
        ),
        Settlement::Move => format!(
            "at cutover {rows} row(s) of {table}, and what references them, become the tenant's whose row of {parent} they \
             reference"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        DeclaredReference, TableSurvey,
        fixture::{Fixture, existing, ident, name},
        plan,
    };

    fn declared(table: &str, column: &str, references: &str, by: &str) -> DeclaredReference {
        DeclaredReference {
            table: name(table),
            columns: vec![ident(column)],
            references: name(references),
            referenced_columns: vec![ident(by)],
        }
    }

    /// The question of the one link that crosses.
    fn asked(foreign_key: &str, declared: &[DeclaredReference]) -> Question {
        let catalog = Fixture::new()
            .table("merchants", &["id integer pk"])
            .table("tickets", &["id integer pk", "merchant_id integer not-null -> merchants"])
            .table(
                "orders",
                &[
                    "id integer pk",
                    "merchant_id integer not-null -> merchants",
                    "ticket integer unique -> tickets",
                    "seller integer",
                ],
            )
            .table("log", &["id integer pk", "ticket integer", "merchant_id integer -> merchants"])
            .catalog();
        let survey = Survey {
            tenants: 2,
            tables: [(name("orders"), TableSurvey { rows: 900, had_tenant: 900, ..TableSurvey::default() })]
                .into(),
            links: vec![LinkSurvey {
                table: name("orders"),
                foreign_key: ident(foreign_key),
                references: name("tickets"),
                rows: 900,
                crossing: 1,
                samples: vec!["7".to_owned()],
            }],
            ..Survey::default()
        };
        let mut config = Config { accept_defaults: true, ..existing("merchants") };
        config.declared.references = declared.to_vec();
        let plan = plan(&catalog, &survey, &config).unwrap();
        plan.questions.into_iter().find(|question| question.id.starts_with("link:")).unwrap()
    }

    #[test]
    fn a_declared_reference_takes_every_answer_that_a_foreign_key_takes() {
        let key = asked("orders_ticket_fkey", &[]);
        assert_eq!(key.choices, ["hold_aside", "cut", "move"]);
        let seller = asked("seller_declared", &[declared("orders", "seller", "tickets", "id")]);
        assert_eq!(seller.choices, key.choices);
    }

    #[test]
    fn what_a_declared_reference_leads_by_is_changed_by_no_other_answer() {
        let not_cut = |foreign_key, declared: &[DeclaredReference]| {
            let question = asked(foreign_key, declared);
            assert!(!question.choices.contains(&"cut".to_owned()), "{question:?}");
            let from = question.text.find("Not `cut`").unwrap();
            question.text[from..].split(". ").next().unwrap().to_owned()
        };
        insta::assert_snapshot!(not_cut("orders_ticket_fkey", &[declared("log", "ticket", "orders", "ticket")]), @r#"Not `cut`: public.log references ticket"#);
        insta::assert_snapshot!(not_cut("orders_ticket_fkey", &[declared("orders", "ticket", "log", "id")]), @r#"Not `cut`: ticket is part of ticket_declared too"#);
        let two = [declared("orders", "seller", "tickets", "id"), declared("orders", "seller", "log", "id")];
        insta::assert_snapshot!(not_cut("seller_public_tickets_id_declared", &two), @r#"Not `cut`: seller is part of seller_public_log_id_declared too"#);
    }
}
