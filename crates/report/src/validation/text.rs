//! A verdict for a terminal, its matrix drawn in 100 columns of ASCII.

use std::{collections::BTreeMap, fmt::Write};

use bastide_record::{Context, Outcome, Severity, Verdict};

use super::Validation;
use crate::matrix::{Column, Matrix, Row, heading, meaning};

const WIDTH: usize = 100;

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
                line(format!("BREACHED {}: {how}", probe.cell));
                for script in probe.reproduce.iter().flat_map(|script| script.lines()) {
                    line(format!("        {script}"));
                }
            }
        }
    }
    for (why, count) in untested {
        line(format!("untested {count}: {why}"));
    }
    for probe in verdict.unanswered() {
        line(format!("no answer, and there must be one: {}", probe.cell));
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

/// The verdict, its matrix, what is accepted, and why it passes or does not.
#[must_use]
pub fn validation_text(validation: &Validation<'_>) -> String {
    let Validation { verdict: said, judgement, .. } = *validation;
    let mut out = matrix(said);
    if !out.is_empty() {
        out.push('\n');
    }
    out.push_str(&verdict(said));
    let mut line =
        |text: String| writeln!(out, "{text}").unwrap_or_else(|_| unreachable!("a String takes everything"));
    if said.pooler {
        line("the application's login came through a pooler or a proxy".to_owned());
    }
    if said.production {
        line("--production: the zero-row probe and the cells that only read were selected".to_owned());
    }
    for entry in &judgement.accepted {
        line(format!(
            "accepted until {}: {} {} ({})",
            entry.expires,
            entry.id,
            one_line(&entry.object),
            entry.reason
        ));
    }
    let against = validation.against();
    if judgement.passes() {
        line("passes".to_owned());
    } else {
        line("does not pass:".to_owned());
        against.iter().for_each(|reason| line(format!("  {}", one_line(reason))));
    }
    out
}

/// A matrix that is too wide goes on below itself.
fn matrix(verdict: &Verdict) -> String {
    let matrix = Matrix::of(verdict);
    if matrix.rows.is_empty() {
        return String::new();
    }
    let label = matrix.rows.iter().map(|row| name(row).chars().count()).max().unwrap_or_default().min(40);
    let mut out = String::from("held .   breached X   untested ?   no such cell: blank\n");
    let order: Vec<String> = Context::ALL.iter().map(|context| context.as_str().replace('_', " ")).collect();
    let (every, reads) = order.split_at(Context::OF_EVERY_VERB);
    out.push_str(&format!("in each column, from the left: {}\n", every.join(", ")));
    out.push_str(&format!("then, where it is only read: {}\n", reads.join(", ")));
    let mut block: Vec<&Column> = Vec::new();
    let mut used = label;
    let mut blocks = Vec::new();
    for column in &matrix.columns {
        if used + 1 + width(column) > WIDTH {
            blocks.push(std::mem::take(&mut block));
            used = label;
        }
        used += 1 + width(column);
        block.push(column);
    }
    blocks.push(block);
    for block in blocks {
        out.push('\n');
        let headings = block.iter().map(|column| (heading(column.verb).to_owned(), width(column)));
        push_line(&mut out, "", label, headings);
        for row in &matrix.rows {
            let signs: Vec<_> = block.iter().map(|column| (signs(row, column), width(column))).collect();
            if signs.iter().any(|(signs, _)| !signs.trim().is_empty()) {
                push_line(&mut out, &name(row), label, signs.into_iter());
            }
        }
    }
    let told = matrix.columns.iter().map(|column| (heading(column.verb), meaning(column.verb)));
    let told: Vec<String> = told
        .filter(|(short, long)| !short.eq_ignore_ascii_case(long))
        .map(|(short, long)| format!("{short} = {long}"))
        .collect();
    out.push('\n');
    wrapped(&mut out, &told);
    if matrix.out_of_reach > 0 {
        out.push_str(&format!("out of reach, each refused when read: {}\n", matrix.out_of_reach));
    }
    out
}

fn wrapped(out: &mut String, items: &[String]) {
    let mut used = 0;
    for item in items {
        let length = item.chars().count() + 3;
        if used > 0 && used + length > WIDTH {
            out.push('\n');
            used = 0;
        }
        if used > 0 {
            out.push_str("   ");
        }
        out.push_str(item);
        used += length;
    }
    out.push('\n');
}

fn push_line(out: &mut String, name: &str, label: usize, columns: impl Iterator<Item = (String, usize)>) {
    let mut line = format!("{:label$}", shortened(name, label));
    for (text, width) in columns {
        line.push_str(&format!(" {text:width$}"));
    }
    out.push_str(line.trim_end());
    out.push('\n');
}

fn width(column: &Column) -> usize {
    column.places().len().max(heading(column.verb).len())
}

fn signs(row: &Row<'_>, column: &Column) -> String {
    column
        .places()
        .iter()
        .map(|context| match row.cell(column.verb, *context).map(|probe| &probe.outcome) {
            None => ' ',
            Some(Outcome::Held) => '.',
            Some(Outcome::Breached { .. }) => 'X',
            Some(Outcome::Untested { .. }) => '?',
        })
        .collect()
}

/// A way to a table stands under it.
fn name(row: &Row<'_>) -> String {
    match (row.way(), row.part) {
        (Some(_), Some(part)) => one_line(&format!("  key {part}")),
        (Some(way), None) => format!("  {way}"),
        (None, _) => one_line(row.object),
    }
}

/// A name may hold what moves a terminal's cursor.
fn one_line(text: &str) -> String {
    text.replace(char::is_control, "\u{fffd}")
}

/// Cut in the middle: names differ at both ends.
fn shortened(text: &str, most: usize) -> String {
    let length = text.chars().count();
    if length <= most {
        return text.to_owned();
    }
    let (head, tail) = ((most - 1) / 2, most - 1 - (most - 1) / 2);
    let head: String = text.chars().take(head).collect();
    let tail: String = text.chars().skip(length - tail).collect();
    format!("{head}…{tail}")
}

#[cfg(test)]
mod tests {
    use bastide_record::Outcome;

    use crate::sample;

    #[test]
    fn a_breach_comes_with_what_shows_it_again() {
        let breached = sample::verdict(Outcome::Breached { how: "saw 12 rows of another tenant".to_owned() });
        insta::assert_snapshot!(super::verdict(&breached), @"
    BST-023 info: public.orders: the unique key spans tenants
    BREACHED select public.orders (context: unset; by: table): saw 12 rows of another tenant
            SELECT count(*) FROM orders;
    not isolated: 2 scoped tables, 0 open findings, 1 of 2 probes held, 1 breached
    ");
    }

    #[test]
    fn what_was_not_tested_says_why() {
        let untested = sample::verdict(Outcome::Untested { why: "the table is empty".to_owned() });
        insta::assert_snapshot!(super::verdict(&untested), @"
    BST-023 info: public.orders: the unique key spans tenants
    untested 1: the table is empty
    no answer, and there must be one: select public.orders (context: unset; by: table)
    not isolated: 2 scoped tables, 0 open findings, 1 of 2 probes held, 0 breached
    ");
    }
}
