//! A plan for a terminal: what is what, what is open, and how much there is to do.

use std::fmt::Write;

use bastide_plan::{Class, Phase, Plan, Question};

use crate::{numbers, text::aligned};

/// The summary shown before a run is confirmed.
#[must_use]
pub fn plan(plan: &Plan) -> String {
    let mut lines = vec![
        ("database".to_owned(), plan.database.name.to_string()),
        (
            "tenants".to_owned(),
            format!("the rows of {} ({} {})", plan.root.table, plan.root.key, plan.root.key_type),
        ),
    ];
    for class in [Class::Scoped, Class::Shared, Class::Closed] {
        let names: Vec<String> = plan.tables_of(class).map(|(name, _)| name.to_string()).collect();
        if !names.is_empty() {
            lines.push((class.to_string(), format!("{}: {}", names.len(), names.join(", "))));
        }
    }
    let surveys = || plan.tables.values().filter_map(|decision| decision.survey.as_ref());
    let (inferred, conflicting, unreachable) =
        surveys().fold((0, 0, 0), |(inferred, conflicting, unreachable), survey| {
            let by_evidence: u64 = survey.inferred.iter().map(|e| e.rows).sum();
            (inferred + by_evidence, conflicting + survey.conflicting, unreachable + survey.unreachable)
        });
    let crossing: u64 = plan.links.iter().map(|link| link.crossing).sum();
    if plan.root.new {
        let rows = surveys().map(|survey| survey.rows).sum();
        lines
            .push(("rows".to_owned(), format!("{} belong to the one tenant there is", numbers::count(rows))));
    } else {
        lines.push((
            "rows".to_owned(),
            format!(
                "{} get a tenant on evidence, {} conflict, {} nothing reaches; {} cross",
                numbers::count(inferred),
                numbers::count(conflicting),
                numbers::count(unreachable),
                numbers::counted(crossing, "link would", "links would"),
            ),
        ));
    }
    let phases: Vec<String> = Phase::SEVEN
        .into_iter()
        .chain([Phase::Cutover])
        .map(|phase| (phase, plan.steps_of(phase).count()))
        .filter(|(_, count)| *count > 0)
        .map(|(phase, count)| format!("{phase} {count}"))
        .collect();
    lines.push((
        "steps".to_owned(),
        if phases.is_empty() { "none: nothing to do".to_owned() } else { phases.join(", ") },
    ));
    let mut out = aligned(&lines);
    for note in &plan.notes {
        writeln!(out, "    note  {note}").unwrap_or_else(|_| unreachable!("a String takes everything"));
    }
    let open: Vec<&Question> = plan.open().collect();
    if !open.is_empty() {
        out.push('\n');
        out.push_str(&open_questions(open));
    }
    out
}

/// Each open question with its choices and default.
#[must_use]
pub fn open_questions<'a>(questions: impl IntoIterator<Item = &'a Question>) -> String {
    let mut out = String::new();
    for question in questions {
        let default =
            question.default.as_deref().map_or_else(|| "no default".to_owned(), |d| format!("default: {d}"));
        writeln!(
            out,
            "open  {}\n      {}\n      choices: {} ({default})",
            question.id,
            question.text,
            question.choices.join(", ")
        )
        .unwrap_or_else(|_| unreachable!("a String takes everything"));
    }
    out
}

#[cfg(test)]
mod tests {
    use crate::sample;

    #[test]
    fn a_plan_with_its_open_questions() {
        insta::assert_snapshot!(super::plan(&sample::plan()), @r#"
        database  shop
         tenants  the rows of public.shops (id uuid)
          scoped  2: public.orders, public.shops
          closed  1: public."<script>alert(1)</script>"
            rows  1,200 get a tenant on evidence, 4 conflict, 6 nothing reaches; 3 links would cross
           steps  none: nothing to do
            note  public.daily is not granted

        open  link:public.orders:orders_customer_id_fkey
              Rows of public.orders reference rows of another tenant.
              choices: hold_aside (default: hold_aside)
        "#);
    }
}
