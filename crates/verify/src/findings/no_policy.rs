//! Row security is on, but no permissive policy applies to the application, or only restrictive ones: it sees nothing.

use bastide_sql::sql;

use super::{Check, Weakness};
use crate::{Posture, Severity, posture::right_predicate};

pub(super) const CHECK: Check = Check {
    id: "BST-003",
    title: "no permissive policy lets the application in",
    run,
};

fn run(posture: &Posture) -> Vec<Weakness> {
    let mut found = Vec::new();
    for (table, scoped) in posture.scoped_tables().filter(|(table, _)| table.row_security) {
        let applying: Vec<_> = table.policies.iter().filter(|policy| posture.applies_to_app(policy)).collect();
        if applying.iter().any(|policy| policy.permissive) {
            continue;
        }
        let message = if applying.is_empty() {
            format!("has no policy for `{}`, which therefore sees no row at all", posture.app)
        } else {
            format!("has only restrictive policies for `{}`; they narrow access that nothing gives", posture.app)
        };
        let predicate = right_predicate(scoped);
        // It may be there, for somebody else or as a restrictive one; its name is taken, then.
        let taken = table.policies.iter().any(|policy| policy.name.as_str() == "bastide_tenant");
        let drop = if taken { sql!("DROP POLICY bastide_tenant ON {}; ", table.name) } else { sql!("") };
        let mend = sql!(
            "{}CREATE POLICY bastide_tenant ON {} USING ({}) WITH CHECK ({})",
            drop, table.name, predicate, predicate
        );
        found.push(Weakness::new(Severity::Warning, &table.name, message, mend));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::CHECK;
    use crate::{findings::found, posture::fixture};

    #[test]
    fn none_and_only_restrictive_are_found() {
        let none = found(&CHECK, |posture| fixture::spoil(posture, "orders").policies.clear());
        assert!(none[0].message.contains("no policy"), "{none:?}");
        assert!(none[0].mend.contains(r#"USING ("merchant_id" = (SELECT bastide.current_tenant()::uuid))"#));
        let only = found(&CHECK, |posture| fixture::spoil(posture, "orders").policies[0].permissive = false);
        assert!(only[0].message.contains("only restrictive"), "{only:?}");
    }

    #[test]
    fn a_policy_for_public_is_enough() {
        assert_eq!(found(&CHECK, |_| ()), []);
    }
}
