//! What a rule adds to a statement runs with the table owner's rights.

use bastide_sql::{QualifiedName, sql};

use super::{Check, Weakness};
use crate::{Posture, Severity, posture::Reach};

pub(super) const CHECK: Check =
    Check { id: "BST-038", title: "a rule rewrites statements on a scoped table", run };

fn run(posture: &Posture) -> Vec<Weakness> {
    let mut found = Vec::new();
    for (table, _) in posture.scoped_tables() {
        for rule in &table.rules {
            let rule = &rule.name;
            let message = format!("its rule `{rule}` adds statements that run as `{}`", table.owner);
            // Among scoped tables the policies stand there too, and bind the owner unless it bypasses them.
            let touched = posture.rule_touches.get(&(table.name.clone(), rule.clone()));
            let inside = touched.is_some_and(|names| names.iter().all(|name| posture.is_scoped(name)));
            let severity = if inside { Severity::Info } else { Severity::Warning };
            let mend = sql!("DROP RULE {} ON {}", rule, table.name);
            found.push(Weakness::new(severity, &table.name, message, mend));
        }
    }
    // `security_invoker` is about what a view reads: what its other rules do, its owner does.
    let reached = |name: &QualifiedName| posture.reach.get(name).is_some_and(Reach::may_write);
    for view in posture.catalog.views.values().filter(|view| reached(&view.name)) {
        for rule in &view.rules {
            let touched = posture.rule_touches.get(&(view.name.clone(), rule.clone()));
            let others = touched.into_iter().flatten().filter(|name| **name != view.name);
            let inside = !posture.unbound(&view.owner) && others.clone().all(|name| posture.is_scoped(name));
            let severity = if inside { Severity::Info } else { Severity::Warning };
            let message = format!("its rule `{rule}` adds statements that run as `{}`", view.owner);
            found.push(Weakness::new(
                severity,
                &view.name,
                message,
                sql!("DROP RULE {} ON {}", rule, view.name),
            ));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::CHECK;
    use bastide_catalog::{Rule, TriggerEnabled};

    use crate::{Severity, findings::found, posture::fixture};

    fn rule(name: &str) -> Rule {
        Rule { name: fixture::ident(name), enabled: TriggerEnabled::Origin, touches: Vec::new() }
    }

    #[test]
    fn a_rule_on_a_scoped_table_is_found() {
        let bad = found(&CHECK, |posture| fixture::spoil(posture, "orders").rules.push(rule("copy")));
        assert_eq!(bad[0].mend, r#"DROP RULE "copy" ON "public"."orders";"#);
    }

    #[test]
    fn one_among_scoped_tables_is_informational() {
        let mild = found(&CHECK, |posture| {
            fixture::spoil(posture, "orders").rules.push(rule("route"));
            let route = (fixture::public("orders"), fixture::ident("route"));
            posture.rule_touches.insert(route, vec![fixture::public("lines")]);
        });
        assert_eq!(mild[0].severity, Severity::Info);
    }

    #[test]
    fn one_on_a_shared_table_is_silent() {
        let good = found(&CHECK, |posture| fixture::spoil(posture, "countries").rules.push(rule("copy")));
        assert_eq!(good, []);
    }
}
