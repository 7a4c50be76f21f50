//! What `rls validate` found, in every form it is asked for.

mod document;
mod html;
mod junit;
mod sarif;
mod text;

use std::{collections::BTreeMap, time::Duration};

use bastide_record::{Judgement, Known, Verdict};

pub use document::{VALIDATION_FORMAT, ValidationDocument, validation_document};
pub use html::validation_html;
pub use junit::junit;
pub use sarif::sarif;
pub use text::{validation_text, verdict};

/// A verdict, and what of it counts.
#[derive(Clone, Copy)]
pub struct Validation<'a> {
    pub verdict: &'a Verdict,
    pub judgement: &'a Judgement,
    /// Posture and probes together.
    pub took: Duration,
    /// Of the binary.
    pub version: &'a str,
}

impl Validation<'_> {
    /// All that stands against the database, a sentence each: empty when, and only when, it passes.
    pub(crate) fn against(&self) -> Vec<String> {
        let Judgement { expired, disappeared, new, untested, .. } = self.judgement;
        let mut said = Vec::new();
        if self.verdict.scoped_tables == 0 {
            said.push("no table is scoped, so there is nothing that could be isolated; `bastide rls plan` scopes tables".to_owned());
        }
        for probe in self.verdict.unanswered() {
            said.push(format!("{} must have an answer and has none", probe.cell));
        }
        if self.verdict.scoped_tables > 0 && !self.judgement.looked && said.is_empty() {
            said.push("no probe held, so nothing is proved".to_owned());
        }
        let mut breached: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for Known { id, object } in new {
            match self.verdict.open_findings().find(|finding| (&finding.id, &finding.object) == (id, object))
            {
                Some(finding) => said.push(format!("{object}: {id}: {}", finding.message)),
                None => breached.entry(object).or_default().push(id),
            }
        }
        said.extend(breached.into_iter().map(|(object, ids)| match ids.as_slice() {
            [one] => format!("{object}: breached: {one}"),
            [first, more @ ..] => {
                format!("{object}: {} probes breached: {first} and {} more", ids.len(), more.len())
            }
            [] => object.to_owned(),
        }));
        said.extend(expired.iter().map(|entry| {
            format!(
                "{}: {} was accepted until {}; mend it, or accept it anew in the baseline",
                entry.object, entry.id, entry.expires
            )
        }));
        said.extend(
            disappeared.iter().map(|entry| {
                format!("{}: {} disappeared: remove it from the baseline", entry.object, entry.id)
            }),
        );
        if let Some((untested, most)) = untested {
            said.push(format!("{untested} probes are untested, and --max-untested allows {most}"));
        }
        said
    }

    fn accepted(&self, known: &Known) -> Option<&bastide_record::Accepted> {
        self.judgement.accepts(&known.id, &known.object)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bastide_record::{Judgement, Outcome, Verdict};
    use time::macros::date;

    use super::Validation;
    use crate::sample;

    /// Without a baseline.
    pub(super) fn judged(verdict: &Verdict) -> Judgement {
        Judgement::of(verdict, None, date!(2026 - 01 - 01), None)
    }

    #[test]
    fn it_passes_exactly_when_nothing_stands_against_it() {
        let breach = || Outcome::Breached { how: "saw 12 rows".to_owned() };
        let untested = || Outcome::Untested { why: "gave up".to_owned() };
        let mut nothing = sample::verdict(Outcome::Held);
        nothing.scoped_tables = 0;
        let mut empty = sample::verdict(Outcome::Held);
        empty.probes.clear();
        let verdicts = [
            sample::verdict(Outcome::Held),
            sample::verdict(breach()),
            sample::verdict(untested()),
            nothing,
            empty,
        ];
        let passes = verdicts.each_ref().map(|verdict| {
            let judgement = judged(verdict);
            let against =
                Validation { verdict, judgement: &judgement, took: Duration::ZERO, version: "0" }.against();
            assert_eq!(judgement.passes(), against.is_empty(), "{against:?}");
            judgement.passes()
        });
        assert_eq!(passes, [true, false, false, false, false]);
    }
}
