//! The policy's WITH CHECK is missing where nothing stands in for it, or is not the tenant comparison.

use bastide_sql::sql;

use super::{Check, Weakness};
use crate::{Posture, Severity, posture::{check_is_right, main_policy, right_predicate}};

pub(super) const CHECK: Check = Check {
    id: "BST-006",
    title: "writes are checked less than reads",
    run,
};

fn run(posture: &Posture) -> Vec<Weakness> {
    let mut found = Vec::new();
    for (table, scoped) in posture.scoped_tables() {
        let Some(policy) = main_policy(posture, table).filter(|policy| !check_is_right(scoped, policy)) else {
            continue;
        };
        // Without a WITH CHECK of its own the policy checks writes by its USING, which has a finding of its own.
        let Some(check) = &policy.with_check else { continue };
        let right = right_predicate(scoped);
        let message =
            format!("the policy `{}` lets rows be written for other tenants: `WITH CHECK ({check})`", policy.name);
        let mend = sql!("ALTER POLICY {} ON {} WITH CHECK ({})", policy.name, table.name, right);
        found.push(Weakness::new(Severity::Critical, &table.name, message, mend));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::CHECK;
    use bastide_sql::Sql;

    use crate::{findings::found, posture::fixture};

    #[test]
    fn true_is_found() {
        let bad = found(&CHECK, |posture| {
            fixture::spoil(posture, "orders").policies[0].with_check = Some(Sql::trusted("true"));
        });
        assert_eq!(bad[0].object, "public.orders");
        assert!(bad[0].mend.starts_with(r#"ALTER POLICY "bastide_tenant" ON "public"."orders" WITH CHECK"#));
    }

    #[test]
    fn none_falls_back_on_using() {
        let good = found(&CHECK, |posture| fixture::spoil(posture, "orders").policies[0].with_check = None);
        assert_eq!(good, []);
    }
}
