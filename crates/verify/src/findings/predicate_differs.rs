//! The policy's USING is not `column = (SELECT bastide.current_tenant()::T)`, as this server prints it.

use bastide_sql::sql;

use super::{Check, Weakness};
use crate::{Posture, Severity, posture::{halves, main_policy, right_predicate}};

pub(super) const CHECK: Check = Check {
    id: "BST-005",
    title: "the tenant policy does not compare the tenant",
    run,
};

fn run(posture: &Posture) -> Vec<Weakness> {
    let mut found = Vec::new();
    for (table, scoped) in posture.scoped_tables() {
        let Some(policy) = main_policy(posture, table).filter(|policy| halves(policy.command).0) else { continue };
        let using = policy.using.as_ref().map_or("true", |predicate| predicate.as_str());
        if scoped.expected.iter().any(|expected| expected == using) {
            continue;
        }
        let right = right_predicate(scoped);
        let message = format!("the policy `{}` reads `USING ({using})`; expected `{right}`", policy.name);
        let mend = sql!("ALTER POLICY {} ON {} USING ({}) WITH CHECK ({})", policy.name, table.name, right, right);
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
    fn true_and_a_cast_of_the_column_are_found() {
        for wrong in ["true", "((merchant_id)::text = ( SELECT bastide.current_tenant() AS current_tenant))"] {
            let bad = found(&CHECK, |posture| {
                fixture::spoil(posture, "orders").policies[0].using = Some(Sql::trusted(wrong));
            });
            assert_eq!(bad.len(), 1, "{wrong}");
            assert_eq!(bad[0].object, "public.orders");
        }
    }

    #[test]
    fn the_expected_form_is_silent() {
        assert_eq!(found(&CHECK, |_| ()), []);
    }
}
