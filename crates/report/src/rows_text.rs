//! What `legacy validate` found, for a terminal.

use std::fmt::Write;

use bastide_record::{CheckState, LookedState, RowsVerdict};

use crate::numbers;

/// A line per check, one per object that is not simply as it should be, and one closing sentence.
#[must_use]
pub fn rows(verdict: &RowsVerdict) -> String {
    let mut out = String::new();
    let mut line =
        |text: String| writeln!(out, "{text}").unwrap_or_else(|_| unreachable!("a String takes everything"));
    for check in &verdict.checks {
        let word = match check.state() {
            CheckState::Passed => "holds",
            CheckState::PendingCutover => "pending cutover",
            CheckState::Failed => "FAILS",
            CheckState::NothingToCheck => "nothing to check",
        };
        let rows: u64 = check.looked.iter().map(|looked| looked.rows).sum();
        line(format!(
            "{:<8}  {word}: {} ({} looked at, {})",
            check.id,
            check.claim,
            numbers::counted(check.looked.len() as u64, "object", "objects"),
            numbers::counted(rows, "row", "rows"),
        ));
        for looked in check.looked.iter().filter(|looked| looked.state > LookedState::Held) {
            let kind = match looked.state {
                LookedState::Failed => "FAILED ",
                LookedState::PendingCutover => "pending cutover: ",
                LookedState::Held | LookedState::Changed => "",
            };
            line(format!("          {kind}{}: {}", looked.object, looked.message));
            if !looked.samples.is_empty() {
                line(format!("          rows: {}", looked.samples.join("; ")));
            }
        }
    }
    let failures = verdict.failures().count();
    line(match (verdict.holds(), failures) {
        (true, _) => format!("the rows of run {} are as they should be", verdict.run),
        (false, 0) => "there was no row to look at, which proves nothing".to_owned(),
        (false, _) => format!("{failures} failed; `bastide legacy rollback` undoes the upgrade"),
    });
    out
}

#[cfg(test)]
mod tests {
    use bastide_record::LookedState;

    use crate::sample::{check, looked, rows};

    #[test]
    fn each_check_says_what_it_saw() {
        let verdict = rows(vec![
            check("tenants", vec![looked(LookedState::Failed, 1200, "1 rows have no tenant")]),
            check("links", vec![looked(LookedState::PendingCutover, 3, "2 cross")]),
            check("sums", vec![looked(LookedState::Changed, 3, "rows were written since")]),
            check("keys", Vec::new()),
            check("evidence", vec![looked(LookedState::Held, 0, "")]),
        ]);
        insta::assert_snapshot!(super::rows(&verdict), @r"
        tenants   FAILS: all is well (1 object looked at, 1,200 rows)
                  FAILED public.orders: 1 rows have no tenant
                  rows: 7
        links     pending cutover: all is well (1 object looked at, 3 rows)
                  pending cutover: public.orders: 2 cross
        sums      holds: all is well (1 object looked at, 3 rows)
                  public.orders: rows were written since
        keys      nothing to check: all is well (0 objects looked at, 0 rows)
        evidence  nothing to check: all is well (1 object looked at, 0 rows)
        1 failed; `bastide legacy rollback` undoes the upgrade
        ");
    }

    #[test]
    fn looking_at_nothing_proves_nothing() {
        let verdict = rows(vec![check("tenants", vec![looked(LookedState::Held, 0, "")])]);
        assert!(!verdict.holds());
        assert!(super::rows(&verdict).contains("proves nothing"));
    }
}
