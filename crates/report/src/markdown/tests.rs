//! Markdown that no name can break, and that tells what the page tells.

use bastide_record::{Context, Outcome, RunState, Verdict};
use bastide_sql::{Ident, QualifiedName};

use crate::{Report, sample};

const NAMES: [&str; 5] =
    ["a|b", "tick`s", "back\\|slash", "<img src=x onerror=alert(1)>", "[x](http://evil)"];

fn page(state: RunState, verdict: Option<&Verdict>) -> String {
    let (mut run, mut steps) = (sample::run(state), sample::steps());
    let decision = run.plan.tables.values().next().unwrap().clone();
    for name in NAMES {
        let table = QualifiedName::new(Ident::constant("public"), Ident::new(name).unwrap());
        let mut decision = decision.clone();
        decision.because = format!("referenced by {name}\n| and more");
        run.plan.tables.insert(table, decision);
        let mut step = steps[0].clone();
        (step.text, step.error) = (format!("protect {name}"), Some(format!("no {name}")));
        steps.push(step);
    }
    let held: Vec<(String, u64)> = NAMES.map(|name| (name.to_owned(), 3)).to_vec();
    let settled = [(NAMES[0].to_owned(), "cut".to_owned(), 7)];
    super::markdown(&Report { run: &run, steps: &steps, verdict, held: &held, settled: &settled })
}

#[test]
fn no_name_breaks_a_table_or_becomes_markup() {
    let verdict = sample::verdict(Outcome::Breached { how: "saw | 12 <rows>".to_owned() });
    let page = page(RunState::CutOver, Some(&verdict));
    let mut cells = None;
    for line in page.lines() {
        if !line.starts_with('|') {
            cells = None;
            continue;
        }
        // Nothing that we write escapes a bar: whatever bar is left begins a cell.
        let here = line.matches('|').count();
        assert_eq!(here, *cells.get_or_insert(here), "{line}");
        assert!(line.ends_with('|'), "{line}");
    }
    for tag in ["<img", "<script", "<rows"] {
        for (at, _) in page.match_indices(tag) {
            let before = &page[..at];
            let line = before.rsplit('\n').next().unwrap();
            assert!(line.matches('`').count() % 2 == 1, "{tag} outside of a code span: {line}");
        }
    }
    for (at, _) in page.match_indices("](") {
        let line = page[..at].rsplit('\n').next().unwrap();
        assert!(line.matches('`').count() % 2 == 1, "a link: {line}");
    }
}

#[test]
fn it_tells_what_the_page_tells() {
    let mut untested = sample::verdict(Outcome::Untested { why: "the table is empty".to_owned() });
    untested.probes[1].cell.context = Context::Other;
    let page = page(RunState::PendingCutover, Some(&untested));
    for told in [
        "# Isolation report: shop",
        "**Pending cutover** The application's login is isolated.",
        "- Point the application at the login `bastide_app`, then run `bastide rls cutover`.",
        "| rows assigned | 1,200 |",
        "| `public.orders` | scoped | `shop_id` | 2,000 | 790 | 1,200 | 4 | 6 |",
        "| `public.orders` | `public.orders.customer_id → public.customers` | 1,200 |",
        "| `orders_customer_fkey` | `public.orders` | `public.customers` | 1,900 | 3 |",
        "| `BST-023` | info | `public.orders` |",
        "| select other table | `public.orders` | the table is empty |",
        "| turn row security on for public.orders | done |  | ACCESS EXCLUSIVE | 4 ms | 91 ms | 3 |  |",
        "| assignment | 12.3 s |",
        "None was taken.",
    ] {
        assert!(page.contains(told), "{told}\n\n{page}");
    }
}
