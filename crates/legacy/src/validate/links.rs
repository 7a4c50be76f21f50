//! No child whose tenant differs from its parent's, by any foreign key or declared reference.

use bastide_plan::inference;
use bastide_record::{Looked, LookedState};

use super::{Eye, looked, number};
use crate::SurveyError;

pub(super) async fn check(eye: &Eye<'_>) -> Result<Vec<Looked>, SurveyError> {
    let mut found = Vec::new();
    for measure in inference::crossings(&eye.graph) {
        let link = &measure.link;
        let what = format!("follow {} of {}", link.foreign_key, link.table);
        let row = eye.row(&measure.counts, &what).await?;
        let (rows, crossing) = (number(&row, 0, &what)?, number(&row, 1, &what)?);
        let object = format!("{}.{}", link.table, link.foreign_key);
        if crossing == 0 {
            found.push(looked(object, LookedState::Held, rows, String::new()));
            continue;
        }
        let said = format!("{crossing} of {rows} rows refer to another tenant's row of {}", link.references);
        // An older plan asked once for all links of a table.
        let answer = answer(eye, &format!("link:{}:{}", link.table, link.foreign_key))
            .or_else(|| answer(eye, &format!("links:{}", link.table)));
        let (state, message) = match answer.filter(|_| !eye.upgrade.cut_over) {
            Some(answer) => {
                (LookedState::PendingCutover, format!("{said}; cutover settles them, as answered: {answer}"))
            }
            None => (LookedState::Failed, said),
        };
        let mut looked = looked(object, state, rows, message);
        looked.samples = eye.samples(&measure.samples, &what).await?;
        found.push(looked);
    }
    Ok(found)
}

fn answer<'a>(eye: &'a Eye<'_>, id: &str) -> Option<&'a str> {
    eye.upgrade.plan.questions.iter().find(|question| question.id == id)?.answer.as_deref()
}
