//! TRUNCATE empties every tenant at once, REFERENCES asks about keys, TRIGGER runs code in others' statements, MAINTAIN locks.

use bastide_sql::sql;

use super::{Check, Weakness};
use crate::{Posture, Severity};

pub(super) const CHECK: Check = Check {
    id: "BST-040",
    title: "the application has a privilege row security does not bind",
    run,
};

fn run(posture: &Posture) -> Vec<Weakness> {
    let mut found = Vec::new();
    for (table, _) in posture.scoped_tables() {
        let Some(reach) = posture.reach.get(&table.name) else { continue };
        for (privilege, severity, why) in [
            ("TRUNCATE", Severity::Critical, "it empties the table for every tenant"),
            ("REFERENCES", Severity::Warning, "a foreign key of its own would ask about any tenant's keys"),
            ("TRIGGER", Severity::Critical, "its trigger would run in every tenant's writes"),
            ("MAINTAIN", Severity::Warning, "it may lock, cluster and reindex every tenant's rows"),
        ] {
            if reach.may(privilege) {
                let message = format!("`{}` has {privilege} on it: {why}", posture.app);
                let kind = bastide_sql::Sql::trusted(privilege);
                let mend = sql!("REVOKE {} ON {} FROM {}", kind, table.name, posture.grantees(Some(&table.owner)));
                found.push(Weakness::new(severity, &table.name, message, mend));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::CHECK;
    use crate::{findings::found, posture::fixture};

    #[test]
    fn each_of_the_three_is_found() {
        for privilege in ["TRUNCATE", "REFERENCES", "TRIGGER"] {
            let bad = found(&CHECK, |posture| {
                posture.reach.insert(fixture::public("orders"), fixture::reach(&["SELECT", privilege]));
            });
            assert_eq!((bad.len(), bad[0].object.as_str()), (1, "public.orders"));
            assert!(bad[0].mend.contains(privilege));
        }
    }

    #[test]
    fn the_four_that_policies_bind_are_silent() {
        assert_eq!(found(&CHECK, |_| ()), []);
    }
}
