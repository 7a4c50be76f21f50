//! Foreign keys are enforced by triggers of the server's own, and Bastide has some, too. Switched off, nothing keeps a row
//! from referring to another tenant's, and nothing says so.

use bastide_sql::sql;

use super::{Check, Weakness};
use crate::{Posture, Severity};

pub(super) const CHECK: Check =
    Check { id: "BST-024", title: "what keeps tenants apart is switched off", run };

fn run(posture: &Posture) -> Vec<Weakness> {
    let off = posture.around.triggers_off.iter().filter(|off| posture.is_scoped(&off.table));
    off.map(|off| {
        let message = match &off.foreign_key {
            Some(key) => {
                format!("the foreign key `{key}` is not enforced here: its trigger `{}` is off", off.name)
            }
            None => format!("Bastide's trigger `{}` is off", off.name),
        };
        let mend = sql!("ALTER TABLE {} ENABLE TRIGGER {}", off.table, off.name);
        let weakness = Weakness::new(Severity::Warning, &off.table, message, mend);
        // Bastide's own triggers nobody was asked about.
        match off.foreign_key {
            Some(_) => weakness.unless_accepted(posture, &format!("enforcement:{}", off.table)),
            None => weakness,
        }
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::CHECK;
    use crate::{
        findings::found,
        posture::{TriggerOff, fixture},
    };

    fn off(table: &str) -> TriggerOff {
        let foreign_key = Some(fixture::ident("lines_order_fkey"));
        TriggerOff { table: fixture::public(table), name: fixture::ident("RI_1"), foreign_key }
    }

    #[test]
    fn a_foreign_key_that_does_not_fire_is_found() {
        let bad = found(&CHECK, |posture| posture.around.triggers_off.push(off("lines")));
        assert_eq!(bad[0].object, "public.lines");
        assert_eq!(bad[0].mend, r#"ALTER TABLE "public"."lines" ENABLE TRIGGER "RI_1";"#);
    }

    #[test]
    fn between_shared_tables_it_is_silent() {
        assert_eq!(found(&CHECK, |posture| posture.around.triggers_off.push(off("countries"))), []);
    }
}
