//! Permissive policies are joined with OR: one more that applies to the application opens what the strict one closes.

use bastide_sql::sql;

use super::{Check, Weakness};
use crate::{Posture, Severity, posture::{main_policy, policy_is_right}};

pub(super) const CHECK: Check = Check {
    id: "BST-004",
    title: "another permissive policy widens access",
    run,
};

fn run(posture: &Posture) -> Vec<Weakness> {
    let mut found = Vec::new();
    for (table, scoped) in posture.scoped_tables() {
        let main = main_policy(posture, table).map(|policy| &policy.name);
        for policy in table.policies.iter().filter(|policy| policy.permissive && posture.applies_to_app(policy)) {
            if Some(&policy.name) == main || policy_is_right(scoped, policy) {
                continue;
            }
            let message = format!(
                "the permissive policy `{}` applies to `{}` too, and is joined with OR to the tenant policy",
                policy.name, posture.app
            );
            let mend = sql!("DROP POLICY {} ON {}", policy.name, table.name);
            found.push(Weakness::new(Severity::Critical, &table.name, message, mend));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::CHECK;
    use crate::{findings::found, posture::fixture};

    #[test]
    fn a_second_permissive_policy_is_found() {
        let bad = found(&CHECK, |posture| {
            fixture::spoil(posture, "orders").policies.push(fixture::policy("support", &["bastide_app"], "true"));
        });
        assert_eq!(bad[0].object, "public.orders");
        assert_eq!(bad[0].mend, r#"DROP POLICY "support" ON "public"."orders";"#);
    }

    #[test]
    fn restrictive_foreign_and_equal_policies_are_silent() {
        let good = found(&CHECK, |posture| {
            let orders = fixture::spoil(posture, "orders");
            let mut narrow = fixture::policy("narrow", &[], "true");
            narrow.permissive = false;
            orders.policies.push(narrow);
            orders.policies.push(fixture::policy("reporting", &["reporting"], "true"));
            orders.policies.push(fixture::policy("again", &[], &fixture::predicate("merchant_id")));
        });
        assert_eq!(good, []);
    }
}
