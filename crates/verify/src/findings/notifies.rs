//! Whoever is connected may LISTEN on any channel: what a trigger puts into NOTIFY, every tenant's session can hear.

use super::{Check, Weakness};
use crate::{Posture, Severity};

pub(super) const CHECK: Check =
    Check { id: "BST-052", title: "a trigger tells other tenants by NOTIFY", run };

fn run(posture: &Posture) -> Vec<Weakness> {
    let mut found = Vec::new();
    for (table, _) in posture.scoped_tables() {
        for trigger in &table.triggers {
            let mut functions = posture.catalog.functions.iter();
            if !functions.any(|f| f.name == trigger.function && f.returns_trigger && f.notifies()) {
                continue;
            }
            let message =
                format!("its trigger `{}` runs {}, which uses NOTIFY", trigger.name, trigger.function);
            let mend = "Send nothing but a key that tells nothing and let the listener read the row under its own tenant, or drop the trigger.";
            let weakness = Weakness::advised(Severity::Warning, &table.name, message, mend);
            found.push(weakness.unless_accepted(posture, &format!("notify:{}", trigger.function)));
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

    fn trigger(posture: &mut Posture, source: &str) {
        posture.catalog.functions[0].source = source.to_owned();
        posture.catalog.functions[0].returns_trigger = true;
        fixture::spoil(posture, "orders").triggers.push(Trigger {
            name: fixture::ident("told"),
            function: fixture::public("slugify"),
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
    fn a_trigger_that_notifies_is_found() {
        let bad =
            found(&CHECK, |posture| trigger(posture, "BEGIN PERFORM pg_notify('orders', NEW.id::text); END"));
        assert_eq!(bad[0].object, "public.orders");
    }

    #[test]
    fn another_trigger_is_silent() {
        assert_eq!(found(&CHECK, |posture| trigger(posture, "BEGIN RETURN NEW; END")), []);
    }
}
