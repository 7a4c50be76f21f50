//! A root that is no tenant boundary, accepted in writing: an answer that no default gives.

use bastide_catalog::Catalog;
use bastide_sql::QualifiedName;

use crate::{
    Config, CrossingLink, Question, Refusal, Survey, classify::answer, obstacles::rows_of, refusal::crossing,
};

const ACCEPT: &str = "accept";

/// What the operator accepted, for the plan.
pub(crate) struct Accepted {
    pub(crate) question: Question,
    pub(crate) note: String,
}

pub(crate) fn question_id(root: &QualifiedName) -> String {
    format!("boundary:{root}")
}

/// Lets planning go on in spite of `found` where the operator has written so.
pub(crate) fn accepted(config: &Config, found: Result<(), Refusal>) -> Result<Option<Accepted>, Refusal> {
    let (root, links) = match &found {
        Err(Refusal::NotABoundary { root, links, .. }) => (root, links),
        _ => return found.map(|()| None),
    };
    let crossing = links.iter().map(crossing).collect::<Vec<_>>().join("; ");
    let mut question = Question {
        id: question_id(root),
        text: format!(
            "{root} is not a tenant boundary: {crossing}. `{ACCEPT}`: it is to be one all the same, and what crosses is \
             settled as the questions about links say."
        ),
        choices: vec![ACCEPT.to_owned()],
        default: None,
        answer: None,
    };
    question.answer = answer(config, &question)?;
    if question.answer.is_none() {
        return found.map(|()| None);
    }
    let note =
        format!("{root} was accepted as the tenant root, though it is not a tenant boundary: {crossing}");
    Ok(Some(Accepted { question, note }))
}

/// Every link by which rows cross, and how many rows its table has.
#[must_use]
pub fn crossing_links(catalog: &Catalog, survey: &Survey) -> Vec<CrossingLink> {
    let crossing = survey.links.iter().filter(|link| link.crossing > 0);
    crossing
        .map(|link| CrossingLink {
            link: link.clone(),
            table_rows: rows_of(catalog, survey, &link.table).max(link.rows),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        LinkSurvey, TableSurvey,
        fixture::{existing, ident, name, shop},
        plan,
    };

    fn planned(answers: &[(&str, &str)], accept_defaults: bool) -> Result<crate::Plan, Refusal> {
        let usage = crate::Usage { rows: 1000, by_one: 10, by_many: 900 };
        let survey = Survey {
            tenants: 3,
            usage: [(name("products"), usage)].into(),
            tables: [(name("orders"), TableSurvey { rows: 100, had_tenant: 100, ..TableSurvey::default() })]
                .into(),
            links: vec![LinkSurvey {
                table: name("orders"),
                foreign_key: ident("orders_customer_id_fkey"),
                references: name("customers"),
                rows: 100,
                crossing: 40,
                samples: vec!["1".to_owned()],
            }],
            ..Survey::default()
        };
        let answers = answers.iter().map(|(id, answer)| ((*id).to_owned(), (*answer).to_owned())).collect();
        let config = Config { answers, accept_defaults, ..existing("merchants") };
        plan(&shop().catalog(), &survey, &config)
    }

    #[test]
    fn only_the_written_word_accepts_it() {
        let refused = planned(&[], true).unwrap_err();
        assert!(matches!(refused, Refusal::NotABoundary { .. }));
        insta::assert_snapshot!(refused, @r#"
    public.merchants is not a tenant boundary: these references join different tenants:
      40 of 100 rows of public.orders cross by orders_customer_id_fkey to public.customers
    name another table with --tenant-root schema.table, or make one with --new-tenant-root name; to take public.merchants all the same, and settle what crosses by question, write in bastide.toml
      [answers]
      "boundary:public.merchants" = "accept"
    "#);
        let other = planned(&[("boundary:public.merchants", "yes")], true).unwrap_err();
        insta::assert_snapshot!(other, @"the question boundary:public.merchants has the answer `yes`; it takes accept");
    }

    #[test]
    fn the_plan_keeps_what_was_accepted_and_says_so() {
        let plan = planned(&[("boundary:public.merchants", "accept")], true).unwrap();
        let asked =
            plan.questions.iter().find(|question| question.id == "boundary:public.merchants").unwrap();
        assert_eq!((asked.default.as_deref(), asked.answer.as_deref()), (None, Some("accept")));
        assert!(plan.notes.iter().any(|note| note.contains("40 of 100 rows")), "{:?}", plan.notes);
        assert!(
            plan.questions.iter().any(|question| question.id == "link:public.orders:orders_customer_id_fkey")
        );
        // The file alone says it again.
        let file = crate::read_plan(&crate::write_plan(&plan)).unwrap();
        assert_eq!(file.config.answers.get("boundary:public.merchants").map(String::as_str), Some("accept"));
        assert_eq!(file.check(&plan), Ok(()));
    }
}
