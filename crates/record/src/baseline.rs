//! What an operator has accepted, with a reason and until when; and a verdict judged against it.

use std::collections::BTreeSet;

use serde::Serialize;
use time::Date;

use crate::{DatabaseId, Verb, Verdict};

/// The accepted findings and breaches of one database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Baseline {
    pub database: DatabaseId,
    pub accepted: Vec<Accepted>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Accepted {
    /// A finding's id, or a probe's: `probe:<path>:<verb>:<context>`.
    pub id: String,
    pub object: String,
    pub reason: String,
    /// The last day on which it is accepted.
    #[serde(serialize_with = "day")]
    pub expires: Date,
}

/// Something wrong, as a baseline names it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Known {
    pub id: String,
    pub object: String,
}

/// How many probes may go without an answer, besides those that must have one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum MaxUntested {
    Probes(usize),
    Percent(f64),
}

/// What counts against the database once the operator's word is taken.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Judgement {
    /// In the baseline, and there.
    pub accepted: Vec<Accepted>,
    /// In the baseline, and there, and no longer accepted.
    pub expired: Vec<Accepted>,
    /// In the baseline, and not there any more.
    pub disappeared: Vec<Accepted>,
    /// There, and not in the baseline.
    pub new: Vec<Known>,
    /// More went untested than was allowed: how many were, and how many might.
    pub untested: Option<(usize, usize)>,
    /// Whether enough was looked at to say anything.
    pub looked: bool,
}

impl Judgement {
    /// `today` decides what has expired; no baseline accepts nothing.
    #[must_use]
    pub fn of(
        verdict: &Verdict,
        baseline: Option<&Baseline>,
        today: Date,
        max_untested: Option<MaxUntested>,
    ) -> Self {
        let there = verdict.wrong();
        let mut judgement = Self { looked: verdict.looked(), ..Self::default() };
        let mut named = BTreeSet::new();
        for entry in baseline.into_iter().flat_map(|baseline| &baseline.accepted) {
            let known = Known { id: entry.id.clone(), object: entry.object.clone() };
            if !there.contains(&known) {
                if !verdict.production || selected_in_production(&entry.id) {
                    judgement.disappeared.push(entry.clone());
                }
            } else if entry.expires < today {
                judgement.expired.push(entry.clone());
            } else {
                judgement.accepted.push(entry.clone());
            }
            named.insert(known);
        }
        judgement.new = there.difference(&named).cloned().collect();
        let untested = verdict.untested().filter(|probe| !probe.cell.never_untested()).count();
        let most = match max_untested {
            None => usize::MAX,
            Some(MaxUntested::Probes(probes)) => probes,
            // Rounded down: a bound that is not met must not pass for met.
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                clippy::cast_precision_loss,
                reason = "a share of a count"
            )]
            Some(MaxUntested::Percent(percent)) => (verdict.probes.len() as f64 * percent / 100.0) as usize,
        };
        judgement.untested = (untested > most).then_some((untested, most));
        judgement
    }

    /// Nothing counts against the database.
    #[must_use]
    pub fn passes(&self) -> bool {
        self.looked
            && self.expired.is_empty()
            && self.disappeared.is_empty()
            && self.new.is_empty()
            && self.untested.is_none()
    }

    #[must_use]
    pub fn accepts(&self, id: &str, object: &str) -> Option<&Accepted> {
        self.accepted.iter().find(|entry| entry.id == id && entry.object == object)
    }
}

impl Verdict {
    /// All that counts, findings and breaches, as a baseline names it.
    #[must_use]
    pub fn wrong(&self) -> BTreeSet<Known> {
        let findings = self
            .open_findings()
            .map(|finding| Known { id: finding.id.clone(), object: finding.object.clone() });
        let breaches =
            self.breaches().map(|probe| Known { id: probe.cell.id(), object: probe.cell.object.clone() });
        findings.chain(breaches).collect()
    }
}

/// What was not selected cannot be missed. Findings are always looked for.
fn selected_in_production(id: &str) -> bool {
    let writes = [
        Verb::Insert,
        Verb::OnConflict,
        Verb::Merge,
        Verb::MergeInsert,
        Verb::Update,
        Verb::Returning,
        Verb::Delete,
        Verb::Move,
        Verb::CopyIn,
    ];
    match id.strip_prefix("probe:").and_then(|rest| rest.split(':').nth(1)) {
        Some(verb) => !writes.iter().any(|write| write.as_str() == verb),
        None => true,
    }
}

