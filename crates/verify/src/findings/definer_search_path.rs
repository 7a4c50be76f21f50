//! A SECURITY DEFINER function looks names up in its caller's schemas unless it says in which, and in `pg_temp` first unless
//! it says last: whoever may create there has it run what he likes, as its owner.

use bastide_catalog::{Function, PathFault};
use bastide_sql::{Ident, join, sql};

use super::{Check, Weakness};
use crate::{Posture, Severity};

pub(super) const CHECK: Check =
    Check { id: "BST-039", title: "a definer function resolves names anywhere", run };

fn run(posture: &Posture) -> Vec<Weakness> {
    let mut found = Vec::new();
    let definers = posture
        .catalog
        .functions
        .iter()
        .filter(|function| function.security_definer && function.extension.is_none());
    for function in definers.filter(|function| runs_for_app(posture, function)) {
        let Some(fault) = fault(posture, function) else { continue };
        let object = format!("{}({})", function.name, function.arguments);
        let message = format!("runs as `{}`, and {fault}", function.owner);
        let schema = &function.name.schema;
        let path = [Ident::constant("pg_catalog"), schema.clone(), Ident::constant("pg_temp")];
        let weakness = if creates_in(posture, schema.as_str()) {
            let advice = "Qualify every name in it, then SET search_path = pg_catalog, pg_temp on it.";
            Weakness::advised(Severity::Warning, object, message, advice)
        } else {
            let (name, arguments) = (&function.name, &function.arguments);
            let mend = sql!("ALTER ROUTINE {}({}) SET search_path = {}", name, arguments, join(path, ", "));
            Weakness::new(Severity::Warning, object, message, mend)
        };
        // Only what a trigger fires is asked about: EXECUTE on the others is taken away.
        found.push(match function.returns_trigger {
            true => weakness.unless_accepted(posture, &format!("definer:{}", function.name)),
            false => weakness,
        });
    }
    found
}

/// By a call, or by a statement that fires it.
fn runs_for_app(posture: &Posture, function: &Function) -> bool {
    let tables = posture.catalog.tables.values().map(|table| (&table.name, &table.triggers));
    let views = posture.catalog.views.values().map(|view| (&view.name, &view.triggers));
    let mut fired = tables.chain(views).filter(|(name, _)| posture.reach.contains_key(name));
    if function.returns_trigger {
        return fired.any(|(_, triggers)| triggers.iter().any(|trigger| trigger.function == function.name));
    }
    posture.callable.contains(&(function.name.clone(), function.arguments.clone()))
}

fn fault(posture: &Posture, function: &Function) -> Option<String> {
    Some(match function.path_fault(|schema| creates_in(posture, schema))? {
        PathFault::Unset => "resolves names in whatever schemas its caller set".to_owned(),
        PathFault::TempFirst => "looks into pg_temp first, where the caller makes tables of its own".to_owned(),
        PathFault::Open(schema) => {
            format!("looks into `{schema}`, where `{}` may create objects", posture.app)
        }
    })
}

fn creates_in(posture: &Posture, schema: &str) -> bool {
    posture
        .creations
        .iter()
        .any(|creation| creation.schema.as_ref().is_some_and(|name| name.as_str() == schema))
}

#[cfg(test)]
mod tests {
    use super::CHECK;
    use crate::{
        Posture,
        findings::found,
        posture::{Creation, fixture},
    };

    fn definer(posture: &mut Posture, settings: &[&str]) {
        let function = &mut posture.catalog.functions[0];
        function.security_definer = true;
        function.settings = settings.iter().map(|&setting| setting.to_owned()).collect();
    }

    #[test]
    fn unset_and_pg_temp_first_and_an_open_schema_are_found() {
        let unset = found(&CHECK, |posture| definer(posture, &[]));
        assert_eq!(
            unset[0].mend,
            r#"ALTER ROUTINE "public"."slugify"(who text) SET search_path = "pg_catalog", "public", "pg_temp";"#
        );
        let temp = found(&CHECK, |posture| definer(posture, &["search_path=public"]));
        assert!(temp[0].message.contains("pg_temp first"));
        let open = found(&CHECK, |posture| {
            definer(posture, &["search_path=public, pg_temp"]);
            posture.creations.push(Creation { schema: Some(fixture::ident("public")), through_public: true });
        });
        assert!(open[0].message.contains("`public`") && open[0].mend.starts_with("Qualify"));
    }

    #[test]
    fn a_fixed_path_is_silent() {
        assert_eq!(found(&CHECK, |posture| definer(posture, &["search_path=pg_catalog, pg_temp"])), []);
    }
}
