//! A tenant policy that reads as it should, and yet calls a function or operator that is not the server's: a cast of one's
//! own from text to the tenant's type prints like the server's.

use super::{Check, Weakness, list};
use crate::{Posture, Severity};

pub(super) const CHECK: Check =
    Check { id: "BST-009", title: "a policy depends on somebody's function", run };

fn run(posture: &Posture) -> Vec<Weakness> {
    let mut found = Vec::new();
    for (table, _) in posture.scoped_tables() {
        for policy in
            table.policies.iter().filter(|policy| policy.permissive && posture.applies_to_app(policy))
        {
            let key = (table.name.clone(), policy.name.clone());
            let Some(calls) = posture.around.policy_calls.get(&key) else { continue };
            let message = format!(
                "the policy `{}` depends on {}: whoever may change that decides who sees what",
                policy.name,
                list(calls)
            );
            let mend = "Drop the function, operator or cast, then make the policy again as `bastide rls plan` shows it.";
            found.push(Weakness::advised(Severity::Critical, &table.name, message, mend));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::CHECK;
    use crate::{findings::found, posture::fixture};

    #[test]
    fn a_cast_of_ones_own_is_found() {
        let bad = found(&CHECK, |posture| {
            let policy = (fixture::public("orders"), fixture::ident("bastide_tenant"));
            posture.around.policy_calls.insert(policy, vec!["function public.everyone(text)".to_owned()]);
        });
        assert_eq!(bad[0].object, "public.orders");
        assert!(bad[0].message.contains("everyone(text)"));
    }

    #[test]
    fn a_policy_for_others_may_call_what_it_likes() {
        let good = found(&CHECK, |posture| {
            fixture::spoil(posture, "orders").policies.push(fixture::policy("staff", &["staff"], "f()"));
            let policy = (fixture::public("orders"), fixture::ident("staff"));
            posture.around.policy_calls.insert(policy, vec!["function public.f()".to_owned()]);
        });
        assert_eq!(good, []);
    }
}
