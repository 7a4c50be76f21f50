//! SARIF 2.1.0: a rule for each kind of weakness, a result for each finding and breach that counts, placed by the name of
//! the object. What is accepted is there, suppressed.

use std::collections::BTreeMap;

use bastide_record::{Known, Outcome, Probe, Severity};
use serde_json::{Value, json};

use super::Validation;

/// Where the pages of findings are kept, relative to the repository.
const PAGES: &str = "docs/findings/";

#[must_use]
pub fn sarif(validation: &Validation<'_>) -> Value {
    let mut rules: BTreeMap<String, Value> = BTreeMap::new();
    let mut results = Vec::new();
    for finding in &validation.verdict.findings {
        let page = format!("{PAGES}{}.md", finding.id);
        rules
            .entry(finding.id.clone())
            .or_insert_with(|| rule(&finding.id, "a weakness of isolation", &page));
        let level = match (finding.pending_cutover, finding.severity) {
            (true, _) | (_, Severity::Info) => "note",
            (_, Severity::Warning) => "warning",
            (_, Severity::Critical) => "error",
        };
        let text = format!("{}: {}\nMend: {}", finding.object, finding.message, finding.mend);
        results.push(result(validation, &finding.id, &finding.object, level, &text, ""));
    }
    for probe in &validation.verdict.probes {
        let id = probe.cell.id();
        match &probe.outcome {
            Outcome::Held => continue,
            Outcome::Untested { .. } if !probe.cell.never_untested() => continue,
            Outcome::Untested { why } => {
                let text = format!("{}: must have an answer and has none: {why}", probe.cell);
                results.push(result(validation, &id, &probe.cell.object, "error", &text, ""));
            }
            Outcome::Breached { how } => {
                let script = probe.reproduce.as_deref().unwrap_or_default();
                let text = format!("{}: {how}", probe.cell);
                results.push(result(validation, &id, &probe.cell.object, "error", &text, script));
            }
        }
        rules.entry(id.clone()).or_insert_with(|| rule(&id, &said(probe), "docs/validate.md"));
    }
    for (number, entry) in validation.judgement.disappeared.iter().enumerate() {
        let id = "baseline:disappeared";
        if number == 0 {
            rules.insert(
                id.to_owned(),
                rule(id, "an accepted weakness is not there any more", "docs/validate.md"),
            );
        }
        let text = format!("{} of {} disappeared: remove it from the baseline", entry.id, entry.object);
        results.push(result(validation, id, &entry.object, "error", &text, ""));
    }
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "bastide",
                "version": validation.version,
                "rules": rules.into_values().collect::<Vec<_>>(),
            }},
            "automationDetails": {"id": format!("rls validate/{}", validation.verdict.database.name)},
            // The command did its work; whether the database passes is told by what it found.
            "invocations": [{"executionSuccessful": true, "exitCode": i32::from(!validation.judgement.passes())}],
            "results": results,
            "properties": {"passes": validation.judgement.passes(), "against": validation.against()},
        }]
    })
}

fn rule(id: &str, text: &str, page: &str) -> Value {
    json!({
        "id": id,
        "shortDescription": {"text": text},
        "help": {"text": format!("See {page}.")},
    })
}

fn said(probe: &Probe) -> String {
    let cell = &probe.cell;
    format!("a probe was not refused: {} in context {} by {}", cell.verb, cell.context, cell.path)
}

fn result(
    validation: &Validation<'_>,
    id: &str,
    object: &str,
    level: &str,
    text: &str,
    script: &str,
) -> Value {
    let known = Known { id: id.to_owned(), object: object.to_owned() };
    let mut result = json!({
        "ruleId": id,
        "level": level,
        "message": {"text": text},
        "locations": [{"logicalLocations": [{
            "fullyQualifiedName": format!("{}.{object}", validation.verdict.database.name),
            "name": object,
            "kind": "object",
        }]}],
        // Stable from run to run, so that a viewer knows it again.
        "partialFingerprints": {"bastide/v1": format!("{id} {object}")},
    });
    if !script.is_empty() {
        result["properties"] = json!({"reproduce": script});
    }
    if let Some(entry) = validation.accepted(&known) {
        let justification = format!("{} (until {})", entry.reason, entry.expires);
        result["suppressions"] = json!([{"kind": "external", "justification": justification}]);
    }
    result
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bastide_record::Outcome;

    use super::super::tests::judged;
    use crate::{Validation, sample};

    #[test]
    fn every_result_has_its_rule_and_its_place() {
        let verdict = sample::verdict(Outcome::Breached { how: "saw 12 rows".to_owned() });
        let judgement = judged(&verdict);
        let validation =
            Validation { verdict: &verdict, judgement: &judgement, took: Duration::ZERO, version: "0" };
        let sarif = super::sarif(&validation);
        let run = &sarif["runs"][0];
        let rules: Vec<_> =
            run["tool"]["driver"]["rules"].as_array().unwrap().iter().map(|rule| &rule["id"]).collect();
        let results = run["results"].as_array().unwrap();
        assert_eq!(results.len(), 2);
        for result in results {
            assert!(rules.contains(&&result["ruleId"]), "{result}");
            assert_eq!(result["locations"][0]["logicalLocations"][0]["name"], "public.orders");
        }
        insta::assert_snapshot!(serde_json::to_string_pretty(results).unwrap());
    }
}