fn day<S: serde::Serializer>(date: &Date, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(date)
}

#[cfg(test)]
mod tests {
    use time::macros::date;

    use super::*;
    use crate::{Cell, Context, Finding, Outcome, Path, Probe, Severity};

    fn cell(verb: Verb, context: Context) -> Cell {
        Cell { object: "public.orders".to_owned(), path: Path::Table, verb, context }
    }

    fn probe(cell: Cell, outcome: Outcome) -> Probe {
        Probe { cell, outcome, control: String::new(), reproduce: None }
    }

    /// One finding and one breach.
    fn verdict() -> Verdict {
        Verdict {
            app_role: "app".to_owned(),
            own_login: true,
            scoped_tables: 1,
            database: DatabaseId::default(),
            production: false,
            pooler: false,
            findings: vec![Finding {
                id: "BST-001".to_owned(),
                severity: Severity::Critical,
                object: "public.orders".to_owned(),
                message: String::new(),
                mend: String::new(),
                pending_cutover: false,
            }],
            probes: vec![
                probe(cell(Verb::ZeroRow, Context::Unset), Outcome::Held),
                probe(cell(Verb::Insert, Context::Other), Outcome::Breached { how: "written".to_owned() }),
                probe(cell(Verb::Delete, Context::Other), Outcome::Untested { why: "none".to_owned() }),
            ],
        }
    }

    fn accepted(id: &str) -> Accepted {
        Accepted {
            id: id.to_owned(),
            object: "public.orders".to_owned(),
            reason: "known".to_owned(),
            expires: date!(2026 - 06 - 30),
        }
    }

    fn judged(verdict: &Verdict, ids: &[&str], today: Date) -> Judgement {
        let baseline = Baseline {
            database: DatabaseId::default(),
            accepted: ids.iter().map(|id| accepted(id)).collect(),
        };
        Judgement::of(verdict, Some(&baseline), today, None)
    }

    const BOTH: [&str; 2] = ["BST-001", "probe:table:insert:other"];

    #[test]
    fn all_that_is_wrong_must_be_named_and_all_that_is_named_must_be_there() {
        assert!(judged(&verdict(), &BOTH, date!(2026 - 06 - 30)).passes());
        let new = judged(&verdict(), &BOTH[..1], date!(2026 - 01 - 01));
        assert_eq!(new.new, [Known { id: BOTH[1].to_owned(), object: "public.orders".to_owned() }]);
        let expired = judged(&verdict(), &BOTH, date!(2026 - 07 - 01));
        assert_eq!((expired.expired.len(), expired.new.len()), (2, 0));
        let mut mended = verdict();
        mended.findings.clear();
        let gone = judged(&mended, &BOTH, date!(2026 - 01 - 01));
        assert_eq!(gone.disappeared, [accepted("BST-001")]);
        for judgement in [new, expired, gone] {
            assert!(!judgement.passes(), "{judgement:?}");
        }
    }

    #[test]
    fn in_production_a_write_that_was_not_selected_is_not_missed() {
        let mut production = verdict();
        (production.production, production.probes) = (true, production.probes[..1].to_vec());
        assert!(judged(&production, &BOTH, date!(2026 - 01 - 01)).passes());
        production.findings.clear();
        assert!(!judged(&production, &BOTH, date!(2026 - 01 - 01)).passes());
    }

    #[test]
    fn what_may_go_untested_is_bounded_and_what_must_be_answered_never_is() {
        let baseline = Baseline { database: DatabaseId::default(), accepted: BOTH.map(accepted).to_vec() };
        let with = |verdict: &Verdict, most| {
            Judgement::of(verdict, Some(&baseline), date!(2026 - 01 - 01), most).passes()
        };
        assert!(with(&verdict(), Some(MaxUntested::Probes(1))));
        assert!(!with(&verdict(), Some(MaxUntested::Probes(0))));
        assert!(with(&verdict(), Some(MaxUntested::Percent(34.0))));
        assert!(!with(&verdict(), Some(MaxUntested::Percent(33.0))));
        let mut unanswered = verdict();
        let untested = Outcome::Untested { why: "gave up".to_owned() };
        unanswered.probes.push(probe(cell(Verb::Select, Context::Unset), untested));
        assert!(!with(&unanswered, Some(MaxUntested::Percent(100.0))));
    }
}
