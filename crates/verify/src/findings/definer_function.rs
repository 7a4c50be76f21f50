//! A SECURITY DEFINER function the application may call reads as its owner, and what it returns nobody filters.

use bastide_catalog::search_path;
use bastide_sql::sql;

use super::{Check, Weakness};
use crate::{Posture, Severity};

pub(super) const CHECK: Check = Check {
    id: "BST-032",
    title: "a function runs with its owner's rights",
    run,
};

fn run(posture: &Posture) -> Vec<Weakness> {
    let mut found = Vec::new();
    let definers = posture.catalog.functions.iter().filter(|function| function.security_definer && !function.returns_trigger);
    for function in definers {
        if !posture.callable.contains(&(function.name.clone(), function.arguments.clone())) {
            continue;
        }
        // What an extension brings was reviewed with the extension; the operator should still know.
        let severity = if function.extension.is_some() { Severity::Info } else { Severity::Critical };
        let object = format!("{}({})", function.name, function.arguments);
        let message = format!("`{}` may call it, and it runs as `{}`", posture.app, function.owner);
        let mend = sql!("REVOKE EXECUTE ON ROUTINE {}({}) FROM {}", function.name, function.arguments, posture.grantees(Some(&function.owner)));
        found.push(Weakness::new(severity, object, message, mend));
    }
    // Inside `bastide` definers are the rule (keepers, look-ups), but only with a fixed search_path and our owner.
    for function in posture.functions.iter().filter(|f| f.security_definer && (f.callable || f.returns_trigger)) {
        if function.owner.as_str() != "bastide_owner" || !resolves_nothing_foreign(&function.settings) {
            let message = "runs with its owner's rights, but is not bastide_owner's or does not resolve names in pg_catalog alone";
            let mend = "Drop it, or make it again as bastide_owner with `SET search_path = pg_catalog, pg_temp`.";
            found.push(Weakness::advised(Severity::Critical, function.signature(), message, mend));
        } else if !function.returns_trigger {
            let message = format!("`{}` may call it, and it runs as `{}`: a look-up before the tenant is known", posture.app, function.owner);
            let mend = "Read it: an exact key in, the least columns out.";
            found.push(Weakness::advised(Severity::Info, function.signature(), message, mend));
        }
    }
    found
}

/// Names of its own schema are qualified by whoever wrote it; nothing else may be found by chance.
fn resolves_nothing_foreign(settings: &[String]) -> bool {
    let path = search_path(settings);
    path.is_some_and(|path| path.first() == Some(&"pg_catalog") && path[1..].iter().all(|schema| ["bastide", "pg_temp"].contains(schema)))
}

#[cfg(test)]
mod tests {
    use super::CHECK;
    use crate::{Posture, Severity, findings::found, posture::fixture};

    fn definer(posture: &mut Posture) {
        posture.catalog.functions[0].security_definer = true;
    }

    #[test]
    fn a_callable_definer_is_found() {
        let bad = found(&CHECK, definer);
        assert_eq!(bad[0].object, "public.slugify(who text)");
        assert_eq!(bad[0].severity, Severity::Critical);
    }

    #[test]
    fn one_planted_in_our_schema_is_found() {
        let bad = found(&CHECK, |posture| {
            posture.functions[0].security_definer = true;
            posture.functions[0].owner = fixture::ident("shop");
        });
        assert_eq!(bad[0].object, "bastide.set_tenant(v text)");
    }

    #[test]
    fn out_of_reach_is_silent() {
        let good = found(&CHECK, |posture| {
            definer(posture);
            posture.callable.clear();
        });
        assert_eq!(good, []);
    }
}
