//! A SECURITY DEFINER trigger function on a scoped table runs past the policies of whatever it touches.

use bastide_sql::sql;

use super::{Check, Weakness};
use crate::{Posture, Severity};

pub(super) const CHECK: Check =
    Check { id: "BST-033", title: "a trigger writes with its owner's rights", run };

fn run(posture: &Posture) -> Vec<Weakness> {
    let mut found = Vec::new();
    let of_tables = posture.scoped_tables().map(|(table, _)| (&table.name, &table.triggers));
    let reached = posture.catalog.views.values().filter(|view| posture.reach.contains_key(&view.name));
    for (object, triggers) in of_tables.chain(reached.map(|view| (&view.name, &view.triggers))) {
        for trigger in triggers {
            let definer = posture.catalog.functions.iter().find(|function| {
                function.name == trigger.function && function.returns_trigger && function.security_definer
            });
            let Some(function) = definer else { continue };
            let runs =
                format!("its trigger `{}` runs {} as `{}`", trigger.name, trigger.function, function.owner);
            if posture.unbound(&function.owner) {
                let message = runs + ", whom no policy binds";
                let mend = sql!("ALTER FUNCTION {}() SECURITY INVOKER", function.name);
                let weakness = Weakness::new(Severity::Warning, object, message, mend);
                found.push(weakness.unless_accepted(posture, &format!("definer:{}", function.name)));
            } else {
                // FORCE binds that owner to the same tenant.
                let mend = "Read the function: it must not copy rows to where another tenant sees them.";
                found.push(Weakness::advised(Severity::Info, object, runs, mend));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::CHECK;
    use bastide_catalog::{Trigger, TriggerEnabled};
    use bastide_sql::Sql;

    use crate::{Posture, findings::found, posture::fixture};

    fn with_trigger(posture: &mut Posture, definer: bool) {
        let mut function = fixture::function("log");
        function.returns_trigger = true;
        function.security_definer = definer;
        posture.catalog.functions.push(function);
        fixture::spoil(posture, "orders").triggers.push(Trigger {
            name: fixture::ident("log"),
            function: fixture::public("log"),
            on_insert: true,
            on_update: false,
            on_delete: false,
            on_truncate: false,
            before: false,
            for_each_row: true,
            enabled: TriggerEnabled::Origin,
            definition: Sql::trusted("CREATE TRIGGER …"),
        });
    }

    #[test]
    fn a_definer_is_mentioned() {
        assert_eq!(found(&CHECK, |posture| with_trigger(posture, true))[0].object, "public.orders");
    }

    #[test]
    fn an_invoker_is_silent() {
        assert_eq!(found(&CHECK, |posture| with_trigger(posture, false)), []);
    }
}
