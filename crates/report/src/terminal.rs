//! The whole report for a terminal: the one screen that ends a run, and after it what it left open, what it cost, and what
//! was proved.

use bastide_record::Verdict;

use crate::{
    Report, Summary, numbers,
    standing::{left_to_do, standing},
    text::{plain, text},
    timeline::{begun, clock},
    validation,
};

const SHOWN_LOCKS: usize = 10;
const SHOWN_STEPS: usize = 10;

/// Some fifty lines.
#[must_use]
pub fn terminal(report: &Report<'_>) -> String {
    let words = standing(report);
    let mut out = format!("{}: {}\n\n{}", words.word, words.sentence, text(report));
    let left = left_to_do(report, &Summary::of(report));
    section(&mut out, "left to do", left.iter().map(ToString::to_string));
    section(&mut out, "the longest steps", longest(report));
    section(&mut out, "the longest locks that made writers wait", locks(report));
    let failed = report.steps.iter().filter_map(|step| Some((step, step.error.as_ref()?)));
    section(&mut out, "steps that failed", failed.map(|(step, error)| format!("{}: {error}", step.text)));
    if let Some(verdict) = report.verdict {
        section(&mut out, "verification", lines(verdict).into_iter());
    }
    out
}

fn section(out: &mut String, heading: &str, lines: impl Iterator<Item = String>) {
    let lines: Vec<String> = lines.map(|line| format!("  {}\n", plain(&line))).collect();
    if !lines.is_empty() {
        out.push_str(&format!("\n{heading}\n"));
        out.extend(lines);
    }
}

fn lines(verdict: &Verdict) -> Vec<String> {
    validation::verdict(verdict).lines().map(str::to_owned).collect()
}

fn longest(report: &Report<'_>) -> impl Iterator<Item = String> {
    let begun = begun(report);
    let mut steps: Vec<_> = report
        .steps
        .iter()
        .filter_map(|step| Some((step.started_at?, step.done_at? - step.started_at?, step)))
        .collect();
    steps.sort_by_key(|(_, took, _)| std::cmp::Reverse(*took));
    steps.truncate(SHOWN_STEPS);
    steps.into_iter().map(move |(started, took, step)| {
        let lock = step.forward.lock.map(|lock| format!(", {lock}")).unwrap_or_default();
        format!(
            "{:>10}  at {:>8}  {}{lock}",
            numbers::seconds(took.as_seconds_f64()),
            clock((started - begun).as_seconds_f64(), 0.1),
            step.text
        )
    })
}

fn locks(report: &Report<'_>) -> impl Iterator<Item = String> {
    let blocks = |lock: bastide_sql::LockMode| lock.blocks_writers();
    let mut steps: Vec<_> =
        report.steps.iter().filter(|step| step.forward.lock.is_some_and(blocks)).collect();
    steps.sort_by(|a, b| b.held_ms.total_cmp(&a.held_ms));
    steps.truncate(SHOWN_LOCKS);
    steps.into_iter().map(|step| {
        let lock = step.forward.lock.map(|lock| lock.to_string()).unwrap_or_default();
        let waited = if step.waited_ms >= 1.0 {
            format!(", waited {} for it in {} tries", numbers::milliseconds(step.waited_ms), step.attempts)
        } else {
            String::new()
        };
        format!("{:>10}  {lock}: {}{waited}", numbers::milliseconds(step.held_ms), step.text)
    })
}

#[cfg(test)]
mod tests {
    use bastide_record::{Outcome, RunState};

    use crate::{Report, sample};

    #[test]
    fn the_summary_and_what_is_behind_it() {
        let (run, mut steps) = (sample::run(RunState::CutOver), sample::steps());
        steps[0].text = "protect \u{1b}[2Jorders".to_owned();
        let verdict = sample::verdict(Outcome::Held);
        let held = [("public.orders".to_owned(), 3)];
        let report = Report { run: &run, steps: &steps, verdict: Some(&verdict), held: &held, settled: &[] };
        insta::assert_snapshot!(super::terminal(&report), @r"
        Isolated: PostgreSQL keeps the tenants apart, for every login that row security can bind.

        database  shop
             run  00000000-0000-0000-0000-000000000000  cut over
          tables  2 scoped, 0 shared, 1 closed
            rows  1,200 assigned on evidence, 10 in quarantine, 3 held aside
           steps  1, longest lock that made writers wait 4 ms
          probes  2 held, 0 breached, 0 untested, as bastide_app
        findings  none
            time  assignment 12.3 s, policies 200 ms

        left to do
          When you will not want to go back, run `bastide rls finish`; until then `bastide rls rollback` undoes everything.
          10 rows are in the quarantine tenant `q`: decide whose they are and move them, or leave them there.
          3 rows of `public.orders` held aside: no tenant could keep them without a link to another. They are whole in `bastide.held`.
          public.daily is not granted

        the longest locks that made writers wait
                4 ms  ACCESS EXCLUSIVE: protect �[2Jorders, waited 91 ms for it in 3 tries

        verification
          BST-023 info: public.orders: the unique key spans tenants
          isolated: 2 scoped tables, 0 open findings, 2 of 2 probes held, 0 breached
        ");
    }
}
