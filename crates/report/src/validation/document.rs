//! The JSON form; `docs/validate.schema.json` describes every field of it.

use bastide_record::{Accepted, DatabaseId, Finding, Known};
use serde::Serialize;

use super::Validation;
use crate::document::Probe;

/// Raised when a reader of the last one could misread.
pub const VALIDATION_FORMAT: u32 = 1;

#[derive(Serialize)]
pub struct ValidationDocument<'a> {
    format: u32,
    bastide: &'a str,
    database: &'a DatabaseId,
    app_role: &'a str,
    own_login: bool,
    pooler: bool,
    production: bool,
    scoped_tables: usize,
    /// What posture and probes took.
    seconds: f64,
    cells: Cells,
    /// Nothing wrong was found, whatever is accepted.
    isolated: bool,
    /// Nothing counts: exit code 0.
    passes: bool,
    /// Why it does not pass.
    against: Vec<String>,
    baseline: Baseline<'a>,
    findings: Vec<Found<'a>>,
    probes: Vec<Probe<'a>>,
}

/// How many of the probes ended so.
#[derive(Serialize)]
struct Cells {
    held: usize,
    breached: usize,
    untested: usize,
}

#[derive(Serialize)]
struct Baseline<'a> {
    accepted: &'a [Accepted],
    expired: &'a [Accepted],
    disappeared: &'a [Accepted],
    new: &'a [Known],
}

#[derive(Serialize)]
struct Found<'a> {
    #[serde(flatten)]
    finding: &'a Finding,
    accepted: bool,
}

#[must_use]
pub fn validation_document<'a>(validation: &Validation<'a>) -> ValidationDocument<'a> {
    let Validation { verdict, judgement, took, version } = *validation;
    let (breached, untested) = (verdict.breaches().count(), verdict.untested().count());
    let held = verdict.probes.len() - breached - untested;
    ValidationDocument {
        format: VALIDATION_FORMAT,
        bastide: version,
        database: &verdict.database,
        app_role: &verdict.app_role,
        own_login: verdict.own_login,
        pooler: verdict.pooler,
        production: verdict.production,
        scoped_tables: verdict.scoped_tables,
        seconds: took.as_secs_f64(),
        cells: Cells { held, breached, untested },
        isolated: verdict.isolated(),
        passes: judgement.passes(),
        against: validation.against(),
        baseline: Baseline {
            accepted: &judgement.accepted,
            expired: &judgement.expired,
            disappeared: &judgement.disappeared,
            new: &judgement.new,
        },
        findings: verdict
            .findings
            .iter()
            .map(|finding| Found {
                finding,
                accepted: judgement.accepts(&finding.id, &finding.object).is_some(),
            })
            .collect(),
        probes: verdict.probes.iter().map(Probe::of).collect(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bastide_record::Outcome;
    use bastide_testkit::Schema;

    use super::super::tests::judged;
    use crate::{Validation, sample};

    #[test]
    fn every_outcome_is_as_the_schema_says() {
        let schema = Schema::parse(include_str!("../../../../docs/validate.schema.json"));
        for outcome in [
            Outcome::Held,
            Outcome::Breached { how: "saw 12 rows".to_owned() },
            Outcome::Untested { why: "it is empty".to_owned() },
        ] {
            let verdict = sample::verdict(outcome);
            let judgement = judged(&verdict);
            let validation =
                Validation { verdict: &verdict, judgement: &judgement, took: Duration::ZERO, version: "0" };
            let value = serde_json::to_value(super::validation_document(&validation)).unwrap();
            assert_eq!(schema.complaints(&value), Vec::<String>::new());
            assert_eq!(value["passes"], value["against"].as_array().unwrap().is_empty());
            let cells = value["cells"].as_object().unwrap().values().map(|count| count.as_u64().unwrap());
            assert_eq!(cells.sum::<u64>(), verdict.probes.len() as u64);
        }
    }
}
