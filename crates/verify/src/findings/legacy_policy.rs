//! A policy that is always true for some other role: what keeps legacy logins working until cutover, and must end there.

use bastide_sql::sql;

use super::{Check, Weakness, list};
use crate::{Posture, Severity};

pub(super) const CHECK: Check = Check {
    id: "BST-007",
    title: "a policy lets a login see every tenant",
    run,
};

fn run(posture: &Posture) -> Vec<Weakness> {
    let mut found = Vec::new();
    for (table, _) in posture.scoped_tables() {
        for policy in table.policies.iter().filter(|policy| policy.permissive && !posture.applies_to_app(policy)) {
            if policy.using.as_ref().is_some_and(|predicate| predicate.as_str() == "true") {
                let message =
                    format!("the policy `{}` shows every tenant's rows to {}", policy.name, list(&policy.roles));
                let mend = sql!("DROP POLICY {} ON {}", policy.name, table.name);
                found.push(Weakness::new(Severity::Warning, &table.name, message, mend).until_cutover(posture));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::CHECK;
    use crate::{findings::found, posture::fixture};

    #[test]
    fn a_legacy_policy_is_a_state_before_cutover_and_a_finding_after() {
        for pending in [true, false] {
            let bad = found(&CHECK, |posture| {
                posture.pending_cutover = pending;
                fixture::spoil(posture, "orders").policies.push(fixture::policy("bastide_legacy", &["old"], "true"));
            });
            assert_eq!((bad.len(), bad[0].pending_cutover), (1, pending));
        }
    }

    #[test]
    fn none_left_is_silent() {
        assert_eq!(found(&CHECK, |_| ()), []);
    }
}
