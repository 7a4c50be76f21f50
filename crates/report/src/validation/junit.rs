//! JUnit XML: a suite for the findings, one for each object, a test case for each cell. An untested cell is skipped unless it must
//! have an answer; what is accepted is skipped with its reason.

use std::{collections::BTreeMap, fmt::Write};

use bastide_record::{Finding, Known, Outcome, Probe};

use super::Validation;

enum Case<'a> {
    Passed,
    Skipped(String),
    Failed { message: &'a str, text: String },
}

#[must_use]
pub fn junit(validation: &Validation<'_>) -> String {
    let mut suites: Vec<(String, Vec<(String, Case<'_>)>)> = Vec::new();
    let findings = validation
        .verdict
        .open_findings()
        .map(|finding| (format!("{} {}", finding.id, finding.object), finding_case(validation, finding)));
    let mut posture: Vec<_> = findings.collect();
    if posture.is_empty() {
        posture.push(("no open finding".to_owned(), Case::Passed));
    }
    suites.push(("posture".to_owned(), posture));
    let mut objects: BTreeMap<&str, Vec<(String, Case<'_>)>> = BTreeMap::new();
    for probe in &validation.verdict.probes {
        let cell = &probe.cell;
        let name = format!("{} {} by {}", cell.verb, cell.context, cell.path);
        objects.entry(&cell.object).or_default().push((name, probe_case(validation, probe)));
    }
    suites.extend(objects.into_iter().map(|(object, cases)| (object.to_owned(), cases)));
    suites.push(("verdict".to_owned(), whole(validation)));
    let count = |cases: &[(String, Case<'_>)]| {
        let failed = cases.iter().filter(|(_, case)| matches!(case, Case::Failed { .. })).count();
        let skipped = cases.iter().filter(|(_, case)| matches!(case, Case::Skipped(_))).count();
        format!("tests=\"{}\" failures=\"{failed}\" errors=\"0\" skipped=\"{skipped}\"", cases.len())
    };
    let all: Vec<_> = suites.iter().map(|(_, cases)| cases.as_slice()).collect();
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let mut line =
        |text: String| writeln!(out, "{text}").unwrap_or_else(|_| unreachable!("a String takes everything"));
    let tests: usize = all.iter().map(|cases| cases.len()).sum();
    let failures: usize = all
        .iter()
        .flat_map(|cases| cases.iter())
        .filter(|(_, case)| matches!(case, Case::Failed { .. }))
        .count();
    line(format!("<testsuites name=\"bastide rls validate\" tests=\"{tests}\" failures=\"{failures}\">"));
    for (suite, cases) in &suites {
        line(format!("  <testsuite name=\"{}\" {}>", escaped(suite), count(cases)));
        for (name, case) in cases {
            let head = format!("    <testcase classname=\"{}\" name=\"{}\"", escaped(suite), escaped(name));
            match case {
                Case::Passed => line(format!("{head}/>")),
                Case::Skipped(why) => {
                    line(format!("{head}><skipped message=\"{}\"/></testcase>", escaped(why)))
                }
                Case::Failed { message, text } => line(format!(
                    "{head}><failure message=\"{}\">{}</failure></testcase>",
                    escaped(message),
                    // Between tags a newline is one; in an attribute it would be read as a space.
                    escaped(text).replace("&#10;", "\n")
                )),
            }
        }
        line("  </testsuite>".to_owned());
    }
    line("</testsuites>".to_owned());
    out
}

fn finding_case<'a>(validation: &Validation<'_>, finding: &'a Finding) -> Case<'a> {
    let known = Known { id: finding.id.clone(), object: finding.object.clone() };
    match validation.accepted(&known) {
        Some(entry) => Case::Skipped(format!("accepted until {}: {}", entry.expires, entry.reason)),
        None => Case::Failed { message: &finding.message, text: format!("mend: {}", finding.mend) },
    }
}

fn probe_case<'a>(validation: &Validation<'_>, probe: &'a Probe) -> Case<'a> {
    match &probe.outcome {
        Outcome::Held => Case::Passed,
        Outcome::Untested { why } if probe.cell.never_untested() => {
            Case::Failed { message: why, text: "this probe must have an answer".to_owned() }
        }
        Outcome::Untested { why } => Case::Skipped(why.clone()),
        Outcome::Breached { how } => {
            let known = Known { id: probe.cell.id(), object: probe.cell.object.clone() };
            match validation.accepted(&known) {
                Some(entry) => Case::Skipped(format!("accepted until {}: {}", entry.expires, entry.reason)),
                None => Case::Failed { message: how, text: probe.reproduce.clone().unwrap_or_default() },
            }
        }
    }
}

/// What no single test case tells: the baseline, the bound on what is untested, and whether anything was looked at.
fn whole<'a>(validation: &Validation<'_>) -> Vec<(String, Case<'a>)> {
    let name = "passes".to_owned();
    if validation.judgement.passes() {
        return vec![(name, Case::Passed)];
    }
    let text = validation.against().join("\n");
    vec![(name, Case::Failed { message: "the database does not pass", text })]
}

/// For text and for attributes; what XML cannot hold at all is replaced.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            '\n' | '\r' | '\t' => out.push_str(&format!("&#{};", u32::from(c))),
            '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            c if c.is_control() => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bastide_record::Outcome;

    use super::super::tests::judged;
    use crate::{Validation, sample};

    #[test]
    fn a_breach_is_a_failure_with_its_script_and_a_name_cannot_become_markup() {
        let mut verdict = sample::verdict(Outcome::Breached { how: "saw 12 rows & more".to_owned() });
        verdict.probes[0].cell.object = "public.\"<b>\n&'\u{1}\"".to_owned();
        let judgement = judged(&verdict);
        let validation =
            Validation { verdict: &verdict, judgement: &judgement, took: Duration::ZERO, version: "0" };
        insta::assert_snapshot!(super::junit(&validation));
    }
}
