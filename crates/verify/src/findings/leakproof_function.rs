//! A LEAKPROOF function may run before the policy, on rows of other tenants; one that prints or fails tells what it saw.

use bastide_sql::{Sql, sql};

use super::{Check, Weakness};
use crate::{Posture, Severity};

pub(super) const CHECK: Check = Check {
    id: "BST-035",
    title: "a function claims to be leakproof",
    run,
};

fn run(posture: &Posture) -> Vec<Weakness> {
    let claims = posture.catalog.functions.iter().filter(|f| f.leakproof && f.extension.is_none());
    let builtins = posture.around.leakproof_builtins.iter().map(|signature| {
        let message = "was declared LEAKPROOF, which PostgreSQL does not say of it: its errors and notices may tell of rows behind the policy";
        let mend = sql!("ALTER FUNCTION {} NOT LEAKPROOF", Sql::trusted(signature.clone()));
        Weakness::new(Severity::Warning, signature, message, mend)
            .unless_accepted(posture, &format!("leakproof:{signature}"))
    });
    claims
        .map(|function| {
            let object = format!("{}({})", function.name, function.arguments);
            let message = "is LEAKPROOF, so it may see other tenants' rows before the policy filters them";
            let mend = sql!("ALTER ROUTINE {}({}) NOT LEAKPROOF", function.name, function.arguments);
            let question = format!("leakproof:{object}");
            Weakness::new(Severity::Warning, object, message, mend).unless_accepted(posture, &question)
        })
        .chain(builtins)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::CHECK;
    use crate::findings::found;

    #[test]
    fn the_claim_is_found() {
        let bad = found(&CHECK, |posture| posture.catalog.functions[0].leakproof = true);
        assert_eq!(bad[0].object, "public.slugify(who text)");
    }

    #[test]
    fn an_extensions_own_claim_is_silent() {
        let good = found(&CHECK, |posture| {
            posture.catalog.functions[0].leakproof = true;
            posture.catalog.functions[0].extension = Some("citext".to_owned());
        });
        assert_eq!(good, []);
    }
}
