//! A verdict for a terminal.

use std::{collections::BTreeMap, fmt::Write};

use bastide_record::{Outcome, Severity, Verdict};

/// Findings, breaches, reasons for what is untested, and one closing sentence.
#[must_use]
pub fn verdict(verdict: &Verdict) -> String {
    let mut out = String::new();
    let mut line =
        |text: String| writeln!(out, "{text}").unwrap_or_else(|_| unreachable!("a String takes everything"));
    for finding in &verdict.findings {
        let kind = match (finding.pending_cutover, finding.severity) {
            (true, _) => "pending cutover",
            (_, Severity::Info) => "info",
            (_, Severity::Warning) => "warning",
            (_, Severity::Critical) => "critical",
        };
        line(format!("{} {kind}: {}: {}", finding.id, finding.object, finding.message));
        if finding.severity > Severity::Info && !finding.pending_cutover {
            line(format!("        mend: {}", finding.mend));
        }
    }
    let mut untested: BTreeMap<&str, usize> = BTreeMap::new();
    for probe in &verdict.probes {
        match &probe.outcome {
            Outcome::Held => {}
            Outcome::Untested { why } => *untested.entry(why).or_default() += 1,
            Outcome::Breached { how } => {
                line(format!("BREACHED {} {} (context: {}): {how}", probe.verb, probe.object, probe.context));
                for script in probe.reproduce.iter().flat_map(|script| script.lines()) {
                    line(format!("        {script}"));
                }
            }
        }
    }
    for (why, count) in untested {
        line(format!("untested {count}: {why}"));
    }
    let held = verdict.probes.iter().filter(|probe| probe.outcome == Outcome::Held).count();
    let breached = verdict.breaches().count();
    if !verdict.own_login {
        line(format!("probed by SET ROLE to {}, not through its own login: weaker", verdict.app_role));
    }
    line(format!(
        "{}: {} scoped tables, {} open findings, {held} of {} probes held, {breached} breached",
        if verdict.isolated() { "isolated" } else { "not isolated" },
        verdict.scoped_tables,
        verdict.open_findings().count(),
        verdict.probes.len(),
    ));
    out
}

#[cfg(test)]
mod tests {
    use bastide_record::Outcome;

    use crate::sample;

    #[test]
    fn a_breach_comes_with_what_shows_it_again() {
        let breached = sample::verdict(Outcome::Breached { how: "saw 12 rows of another tenant".to_owned() });
        insta::assert_snapshot!(super::verdict(&breached), @r"
        BST-023 info: public.orders: the unique key spans tenants
        BREACHED select public.orders (context: none): saw 12 rows of another tenant
                SELECT count(*) FROM orders;
        not isolated: 2 scoped tables, 0 open findings, 1 of 2 probes held, 1 breached
        ");
    }

    #[test]
    fn what_was_not_tested_says_why() {
        let untested = sample::verdict(Outcome::Untested { why: "the table is empty".to_owned() });
        insta::assert_snapshot!(super::verdict(&untested), @r"
        BST-023 info: public.orders: the unique key spans tenants
        untested 1: the table is empty
        isolated: 2 scoped tables, 0 open findings, 1 of 2 probes held, 0 breached
        ");
    }
}
